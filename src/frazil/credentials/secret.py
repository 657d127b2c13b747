"""Values with secrets: displays mask them, and pickles leave them behind.

A pickled secret is a token. In the process that pickled it, and in those forked from it
afterwards, the token stands for the value. Anywhere else the value is *withheld*: it can be
compared, displayed and pickled again, but raises when its fields are read.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeAlias, TypeVar

from typing_extensions import override

from frazil.display import Displayed, Shown
from frazil.errors import ErrorKind, InvalidInputError

_carried = os.environ.get("FRAZIL_SECRETS_IN_PICKLES", "0") not in ("", "0")
_tokens: dict[Secret, str] = {}
_values: dict[str, Secret] = {}


def allow_secrets_in_pickles(allowed: bool = True) -> None:
    """Let pickles that this process makes from now on carry credentials, in plain text.

    For places where whoever can read the pickles may have the credentials, such as a cluster
    of one's own. Credentials from the environment and callbacks (`get_credentials`) travel
    without. The environment variable FRAZIL_SECRETS_IN_PICKLES=1 does the same.
    """
    global _carried
    _carried = allowed


class Secret(Displayed):
    """Base of immutable values with secret fields; compared by value."""

    __slots__ = ("_token",)
    _fields: ClassVar[tuple[str, ...]]
    _token: str

    def _text(self, name: str, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"{self._public_name}.{name} takes a str, not {type(value).__name__}")
        object.__setattr__(self, name, value)

    def _time(self, name: str, value: datetime | None) -> None:
        if value is not None and not isinstance(value, datetime):
            kind = type(value).__name__
            raise TypeError(f"{self._public_name}.{name} takes a datetime, not {kind}")
        if value is not None and value.tzinfo is None:
            raise TypeError(f"{self._public_name}.{name} takes a datetime with a timezone")
        object.__setattr__(self, name, value)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self._public_name} cannot be changed: make a new one")

    @override
    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self._public_name} cannot be changed: make a new one")

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there, such as the fields of a withheld value.
        if name in self._fields:
            raise InvalidInputError(
                f"the secrets of this {self._public_name} stayed in the process that pickled it: "
                "sign in with get_credentials=… or from_env=True instead of keys, or call "
                "frazil.credentials.allow_secrets_in_pickles() there before pickling",
                ErrorKind.INVALID_CREDENTIALS,
            )
        raise AttributeError(f"{self._public_name} has no attribute {name!r}")

    def _known(self) -> tuple[Any, ...] | None:
        """The values of the fields; None where they are withheld."""
        try:
            return tuple(object.__getattribute__(self, name) for name in self._fields)
        except AttributeError:
            return None

    def _identity(self) -> tuple[object, ...]:
        values = self._known()
        return (type(self), self._token) if values is None else (type(self), *values)

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._identity() == other._identity()

    @override
    def __hash__(self) -> int:
        return hash(self._identity())

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        values = self._known()
        if values is None:
            return _from_token, (type(self), self._token)
        if _carried:
            return from_carried, (self.carried(),)
        token = _tokens.setdefault(self, secrets.token_hex(16))
        _values[token] = self
        return _from_token, (type(self), token)

    def carried(self) -> tuple[type[Secret], tuple[Any, ...]]:
        """The secrets themselves, in a form that pickles; `from_carried` is the way back."""
        return type(self), tuple(getattr(self, name) for name in self._fields)

    @override
    def _shown(self) -> Iterable[Shown]:
        values = self._known() or ["withheld"] * len(self._fields)
        return [
            Shown(name, self._masked(name, value))
            for name, value in zip(self._fields, values, strict=True)
        ]

    def _masked(self, name: str, value: object) -> object:
        """What to show of a field."""
        return "****" if isinstance(value, str) and value != "withheld" else value


S = TypeVar("S", bound=Secret)


def from_carried(carried: tuple[type[S], tuple[Any, ...]]) -> S:
    """The value that `Secret.carried` took apart."""
    cls, values = carried
    made = object.__new__(cls)
    for name, value in zip(cls._fields, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _from_token(cls: type[Secret], token: str) -> Secret:
    known = _values.get(token)
    if known is not None:
        return known
    made = object.__new__(cls)
    object.__setattr__(made, "_token", token)
    return made


class Confidential(Secret):
    """A text that may be a secret, such as the value of a header."""

    __slots__ = ("text",)
    _fields = ("text",)
    _public_name: ClassVar[str] = "frazil.credentials.Confidential"

    text: str

    def __init__(self, text: str) -> None:
        self._text("text", text)


Guarded: TypeAlias = tuple[tuple[str, str | Confidential], ...]
"""Texts by name, of which some may be secret."""

_SECRETIVE = re.compile(
    "(?i)auth|cookie|credential|key|passw|secret|signature|token|^sig$|^proxy_url$"
)


def guarded(texts: Mapping[str, str] | None) -> Guarded:
    """Headers or options as a value that may be pickled; the names tell which are secret."""
    pairs = sorted((texts or {}).items())
    return tuple((k, Confidential(v) if _SECRETIVE.search(k) else v) for k, v in pairs)


def revealed(texts: Guarded) -> dict[str, str]:
    """The texts themselves."""
    return {k: v.text if isinstance(v, Confidential) else v for k, v in texts}
