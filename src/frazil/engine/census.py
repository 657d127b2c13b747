"""Reading all snapshots and manifests that a repository needs, within limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, fields

import numpy as np
import xxhash

from frazil.engine.listings import read_listing, with_ancestors
from frazil.errors import ErrorKind, FormatError
from frazil.format.header import decoded_size
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import Listing
from frazil.ids import ManifestId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.keys import Keys, KeySet, raw_ids
from frazil.model.uses import Tally
from frazil.progress import task
from frazil.storage.pool import map_parallel

_PART = 12 + 8
_LARGE = 1 << 20
"""Bytes of a manifest from which threads read those of a disk faster than one does: they wait for
each other while they run Python, but not while they decompress."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be in memory or on its way at once; `ValueError` for less than one of anything.

    snapshots: their number; compressed, decoded: bytes of manifests; fetches: manifests.
    """

    snapshots: int
    compressed: int
    decoded: int
    fetches: int

    def __post_init__(self) -> None:
        for one in fields(self):
            check_positive(one.name, getattr(self, one.name))


def check_positive(name: str, value: int | None) -> None:
    """Raise `ValueError` for a limit below one."""
    if value is not None and value < 1:
        raise ValueError(f"the limit for {name.replace('_', ' ')} must be at least 1, not {value}")


class Budget:
    """An amount that may be in use at once; what is larger than all of it waits to be alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def held(self, amount: int) -> Iterator[None]:
        """Wait until there is room, and take it while the block runs."""
        amount = min(amount, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._used + amount <= self._limit)
            self._used += amount
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()


class Census:
    """The snapshots that are needed, and the manifests that they list."""

    def __init__(self, library: Library, limits: Limits, tally: Tally | None = None) -> None:
        """tally: adds up which parts the snapshots that are read use, if that is wanted."""
        self._library = library
        self._tally = tally
        self._limits = limits
        self._local = library.backend.local
        self._read = KeySet()
        # The id with the size of the file behind it: 12 and 8 bytes.
        self._manifests = KeySet(20)
        self._parts = KeySet(20)

    def in_(self, library: Library) -> Census:
        """The same snapshots, with their manifests in another place."""
        other = copy(self)
        other._library, other._local = library, library.backend.local
        return other

    def snapshots(self) -> Keys:
        """Those that have been read, or need not be."""
        return self._read.keys()

    def skip(self, ids: Keys) -> None:
        """These need not be read."""
        self._read.add(ids)

    def read_snapshots(self, ids: Keys) -> None:
        """Read these snapshots, several at a time."""

        def read(raw: bytes) -> None:
            self._note(read_listing(self._library, SnapshotId(raw)))
            progress.step()

        with task("Reading snapshots", len(ids)) as progress:
            map_parallel(read, raw_ids(ids), limit=1 if self._local else self._limits.snapshots)

    def follow(self, tips: Iterable[SnapshotId]) -> None:
        """Read these snapshots of a spec 1 repository and all before them."""
        known = {SnapshotId(raw) for raw in raw_ids(self.snapshots())}
        with task("Reading snapshots") as progress:
            for listing in with_ancestors(
                self._library, tips, known=known, limit=self._limits.snapshots
            ):
                self._note(listing)
                progress.step()

    def _note(self, snapshot: Listing) -> None:
        infos, parts = snapshot.manifests, snapshot.parts
        rows = np.empty((len(infos), 20), np.uint8)
        rows[:, :12] = infos.ids
        rows[:, 12:] = infos.size_bytes.astype(">u8").view(np.uint8).reshape(-1, 8)
        used = np.unique(sort_keys(parts[:, :12]))
        unlisted = ~np.isin(used, sort_keys(infos.ids))
        if unlisted.any():
            raise FormatError(
                f"snapshot {snapshot.id} refers to {int(unlisted.sum())} manifests that it does "
                "not list",
                ErrorKind.MANIFEST_INFO_NOT_FOUND,
            )
        self._manifests.add(rows.view("S20").reshape(-1))
        self._parts.add(np.unique(sort_keys(parts)))
        if self._tally is not None:
            self._tally.add(snapshot.id, *parts_with_digest(snapshot))
        self._read.add(np.frombuffer(snapshot.id, "S12"))

    def manifests(self) -> tuple[Keys, list[int]]:
        """Those that the snapshots list, each once, and the sizes of their files."""
        rows = self._manifests.keys().view(np.uint8).reshape(-1, 20)
        ids = sort_keys(np.ascontiguousarray(rows[:, :12]))
        sizes = np.ascontiguousarray(rows[:, 12:]).view(">u8").reshape(-1)
        # Of a manifest with two sizes, which are not in order, the last is the larger one.
        last = np.append(ids[1:] != ids[:-1], True)[: len(ids)]
        return ids[last], sizes[last].tolist()

    def parts(self) -> Keys:
        """What the snapshots need of manifests: S20[n], 12 bytes of its id, 8 of an array's.

        A manifest may also hold what no snapshot needs any more, of arrays that have left it.
        """
        return self._parts.keys()

    def read_manifests(
        self, parts: Keys, use: Callable[[bytes, str, frozenset[bytes]], None]
    ) -> None:
        """Hand the manifest files of these parts to `use`: bytes, key, and ids of the arrays.

        It is called from several threads within the limits, and done with a file when it
        returns.
        """
        compressed, decoded = Budget(self._limits.compressed), Budget(self._limits.decoded)
        sizes = self._sizes(np.unique(manifests_of(parts)))

        def read(item: tuple[tuple[ManifestId, frozenset[bytes]], int]) -> None:
            (id_, nodes), size = item
            key = f"manifests/{id_}"
            with ExitStack() as held:
                held.enter_context(compressed.held(size))
                data = self._library.backend.get(key)
                held.enter_context(decoded.held(decoded_size(data)))
                use(data, key, nodes)
            progress.step()

        with task("Reading manifests", len(sizes)) as progress:
            items = zip(by_manifest(parts), sizes, strict=True)
            few = self._local and sum(sizes) < _LARGE * len(sizes)
            map_parallel(read, items, limit=1 if few else self._limits.fetches)

    def _sizes(self, ids: Keys) -> list[int]:
        """Of the files of these manifests; 0 for those that no snapshot lists."""
        known, sizes = self.manifests()
        at = np.searchsorted(known, ids)
        listed = np.append(known, b"")[at] == ids
        return [sizes[row] if is_listed else 0 for row, is_listed in zip(at, listed, strict=True)]


def parts_with_digest(snapshot: Listing) -> tuple[Keys, int]:
    """The parts that a snapshot needs, sorted, each once, and a digest of them.

    A manifest that it lists and no array refers to stands there with an array of zeros.
    """
    used = sort_keys(snapshot.parts[:, :12])
    idle = snapshot.manifests.ids[~np.isin(sort_keys(snapshot.manifests.ids), used)]
    rows = np.zeros((len(used) + len(idle), _PART), np.uint8)
    rows[: len(used)] = snapshot.parts
    rows[len(used) :, :12] = idle
    parts = np.unique(sort_keys(rows))
    return parts, xxhash.xxh3_64_intdigest(parts.tobytes())


def by_manifest(parts: Keys) -> Iterator[tuple[ManifestId, frozenset[bytes]]]:
    """The manifests of these parts, in their order, with the ids of the arrays in each."""
    rows = np.ascontiguousarray(parts).view(np.uint8).reshape(-1, _PART)
    ids, starts = np.unique(sort_keys(rows[:, :12]), return_index=True)
    stops = [*starts[1:].tolist(), len(rows)][: len(ids)]
    for raw, start, stop in zip(raw_ids(ids), starts.tolist(), stops, strict=True):
        yield ManifestId(raw), frozenset(node.tobytes() for node in rows[start:stop, 12:])


def manifests_of(parts: Keys) -> Keys:
    """The manifest of each part."""
    return sort_keys(np.ascontiguousarray(parts).view(np.uint8).reshape(-1, _PART)[:, :12])


def tips_of(catalog: Catalog) -> set[SnapshotId]:
    """What branches and tags point at."""
    return {*catalog.branches().values(), *catalog.tags().values()}
