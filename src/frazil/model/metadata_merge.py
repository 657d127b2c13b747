"""Two changes of one `zarr.json` brought together, key by key.

    base --ours--> document   \
                               >  merged document, keys that both changed differently
    base --theirs--> document /

Members of the document are compared whole; below `attributes`, mappings are merged key by key
at any depth. Members that say how chunks are cut and encoded belong together: where both
sides changed any of them, both must have made the same of all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

Document = Mapping[str, Any]
Key = tuple[str, ...]


class _Missing(Enum):
    MISSING = 0


_MISSING: Final = _Missing.MISSING
_ENCODING = ("data_type", "chunk_grid", "chunk_key_encoding", "codecs", "storage_transformers")
"""Members on which it depends what the bytes of a chunk mean."""
_LAYOUT = ("shape", *_ENCODING)


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """A key that both sides changed, each differently; None stands for a missing value."""

    key: Key
    base: Any
    ours: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class Shift:
    """Chunks from `start` on along `axis` go to coordinates that are higher by `by`."""

    axis: int
    start: int
    by: int


@dataclass(frozen=True, slots=True)
class Merged:
    """The document that both changes make; where they conflict it has the value of theirs.

    shift: what our chunks have to do to lie behind those that they appended.
    """

    document: dict[str, Any]
    conflicts: tuple[KeyConflict, ...] = ()
    shift: Shift | None = None


def merge_metadata(
    base: Document | None, ours: Document, theirs: Document, *, order_appends: bool = False
) -> Merged:
    """Merge two documents of one node by key.

    base: None if both sides created the node. order_appends: of two arrays that grew along one
    dimension, put what ours got behind what theirs got; that takes lengths, before and after
    theirs, that are whole chunks.
    """
    before: Document = base or {}
    conflicts: list[KeyConflict] = []
    document = _merge_mapping(before, ours, theirs, (), conflicts)
    shift = None
    if order_appends and _both_grew(before, ours, theirs):
        found = {conflict.key: conflict for conflict in conflicts}
        ordered = _order(before, ours, theirs)
        if ordered is None:
            found["shape",] = _conflict(("shape",), before, ours, theirs)
        else:
            document["shape"], shift = ordered
            found.pop(("shape",), None)
        conflicts = list(found.values())
    if shift is None:
        conflicts += _layout_conflicts(before, ours, theirs, conflicts)
    return Merged(document, tuple(conflicts), shift)


def keeps_chunks(before: Document, after: Document) -> bool:
    """Whether chunks written for one document mean the same under the other.

    That is so if the encoding is the same and the array has become shorter nowhere.
    """
    old, new = before.get("shape", []), after.get("shape", [])
    return (
        all(_same(before.get(name), after.get(name)) for name in _ENCODING)
        and len(old) == len(new)
        and all(b >= a for a, b in zip(old, new, strict=True))
    )


def encode(document: Document, *same: bytes) -> bytes:
    """The bytes of a document: those of one of `same` that says the same, else new ones."""
    for data in same:
        if _same(json.loads(data), document):
            return data
    return json.dumps(document, indent=2).encode()


def _merge_mapping(
    base: Document, ours: Document, theirs: Document, at: Key, conflicts: list[KeyConflict]
) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in dict.fromkeys([*theirs, *ours]):
        value = _merge_value(
            base.get(name, _MISSING),
            ours.get(name, _MISSING),
            theirs.get(name, _MISSING),
            (*at, name),
            conflicts,
        )
        if value is not _MISSING:
            merged[name] = value
    return merged


def _merge_value(
    base: object, ours: object, theirs: object, key: Key, conflicts: list[KeyConflict]
) -> Any:
    if _same(ours, theirs) or _same(theirs, base):
        return ours
    if _same(ours, base):
        return theirs
    if key[0] == "attributes" and isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        before = base if isinstance(base, Mapping) else {}
        return _merge_mapping(before, ours, theirs, key, conflicts)
    conflicts.append(KeyConflict(key, *map(_or_none, (base, ours, theirs))))
    return theirs


def _both_grew(base: Document, ours: Document, theirs: Document) -> bool:
    """Whether there is a dimension along which both are longer than before."""
    shapes = [document.get("shape", []) for document in (base, ours, theirs)]
    return any(o > b and t > b for b, o, t in zip(*shapes, strict=False))


def _order(base: Document, ours: Document, theirs: Document) -> tuple[list[int], Shift] | None:
    """The shape with our elements behind theirs, if they only appended whole chunks."""
    if not all(_same(base.get(n), d.get(n)) for n in _ENCODING for d in (ours, theirs)):
        return None
    old, mine, other = base["shape"], ours["shape"], theirs["shape"]
    if not len(old) == len(mine) == len(other):
        return None
    axes = [i for i in range(len(old)) if not old[i] == mine[i] == other[i]]
    grid = base.get("chunk_grid", {})
    if len(axes) != 1 or grid.get("name") != "regular":
        return None
    (axis,) = axes
    size = grid["configuration"]["chunk_shape"][axis]
    if not size or old[axis] % size or other[axis] % size:
        return None
    shape = list(other)
    shape[axis] += mine[axis] - old[axis]
    return shape, Shift(axis, old[axis] // size, (other[axis] - old[axis]) // size)


def _layout_conflicts(
    base: Document, ours: Document, theirs: Document, known: list[KeyConflict]
) -> list[KeyConflict]:
    """The members of a layout that both sides changed, though not in the same way."""
    if all(_same(ours.get(name), theirs.get(name)) for name in _LAYOUT):
        return []
    mine = {name for name in _LAYOUT if not _same(base.get(name), ours.get(name))}
    other = {name for name in _LAYOUT if not _same(base.get(name), theirs.get(name))}
    if not mine or not other:
        return []
    listed = {conflict.key for conflict in known}
    names = [name for name in _LAYOUT if name in mine | other and (name,) not in listed]
    return [_conflict((name,), base, ours, theirs) for name in names]


def _conflict(key: tuple[str], base: Document, ours: Document, theirs: Document) -> KeyConflict:
    return KeyConflict(key, *(document.get(key[0]) for document in (base, ours, theirs)))


def _same(a: object, b: object) -> bool:
    """Equality of JSON values, in which 1 is neither 1.0 nor true, and NaN is NaN."""
    if a is _MISSING or b is _MISSING:
        return a is b
    return a is b or json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _or_none(value: object) -> Any:
    return None if value is _MISSING else value
