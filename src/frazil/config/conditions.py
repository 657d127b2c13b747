"""Conditions on arrays and dimensions, for preloading and splitting manifests.

Values only: they are evaluated in `model/preload` and `model/splits`. In documents:

    preload    {"or": [..]} {"and": [..]} {"path_matches": {"regex": r}} {"name_matches": ..}
               {"num_refs": {"from": B, "to": B}} "true" "false"
               B: {"Included": n} {"Excluded": n} "Unbounded"
    split      {"or": [..]} {"and": [..]} {"path_matches": ..} {"name_matches": ..} "any_array"
    dimension  {"Axis": n} {"DimensionName": r} "Any"

Regular expressions are in Rust syntax and searched for, not matched as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from frazil.display import literal
from frazil.settings import U32, U64

_CHECKS = {"from_refs": U32(), "to_refs": U32(), "axis": U64()}


class _Condition:
    """Checks the fields of a condition, and shows it as the call that makes it."""

    _call: ClassVar[str]
    _key: ClassVar[str]

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        if not hasattr(cls, "_call"):
            raise TypeError(f"{cls.__name__} is a base class: use one of its functions")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = self._checked(field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    def _checked(self, name: str, value: object) -> Any:
        where = f"{self._call} ({name})"
        if name in _CHECKS:
            return None if value is None and name != "axis" else _CHECKS[name].accept(where, value)
        if name == "regex":
            if not isinstance(value, str):
                raise TypeError(f"{where} takes a string, not {type(value).__name__}")
            return value
        return conditions_of(where, _family(self), value)

    def __repr__(self) -> str:
        values = [getattr(self, f.name) for f in fields(self)]  # type: ignore[arg-type]
        shown = [literal(list(v) if isinstance(v, tuple) else v) for v in values]
        return f"frazil.config.{self._call}({', '.join(shown)})"

    def _content(self) -> Any:
        """What the document holds under the key; None for a bare string."""
        return None

    def document(self) -> Any:
        """The form in a configuration document."""
        content = self._content()
        return self._key if content is None else {self._key: content}


def _family(condition: _Condition) -> type[_Condition]:
    bases = (ManifestPreloadCondition, ManifestSplitCondition, ManifestSplitDimCondition)
    return next(base for base in bases if isinstance(condition, base))


def conditions_of(where: str, family: type[_Condition], value: object) -> tuple[Any, ...]:
    """A sequence of conditions of one family as a tuple; TypeError if it is something else."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"{where} takes a sequence, not {type(value).__name__}")
    for one in value:
        if not isinstance(one, family):
            raise TypeError(f"{where} takes {family.__name__} values, not {type(one).__name__}")
    return tuple(value)


class _Combined(_Condition):
    conditions: Sequence[_Condition]

    def _content(self) -> list[Any]:
        return [condition.document() for condition in self.conditions]


class _Matching(_Condition):
    regex: str

    def _content(self) -> Any:
        return {"regex": self.regex}


class ManifestPreloadCondition(_Condition):
    """Which manifests to fetch when a session starts; combine with `&` and `|`."""

    Or: ClassVar[type[PreloadOr]]
    And: ClassVar[type[PreloadAnd]]
    PathMatches: ClassVar[type[PreloadPathMatches]]
    NameMatches: ClassVar[type[PreloadNameMatches]]
    NumRefs: ClassVar[type[PreloadNumRefs]]
    # The variants `True` and `False` cannot be declared: their names are keywords.

    @staticmethod
    def or_conditions(conditions: Sequence[ManifestPreloadCondition]) -> ManifestPreloadCondition:
        """At least one of them."""
        return PreloadOr(conditions)

    @staticmethod
    def and_conditions(conditions: Sequence[ManifestPreloadCondition]) -> ManifestPreloadCondition:
        """All of them."""
        return PreloadAnd(conditions)

    @staticmethod
    def path_matches(regex: str) -> ManifestPreloadCondition:
        """The array's absolute path contains a match."""
        return PreloadPathMatches(regex)

    @staticmethod
    def name_matches(regex: str) -> ManifestPreloadCondition:
        """The last part of the array's path contains a match."""
        return PreloadNameMatches(regex)

    @staticmethod
    def num_refs(from_refs: int | None, to_refs: int | None) -> ManifestPreloadCondition:
        """The manifest has at least `from_refs` and fewer than `to_refs` references."""
        return PreloadNumRefs(from_refs, to_refs)

    @staticmethod
    def true() -> ManifestPreloadCondition:
        """Every manifest."""
        return PreloadTrue()

    @staticmethod
    def false() -> ManifestPreloadCondition:
        """No manifest."""
        return PreloadFalse()

    def __and__(self, other: ManifestPreloadCondition, /) -> ManifestPreloadCondition:
        return PreloadAnd((self, other))

    def __or__(self, other: ManifestPreloadCondition, /) -> ManifestPreloadCondition:
        return PreloadOr((self, other))


@dataclass(frozen=True, repr=False)
class PreloadOr(ManifestPreloadCondition, _Combined):
    """At least one of the conditions."""

    conditions: Sequence[ManifestPreloadCondition]
    _call, _key = "ManifestPreloadCondition.or_conditions", "or"


@dataclass(frozen=True, repr=False)
class PreloadAnd(ManifestPreloadCondition, _Combined):
    """All of the conditions."""

    conditions: Sequence[ManifestPreloadCondition]
    _call, _key = "ManifestPreloadCondition.and_conditions", "and"


@dataclass(frozen=True, repr=False)
class PreloadPathMatches(ManifestPreloadCondition, _Matching):
    """The path contains a match."""

    regex: str
    _call, _key = "ManifestPreloadCondition.path_matches", "path_matches"


@dataclass(frozen=True, repr=False)
class PreloadNameMatches(ManifestPreloadCondition, _Matching):
    """The name contains a match."""

    regex: str
    _call, _key = "ManifestPreloadCondition.name_matches", "name_matches"


@dataclass(frozen=True, repr=False)
class PreloadNumRefs(ManifestPreloadCondition):
    """The number of references is in a half-open range; None leaves an end open."""

    from_refs: int | None
    to_refs: int | None
    _call, _key = "ManifestPreloadCondition.num_refs", "num_refs"

    def _content(self) -> Any:
        return {
            "from": "Unbounded" if self.from_refs is None else {"Included": self.from_refs},
            "to": "Unbounded" if self.to_refs is None else {"Excluded": self.to_refs},
        }


@dataclass(frozen=True, repr=False)
class PreloadTrue(ManifestPreloadCondition):
    """Every manifest."""

    _call, _key = "ManifestPreloadCondition.true", "true"


@dataclass(frozen=True, repr=False)
class PreloadFalse(ManifestPreloadCondition):
    """No manifest."""

    _call, _key = "ManifestPreloadCondition.false", "false"


class ManifestSplitCondition(_Condition):
    """Which arrays a splitting rule is for; combine with `&` and `|`."""

    Or: ClassVar[type[SplitOr]]
    And: ClassVar[type[SplitAnd]]
    PathMatches: ClassVar[type[SplitPathMatches]]
    NameMatches: ClassVar[type[SplitNameMatches]]
    AnyArray: ClassVar[type[SplitAnyArray]]

    @staticmethod
    def or_conditions(conditions: Sequence[ManifestSplitCondition]) -> ManifestSplitCondition:
        """At least one of them."""
        return SplitOr(conditions)

    @staticmethod
    def and_conditions(conditions: Sequence[ManifestSplitCondition]) -> ManifestSplitCondition:
        """All of them."""
        return SplitAnd(conditions)

    @staticmethod
    def path_matches(regex: str) -> ManifestSplitCondition:
        """The array's absolute path contains a match."""
        return SplitPathMatches(regex)

    @staticmethod
    def name_matches(regex: str) -> ManifestSplitCondition:
        """The last part of the array's path contains a match."""
        return SplitNameMatches(regex)

    def __and__(self, other: ManifestSplitCondition, /) -> ManifestSplitCondition:
        return SplitAnd((self, other))

    def __or__(self, other: ManifestSplitCondition, /) -> ManifestSplitCondition:
        return SplitOr((self, other))


@dataclass(frozen=True, repr=False)
class SplitOr(ManifestSplitCondition, _Combined):
    """At least one of the conditions."""

    conditions: Sequence[ManifestSplitCondition]
    _call, _key = "ManifestSplitCondition.or_conditions", "or"


@dataclass(frozen=True, repr=False)
class SplitAnd(ManifestSplitCondition, _Combined):
    """All of the conditions."""

    conditions: Sequence[ManifestSplitCondition]
    _call, _key = "ManifestSplitCondition.and_conditions", "and"


@dataclass(frozen=True, repr=False)
class SplitPathMatches(ManifestSplitCondition, _Matching):
    """The path contains a match."""

    regex: str
    _call, _key = "ManifestSplitCondition.path_matches", "path_matches"


@dataclass(frozen=True, repr=False)
class SplitNameMatches(ManifestSplitCondition, _Matching):
    """The name contains a match."""

    regex: str
    _call, _key = "ManifestSplitCondition.name_matches", "name_matches"


@dataclass(frozen=True, repr=False)
class SplitAnyArray(ManifestSplitCondition):
    """Every array."""

    _call, _key = "ManifestSplitCondition.AnyArray", "any_array"


class ManifestSplitDimCondition(_Condition):
    """Which dimensions of an array a split size is for."""

    Axis: ClassVar[type[SplitAxis]]
    DimensionName: ClassVar[type[SplitDimensionName]]
    Any: ClassVar[type[SplitAnyDimension]]


@dataclass(frozen=True, repr=False)
class SplitAxis(ManifestSplitDimCondition):
    """The dimension with this number, from 0."""

    axis: int
    _call, _key = "ManifestSplitDimCondition.Axis", "Axis"

    def _content(self) -> int:
        return self.axis


@dataclass(frozen=True, repr=False)
class SplitDimensionName(ManifestSplitDimCondition):
    """Dimensions whose name contains a match."""

    regex: str
    _call, _key = "ManifestSplitDimCondition.DimensionName", "DimensionName"

    def _content(self) -> str:
        return self.regex


@dataclass(frozen=True, repr=False)
class SplitAnyDimension(ManifestSplitDimCondition):
    """Every dimension."""

    _call, _key = "ManifestSplitDimCondition.Any", "Any"


ManifestPreloadCondition.Or = PreloadOr
ManifestPreloadCondition.And = PreloadAnd
ManifestPreloadCondition.PathMatches = PreloadPathMatches
ManifestPreloadCondition.NameMatches = PreloadNameMatches
ManifestPreloadCondition.NumRefs = PreloadNumRefs
setattr(ManifestPreloadCondition, "True", PreloadTrue)
setattr(ManifestPreloadCondition, "False", PreloadFalse)
ManifestSplitCondition.Or = SplitOr
ManifestSplitCondition.And = SplitAnd
ManifestSplitCondition.PathMatches = SplitPathMatches
ManifestSplitCondition.NameMatches = SplitNameMatches
ManifestSplitCondition.AnyArray = SplitAnyArray
ManifestSplitDimCondition.Axis = SplitAxis
ManifestSplitDimCondition.DimensionName = SplitDimensionName
ManifestSplitDimCondition.Any = SplitAnyDimension


def preload_condition(where: str, document: object) -> ManifestPreloadCondition:
    """Read a preload condition; ValueError, TypeError or OverflowError if it is none."""
    key, content = _variant(where, document)
    match key:
        case "or" | "and":
            inner = [preload_condition(where, one) for one in _list(where, content)]
            return PreloadOr(inner) if key == "or" else PreloadAnd(inner)
        case "path_matches":
            return PreloadPathMatches(_regex(where, content))
        case "name_matches":
            return PreloadNameMatches(_regex(where, content))
        case "num_refs":
            if not isinstance(content, dict):
                raise ValueError(f"{where}: num_refs takes a map, not {content!r}")
            return PreloadNumRefs(
                _start(where, content.get("from")), _stop(where, content.get("to"))
            )
        case "true":
            return PreloadTrue()
        case "false":
            return PreloadFalse()
    raise ValueError(f"{where}: unknown condition {key!r}")


def split_condition(where: str, document: object) -> ManifestSplitCondition:
    """Read an array condition; ValueError, TypeError or OverflowError if it is none."""
    key, content = _variant(where, document)
    match key:
        case "or" | "and":
            inner = [split_condition(where, one) for one in _list(where, content)]
            return SplitOr(inner) if key == "or" else SplitAnd(inner)
        case "path_matches":
            return SplitPathMatches(_regex(where, content))
        case "name_matches":
            return SplitNameMatches(_regex(where, content))
        case "any_array":
            return SplitAnyArray()
    raise ValueError(f"{where}: unknown condition {key!r}")


def dimension_condition(where: str, document: object) -> ManifestSplitDimCondition:
    """Read a dimension condition; ValueError, TypeError or OverflowError if it is none."""
    key, content = _variant(where, document)
    match key:
        case "Axis":
            return SplitAxis(content)
        case "DimensionName":
            return SplitDimensionName(content)
        case "Any":
            return SplitAnyDimension()
    raise ValueError(f"{where}: unknown condition {key!r}")


def _variant(where: str, document: object) -> tuple[str, Any]:
    """The name and the content of an enumeration's value in a document."""
    if isinstance(document, bool):  # YAML's unquoted true and false
        return str(document).lower(), None
    if isinstance(document, str):
        return document, None
    if isinstance(document, dict) and len(document) == 1:
        key, content = next(iter(document.items()))
        return str(key), content
    raise ValueError(f"{where} takes a condition, not {document!r}")


def _list(where: str, content: object) -> list[Any]:
    if isinstance(content, list):
        return content
    raise ValueError(f"{where} takes a list of conditions, not {content!r}")


def _regex(where: str, content: object) -> Any:
    if isinstance(content, dict) and "regex" in content:
        return content["regex"]
    raise ValueError(f"{where} lacks a regular expression: {content!r}")


def _start(where: str, bound: object) -> int | None:
    """The first number inside a lower bound."""
    kind, number = _bound(where, bound)
    return number if number is None or kind == "Included" else number + 1


def _stop(where: str, bound: object) -> int | None:
    """The first number beyond an upper bound."""
    kind, number = _bound(where, bound)
    if number is None or kind == "Excluded":
        return number
    # The largest number cannot be passed, so a bound that includes it is no bound.
    return None if number == U32.high else number + 1


def _bound(where: str, bound: object) -> tuple[str, int | None]:
    kind, number = _variant(where, bound)
    if kind == "Unbounded":
        return kind, None
    if kind not in ("Included", "Excluded"):
        raise ValueError(f"{where}: unknown bound {kind!r}")
    return kind, _CHECKS["from_refs"].accept(where, number)
