"""Finding all that tells of what is to be removed: each file of a repository is read.

The same look says what there is to do and, when it is done, that nothing is left.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs
from frazil.format.columns import row_starts
from frazil.format.manifest import Manifest, decode_manifest
from frazil.format.pack import TAIL_BYTES, Packed, decode_footer, footer_bytes
from frazil.format.snapshot import Node, Snapshot, decode_snapshot
from frazil.format.transaction_log import TransactionLog, decode_transaction_log
from frazil.ids import ChunkId, ManifestId, NodeId, ObjectId, SnapshotId
from frazil.model.purge_target import Target
from frazil.model.purging import log_tells, tells
from frazil.model.zarr_metadata import document_of_chunk
from frazil.progress import task
from frazil.storage.base import Backend, ObjectInfo
from frazil.storage.pool import map_parallel

T = TypeVar("T")
Id = TypeVar("Id", bound=ObjectId)

_AT_ONCE = 8
Range = tuple[int, int]
"""Offset and length in an object."""
Ranges = dict[bytes, dict[Range, int]]
"""Ranges of objects, each with its checksum, 0 if that is not known."""


class Form(NamedTuple):
    """How the chunks of an array are encoded: what its metadata say about each of them.

    document: JSON, see `document_of_chunk`; without any content if they cannot be understood.
    """

    node: NodeId
    document: str


Reading = frozenset[Form]
"""The arrays of a target that a snapshot has in a manifest."""


class Version(NamedTuple):
    """An array as a snapshot has it. shape: its lengths; manifests: where its chunks are."""

    form: Form
    path: str
    shape: tuple[int, ...]
    manifests: frozenset[ManifestId]


@dataclass(slots=True)
class Survey:
    """What tells of a target.

    snapshots, logs, manifests: files that name it; ranges: where bytes of it are; stored: the
    bytes of each chunk object; silent: objects that nothing refers to and that do not say what is
    in them; inline, virtual: references; foreign: the files that virtual ones lead to;
    same_bytes: other chunks with one of the checksums asked for.

    Of elements, besides: versions: the arrays in each snapshot; cut_manifests, cut_ranges: of
    chunks that have such elements and others.
    """

    snapshots: set[SnapshotId] = field(default_factory=set)
    logs: set[SnapshotId] = field(default_factory=set)
    manifests: set[ManifestId] = field(default_factory=set)
    ranges: Ranges = field(default_factory=dict)
    stored: dict[bytes, int] = field(default_factory=dict)
    silent: set[bytes] = field(default_factory=set)
    inline: int = 0
    virtual: int = 0
    foreign: set[str] = field(default_factory=set)
    versions: dict[SnapshotId, tuple[Version, ...]] = field(default_factory=dict)
    cut_manifests: set[ManifestId] = field(default_factory=set)
    cut_ranges: Ranges = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    same_bytes: list[str] = field(default_factory=list)

    def reading(self, snapshot: SnapshotId, manifest: ManifestId) -> Reading:
        """What a snapshot needs of a manifest, if chunks are cut that are in it."""
        if manifest not in self.cut_manifests:
            return frozenset()
        held = self.versions.get(snapshot, ())
        return frozenset(one.form for one in held if manifest in one.manifests)

    def remaining(self) -> list[str]:
        """The keys of all files that tell of it."""
        return sorted(
            [
                *(f"snapshots/{id_}" for id_ in self.snapshots),
                *(f"transactions/{id_}" for id_ in self.logs),
                *(f"manifests/{id_}" for id_ in self.manifests),
                *(f"chunks/{ChunkId(id_)}" for id_ in self.ranges),
            ]
        )


class Surveyor:
    """Reads the files of one repository, whatever is in caches."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()

    def snapshots(self) -> Iterator[Snapshot]:
        """All that are stored and can be read."""
        for info, id_ in self._listed("snapshots", SnapshotId):
            found = self._read(info.key, partial(decode_snapshot, where=info.key), [])
            if found is not None and found.id == id_:
                yield found

    def survey(self, target: Target, removed: frozenset[int] = frozenset()) -> Survey:
        """Read everything; removed: checksums to look for."""
        found, referred = Survey(), set[bytes]()

        def each(folder: str, kind: type[Id], look: Callable[[ObjectInfo, Id], None]) -> None:
            files = list(self._listed(folder, kind))
            found.files[folder] = len(files)
            with task(f"Reading {folder}", len(files)) as progress:

                def one(item: tuple[ObjectInfo, Id]) -> None:
                    look(*item)
                    progress.step()

                map_parallel(one, files, limit=_AT_ONCE)

        def snapshot(info: ObjectInfo, id_: SnapshotId) -> None:
            file = self._read(info.key, partial(decode_snapshot, where=info.key), found.unreadable)
            if file is None:
                return
            if tells(file, target):
                found.snapshots.add(id_)
            if target.cells is not None:
                self._look_at_arrays(id_, file, target, found)

        def log(info: ObjectInfo, id_: SnapshotId) -> None:
            decode = partial(decode_transaction_log, where=info.key)
            file: TransactionLog | None = self._read(info.key, decode, found.unreadable)
            if file is not None and log_tells(file, target):
                found.logs.add(id_)

        def manifest(info: ObjectInfo, id_: ManifestId) -> None:
            file = self._read(info.key, partial(decode_manifest, where=info.key), found.unreadable)
            if file is not None:
                self._look_at_manifest(id_, file, target, found, referred)

        def chunk(info: ObjectInfo, id_: ChunkId) -> None:
            found.stored[id_] = info.size
            self._look_at_object(info, id_, target, removed, found, referred)

        each("snapshots", SnapshotId, snapshot)
        each("transactions", SnapshotId, log)
        each("manifests", ManifestId, manifest)
        if target.attribute is None:
            each("chunks", ChunkId, chunk)
        return found

    def _look_at_arrays(
        self, id_: SnapshotId, snapshot: Snapshot, target: Target, found: Survey
    ) -> None:
        rows = [snapshot.nodes.find_id(node) for node in sorted(target.nodes)]
        held = tuple(_version(snapshot.nodes.node(row)) for row in rows if row >= 0)
        if held:
            with self._lock:
                found.versions[id_] = held

    def _look_at_manifest(
        self,
        id_: ManifestId,
        manifest: Manifest,
        target: Target,
        found: Survey,
        referred: set[bytes],
    ) -> None:
        for node, refs in manifest.arrays.items():
            native = refs.kind == NATIVE
            chosen, cut = target.chunks_of(node, refs.index), target.cut(node, refs.index)
            with self._lock:
                referred.update(map(bytes, np.unique(refs.object[native], axis=0)))
                if chosen.any():
                    found.manifests.add(id_)
                    found.inline += int((chosen & (refs.kind == INLINE)).sum())
                    found.virtual += int((chosen & (refs.kind == VIRTUAL)).sum())
                    _note(found.ranges, refs.take(native & chosen))
                if cut.any():
                    found.cut_manifests.add(id_)
                    _note(found.cut_ranges, refs.take(native & cut))
                if refs.payload is not None:
                    foreign = refs.payload.take((chosen | cut) & (refs.kind == VIRTUAL))
                    urls = (foreign[i] or b"" for i in range(len(foreign)))
                    found.foreign.update(url.decode(errors="surrogateescape") for url in urls)

    def _look_at_object(
        self,
        info: ObjectInfo,
        id_: ChunkId,
        target: Target,
        removed: frozenset[int],
        found: Survey,
        referred: set[bytes],
    ) -> None:
        packed = self._footer(info, found.unreadable)
        if packed is None:
            if id_ not in referred and info.size:
                with self._lock:
                    found.silent.add(id_)
            return
        starts = row_starts(packed.rank)
        chosen, cut = np.zeros((2, len(packed)), np.bool_)
        for node in target.nodes:
            own = (packed.node == np.frombuffer(node, np.uint8)).all(axis=1)
            for rank in np.unique(packed.rank[own]).tolist():
                of_rank = np.flatnonzero(own & (packed.rank == rank))
                index = packed.coords[starts[of_rank][:, None] + np.arange(rank)]
                chosen[of_rank] = target.chunks_of(node, index)
                cut[of_rank] = target.cut(node, index)
        alike = ~(chosen | cut) & np.isin(packed.checksum, np.array([*removed], np.uint64))
        with self._lock:
            for row in np.flatnonzero(alike).tolist():
                node = NodeId(packed.node[row].tobytes())
                place = tuple(packed.coords[starts[row] : starts[row] + packed.rank[row]].tolist())
                found.same_bytes.append(f"{info.key}: chunk {place} of array {node}")
            for ranges, rows in ((found.ranges, chosen), (found.cut_ranges, cut)):
                if rows.any():
                    ranges.setdefault(bytes(id_), {}).update(
                        zip(
                            zip(
                                packed.offset[rows].tolist(),
                                packed.length[rows].tolist(),
                                strict=True,
                            ),
                            packed.checksum[rows].tolist(),
                            strict=True,
                        )
                    )

    def _footer(self, info: ObjectInfo, unreadable: list[str]) -> Packed | None:
        """What the object says is in it; None if it does not say."""
        if info.size < TAIL_BYTES:
            return None

        def read(end: bytes) -> Packed | None:
            size = footer_bytes(end)
            if not 0 < size <= info.size:
                return None
            footer = self._backend.get(info.key, start=info.size - size, end=info.size)
            return decode_footer(footer, size=info.size, where=info.key)

        start = info.size - TAIL_BYTES
        return self._read(info.key, read, unreadable, start=start, end=info.size)

    def _listed(self, folder: str, kind: type[Id]) -> Iterator[tuple[ObjectInfo, Id]]:
        for info in self._backend.list(folder):
            try:
                yield info, kind.parse(info.key.rpartition("/")[2])
            except ValueError:
                continue  # not of the format

    def _read(
        self,
        key: str,
        decode: Callable[[bytes], T],
        unreadable: list[str],
        start: int | None = None,
        end: int | None = None,
    ) -> T | None:
        """A file; None if it is damaged, which is noted, or gone meanwhile."""
        try:
            return decode(self._backend.get(key, start=start, end=end))
        except FormatError:
            with self._lock:
                unreadable.append(key)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
        return None


def _version(node: Node) -> Version:
    document = document_of_chunk(node.user_data) or b"{}"
    return Version(
        Form(node.id, sys.intern(document.decode())),
        node.path,
        tuple(length for length, _ in node.shape),
        frozenset(ref.id for ref in node.manifests),
    )


def _note(ranges: Ranges, refs: ChunkRefs) -> None:
    """Add where native chunks are."""
    sums = np.zeros(len(refs), np.uint64) if refs.checksum is None else refs.checksum
    places = zip(refs.offset.tolist(), refs.length.tolist(), strict=True)
    for object_, place, sum_ in zip(map(bytes, refs.object), places, sums.tolist(), strict=True):
        known = ranges.setdefault(object_, {})
        known[place] = sum_ or known.get(place, 0)
