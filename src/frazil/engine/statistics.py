"""Adding up a history: what each snapshot and each array brought, and how objects are used."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from frazil.engine.census import Budget, Limits, tips_of
from frazil.engine.inventory import stored
from frazil.engine.listings import read_listing, with_ancestors
from frazil.engine.packs import chunk_key
from frazil.engine.times import EPOCH
from frazil.format.header import decoded_size
from frazil.format.manifest import decode_parts
from frazil.format.pack import TAIL_BYTES, footer_bytes
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import Listing
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.holdings import Holdings, Numbers, parents_first
from frazil.model.ledger import (
    Ledger,
    Ranges,
    object_words,
    owners,
    ranges_of,
    sums_by_part,
)
from frazil.model.refs import MAIN
from frazil.model.sweep import reached_rows
from frazil.progress import task
from frazil.statistics import ObjectUse, StorageStatistics, Table
from frazil.stats import ChunkStorageStats
from frazil.storage.pool import map_parallel

_KEEP = 2_000_000
"""Up to so many ranges and parts of manifests stay in memory for the next time."""
_LISTING_BYTES = 64 * 1024 * 1024
"""Of listings of snapshots of format 1, which are needed twice."""
_DEAD = 4096
"""Bytes of an object for which no chunk accounts, from which on its footer is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Snapshots, each after its parent; when: µs since the epoch.

    listings: those that had to be read to know the history, as far as they were kept.
    """

    ids: list[SnapshotId]
    when: Numbers
    messages: list[str]
    listings: dict[SnapshotId, Listing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What a history comes to.

    Rows of `added`, `totals` (of the version, once for each manifest) and `manifests` (bytes of
    new files) are snapshots; those of `arrays`, `newest` belong to `paths`.
    Columns: native, inline and virtual bytes; of `added` and `arrays`, also chunks of their own.
    """

    history: History
    added: Numbers
    totals: Numbers
    manifests: Numbers
    paths: list[str]
    arrays: Numbers
    newest: Numbers
    ranges: Ranges


def storage_statistics(
    library: Library, catalog: Catalog, *, branch: str | None, objects: bool, limits: Limits
) -> StorageStatistics:
    """The statistics of what branches and tags, or a branch, lead to."""
    newest = catalog.branch(MAIN if branch is None else branch)
    history = read_history(library, catalog, branch, limits)
    sums = _tally(library, history, limits).sums(library, history, newest)
    use = use_of_objects(library, sums.ranges) if objects else None
    added, arrays = sums.added, sums.arrays
    order = np.lexsort((np.array(sums.paths, object), -arrays[:, :3].sum(axis=1)))
    by_array = {
        "path": np.array(sums.paths, object)[order],
        **_columns(arrays[order]),
        "newest": sums.newest[order].sum(axis=1),
    }
    by_snapshot = {
        "snapshot": np.array([str(id_) for id_ in history.ids]),
        "time": history.when.astype("M8[us]"),
        "message": np.array(history.messages, object),
        **_columns(added),
        "manifests": sums.manifests,
        "total": sums.totals.sum(axis=1),
    }
    taken = EPOCH + timedelta(microseconds=library.now())
    return StorageStatistics(taken, branch, Table(by_array), Table(by_snapshot), use)


def _columns(sums: Numbers) -> dict[str, Numbers]:
    return {name: sums[:, i] for i, name in enumerate(("native", "inline", "virtual", "chunks"))}


def read_history(library: Library, catalog: Catalog, branch: str | None, limits: Limits) -> History:
    """The snapshots that branches and tags lead to, or this branch."""
    if isinstance(catalog, CatalogV2):
        info = catalog.info()
        table = info.snapshots
        if branch is None:
            rows = np.flatnonzero(reached_rows(info))
        else:
            rows = np.array(list(table.ancestry(table.find(catalog.branch(branch)))), np.int64)
        place = np.full(len(table) + 1, -1, np.int64)
        place[rows] = np.arange(len(rows))
        when = table.flushed_at[rows].astype(np.int64)
        order = rows[parents_first(place[table.parent[rows]], when)]
        return History(
            [table.id_of(row) for row in order.tolist()],
            table.flushed_at[order].astype(np.int64),
            [(table.message[row] or b"").decode() for row in order.tolist()],
        )
    tips = tips_of(catalog) if branch is None else {catalog.branch(branch)}
    found: list[tuple[SnapshotId, SnapshotId | None, int, str]] = []
    listings: dict[SnapshotId, Listing] = {}
    room = _LISTING_BYTES
    with task("Reading the history") as progress:
        for one in with_ancestors(library, tips, known=(), limit=limits.snapshots):
            found.append((one.id, one.parent_id, one.flushed_at, one.message))
            room -= one.parts.nbytes + one.manifests.rows.nbytes
            if room >= 0:
                listings[one.id] = one
            progress.step()
    at = {id_: row for row, (id_, _, _, _) in enumerate(found)}
    parent = np.array([-1 if p is None else at.get(p, -1) for _, p, _, _ in found], np.int64)
    when = np.array([time for _, _, time, _ in found], np.int64)
    order = np.array(parents_first(parent, when), np.int64)
    return History(
        [found[row][0] for row in order.tolist()],
        when[order],
        [found[row][3] for row in order.tolist()],
        listings,
    )


def chunk_storage_stats(library: Library, catalog: Catalog, limits: Limits) -> ChunkStorageStats:
    """The sums by kind of all that branches and tags lead to."""
    return _tally(library, read_history(library, catalog, None, limits), limits).total()


def _tally(library: Library, history: History, limits: Limits) -> _Tally:
    """Add up a history.

    Each snapshot and each manifest is read once: those of the last time are known as long as
    they are the beginning of this history, and it has not been repacked.
    """
    tally = _KNOWN.pop(library, None)
    if (
        tally is None
        or tally.generation != library.generation
        or tally.ids != history.ids[: len(tally.ids)]
    ):
        tally = _Tally(library.generation)
    tally.go_on(library, history, limits)
    if len(tally) <= _KEEP:
        _KNOWN[library] = tally
    return tally


class _Tally:
    """What is known of a history so far; it must not hold the library that it is known of."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.ids: list[SnapshotId] = []
        self._holdings = Holdings()
        self._ledger = Ledger()
        self._sums = np.zeros((0, 3), np.int64)
        self._manifests: list[int] = []
        self._seen: set[bytes] = set()
        self._nodes: dict[bytes, int] = {}
        self._paths: dict[int, tuple[int, str]] = {}

    def __len__(self) -> int:
        """Ranges that are known, and parts of manifests."""
        return len(self._ledger.ranges()) + len(self._holdings)

    def go_on(self, library: Library, history: History, limits: Limits) -> None:
        """Read what is new in the history."""
        new = history.ids[len(self.ids) :]
        wanted: dict[bytes, _Wanted] = {}
        with task("Reading snapshots", len(new)) as progress:

            def read(id_: SnapshotId) -> Listing:
                listing = history.listings.get(id_) or read_listing(library, id_)
                progress.step()
                return listing

            for start in range(0, len(new), limits.snapshots):
                batch = new[start : start + limits.snapshots]
                for listing in map_parallel(read, batch):
                    self._note(listing, wanted)
        more = np.zeros((len(self._holdings) - len(self._sums), 3), np.int64)
        self._sums = np.concatenate([self._sums, more])
        compressed, decoded = Budget(limits.compressed), Budget(limits.decoded)
        with task("Reading manifests", len(wanted)) as progress:

            def add(item: tuple[bytes, _Wanted]) -> None:
                raw, one = item
                key = f"manifests/{ManifestId(raw)}"
                with ExitStack() as held:
                    held.enter_context(compressed.held(one.size))
                    data = library.backend.get(key)
                    held.enter_context(decoded.held(decoded_size(data)))
                    self._add(data, key, one)
                progress.step()

            map_parallel(add, wanted.items(), limit=limits.fetches)
        self.ids += new

    def _note(self, listing: Listing, wanted: dict[bytes, _Wanted]) -> None:
        """Take down what a snapshot has, and which manifests have to be read for that."""
        rank, number = self._holdings.snapshots, len(self._holdings)
        parts = self._holdings.add(np.unique(sort_keys(listing.parts)))
        size = 0
        for part in parts:
            manifest, node = part[:12], part[12:]
            one = wanted.get(manifest)
            if one is None:
                info = listing.manifests.get(ManifestId(manifest))
                one = wanted[manifest] = _Wanted(info.size_bytes, {})
                if manifest not in self._seen:
                    self._seen.add(manifest)
                    size += info.size_bytes
            one.parts[node] = number, rank
            self._nodes.setdefault(node, len(self._nodes))
            number += 1
        self._manifests.append(size)

    def _add(self, data: bytes, where: str, one: _Wanted) -> None:
        """Add the references of one manifest."""
        nodes, belongs, refs = decode_parts(data, where=where, nodes=one.parts.keys())
        found = [one.parts[node] for node in nodes]
        parts = np.array([part for part, _ in found], np.int64)
        ranks = np.array([rank for _, rank in found], np.int64)
        numbers = np.array([self._nodes[node] for node in nodes], np.int64)
        owner = owners(ranks, numbers)[belongs]
        self._ledger.add(ranges_of(refs, owner)[0])
        self._sums[parts] = sums_by_part(refs, belongs, len(nodes))

    def total(self) -> ChunkStorageStats:
        """All bytes by kind."""
        ranges = self._ledger.ranges()
        return ChunkStorageStats(
            native_bytes=int(ranges.size[ranges.native].sum()),
            virtual_bytes=int(ranges.size[~ranges.native].sum()),
            inlined_bytes=int(self._sums[:, 1].sum()),
        )

    def sums(self, library: Library, history: History, newest: SnapshotId) -> Sums:
        """What it all comes to."""
        ranges, held = self._ledger.ranges(), self._holdings
        first, part_node = held.first(), self._node_of_parts()
        added = np.zeros((len(history.ids), 4), np.int64)
        nodes = np.zeros((len(self._nodes), 4), np.int64)
        inline = np.flatnonzero(self._sums[:, 1])
        for table, of_range, of_part in (
            (added, ranges.rank, first),
            (nodes, ranges.node, part_node),
        ):
            for column, rows in ((0, ranges.native), (2, ~ranges.native)):
                np.add.at(table[:, column], of_range[rows], ranges.size[rows])
            np.add.at(table[:, 3], of_range, 1)
            np.add.at(table[:, 1], of_part[inline], self._sums[inline, 1])
        newest_nodes = np.zeros((len(nodes), 3), np.int64)
        parts = held.of(history.ids.index(newest))
        np.add.at(newest_nodes, part_node[parts], self._sums[parts])
        # One that was made anew at the path of another is the same to people.
        paths, place = _numbered(self._paths_of(library, history, part_node))
        by_path, newest_by_path = (np.zeros((len(paths), n), np.int64) for n in (4, 3))
        np.add.at(by_path, place, nodes)
        np.add.at(newest_by_path, place, newest_nodes)
        return Sums(
            history,
            added,
            held.totals(self._sums),
            np.array(self._manifests, np.int64),
            paths,
            by_path,
            newest_by_path,
            ranges,
        )

    def _node_of_parts(self) -> Numbers:
        raw = self._holdings.nodes().tobytes()
        found = [self._nodes[raw[at : at + 8]] for at in range(0, len(raw), 8)]
        return np.array(found, np.int64)

    def _paths_of(self, library: Library, history: History, part_node: Numbers) -> list[str]:
        """The path of each array in the last snapshot that has it."""
        last = np.zeros(len(self._nodes), np.int64)
        np.maximum.at(last, part_node, self._holdings.last())
        missing: dict[int, list[int]] = {}
        for number, rank in enumerate(last.tolist()):
            if self._paths.get(number, (-1, ""))[0] != rank:
                missing.setdefault(rank, []).append(number)
        raw = list(self._nodes)

        def name(rank: int) -> None:
            table = library.snapshot(history.ids[rank]).nodes
            for number in missing[rank]:
                row = table.find_id(NodeId(raw[number]))
                self._paths[number] = rank, table.path_of(row)

        map_parallel(name, missing)
        return [self._paths[number][1] for number in range(len(raw))]


def _numbered(names: list[str]) -> tuple[list[str], Numbers]:
    """The different names, and the number of each."""
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(name, len(numbers)) for name in names]
    return list(numbers), np.array(places, np.int64)


@dataclass(slots=True)
class _Wanted:
    """A manifest to be read: its size, and of which arrays: their part, and its snapshot."""

    size: int
    parts: dict[bytes, tuple[int, int]]


_KNOWN: WeakKeyDictionary[Library, _Tally] = WeakKeyDictionary()


def use_of_objects(library: Library, ranges: Ranges) -> ObjectUse:
    """How the objects of chunks are used. Lists them, and reads the ends of those with gaps."""
    ids, size = _chunk_objects(library)
    words = object_words(ids)
    native = ranges.native
    objects, inverse = np.unique(ranges.object[native], return_inverse=True)
    live = np.zeros(len(objects), np.int64)
    np.add.at(live, inverse, ranges.size[native])
    at = np.minimum(objects.searchsorted(words), max(0, len(objects) - 1))
    used = objects[at] == words if len(objects) else np.zeros(len(words), np.bool_)
    rest = size[used] - live[at[used]]
    suspects = np.flatnonzero(rest > _DEAD)
    ids_used, size_used = ids[used], size[used]

    def dead_in(row: int) -> int:
        whole = int(size_used[row])
        tail = library.backend.get(
            chunk_key(ids_used[row].tobytes()), start=max(0, whole - TAIL_BYTES), end=whole
        )
        return max(0, int(rest[row]) - footer_bytes(tail))

    with task("Looking at packs", len(suspects)) as progress:

        def look(row: int) -> int:
            found = dead_in(row)
            progress.step()
            return found

        dead: npt.NDArray[np.int64] = np.array(map_parallel(look, suspects.tolist()), np.int64)
    return ObjectUse(
        int(used.sum()),
        int(size_used.sum()),
        int(live.sum()),
        int(dead.sum()),
        int((dead > 0).sum()),
        len(objects) - int(used.sum()),
        int((~used).sum()),
        int(size[~used].sum()),
    )


def _chunk_objects(library: Library) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """The ids uint8[n, 12] of all objects of chunks, and their bytes."""
    ids, sizes = [np.empty((0, 12), np.uint8)], [np.empty(0, np.int64)]
    for objects in stored(library.backend, "chunks"):
        ids.append(objects.raw())
        sizes.append(objects.size)
    return np.concatenate(ids), np.concatenate(sizes)
