"""Validators: hooks that only read, so that they run without anybody's consent.

    schema.py       arrays that must be there, their dimensions, types and attributes
    missing.py      how much of what is written is missing
    conventions.py  units, standard names and calendars as the CF conventions have them
    units.py        what a unit measures
    selecting.py    which nodes a pattern names
    options.py      how options are checked

Each is a function of its options that returns a function of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from frazil.errors import ErrorKind, InvalidInputError
from frazil.hooks.validators.conventions import cf
from frazil.hooks.validators.missing import missing_values
from frazil.hooks.validators.options import Validator
from frazil.hooks.validators.schema import schema

_MAKERS: Final[Mapping[str, Callable[..., Validator]]] = {
    "cf": cf,
    "missing-values": missing_values,
    "schema": schema,
}


def validator_of(name: str, options: Mapping[str, Any]) -> Validator:
    """The validator of a name with its options; `InvalidInputError` (`invalid-hook`) if not."""
    make = _MAKERS.get(name)
    if make is None:
        raise InvalidInputError(
            f"there is no validator {name!r}, only {', '.join(_MAKERS)}", ErrorKind.INVALID_HOOK
        )
    try:
        return make(**options)
    except TypeError as error:
        said = str(error).replace(f"{make.__name__}() ", "")
        raise InvalidInputError(f"validator {name}: {said}", ErrorKind.INVALID_HOOK) from None
