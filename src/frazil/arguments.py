"""What public functions check of their arguments before they do anything."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def instance_of(cls: type[T], name: str, value: object) -> T:
    """The value, if it is of this class; TypeError that names the argument otherwise."""
    if not isinstance(value, cls):
        article = "an" if cls.__name__[0] in "AEIOUaeiou" else "a"
        raise TypeError(f"{name} takes {article} {cls.__name__}, not {type(value).__name__}")
    return value
