"""Groups of optional settings: the machinery behind the configuration classes.

A group is a mutable dataclass whose fields all may be unset (None). A field's annotation
carries its kind, which says what may be assigned, what applies when it is unset, how two
groups merge and how the value is written in a configuration document:

    @dataclass(eq=False, repr=False, slots=True)
    class CachingConfig(Settings):
        num_chunk_refs: Annotated[int | None, U64(15_000_000)] = None

A field whose name starts with an underscore belongs to a read-only property: documents and
displays have it without.

A *document* is the plain form that is stored in repositories: dicts, lists, strings,
numbers, booleans and None, with one key for each field.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from copy import deepcopy
from enum import Enum
from typing import Any, ClassVar, Generic, Self, TypeVar, get_type_hints

from frazil.arguments import instance_of
from frazil.display import DisplayedAsCall, Shown
from frazil.errors import ErrorKind, FormatError


class Kind:
    """What a field holds. `default` applies when it is unset."""

    def __init__(self, default: object = None) -> None:
        self.default = default

    def accept(self, name: str, value: object) -> Any:
        """The value to store for an assigned one; TypeError, ValueError, OverflowError if unfit."""
        return value

    def merge(self, mine: Any, theirs: Any) -> Any:
        """The value of a merged group, where both sides have one."""
        return theirs

    def encode(self, value: Any) -> Any:
        """The value in a document."""
        return value

    def decode(self, name: str, document: object) -> Any:
        """The value from a document; TypeError, ValueError or OverflowError if unfit."""
        return self.accept(name, document)


class Integer(Kind):
    """Whole numbers from `low` to `high`."""

    low: ClassVar[int]
    high: ClassVar[int]

    def accept(self, name: str, value: Any) -> int:
        number = operator.index(value) if _is_integer(value) else None
        if number is None:
            raise TypeError(f"{name} takes an integer, not {type(value).__name__}")
        if not self.low <= number <= self.high:
            # As Icechunk: a zero that must not be one is a bad value, all else does not fit.
            error = OverflowError if number else ValueError
            raise error(f"{name} takes {self.low} to {self.high}, not {number}")
        return number

    def decode(self, name: str, document: object) -> int:
        if isinstance(document, bool):
            raise TypeError(f"{name} takes an integer, not a boolean")
        return self.accept(name, document)


def _is_integer(value: object) -> bool:
    return hasattr(type(value), "__index__")


class U8(Integer):
    """0 to 255."""

    low, high = 0, 2**8 - 1


class U16(Integer):
    """0 to 65,535."""

    low, high = 0, 2**16 - 1


class U32(Integer):
    """0 to 4,294,967,295."""

    low, high = 0, 2**32 - 1


class U64(Integer):
    """0 to 2^64 - 1."""

    low, high = 0, 2**64 - 1


class I32(Integer):
    """-2^31 to 2^31 - 1."""

    low, high = -(2**31), 2**31 - 1


class PositiveU16(Integer):
    """1 to 65,535."""

    low, high = 1, 2**16 - 1


class PositiveU64(Integer):
    """1 to 2^64 - 1."""

    low, high = 1, 2**64 - 1


T = TypeVar("T")


class Instance(Kind, Generic[T]):
    """Objects of one class."""

    def __init__(self, cls: type[T], default: T | None = None) -> None:
        super().__init__(default)
        self.cls = cls

    def accept(self, name: str, value: object) -> T:
        return instance_of(self.cls, name, value)


class Choice(Instance[Enum]):
    """Members of an enumeration, in documents under other names."""

    def __init__(self, names: Mapping[Any, str], default: Enum | None = None) -> None:
        super().__init__(type(next(iter(names))), default)
        self.names: dict[Any, str] = dict(names)

    def encode(self, value: Enum) -> str:
        return self.names[value]

    def decode(self, name: str, document: object) -> Enum:
        for member, text in self.names.items():
            if text == document:
                return self.accept(name, member)
        raise ValueError(f"{name} takes one of {sorted(self.names.values())}, not {document!r}")


class Group(Instance["Settings"]):
    """A group inside a group. `whole` groups are replaced by a merge, others merged too."""

    def __init__(
        self, cls: type[Settings], default: Settings | None = None, *, whole: bool = False
    ) -> None:
        super().__init__(cls, default)
        self.whole = whole

    def merge(self, mine: Settings, theirs: Settings) -> Settings:
        return theirs if self.whole else mine._merged(theirs)

    def encode(self, value: Settings) -> dict[str, Any]:
        return value.to_document()

    def decode(self, name: str, document: object) -> Settings:
        return self.cls._decoded(name, document)


class Settings(DisplayedAsCall):
    """Base of the configuration classes: compared by value, not hashable."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        kind = _kinds(type(self)).get(name)
        if kind is not None and value is not None:
            value = kind.accept(f"{type(self).__name__}.{name}", value)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _kinds(type(self)))

    def to_document(self) -> dict[str, Any]:
        """The plain form, with every key; None where unset."""
        document: dict[str, Any] = {}
        for name, kind in _kinds(type(self)).items():
            value = getattr(self, name)
            document[name.lstrip("_")] = None if value is None else kind.encode(value)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read the plain form: unknown keys are ignored, missing ones unset.

        FormatError `config-deserialization` names the key that does not fit.
        """
        try:
            return cls._decoded(cls.__name__, document)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise FormatError(
                f"the configuration cannot be read: {error}", ErrorKind.CONFIG_DESERIALIZATION
            ) from error

    @classmethod
    def _decoded(cls, where: str, document: object) -> Self:
        if not isinstance(document, Mapping):
            raise TypeError(f"{where} takes a map, not {type(document).__name__}")
        values = {}
        for name, kind in _kinds(cls).items():
            key = name.lstrip("_")
            if document.get(key) is not None:
                values[name] = kind.decode(f"{where}.{key}", document[key])
        return cls._made(where, values)

    @classmethod
    def _made(cls, where: str, values: Mapping[str, Any]) -> Self:
        """A group with these fields set; ValueError if one is missing that it must have."""
        group = cls()
        for name, value in values.items():
            setattr(group, name, value)
        return group

    def _merged(self, other: Self) -> Self:
        """A new group with the values of `other`, and of this one where those are unset."""
        group = deepcopy(self)
        for name, kind in _kinds(type(self)).items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None:
                value = theirs if mine is None else kind.merge(mine, theirs)
                setattr(group, name, deepcopy(value))
        return group

    def effective(self, name: str) -> Any:
        """The value of a field that applies: a copy of the default where it is unset."""
        value = getattr(self, name)
        return deepcopy(_kinds(type(self))[name].default) if value is None else value

    def _shown(self) -> Iterable[Shown]:
        return [
            Shown(name.lstrip("_"), getattr(self, name), kind.default)
            for name, kind in _kinds(type(self)).items()
        ]


_known: dict[type, Mapping[str, Kind]] = {}


def _kinds(cls: type[Settings]) -> Mapping[str, Kind]:
    """The fields of a class that hold settings, in the order of their declaration."""
    if cls in _known:
        return _known[cls]
    found: dict[str, Kind] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        kinds = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Kind)]
        if kinds:
            found[name] = kinds[0]
    return _known.setdefault(cls, found)
