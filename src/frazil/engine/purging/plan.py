"""What a purge has to do: which files and objects go, and which are written anew."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.engine.packs import chunk_key
from frazil.engine.purging.backups import keys_of
from frazil.engine.purging.erasing import Erased, Erasing
from frazil.engine.purging.survey import Form, Range, Ranges, Reading, Survey, Surveyor
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ErrorKind, InvalidInputError, NodeNotFoundError
from frazil.format.chunk_refs import NATIVE
from frazil.format.manifest import decode_manifest
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.snapshot import Node, decode_listing
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.model import purging
from frazil.model.keys import Keys
from frazil.model.purge_target import Box, Target, region_of
from frazil.model.relocation import PLACE_BYTES, PlaceKeys, place_keys
from frazil.progress import task
from frazil.storage.pool import map_parallel


class Kept(NamedTuple):
    """A chunk that stays, of an object that cannot."""

    length: int
    node: NodeId
    coords: tuple[int, ...]
    checksum: int


@dataclass(slots=True)
class Live:
    """What listed snapshots need of an object: the chunk at each offset."""

    chunks: dict[int, Kept] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """ids: of all listed snapshots; readings: how these need manifests with the target's chunks;
    manifests, snapshots: listed ones that are to be written anew; unused: other manifests, which
    go; erased: what has become of cut chunks; ranges: bytes that go; objects: what is to stay of
    each object that holds some; gone: the snapshots and logs that will not be there any more, also
    of a purge that died."""

    ids: bytes
    readings: dict[ManifestId, set[Reading]]
    manifests: set[ManifestId]
    unused: set[ManifestId]
    snapshots: dict[SnapshotId, SnapshotId]
    logs: dict[SnapshotId, SnapshotId]
    erased: Erased
    ranges: Ranges
    objects: dict[bytes, Live]
    gone: Keys

    def readings_of(self, id_: ManifestId) -> set[Reading]:
        """How a manifest is needed: as often it is written anew."""
        return self.readings.get(id_) or {frozenset()}


def resolve(
    surveyor: Surveyor,
    path: str,
    region: tuple[slice, ...] | None,
    attribute: str | None,
    *,
    whole_chunks: bool,
) -> tuple[Target, str]:
    """Which nodes ever were at the path, in any stored snapshot, whatever they are called then.

    And what it is in words.
    """
    whole = region is None and attribute is None
    if whole and path == "/":
        raise InvalidInputError(
            "'/' is all there is: delete the repository", ErrorKind.INVALID_PATH
        )
    ids: set[NodeId] = set()
    for snapshot in surveyor.snapshots():
        ids.update(node.id for node in purging.nodes_at(snapshot, path, below=whole))
    if not ids:
        raise NodeNotFoundError(f"no snapshot has {path}", ErrorKind.NODE_NOT_FOUND)
    if region is None:
        words = path if attribute is None else f"attribute {attribute!r} of {path}"
        return Target(frozenset(ids), attribute=attribute), words
    # Once more, by their ids: an array may have been moved and resized.
    versions: dict[tuple[NodeId, tuple[tuple[int, int], ...], bytes], Node] = {}
    for snapshot in surveyor.snapshots():
        for row in (snapshot.nodes.find_id(id_) for id_ in ids):
            if row >= 0:
                node = snapshot.nodes.node(row)
                versions[node.id, node.shape, node.user_data] = node
    elements, cells = region_of(path, versions.values(), region, whole_chunks=whole_chunks)
    text = ", ".join(f"{start}:{stop}" for start, stop in elements)
    words = f"elements [{text}] of {path}"
    if whole_chunks:
        words += ", with the rest of their chunks"
    return Target(frozenset(ids), cells), words


def needed_by(core: RepositoryCore, ids: list[SnapshotId]) -> dict[SnapshotId, set[ManifestId]]:
    """The manifests of each of these snapshots."""
    backend = core.library.aside().backend

    def manifests_of(id_: SnapshotId) -> set[ManifestId]:
        key = f"snapshots/{id_}"
        listing = decode_listing(backend.get(key), where=key)
        return {ManifestId(bytes(raw)) for raw in listing.manifests.ids}

    with task("Reading what is needed", len(ids)):
        return dict(zip(ids, map_parallel(manifests_of, ids), strict=True))


def readings(
    listed: dict[SnapshotId, set[ManifestId]], found: Survey
) -> tuple[dict[ManifestId, set[Reading]], dict[Form, str]]:
    """How listed snapshots need manifests with cut chunks; and a path of each form of array."""
    uses: dict[ManifestId, set[Reading]] = {}
    paths: dict[Form, str] = {}
    for id_, used in listed.items():
        versions = found.versions.get(id_, ())
        paths.update((version.form, version.path) for version in versions)
        for manifest in used & found.cut_manifests:
            uses.setdefault(manifest, set()).add(found.reading(id_, manifest))
    return uses, paths


def plan(
    core: RepositoryCore, info: RepoInfo, target: Target, found: Survey, erasing: Erasing
) -> Plan:
    """Decide what to do, chunks that are cut excepted: what is to be there instead is stored.

    Raises what `Erasing.run` does, and `InvalidInputError` for bytes that are to go and to stay.
    """
    library, table = core.library, info.snapshots
    listed = needed_by(core, [table.id_of(row) for row in range(len(table))])
    uses, paths = readings(listed, found)
    erased = erasing.run(uses, paths)
    _check_places(target, erased)
    needed = set[ManifestId]().union(*listed.values())
    ranges = found.ranges | {}
    for object_, places in dirty(found, erased).items():
        ranges[object_] = ranges.get(object_, {}) | places
    objects = {object_: Live() for object_ in ranges if object_ in found.stored}
    result = Plan(
        ids=table.ids.tobytes(),
        readings=uses,
        manifests=(found.manifests & needed) | erased.manifests,
        unused=(found.manifests | found.cut_manifests) - needed,
        snapshots={},
        logs={},
        erased=erased,
        ranges=ranges,
        objects=objects,
        gone=keys_of(()),
    )
    if objects:
        result.manifests |= _needing(core, needed, target, result)
    result.snapshots = {
        id_: library.new_id(SnapshotId)
        for id_, used in listed.items()
        if id_ in found.snapshots or id_ in found.logs or used & result.manifests
    }
    stands_for = {
        log for row in range(len(table)) for log in table.record(row).pruned if log in found.logs
    }
    result.logs = {
        id_: library.new_id(SnapshotId) for id_ in sorted(stands_for - result.snapshots.keys())
    }
    result.gone = keys_of({*result.snapshots, *result.logs, *found.snapshots, *found.logs})
    return result


def dirty(found: Survey, erased: Erased) -> Ranges:
    """Where bytes of cut chunks are, other than those that listed snapshots need as they are."""
    keys, _ = places_of(found.cut_ranges)
    gone = iter((~np.isin(keys, erased.places(same=True))).tolist())
    ranges = {
        object_: {place: sum_ for place, sum_ in places.items() if next(gone)}
        for object_, places in found.cut_ranges.items()
    }
    return {object_: places for object_, places in ranges.items() if places}


def places_of(ranges: Ranges) -> tuple[PlaceKeys, npt.NDArray[np.uint64]]:
    """All of these places, in their order, and their lengths in bytes."""
    objects = b"".join(object_ for object_, places in ranges.items() for _ in places)
    sides = [place for places in ranges.values() for place in places]
    columns = np.array(sides, np.uint64).reshape(-1, 2)
    object_ = np.frombuffer(objects, np.uint8).reshape(-1, 12)
    return place_keys(object_, columns[:, 0], columns[:, 1]), columns[:, 1]


def _needing(
    core: RepositoryCore,
    manifests: set[ManifestId],
    target: Target,
    plan: Plan,
) -> set[ManifestId]:
    """The manifests with chunks that stay of objects that cannot; these are noted there."""
    backend, affected = core.library.aside().backend, set[ManifestId]()
    objects, wanted = plan.objects, keys_of(plan.objects)
    spans = {object_: _Spans(plan.ranges[object_]) for object_ in objects}

    def look(id_: ManifestId) -> list[tuple[bytes, int, Kept]]:
        key, kept = f"manifests/{id_}", []
        all_replaced = [plan.erased.of(reading) for reading in plan.readings_of(id_)]
        for node, refs in decode_manifest(backend.get(key), where=key).arrays.items():
            here = (refs.kind == NATIVE) & np.isin(sort_keys(refs.object), wanted)
            if not here.any():
                continue
            stays = np.zeros(len(refs), np.bool_)
            for replaced in all_replaced:
                stays |= purging.stay(node, refs, target, replaced.get(node))
            for row in np.flatnonzero(here & stays).tolist():
                object_, offset = refs.object[row].tobytes(), int(refs.offset[row])
                sum_ = 0 if refs.checksum is None else int(refs.checksum[row])
                chunk = Kept(int(refs.length[row]), node, tuple(refs.index[row].tolist()), sum_)
                if spans[object_].meet(offset, offset + chunk.length):
                    raise _shared(object_, offset, chunk)
                kept.append((object_, offset, chunk))
        return kept

    ordered = sorted(manifests)
    for id_, kept in zip(ordered, map_parallel(look, ordered), strict=True):
        for object_, offset, chunk in kept:
            affected.add(id_)
            known = objects[object_].chunks.get(offset)
            if known is None or known.length < chunk.length:
                objects[object_].chunks[offset] = chunk
    return affected


def _check_places(target: Target, erased: Erased) -> None:
    """Refuse chunks that are cut in several places of an array, and not in the same way.

    What is in the region at one of them would stay at the other.
    """
    owners = [
        (form.node, one, *one.native_places(np.ones(len(one), np.bool_)))
        for form, one in erased.replaced.items()
    ]
    column = np.concatenate([np.empty(0, f"S{PLACE_BYTES}"), *(found for *_, found in owners)])
    known, count = np.unique(column, return_counts=True)
    shared: dict[bytes, _Uses] = {bytes(place): _Uses() for place in known[count > 1]}
    for node, one, rows, found in owners if shared else ():
        cells = (target.cells or {})[node]
        for i in np.flatnonzero(np.isin(found, known[count > 1])).tolist():
            uses, coords = shared[bytes(found[i])], tuple(one.refs.index[rows[i]].tolist())
            uses.parts.add(cells.part(coords))
            uses.alters |= not one.same[rows[i]]
            if uses.alters and len(uses.parts) > 1:
                raise _moved_within("parts", f"chunk {coords} of array {node}")


@dataclass(slots=True)
class _Uses:
    """parts: what goes of a stored chunk, at the places where it is; alters: any of them."""

    parts: set[Box] = field(default_factory=set)
    alters: bool = False


class _Spans:
    """Ranges of an object, to be asked many times."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        ordered = sorted(ranges)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((start + size for start, size in ordered), max))

    def meet(self, start: int, end: int) -> bool:
        """Whether one of them has a byte in common with this one."""
        before = bisect_left(self._starts, end)
        return before > 0 and self._ends[before - 1] > start


def _shared(object_: bytes, offset: int, chunk: Kept) -> InvalidInputError:
    place = f"bytes {offset} to {offset + chunk.length} of {chunk_key(object_)}"
    return _moved_within(place, f"chunk {chunk.coords} of array {chunk.node}")


def _moved_within(what: str, chunk: str) -> InvalidInputError:
    return InvalidInputError(
        f"{what} that are to go are also in {chunk}, outside of the region, in another version: "
        "chunks were moved within an array. Nothing has changed. Purge a region that has both, or "
        "all of the array",
        ErrorKind.NOT_ALLOWED,
    )
