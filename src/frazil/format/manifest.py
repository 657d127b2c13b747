"""The manifest: which chunks of which arrays are where.

    Manifest      = id, arrays sorted by node id, location dictionary?, compression algorithm
    ArrayManifest = node id, refs sorted by index
    ChunkRef      = index, then for its kind (the first one present decides)
                      chunk_id, offset, length, extra?                        native
                      compressed_location | location, offset, length,         virtual
                        checksum_etag?, checksum_last_modified?
                      inline                                                  inline
    compressed_location = one zstd frame of at most 65536 bytes that needs the dictionary
    extra = "FzX3", checksum of the chunk's bytes: a hint of Frazil's that others drop

A manifest of a million references is decoded and encoded with numpy operations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import zstandard

from frazil.errors import InternalError
from frazil.format import flatbuf_writer as fb
from frazil.format.chunk_refs import ABSENT, INLINE, NATIVE, VIRTUAL, ChunkRefs
from frazil.format.columns import ByteColumn, fixed_rows, row_starts
from frazil.format.flatbuf import Positions, Slot, Table, Tables, read_root
from frazil.format.header import FileType, Header, unwrap, wrap
from frazil.format.locations import LocationCompression as LocationCompression
from frazil.format.locations import compress_locations, decompress_locations
from frazil.ids import ChunkId, ManifestId, NodeId

_ID: Final = Slot(0, "Manifest.id")
_ARRAYS: Final = Slot(1, "Manifest.arrays")
_DICTIONARY: Final = Slot(2, "Manifest.location_dictionary")
_ALGORITHM: Final = Slot(3, "Manifest.compression_algorithm")

_NODE_ID: Final = Slot(0, "ArrayManifest.node_id")
_REFS: Final = Slot(1, "ArrayManifest.refs")

_INDEX: Final = Slot(0, "ChunkRef.index")
_INLINE: Final = Slot(1, "ChunkRef.inline")
_OFFSET: Final = Slot(2, "ChunkRef.offset")
_LENGTH: Final = Slot(3, "ChunkRef.length")
_CHUNK_ID: Final = Slot(4, "ChunkRef.chunk_id")
_LOCATION: Final = Slot(5, "ChunkRef.location")
_ETAG: Final = Slot(6, "ChunkRef.checksum_etag")
_MODIFIED: Final = Slot(7, "ChunkRef.checksum_last_modified")
_COMPRESSED: Final = Slot(8, "ChunkRef.compressed_location")
_EXTRA: Final = Slot(9, "ChunkRef.extra")

_PLAIN, _ZSTD_DICTIONARY = 0, 1
_CHECKSUM: Final = np.dtype([("tag", "S4"), ("checksum", "<u8")])
_TAG: Final = b"FzX3"
"""The first bytes of an `extra` that is a checksum: XXH3 with 64 bits."""
_NO_CHUNK = 2**32 - 1
_MAX_RANK = 64
"""What numpy allows."""
_MAX_ARRAYS = 1_000_000
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """References of one or more arrays, in the order of their node ids.

    Arrays without references are not kept. `header` and `compressed_locations`, the number
    of virtual references whose location was compressed, tell of the file it was read from, as
    does `dictionary_bytes`, the size of the dictionary that they were compressed with.
    """

    id: ManifestId
    arrays: dict[NodeId, ChunkRefs]
    header: Header | None = None
    compressed_locations: int = 0
    dictionary_bytes: int | None = None

    @property
    def nbytes(self) -> int:
        """Roughly the bytes of memory."""
        return 256 + sum([128 + refs.nbytes for refs in self.arrays.values()])


def decode_manifest(data: bytes, *, where: str) -> Manifest:
    """Read a manifest file; `where` names it in errors.

    References and arrays that are out of order are sorted. `FormatError` if the file is
    damaged, or names an array or a chunk twice.
    """
    return decode_body(*unwrap(data, FileType.MANIFEST, where=where), where=where)


def decode_body(header: Header, body: bytes, *, where: str) -> Manifest:
    """As `decode_manifest`, of what is in the file, for whoever has let go of its bytes."""
    root = read_root(body, where=where)
    arrays = root.tables(_ARRAYS)
    tables, counts = arrays.tables(_REFS)
    index, ranks = _decode_indexes(root, tables)
    ascending = _ascending(index, ranks)
    refs, compressed = _decode_refs(root, tables)
    nodes = _decode_nodes(root, arrays)
    found: dict[NodeId, ChunkRefs] = {}
    stop = at = 0
    for node, count in zip(nodes, counts.tolist(), strict=True):
        start, stop = stop, stop + count
        if not count:
            continue
        ndim = int(ranks[start])
        if bool((ranks[start:stop] != ndim).any()):
            raise root.buffer.fail(f"array {node} has chunk indexes of different ranks")
        own = index[at : at + count * ndim].reshape(count, ndim)
        rows = replace(refs.take(slice(start, stop)), index=own)
        if not ascending[start + 1 : stop].all():
            rows = rows.sorted()
            if not rows.is_sorted():
                raise root.buffer.fail(f"array {node} lists a chunk twice")
        found[node] = rows
        at += count * ndim
    id_ = ManifestId(root.struct(_ID, ManifestId.SIZE))
    dictionary = len(root.blob(_DICTIONARY)) if root.has(_DICTIONARY) else None
    return Manifest(id_, dict(sorted(found.items())), header, compressed, dictionary)


def decode_objects(
    data: bytes, *, where: str, nodes: Collection[bytes] | None = None
) -> npt.NDArray[np.uint8]:
    """Only the chunk objects that the references of a manifest name: uint8[n, 12], repeated.

    nodes: those of these arrays only. `FormatError` if the file is damaged where this looks.
    """
    parts = [np.empty((0, ChunkId.SIZE), np.uint8), *object_blocks(data, where=where, nodes=nodes)]
    return np.concatenate(parts)


def object_blocks(
    data: bytes, *, where: str, nodes: Collection[bytes] | None = None
) -> Iterator[npt.NDArray[np.uint8]]:
    """As `decode_objects`, some at a time, in little more memory than the decompressed file."""
    _, tables = _references_of(data, where, nodes)
    for start in range(0, len(tables), _BLOCK):
        block = tables.take(slice(start, start + _BLOCK))
        native = block.has(_CHUNK_ID)
        if not native.all():
            block = block.take(native)
        yield block.struct(_CHUNK_ID, ChunkId.SIZE)


def decode_owned_objects(
    data: bytes, *, where: str, nodes: Collection[bytes] | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """The chunk objects that references name, and of which arrays these are.

    All arrays of the file, uint8[a, 8]; the row in these of each reference; uint8[n, 12]. nodes:
    references of these arrays only. `FormatError` if the file is damaged where this looks.
    """
    _, body = unwrap(data, FileType.MANIFEST, where=where)
    root = read_root(body, where=where)
    arrays = root.tables(_ARRAYS)
    tables, counts = arrays.tables(_REFS)
    ids = _decode_nodes(root, arrays)
    wanted = np.array([nodes is None or node in nodes for node in ids], np.bool_)
    owner = np.repeat(np.arange(len(counts)), counts)
    rows = np.flatnonzero(tables.has(_CHUNK_ID) & np.repeat(wanted, counts))
    raw = np.frombuffer(b"".join(ids), np.uint8).reshape(-1, NodeId.SIZE)
    return raw, owner[rows], tables.take(rows).struct(_CHUNK_ID, ChunkId.SIZE)


def decode_parts(
    data: bytes, *, where: str, nodes: Collection[bytes]
) -> tuple[list[NodeId], npt.NDArray[np.int64], ChunkRefs]:
    """What a manifest says of these arrays: their ids, which of them each reference belongs to
    (int64[n], ascending), and the references without indexes.

    `FormatError` if the file is damaged where this looks.
    """
    _, body = unwrap(data, FileType.MANIFEST, where=where)
    root = read_root(body, where=where)
    arrays = root.tables(_ARRAYS)
    found = _decode_nodes(root, arrays)
    rows = [row for row, node in enumerate(found) if node in nodes]
    tables, counts = arrays.take(np.array(rows, np.intp)).tables(_REFS)
    belongs = np.repeat(np.arange(len(rows)), counts)
    return [found[row] for row in rows], belongs, _decode_refs(root, tables)[0]


def _references_of(
    data: bytes, where: str, nodes: Collection[bytes] | None
) -> tuple[Table, Tables]:
    _, body = unwrap(data, FileType.MANIFEST, where=where)
    root = read_root(body, where=where)
    arrays = root.tables(_ARRAYS)
    tables, counts = arrays.tables(_REFS)
    if nodes is not None:
        wanted = np.array([node in nodes for node in _decode_nodes(root, arrays)], np.bool_)
        if not wanted.all():
            tables = tables.take(np.repeat(wanted, counts))
    return root, tables


def _decode_nodes(root: Table, arrays: Tables) -> list[NodeId]:
    if len(arrays) > _MAX_ARRAYS:
        raise root.buffer.fail(f"{len(arrays)} arrays exceed the limit of {_MAX_ARRAYS}")
    raw = arrays.struct(_NODE_ID, NodeId.SIZE).tobytes()
    nodes = [NodeId(raw[i : i + NodeId.SIZE]) for i in range(0, len(raw), NodeId.SIZE)]
    if len(set(nodes)) < len(nodes):
        raise root.buffer.fail("an array is listed twice")
    return nodes


def _decode_indexes(
    root: Table, tables: Tables
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    """The numbers of all indexes end to end, and how many each index has."""
    index, ranks = tables.items(_INDEX, "<u4")
    if int(ranks.max(initial=0)) > _MAX_RANK:
        raise root.buffer.fail(f"{_INDEX.name}: rank {int(ranks.max())} exceeds {_MAX_RANK}")
    if int(index.max(initial=0)) == _NO_CHUNK:
        raise root.buffer.fail(f"{_INDEX.name}: no chunk grid reaches {_NO_CHUNK}")
    return index, ranks.astype(np.uint8)


def _ascending(
    index: npt.NDArray[np.uint32], ranks: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """bool[n]: whether each index is greater than the one before it, if of the same rank.

    For all arrays at once: what is said of the first index of an array means nothing.
    """
    ascending = np.zeros(len(ranks), np.bool_)
    present = np.flatnonzero(np.bincount(ranks)).tolist()
    for rank in present:
        rows: npt.NDArray[np.intp] | slice
        if len(present) == 1:
            rows, table = slice(None), index.reshape(len(ranks), rank)
        else:
            rows = np.flatnonzero(ranks == rank)
            table = index[row_starts(ranks.astype(np.int64))[rows, None] + np.arange(rank)]
        greater = np.zeros(len(table) - 1, np.bool_)
        equal = np.ones(len(table) - 1, np.bool_)
        for axis in range(rank):
            here, before = table[1:, axis], table[:-1, axis]
            greater |= equal & (here > before)
            equal &= here == before
        ascending[rows] = np.append(False, greater)
    return ascending


def _decode_refs(root: Table, tables: Tables) -> tuple[ChunkRefs, int]:
    """All references of the file without their indexes, and how many locations were compressed."""
    kind = np.zeros(len(tables), np.uint8)
    for value, slot in (
        (INLINE, _INLINE),
        (VIRTUAL, _LOCATION),
        (VIRTUAL, _COMPRESSED),
        (NATIVE, _CHUNK_ID),
    ):
        kind[tables.has(slot)] = value
    if bool((kind == ABSENT).any()):
        row = int((kind == ABSENT).argmax())
        raise root.buffer.fail(f"chunk reference {row} is neither native, virtual nor inline")
    offset = tables.scalar(_OFFSET, "<u8")
    length = tables.scalar(_LENGTH, "<u8")
    payload, compressed = _decode_payload(root, tables, kind)
    if payload is not None:
        inline = kind == INLINE
        offset[inline] = 0
        length[inline] = payload.size[inline]
    virtual = kind == VIRTUAL
    etag = modified = None
    if virtual.any():
        etags = tables.string(_ETAG, required=False)
        etags.size[~virtual] = -1
        etag = etags if bool((etags.size >= 0).any()) else None
        seconds = np.where(virtual, tables.scalar(_MODIFIED, "<u4"), np.uint32(0))
        modified = seconds if seconds.any() else None
    return (
        ChunkRefs(
            np.empty((len(tables), 0), np.uint32),
            kind,
            tables.struct(_CHUNK_ID, ChunkId.SIZE, required=False),
            offset,
            length,
            payload,
            etag,
            modified,
            _decode_checksums(tables, kind),
        ),
        compressed,
    )


def _decode_checksums(tables: Tables, kind: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64] | None:
    """The checksums of native chunks, as far as Frazil has left any."""
    if not bool((tables.has(_EXTRA) & (kind == NATIVE)).any()):
        return None
    extra = tables.blob(_EXTRA, required=False)
    rows = np.flatnonzero((extra.size == _CHECKSUM.itemsize) & (kind == NATIVE))
    found = fixed_rows(extra.heap, extra.start[rows], _CHECKSUM.itemsize).view(_CHECKSUM)[:, 0]
    own = found["tag"] == _TAG
    checksum = np.zeros(len(kind), np.uint64)
    checksum[rows[own]] = found["checksum"][own]
    return checksum if own.any() else None


def _decode_payload(
    root: Table, tables: Tables, kind: npt.NDArray[np.uint8]
) -> tuple[ByteColumn | None, int]:
    """Inline bytes and locations, and how many locations were compressed."""
    if not bool((kind > NATIVE).any()):
        return None, 0
    column = ByteColumn.absent(len(kind))
    compressed = tables.has(_COMPRESSED) & (kind == VIRTUAL)
    plain = (kind == VIRTUAL) & ~compressed
    parts = []
    for rows, slot in ((kind == INLINE, _INLINE), (plain, _LOCATION)):
        some = np.flatnonzero(rows)
        if len(some):
            own = tables.take(some)
            parts.append((some, own.blob(slot) if slot is _INLINE else own.string(slot)))
    some = np.flatnonzero(compressed)
    if len(some):
        parts.append((some, _decompress(root, tables.take(some).blob(_COMPRESSED))))
    merged = ByteColumn.concat([part for _, part in parts])
    order = np.concatenate([rows for rows, _ in parts])
    if 2 * int(merged.size.sum()) < len(merged.heap):
        # Do not keep the whole file in memory for the sake of a part of it.
        merged = merged.compact()
    column.start[order] = merged.start
    column.size[order] = merged.size
    return replace(column, heap=merged.heap), len(some)


def _decompress(root: Table, frames: ByteColumn) -> ByteColumn:
    dictionary = root.blob(_DICTIONARY) if root.has(_DICTIONARY) else b""
    try:
        locations = decompress_locations(frames, dictionary)
    except (zstandard.ZstdError, ValueError, MemoryError) as error:
        raise root.buffer.fail(f"{_COMPRESSED.name}: {error}") from None
    root.buffer.check_utf8(locations, _COMPRESSED.name)
    return locations


def encode_manifest(
    manifest: Manifest,
    *,
    spec: int,
    level: int = 3,
    location_compression: LocationCompression | None = None,
) -> bytes:
    """Write a manifest file of this specification version (1 or 2) at this zstd level.

    Locations are compressed in version 2 only, by the rules of `location_compression`.
    """
    arrays = {node: refs for node, refs in sorted(manifest.arrays.items()) if len(refs)}
    parts = list(arrays.values())
    kinds = np.concatenate([np.empty(0, np.uint8), *(part.kind for part in parts)])
    absent = bool((kinds == ABSENT).any())
    for node, part in arrays.items():
        if not part.is_sorted() or (absent and bool((part.kind == ABSENT).any())):
            raise InternalError(f"references of array {node} are not sorted or have absent rows")
    how = location_compression or LocationCompression()
    counts = np.array([len(part) for part in parts], np.int64)
    refs, dictionary = _encode_refs(parts, int(counts.sum()), how if spec > 1 else None)

    table = fb.table_block(len(parts))
    table.struct(_NODE_ID, b"".join(arrays))
    table.refer(_REFS, fb.vectors(refs, counts))
    root = fb.table_block()
    root.struct(_ID, manifest.id)
    root.refer(_ARRAYS, fb.vectors(table))
    root.refer(_DICTIONARY, fb.blobs([dictionary]))
    algorithm = _PLAIN if dictionary is None else _ZSTD_DICTIONARY
    root.scalar(_ALGORITHM, "u1", algorithm, default=_ZSTD_DICTIONARY)
    return wrap(fb.finish(root), FileType.MANIFEST, spec=spec, level=level)


def _encode_refs(
    parts: list[ChunkRefs], n: int, how: LocationCompression | None
) -> tuple[fb.TableBlock, bytes | None]:
    """The tables of all references, and the dictionary if locations are compressed with one."""
    table = fb.table_block(n)
    dictionary = None
    if not parts:
        return table, dictionary
    if len({part.ndim for part in parts}) == 1:
        refs = ChunkRefs.concat(parts)
        table.embed(_INDEX, refs.index)
    else:
        ranks = np.repeat([part.ndim for part in parts], [len(part) for part in parts])
        flat = np.concatenate([part.index.reshape(-1) for part in parts])
        table.refer(_INDEX, fb.items(flat, ranks))
        refs = ChunkRefs.concat([replace(part, index=part.index[:, :0]) for part in parts])
    inline = refs.kind == INLINE
    table.scalar(_OFFSET, "<u8", refs.offset)
    table.scalar(_LENGTH, "<u8", refs.length * ~inline)
    table.struct(_CHUNK_ID, refs.object, refs.kind == NATIVE)
    if refs.checksum is not None:
        _encode_checksums(table, refs.checksum)
    if refs.payload is not None:
        payload, rows = _chosen(refs.payload, inline)
        table.refer(_INLINE, fb.blobs(payload), rows)
        virtual = refs.kind == VIRTUAL
        if virtual.any():
            locations, rows = _chosen(refs.payload, virtual)
            packed = compress_locations(locations, how) if how else None
            if packed:
                dictionary, frames = packed
                table.refer(_COMPRESSED, fb.blobs(frames), rows)
            else:
                table.refer(_LOCATION, fb.strings(locations), rows)
    if refs.etag is not None:
        table.refer(_ETAG, fb.strings(refs.etag))
    if refs.modified is not None:
        table.scalar(_MODIFIED, "<u4", refs.modified)
    return table, dictionary


def _encode_checksums(table: fb.TableBlock, checksum: npt.NDArray[np.uint64]) -> None:
    known = checksum != 0
    extra = np.empty(int(known.sum()), _CHECKSUM)
    extra["tag"], extra["checksum"] = _TAG, checksum[known]
    if known.all():
        numbers = extra.view("<u4").reshape(len(extra), -1)
        table.embed(_EXTRA, numbers, count=_CHECKSUM.itemsize)
    elif len(extra):
        raw = extra.view(np.uint8)
        counts = np.full(len(extra), _CHECKSUM.itemsize, np.int64)
        table.refer(_EXTRA, fb.items(raw, counts), np.where(known, np.cumsum(known) - 1, -1))


def _chosen(column: ByteColumn, mask: npt.NDArray[np.bool_]) -> tuple[ByteColumn, Positions | None]:
    """The rows under the mask, and for each row its place among them or -1; None: all are."""
    if mask.all():
        return column, None
    return column.take(mask), np.where(mask, np.cumsum(mask) - 1, -1)
