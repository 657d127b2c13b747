"""What the credentials of all clouds have in common."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from typing_extensions import override

from frazil.credentials.secret import Secret, from_carried
from frazil.display import Displayed, Shown, record
from frazil.errors import ErrorKind, InvalidInputError


class _Family(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, tuple(vars(cls)[name] for name in cls._names()))

    def _names(cls) -> list[str]:
        return [name for name, value in vars(cls).items() if isinstance(value, type)]


class Family(metaclass=_Family):
    """Base of the classes that only hold others: an instance is one of any of those."""

    def __init__(self) -> None:
        names = ", ".join(type(self)._names())
        raise TypeError(f"{type(self).__name__} has no instances of its own: choose of {names}")


class Kind(Displayed):
    """Base of the immutable records inside a family; `_takes` is what a field must be of."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    @override
    def _shown(self) -> Iterable[Shown]:
        return record(self.__match_args__, self)


def check(owner: Displayed, name: str, value: object, kind: type) -> None:
    """TypeError, without the value, if it is of another kind."""
    if not isinstance(value, kind):
        wanted, got = kind.__name__, type(value).__name__
        raise TypeError(f"{owner._public_name}.{name} takes {wanted}, not {got}")


class Callback(Kind):
    """Credentials that a function gives, when they are needed and when they have expired."""

    __slots__ = ()
    _gives: ClassVar[type]
    pickled_function: bytes
    current: Any

    def __post_init__(self) -> None:
        check(self, "pickled_function", self.pickled_function, bytes)
        if self.current is not None:
            check(self, "current", self.current, self._gives)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        # Whoever has the first credentials called for now wants them to travel.
        current: Secret | None = self.current
        return _callback, (type(self), self.pickled_function, current and current.carried())

    @override
    def _shown(self) -> Iterable[Shown]:
        # What the function is made with may be secret.
        function = f"{len(self.pickled_function)} bytes"
        return Shown("pickled_function", function), Shown("current", self.current)


def _callback(cls: Any, pickled_function: bytes, current: Any) -> Callback:
    made: Callback = cls(pickled_function, current and from_carried(current))
    return made


T = TypeVar("T")


def pickled(get_credentials: Callable[[], object]) -> bytes:
    """The function as it travels; InvalidInputError if it cannot."""
    if not callable(get_credentials):
        kind = type(get_credentials).__name__
        raise TypeError(f"get_credentials takes a function without arguments, not {kind}")
    try:
        return pickle.dumps(get_credentials)
    except Exception as error:  # whatever the classes of what it refers to raise
        raise InvalidInputError(
            "get_credentials cannot be pickled, which other processes need: define the function "
            f"at the top level of a module, not inside of another one ({type(error).__name__})",
            ErrorKind.INVALID_CREDENTIALS,
        ) from error


def called(get_credentials: Callable[[], T], kind: type) -> T:
    """What the function gives; TypeError if that is of another kind."""
    value = get_credentials()
    if not isinstance(value, kind):
        wanted, got = kind.__name__, type(value).__name__
        raise TypeError(f"get_credentials must return {wanted}, not {got}")
    return value


def conflicting(function: str, arguments: dict[str, object], rule: str) -> InvalidInputError:
    """The error for arguments that do not go together; it names those that are set."""
    given = [name for name, value in arguments.items() if value is not None and value is not False]
    names = ", ".join(given) or "nothing"
    return InvalidInputError(f"{function} was given {names}: {rule}", ErrorKind.INVALID_CREDENTIALS)
