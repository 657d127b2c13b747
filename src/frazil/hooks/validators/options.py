"""What validators have in common: their type, and how options are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

from frazil.errors import ErrorKind, InvalidInputError
from frazil.findings import HookFinding
from frazil.hooks.event import HookEvent

Validator: TypeAlias = Callable[[HookEvent], Iterator[HookFinding]]


def require(holds: bool, validator: str, what: str) -> None:
    """Raise `InvalidInputError` (`invalid-hook`) unless an option holds."""
    if not holds:
        raise InvalidInputError(f"validator {validator}: {what}", ErrorKind.INVALID_HOOK)


def texts(value: object, validator: str, what: str) -> list[str]:
    """A list of texts that may be one text; `InvalidInputError` (`invalid-hook`) if it is not."""
    found = [value] if isinstance(value, str) else value
    fits = isinstance(found, (list, tuple)) and all(isinstance(one, str) for one in found)
    require(fits, validator, f"{what} is a list of texts")
    return list(cast("list[str]", found))
