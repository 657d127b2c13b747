"""Values that metadata and configuration may hold: those of JSON.

    None, bool, int (64 bits), float (finite), str, list, dict with str keys

Every encoder takes what `normalize` returns; every decoder returns values of this domain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from frazil.errors import ErrorKind, InvalidInputError

MAX_DEPTH = 256
"""Nested containers beyond this are neither written nor read."""


def normalize(value: object, *, what: str = "metadata") -> Any:
    """A copy of `value` in the JSON domain, maps sorted by key; `InvalidInputError` otherwise.

    As the reference implementation does: tuples and other sequences become lists, values of
    NumPy those of Python, numbers that are not finite None, and integers beyond 64 bits the
    nearest float.
    """
    return _normalize(value, what, 0)


def _normalize(value: object, where: str, depth: int) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return int(value)
        return _finite(value, where)
    if isinstance(value, float):
        return _finite(value, where)
    if depth == MAX_DEPTH:
        raise _refused(where, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_normalize(item, where, depth + 1) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise _refused(where, f"has the key {key!r}; keys must be strings")
            _text(key, where)
            if "\0" in key:
                raise _refused(where, f"has the key {key!r}; keys cannot contain NUL")
        # The order of code points is that of UTF-8 bytes.
        return {str(k): _normalize(value[k], f"{where}[{k!r}]", depth + 1) for k in sorted(value)}
    raise _refused(where, f"is a {type(value).__name__}, which JSON cannot express")


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(where, f"holds {text!r}, which is not valid Unicode") from None
    return str(text)


def _finite(number: float, where: str) -> float | None:
    try:
        result = float(number)
    except OverflowError:
        raise _refused(where, "holds an integer beyond the range of a float") from None
    return result if math.isfinite(result) else None


def _refused(where: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{where} {problem}", ErrorKind.BAD_METADATA)
