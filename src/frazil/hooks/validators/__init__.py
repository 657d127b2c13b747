"""Validators: hooks that only read, so that they run without anybody's consent.

    schema.py       arrays that must be there, their dimensions, types and attributes
    missing.py      how much of what is written is missing
    conventions.py  units, standard names and calendars as the CF conventions have them
    units.py        what a unit measures
    selecting.py    which nodes a pattern names

Each is a function of its options that returns a function of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from frazil.errors import ErrorKind, InvalidInputError

if TYPE_CHECKING:
    from frazil.findings import HookFinding
    from frazil.hooks.event import HookEvent

Validator: TypeAlias = "Callable[[HookEvent], Iterator[HookFinding]]"
NAMES = ("cf", "missing-values", "schema")


def validator_of(name: str, options: Mapping[str, Any]) -> Validator:
    """The validator of a name with its options; `InvalidInputError` (`invalid-hook`) if not."""
    make = _maker(name)
    try:
        return make(**options)
    except TypeError as error:
        said = str(error).replace(f"{make.__name__}() ", "")
        raise InvalidInputError(f"validator {name}: {said}", ErrorKind.INVALID_HOOK) from None


def _maker(name: str) -> Callable[..., Validator]:
    from frazil.hooks.validators.conventions import cf
    from frazil.hooks.validators.missing import missing_values
    from frazil.hooks.validators.schema import schema

    makers: dict[str, Callable[..., Validator]] = {
        "cf": cf,
        "missing-values": missing_values,
        "schema": schema,
    }
    if name not in makers:
        raise InvalidInputError(
            f"there is no validator {name!r}, only {', '.join(NAMES)}", ErrorKind.INVALID_HOOK
        )
    return makers[name]


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
