"""Snapshot files: the nodes of one version, and the manifests that they need.

    Snapshot            0 id, 1 parent_id (spec 1), 2 nodes, 3 flushed_at, 4 message,
                        5 metadata, 6 manifest_files (spec 1), 7 manifest_files_v2 (spec 2)
    MetadataItem        0 name, 1 value: MessagePack in spec 1, FlexBuffers in spec 2
    NodeSnapshot        0 id, 1 path, 2 user_data, 3 and 4 node_data: 1 array or 2 group
    ArrayNodeData       0 shape (spec 1), 1 dimension_names, 2 manifests, 3 shape_v2 (spec 2)
    DimensionShape      array length u64, chunk length u64 (only their quotient counts)
    DimensionShapeV2    0 array length u64, 1 number of chunks u32
    DimensionName       0 name
    ManifestRef         0 object_id, 1 extents: pairs of u32, from and to exclusive
    ManifestFileInfo, ManifestFileInfoV2: see `frazil.format.manifest_table`

Nodes are sorted by the bytes of their paths, manifests by id, metadata by name. Which spec
a file follows is in its header: repositories of spec 2 may hold snapshots of spec 1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InternalError, InvalidInputError
from frazil.format import flatbuf_nested as nested
from frazil.format import flexbuf, v1
from frazil.format.columns import ByteColumn, row_starts
from frazil.format.flatbuf import Slot, Tables, read_root
from frazil.format.flatbuf_nested import OFFSET, Packed, Record
from frazil.format.flatbuf_writer import (
    Block,
    blobs,
    finish,
    items,
    strings,
    table_block,
    vector,
    vectors,
)
from frazil.format.header import FileType, unwrap, wrap
from frazil.format.manifest_table import (
    MANIFESTS,
    MANIFESTS_V2,
    ManifestInfo,
    ManifestTable,
    decode_infos,
    encode_infos,
    pack_infos,
)
from frazil.format.nodes import (
    NAME,
    REF,
    ROW,
    ManifestRef,
    Node,
    NodeKind,
    NodeTable,
)
from frazil.format.ragged import Rows, raw_ids, run_items
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId

__all__ = [
    "ManifestInfo",
    "ManifestRef",
    "ManifestTable",
    "Node",
    "NodeKind",
    "NodeTable",
    "Snapshot",
    "decode_metadata",
    "decode_snapshot",
    "encode_snapshot",
    "initial_snapshot",
    "metadata_block",
]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One version. flushed_at: µs since the epoch; parent_id is known in spec 1 files only."""

    id: SnapshotId
    flushed_at: int
    message: str
    metadata: dict[str, Any]
    nodes: NodeTable
    manifests: ManifestTable = field(default_factory=lambda: ManifestTable.of(()))
    parent_id: SnapshotId | None = None

    @property
    def nbytes(self) -> int:
        """Roughly the bytes of memory."""
        return 512 + 256 * len(self.metadata) + self.nodes.nbytes + self.manifests.nbytes


INITIAL_MESSAGE: Final = "Repository initialized"
INITIAL_METADATA: Final = {"__icechunk": {"is_root": True}}


def initial_snapshot(flushed_at: int) -> Snapshot:
    """The empty snapshot that every repository begins with; the time is in µs."""
    return Snapshot(
        INITIAL_SNAPSHOT, flushed_at, INITIAL_MESSAGE, INITIAL_METADATA, NodeTable.of(())
    )


_ID, _PARENT, _NODES = Slot(0, "id"), Slot(1, "parent_id"), Slot(2, "nodes")
_FLUSHED_AT, _MESSAGE = Slot(3, "flushed_at"), Slot(4, "message")
_METADATA = Slot(5, "metadata")
_ITEM_NAME, _ITEM_VALUE = Slot(0, "metadata.name"), Slot(1, "metadata.value")
_NODE_ID, _PATH, _USER_DATA = Slot(0, "node.id"), Slot(1, "node.path"), Slot(2, "node.user_data")
_KIND, _DATA = Slot(3, "node.node_data_type"), Slot(4, "node.node_data")
_SHAPE, _NAMES = Slot(0, "array.shape"), Slot(1, "array.dimension_names")
_REFS, _SHAPE_V2 = Slot(2, "array.manifests"), Slot(3, "array.shape_v2")
_LENGTH, _NUM_CHUNKS = Slot(0, "shape.array_length"), Slot(1, "shape.num_chunks")
_NAME = Slot(0, "dimension.name")
_REF_ID, _EXTENTS = Slot(0, "manifest_ref.object_id"), Slot(1, "manifest_ref.extents")

_DIM = np.dtype([("length", "<u8"), ("chunk", "<u8")])
_EXTENT = np.dtype([("from", "<u4"), ("to", "<u4")])
_FEW_NODES, _FEW_MANIFESTS = 8, 32
"""A snapshot with no more of them is written node by node, which is quicker than by columns."""


def decode_snapshot(data: bytes | memoryview, *, where: str) -> Snapshot:
    """Read a snapshot file of either spec; `FormatError` if it is damaged."""
    header, body = unwrap(data, FileType.SNAPSHOT, where=where)
    root = read_root(body, where=where)
    decode = v1.decode_msgpack if header.spec == 1 else flexbuf.decode
    return Snapshot(
        id=SnapshotId(root.struct(_ID, 12)),
        flushed_at=root.scalar(_FLUSHED_AT, "<u8"),
        message=root.string(_MESSAGE),
        metadata=decode_metadata(root.tables(_METADATA), decode),
        nodes=_decode_nodes(root.tables(_NODES)),
        manifests=decode_infos(root),
        parent_id=SnapshotId(root.struct(_PARENT, 12)) if root.has(_PARENT) else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Which files a snapshot needs, and which snapshot came before it.

    parts: uint8[n, 20], of each manifest that a node refers to its id and that of the node,
    repeated; parent_id: in spec 1 only.
    """

    id: SnapshotId
    flushed_at: int
    message: str
    parent_id: SnapshotId | None
    manifests: ManifestTable
    parts: npt.NDArray[np.uint8]


def decode_listing(data: bytes | memoryview, *, where: str) -> Listing:
    """Read only the listing of a snapshot file; `FormatError` if it is damaged in there."""
    _, body = unwrap(data, FileType.SNAPSHOT, where=where)
    root = read_root(body, where=where)
    nodes = root.tables(_NODES)
    arrays = nodes.take(nodes.scalar(_KIND, "u1") == NodeKind.ARRAY)
    refs, counts = arrays.table(_DATA).tables(_REFS)
    parts = np.empty((len(refs), 20), np.uint8)
    parts[:, :12] = refs.struct(_REF_ID, 12)
    parts[:, 12:] = np.repeat(arrays.struct(_NODE_ID, 8), counts, axis=0)
    return Listing(
        SnapshotId(root.struct(_ID, 12)),
        root.scalar(_FLUSHED_AT, "<u8"),
        root.string(_MESSAGE),
        SnapshotId(root.struct(_PARENT, 12)) if root.has(_PARENT) else None,
        decode_infos(root),
        parts,
    )


def decode_metadata(items: Tables, decode: Callable[..., Any]) -> dict[str, Any]:
    """The values of `MetadataItem` tables by name."""
    names, values = items.string(_ITEM_NAME), items.blob(_ITEM_VALUE)
    items.buffer.check_unshared(names, _ITEM_NAME.name)
    items.buffer.check_unshared(values, _ITEM_VALUE.name)
    where = items.buffer.where
    metadata = {}
    for i in range(len(items)):
        name = (names[i] or b"").decode()
        metadata[name] = decode(values[i] or b"", where=f"{where}: metadata {name!r}")
    return metadata


def _decode_nodes(nodes: Tables) -> NodeTable:
    buffer = nodes.buffer
    rows = np.zeros(len(nodes), ROW)
    rows["name_count"] = -1
    rows["id"] = nodes.struct(_NODE_ID, 8).view("V8").reshape(-1)
    path = nodes.string(_PATH)
    rows["path_start"], rows["path_size"] = path.start, path.size
    buffer.check_unshared(path, _PATH.name)
    data = nodes.blob(_USER_DATA)
    rows["data_start"], rows["data_size"] = data.start, data.size
    rows["kind"] = kind = nodes.scalar(_KIND, "u1")
    is_array = kind == NodeKind.ARRAY
    if not bool((is_array | (kind == NodeKind.GROUP)).all()):
        raise buffer.fail("node.node_data_type: neither array nor group")
    if not bool(nodes.has(_DATA).all()):
        raise buffer.missing(_DATA.name)
    arrays = nodes.take(is_array).table(_DATA)
    dims, dim_start, dim_count = _decode_shapes(arrays)
    names, name_count = arrays.tables(_NAMES, required=False)
    texts = names.string(_NAME, required=False)
    name_rows = np.empty(len(names), NAME)
    name_rows["start"], name_rows["size"] = texts.start, texts.size
    refs, ref_count = arrays.tables(_REFS)
    extents, extent_count = refs.items(_EXTENTS, _EXTENT)
    ref_rows = np.empty(len(refs), REF)
    ref_rows["id"] = refs.struct(_REF_ID, 12).view("V12").reshape(-1)
    ref_rows["start"], ref_rows["count"] = row_starts(extent_count), extent_count
    for column, values in (
        ("dim_start", dim_start),
        ("dim_count", dim_count),
        ("name_start", row_starts(name_count)),
        ("name_count", np.where(arrays.has(_NAMES), name_count, -1)),
        ("ref_start", row_starts(ref_count)),
        ("ref_count", ref_count),
    ):
        rows[column][is_array] = values
    pairs = extents.view("<u4").reshape(-1, 2)
    try:
        return NodeTable(rows, buffer.data, dims, name_rows, ref_rows, pairs).in_order()
    except InternalError as error:
        raise buffer.fail(f"node.path: {error}") from None


def _decode_shapes(
    arrays: Tables,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """uint64[d, 2], and start and count of each array's run of them."""
    new, new_count = arrays.tables(_SHAPE_V2, required=False)
    old, old_count = arrays.items(_SHAPE, _DIM)
    dims = np.empty((len(new) + len(old), 2), np.uint64)
    dims[: len(new), 0] = new.scalar(_LENGTH, "<u8")
    dims[: len(new), 1] = new.scalar(_NUM_CHUNKS, "<u4")
    # A chunk length of 0 stands for no chunks.
    length, chunk = old["length"], old["chunk"]
    full, rest = np.divmod(length, np.maximum(chunk, np.uint64(1)))
    dims[len(new) :, 0] = length
    dims[len(new) :, 1] = np.where(chunk == 0, 0, full + (rest != 0))
    is_new = arrays.has(_SHAPE_V2)
    start = np.where(is_new, row_starts(new_count), len(new) + row_starts(old_count))
    return dims, start, np.where(is_new, new_count, old_count)


def encode_snapshot(snapshot: Snapshot, *, spec: int, level: int = 3) -> bytes:
    """The file of a snapshot by spec 1 or 2.

    `InvalidInputError` for an array of spec 1 that has elements but no chunks: the file
    would be unreadable.
    """
    is_small = spec > 1 and _is_small(snapshot)
    body = _encode_small(snapshot) if is_small else _encode_columns(snapshot, spec)
    return wrap(body, FileType.SNAPSHOT, spec=spec, level=level)


def _is_small(snapshot: Snapshot) -> bool:
    rows = snapshot.nodes.rows
    if len(rows) > _FEW_NODES or len(snapshot.manifests) > _FEW_MANIFESTS:
        return False
    return int(rows["ref_count"].sum()) <= _FEW_MANIFESTS


_ROOT: Final = Record(
    *((_FLUSHED_AT, "Q"), (_NODES, OFFSET), (_MESSAGE, OFFSET), (_METADATA, OFFSET)),
    *((MANIFESTS, OFFSET), (MANIFESTS_V2, OFFSET), (_ID, "12s")),
)
_ITEM: Final = Record((_ITEM_NAME, OFFSET), (_ITEM_VALUE, OFFSET))
_NODE: Final = Record(
    *((_PATH, OFFSET), (_USER_DATA, OFFSET), (_DATA, OFFSET), (_NODE_ID, "8s"), (_KIND, "B"))
)
_ARRAY: Final = Record(*((slot, OFFSET) for slot in (_SHAPE, _NAMES, _REFS, _SHAPE_V2)))
_GROUP: Final = Record()
_DIM_V2: Final = Record((_LENGTH, "Q"), (_NUM_CHUNKS, "I"))
_DIM_NAME: Final = Record((_NAME, OFFSET))
_REF: Final = Record((_EXTENTS, OFFSET), (_REF_ID, "12s"))


def _encode_small(snapshot: Snapshot) -> bytes:
    """As `_encode_columns`, of few nodes and by spec 2."""
    table = snapshot.nodes
    items = [
        _ITEM.pack(nested.text(name.encode()), nested.blob(flexbuf.encode(value)))
        for name, value in sorted(snapshot.metadata.items())
    ]
    return nested.file(
        _ROOT.pack(
            snapshot.flushed_at,
            nested.tables([_packed_node(table.node(i)) for i in range(len(table))]),
            nested.text(snapshot.message.encode()),
            nested.tables(items),
            nested.NO_LONG_ITEMS,
            pack_infos(snapshot.manifests),
            snapshot.id,
        )
    )


def _packed_node(node: Node) -> Packed:
    data = _GROUP.pack()
    if node.kind == NodeKind.ARRAY:
        names = node.dimension_names
        data = _ARRAY.pack(
            nested.NO_LONG_ITEMS,
            None if names is None else nested.tables([_packed_name(name) for name in names]),
            nested.tables([_packed_ref(ref) for ref in node.manifests]),
            nested.tables([_DIM_V2.pack(length, count) for length, count in node.shape]),
        )
    path, user_data = nested.text(node.path.encode()), nested.blob(node.user_data)
    return _NODE.pack(path, user_data, data, node.id, node.kind)


def _packed_name(name: str | None) -> Packed:
    return _DIM_NAME.pack(None if name is None else nested.text(name.encode()))


def _packed_ref(ref: ManifestRef) -> Packed:
    numbers = [number for pair in ref.extents for number in pair]
    extents = nested.vector(struct.pack(f"<{len(numbers)}I", *numbers), len(ref.extents))
    return _REF.pack(extents, ref.id)


def _encode_columns(snapshot: Snapshot, spec: int) -> memoryview:
    nodes = _encode_nodes(snapshot.nodes, spec)
    encode = v1.encode_msgpack if spec == 1 else flexbuf.encode
    metadata = metadata_block(snapshot.metadata, encode)
    old_infos, new_infos = encode_infos(snapshot.manifests, spec=spec)
    root = table_block()
    root.struct(_ID, snapshot.id)
    if spec == 1 and snapshot.parent_id is not None:
        root.struct(_PARENT, snapshot.parent_id)
    root.refer(_NODES, nodes)
    root.scalar(_FLUSHED_AT, "<u8", snapshot.flushed_at)
    root.refer(_MESSAGE, strings([snapshot.message.encode()]))
    root.refer(_METADATA, metadata)
    root.refer(MANIFESTS, old_infos)
    if new_infos is not None:
        root.refer(MANIFESTS_V2, new_infos)
    return finish(root)


def metadata_block(metadata: dict[str, Any], encode: Callable[[Any], bytes]) -> Block:
    """The vector of `MetadataItem` tables of these values, sorted by name."""
    if not metadata:
        return vector(b"", 0)
    ordered = sorted(metadata.items())
    names = strings([name.encode() for name, _ in ordered])
    values = blobs([encode(value) for _, value in ordered])
    tables = table_block(len(ordered))
    tables.refer(_ITEM_NAME, names)
    tables.refer(_ITEM_VALUE, values)
    return vectors(tables)


def _encode_nodes(nodes: NodeTable, spec: int) -> Block:
    if not len(nodes):
        return vector(b"", 0)
    rows = nodes.rows
    names_ = nodes.names[run_items(rows["name_start"], rows["name_count"])]
    refs_ = nodes.refs[run_items(rows["ref_start"], rows["ref_count"])]
    dims_ = nodes.dims[run_items(rows["dim_start"], rows["dim_count"])]
    extents = nodes.extents[run_items(refs_["start"], refs_["count"])]
    is_array = rows["kind"] == NodeKind.ARRAY
    # The payload of a group is a table without fields: counts of -1 leave them all out.
    dim_count = np.where(is_array, rows["dim_count"], -1)
    ref_count = np.where(is_array, rows["ref_count"], -1)

    shape_v2 = None
    if spec == 1:
        shape = items(_old_dims(dims_), dim_count, align=8)
    else:
        shape = items(np.empty(0, _DIM), np.where(is_array, 0, -1), align=8)
        dims = table_block(len(dims_))
        dims.scalar(_LENGTH, "<u8", dims_[:, 0])
        dims.scalar(_NUM_CHUNKS, "<u4", dims_[:, 1])
        shape_v2 = vectors(dims, dim_count)
    refs = table_block(len(refs_))
    refs.struct(_REF_ID, raw_ids(refs_["id"]))
    refs.refer(_EXTENTS, items(extents.reshape(-1).view(_EXTENT), refs_["count"]))

    payload = table_block(len(nodes))
    payload.refer(_SHAPE, shape)
    if bool((rows["name_count"] >= 0).any()):
        names = table_block(len(names_))
        names.refer(_NAME, strings(ByteColumn(nodes.heap, names_["start"], names_["size"])))
        payload.refer(_NAMES, vectors(names, rows["name_count"]))
    payload.refer(_REFS, vectors(refs, ref_count))
    if shape_v2 is not None:
        payload.refer(_SHAPE_V2, shape_v2)
    table = table_block(len(nodes))
    table.struct(_NODE_ID, nodes.ids)
    table.refer(_PATH, strings(nodes.path))
    table.refer(_USER_DATA, blobs(nodes.user_data))
    table.scalar(_KIND, "u1", rows["kind"], default=None)
    table.refer(_DATA, payload)
    return vectors(table)


def _old_dims(dims: npt.NDArray[np.uint64]) -> Rows:
    length, chunks = dims[:, 0], dims[:, 1]
    if bool(((length > 0) & (chunks == 0)).any()):
        raise InvalidInputError(
            "an array of spec 1 that is not empty needs chunks of at least one element",
            ErrorKind.INVALID_ARRAY_METADATA,
        )
    full, rest = np.divmod(length, np.maximum(chunks, np.uint64(1)))
    old = np.empty(len(dims), _DIM)
    old["length"] = length
    old["chunk"] = np.where(length == 0, 0, full + (rest != 0))
    return old
