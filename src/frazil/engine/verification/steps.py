"""What a verification looks at in one step: some snapshots, some manifests, some chunk objects.

Steps are functions of values and return values: they run on threads or in other processes.
Where a chunk is in an array is told by a number, which only whoever made the plan can read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from frazil.engine.copying import End
from frazil.engine.packs import chunk_key
from frazil.engine.verification.rows import Rows, object_of, objects_of, rows_of, starts_of
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.format.chunk_refs import INLINE, ChunkRefs
from frazil.format.header import FileType, has_checksum, unwrap
from frazil.format.manifest import Manifest, decode_body, decode_manifest
from frazil.format.manifest_digest import digest_of
from frazil.format.pack import checksum, decode_places, footer_bytes
from frazil.format.snapshot import (
    ManifestInfo,
    NodeKind,
    NodeTable,
    Snapshot,
    decode_snapshot,
)
from frazil.format.transaction_log import decode_transaction_log
from frazil.ids import INITIAL_SNAPSHOT, ManifestId, NodeId, SnapshotId
from frazil.model.keys import format_ids
from frazil.model.zarr_metadata import document_of_chunk
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel
from frazil.verification import FindingKind

T = TypeVar("T")

Decodable = Callable[[bytes, Sequence[bytes]], list[bool]]
"""Which of some chunks can be decoded by this `zarr.json`."""
_READS = 16
"""Objects of one step that are read at the same time."""
_PLACE = ("offset", "length", "checksum")


class Found(NamedTuple):
    """A finding before it is known where in an array it is.

    place: source and row of a reference; chunk: path and coordinates where these are known.
    """

    kind: FindingKind
    key: str
    message: str
    place: tuple[int, int] | None = None
    chunks: int = 0
    chunk: tuple[str, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class ArrayClaim:
    """What snapshots say of an array in a manifest; documents: to decode its chunks by."""

    path: str
    rank: int
    documents: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Claims:
    """What snapshots say of one manifest: of its file, and of which arrays it has references."""

    info: ManifestInfo
    snapshot: SnapshotId
    arrays: dict[NodeId, ArrayClaim]

    def add(self, other: Claims) -> None:
        """Note what another snapshot says."""
        if not self.info.digest:
            self.info = other.info
        for node, claim in other.arrays.items():
            own = self.arrays.setdefault(node, claim)
            if set(claim.documents) - set(own.documents):
                every = tuple(dict.fromkeys((*own.documents, *claim.documents)))
                self.arrays[node] = ArrayClaim(own.path, own.rank, every)


@dataclass(frozen=True, slots=True)
class Look:
    """What all steps of a verification share.

    path: only nodes from there on; since: µs, only snapshots from then on; decode: how to try
    chunks without checksum, None unless the bytes of chunks are looked at.
    """

    end: End
    path: str
    since: int
    decode: Decodable | None


def read_file(
    backend: Backend, key: str, decode: Callable[[bytes], T], found: list[Found]
) -> T | None:
    """A file; None, and a finding, if it is missing or damaged."""
    return attempt(lambda: decode(backend.get(key)), key, found)


def attempt(read: Callable[[], T], key: str, found: list[Found]) -> T | None:
    """What `read` returns; None, and a finding, if the file is missing or damaged."""
    try:
        return read()
    except FormatError as error:
        found.append(Found(FindingKind.UNREADABLE, key, error.message))
    except StorageError as error:
        if error.kind == ErrorKind.OBJECT_NOT_FOUND:
            found.append(Found(FindingKind.MISSING, key, "there is no such object"))
        elif error.kind == ErrorKind.INVALID_OBJECT_SIZE:
            found.append(Found(FindingKind.UNREADABLE, key, error.message))
        else:
            raise
    return None


# Snapshots and transaction logs


@dataclass(slots=True)
class SnapshotsFound:
    """What came of so many snapshots; has_path: whether one has the node that is asked for."""

    count: int
    found: list[Found] = field(default_factory=list)
    claims: dict[ManifestId, Claims] = field(default_factory=dict)
    has_path: bool = False


def check_snapshots(
    look: Look, items: Sequence[tuple[SnapshotId, Sequence[SnapshotId]]]
) -> SnapshotsFound:
    """Read these snapshots with their transaction logs, and further logs of each."""
    backend = look.end.open()
    result = SnapshotsFound(len(items))
    seen: set[bytes] = set()
    for id_, logs in items:
        key = f"snapshots/{id_}"
        snapshot = read_file(backend, key, partial(decode_snapshot, where=key), result.found)
        if snapshot is not None and snapshot.id != id_:
            text = f"it is snapshot {snapshot.id}"
            result.found.append(Found(FindingKind.MISPLACED, key, text))
        elif snapshot is not None and snapshot.flushed_at >= look.since:
            _check_nodes(look, snapshot, result, seen)
        for log in (*logs, id_):
            _check_log(backend, log, result.found)
    return result


def _check_nodes(look: Look, snapshot: Snapshot, result: SnapshotsFound, seen: set[bytes]) -> None:
    key, nodes = f"snapshots/{snapshot.id}", snapshot.nodes
    arrays = {nodes.path_of(i) for i in np.flatnonzero(nodes.kind == NodeKind.ARRAY).tolist()}
    for i in range(len(nodes)):
        path = nodes.path_of(i)
        parent = path.rpartition("/")[0] or "/"
        if parent in arrays and path != "/":
            text = f"{path} is below {parent}, which is an array"
            result.found.append(Found(FindingKind.NAME_CONFLICT, key, text))
    rows = nodes.rows_under(look.path)
    result.has_path |= look.path == "/" or nodes.find(look.path) >= 0
    for row in rows[nodes.kind[rows] == NodeKind.ARRAY].tolist():
        mark = _mark(nodes, row, with_document=look.decode is not None)
        if mark in seen:
            continue  # as in another snapshot of this step
        seen.add(mark)
        node = nodes.node(row)
        document = document_of_chunk(node.user_data) if look.decode is not None else None
        documents = () if document is None else (document,)
        for manifest in node.manifests:
            at = snapshot.manifests.find(manifest.id)
            if at < 0:
                text = f"{node.path} has manifest {manifest.id}, which it does not list"
                result.found.append(Found(FindingKind.DISAGREES, key, text))
                continue
            claim = ArrayClaim(node.path, len(node.shape), documents)
            new = Claims(snapshot.manifests.info(at), snapshot.id, {node.id: claim})
            result.claims.setdefault(manifest.id, new).add(new)


def _mark(nodes: NodeTable, row: int, *, with_document: bool) -> bytes:
    """What is the same in another snapshot if nothing new is to be noted of an array."""
    fields = nodes.rows[row]
    start, count = int(fields["ref_start"]), int(fields["ref_count"])
    mark: bytes = fields["id"].tobytes() + nodes.refs["id"][start : start + count].tobytes()
    if with_document:
        start, size = int(fields["data_start"]), int(fields["data_size"])
        mark += nodes.heap[start : start + size].tobytes()
    return mark


def _check_log(backend: Backend, id_: SnapshotId, found: list[Found]) -> None:
    key = f"transactions/{id_}"
    # The first snapshot of format 1 has none, also after a migration.
    if id_ == INITIAL_SNAPSHOT and not backend.exists(key):
        return
    log = read_file(backend, key, partial(decode_transaction_log, where=key), found)
    if log is not None and log.id != id_:
        found.append(Found(FindingKind.MISPLACED, key, f"it is the log of snapshot {log.id}"))


# Manifests


@dataclass(frozen=True, slots=True)
class ManifestItem:
    """A manifest, what is said of it, and the number of the first of its arrays."""

    id: ManifestId
    claims: Claims
    first_source: int


@dataclass(frozen=True, slots=True)
class Range:
    """Which references are wanted: to objects with `start` <= high < `stop`.

    again: whether the manifests have been looked at before.
    """

    start: int
    stop: int
    again: bool


@dataclass(slots=True)
class ManifestsFound:
    """What came of so many manifests: their native references in a range.

    decoded, unchecked: inline chunks that were tried, and that could not be.
    """

    count: int
    rows: list[Rows]
    found: list[Found]
    decoded: int = 0
    unchecked: int = 0


def check_manifests(look: Look, step: tuple[Range, Sequence[ManifestItem]]) -> ManifestsFound:
    """Read these manifests."""
    wanted, items = step
    backend = look.end.open()
    result = ManifestsFound(len(items), [], [])
    for item in items:
        key = f"manifests/{item.id}"
        found: list[Found] = []
        file = attempt(partial(_read_manifest, backend, key), key, found)
        if file is not None:
            _check_manifest(look, item, file, wanted, result, found)
        if not wanted.again:
            result.found += found
    return result


class _File(NamedTuple):
    """A manifest; the bytes of its file; whether these have a checksum, which was right then."""

    manifest: Manifest
    nbytes: int
    has_checksum: bool


def _read_manifest(backend: Backend, key: str) -> _File:
    data = backend.get(key)
    header, body = unwrap(data, FileType.MANIFEST, where=key)
    nbytes, guarded = len(data), has_checksum(data)
    del data  # before much more memory is needed
    return _File(decode_body(header, body, where=key), nbytes, guarded)


def _check_manifest(
    look: Look,
    item: ManifestItem,
    file: _File,
    wanted: Range,
    result: ManifestsFound,
    found: list[Found],
) -> None:
    key, claims, info = f"manifests/{item.id}", item.claims, item.claims.info
    manifest = file.manifest
    if manifest.id != item.id:
        found.append(Found(FindingKind.MISPLACED, key, f"it is manifest {manifest.id}"))
        return
    by = f"snapshot {claims.snapshot} says"
    disagreements = []
    if 0 < info.size_bytes < file.nbytes:
        disagreements.append(f"it has {file.nbytes} bytes, and {by} {info.size_bytes}")
    count = sum(map(len, manifest.arrays.values()))
    if count != info.num_refs:
        disagreements.append(f"it has {count} references, and {by} {info.num_refs}")
    elif info.digest and digest_of(manifest.arrays) != info.digest:
        disagreements.append(f"its references are not those that were written, {by} so")
    for number, node in enumerate(sorted(claims.arrays), item.first_source):
        claim, refs = claims.arrays[node], manifest.arrays.get(node)
        if refs is None or refs.ndim != claim.rank:
            text = f"it has no references of {claim.path} that fit its rank, and {by} so"
            disagreements.append(text)
            continue
        result.rows.append(rows_of(refs, number, wanted.start, wanted.stop))
        if look.decode is not None and not wanted.again and not file.has_checksum:
            _check_inline(look.decode, key, claim, refs, result, found)
    found += [Found(FindingKind.DISAGREES, key, text) for text in disagreements]


def _check_inline(
    decode: Decodable,
    key: str,
    claim: ArrayClaim,
    refs: ChunkRefs,
    result: ManifestsFound,
    found: list[Found],
) -> None:
    rows = np.flatnonzero(refs.kind == INLINE).tolist()
    if not rows or refs.payload is None:
        return
    chunks = [refs.payload[row] or b"" for row in rows]
    good = _tried(decode, claim.documents, chunks)
    if good is None:
        result.unchecked += len(rows)
        return
    result.decoded += sum(good)
    bad = [row for row, fine in zip(rows, good, strict=True) if not fine]
    if bad:
        where = claim.path, tuple(refs.index[bad[0]].tolist())
        text = "chunks in it cannot be decoded"
        found.append(Found(FindingKind.UNDECODABLE, key, text, None, len(bad), where))


def _tried(
    decode: Decodable, documents: Sequence[bytes], chunks: Sequence[bytes]
) -> list[bool] | None:
    """Which chunks can be decoded, by any of the documents; None if there are none."""
    if not documents:
        return None
    good = [False] * len(chunks)
    for document in documents:
        left = [i for i, fine in enumerate(good) if not fine]
        for i, fine in zip(left, decode(document, [chunks[i] for i in left]), strict=True):
            good[i] = fine
        if all(good):
            break
    return good


# Chunk objects


@dataclass(frozen=True, slots=True)
class ObjectsItem:
    """References to whole objects, sorted; documents: by source, to decode chunks by."""

    rows: Rows
    documents: dict[int, tuple[bytes, ...]]


@dataclass(slots=True)
class ChunksFound:
    """What came of some objects: chunks that were compared, decoded, and could not be."""

    checked: int = 0
    decoded: int = 0
    unchecked: int = 0
    found: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class _Checked:
    """What came of one object; bare: rows of chunks without checksum, and their bytes."""

    checked: int = 0
    bare: list[tuple[int, bytes]] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)


def check_chunks(look: Look, item: ObjectsItem) -> ChunksFound:
    """Read these objects, which are there and large enough."""
    backend, rows = look.end.open(), item.rows
    starts = starts_of(rows)
    names = format_ids(objects_of(rows, starts).take(slice(None)))
    bounds = pairwise([*starts.tolist(), len(rows)])
    places = list(zip(*(rows[name].tolist() for name in _PLACE), strict=True))

    def check(one: tuple[str, tuple[int, int]]) -> _Checked:
        name, (start, stop) = one
        return _check_object(backend, f"chunks/{name}", rows, places, range(start, stop))

    total = ChunksFound()
    bare: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    # On a disk, steps are made at the same time, and that is enough.
    limit = 1 if backend.local else _READS
    for one in map_parallel(check, zip(names, bounds, strict=True), limit=limit):
        total.checked += one.checked
        total.found += one.found
        for i, chunk in one.bare:
            bare[int(rows["source"][i])].append((i, chunk))
    for source, chunks in bare.items():
        _try(look, rows, chunks, item.documents.get(source, ()), total)
    return total


def _check_object(
    backend: Backend,
    key: str,
    rows: Rows,
    places: Sequence[tuple[int, int, int]],
    own: range,
) -> _Checked:
    """Read an object. places: of all rows, as plain numbers; own: which of them lead to it."""
    result = _Checked()
    part = slice(own.start, own.stop)
    try:
        data = backend.get(key)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        text = "it went away meanwhile"
        result.found.append(found_at(FindingKind.MISSING, key, text, rows[part]))
        return result
    written = any(place[2] for place in places[part])
    known = _footer(key, data, result.found, needed=written)
    view = memoryview(data)
    for i in own:
        start, length, checksum_ = places[i]
        if known and (start, length) not in known:
            text = f"its footer knows of no chunk of {length} bytes at byte {start}"
            result.found.append(found_at(FindingKind.DISAGREES, key, text, rows[i : i + 1]))
        checksum_ = checksum_ or known.get((start, length), 0)
        if not checksum_:
            result.bare.append((i, bytes(view[start : start + length])))
            continue
        result.checked += 1
        is_ = checksum(view[start : start + length])
        if is_ != checksum_:
            text = (
                f"bytes {start} to {start + length} have the checksum {is_:016x}, "
                f"{checksum_:016x} was written"
            )
            result.found.append(found_at(FindingKind.CORRUPTED, key, text, rows[i : i + 1]))
    return result


def _try(
    look: Look,
    rows: Rows,
    chunks: Sequence[tuple[int, bytes]],
    documents: Sequence[bytes],
    result: ChunksFound,
) -> None:
    """Decode chunks of one array that came without checksum."""
    data = [chunk for _, chunk in chunks]
    good = None if look.decode is None else _tried(look.decode, documents, data)
    if good is None:
        result.unchecked += len(chunks)
        return
    result.decoded += sum(good)
    for (i, chunk), fine in zip(chunks, good, strict=True):
        if not fine:
            start = int(rows["offset"][i])
            text = f"bytes {start} to {start + len(chunk)} cannot be decoded"
            key = chunk_key(object_of(rows[i]))
            result.found.append(found_at(FindingKind.UNDECODABLE, key, text, rows[i : i + 1]))


def _footer(
    key: str, data: bytes, found: list[Found], *, needed: bool
) -> dict[tuple[int, int], int]:
    """Checksums by place, as far as the object says; needed: whether it should say something."""
    size = footer_bytes(data)
    if not size:
        if needed:
            text = "its footer is gone, or not as it was"
            found.append(Found(FindingKind.DAMAGED_FOOTER, key, text))
        return {}
    try:
        return decode_places(data[-size:], size=len(data), where=key)
    except FormatError as error:
        found.append(Found(FindingKind.DAMAGED_FOOTER, key, error.message))
        return {}


def found_at(kind: FindingKind, key: str, message: str, rows: Rows) -> Found:
    """A finding about these references."""
    place = int(rows["source"][0]), int(rows["row"][0])
    return Found(kind, key, message, place, len(rows))


def chunk_of(
    backend: Backend, manifest: ManifestId, places: Sequence[tuple[NodeId, int]]
) -> list[tuple[int, ...] | None]:
    """The coordinates of references of a manifest by array and row; None where it went away."""
    key = f"manifests/{manifest}"
    try:
        arrays = decode_manifest(backend.get(key), where=key).arrays
    except (FormatError, StorageError):
        return [None] * len(places)
    return [tuple(arrays[node].index[row].tolist()) for node, row in places]
