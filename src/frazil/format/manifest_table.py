"""The manifests that a snapshot lists: their sizes, and what proves one that was built anew.

ManifestFileInfo    id, 4 bytes, size u64, refs u32, 4 bytes                       spec 1
ManifestFileInfoV2  0 id, 1 size u64, 2 refs u32,                                  spec 2
                    3 extra: "FzD1", digest u64 of the references, see
                    `frazil.format.manifest_digest`: a hint of Frazil's that others drop
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, FormatError
from frazil.format.columns import fixed_rows
from frazil.format.flatbuf import Slot, Table, Tables
from frazil.format.flatbuf_nested import OFFSET, Packed, Record, blob, tables
from frazil.format.flatbuf_writer import Block, TableBlock, items, table_block, vector, vectors
from frazil.format.ragged import Rows, raw_ids, sort_keys
from frazil.ids import ManifestId

MANIFESTS: Final = Slot(6, "manifest_files")
MANIFESTS_V2: Final = Slot(7, "manifest_files_v2")
_INFO_ID, _INFO_SIZE = Slot(0, "manifest_file.id"), Slot(1, "manifest_file.size_bytes")
_INFO_REFS, _INFO_EXTRA = Slot(2, "manifest_file.num_chunk_refs"), Slot(3, "manifest_file.extra")


@dataclass(frozen=True, slots=True)
class ManifestInfo:
    """A manifest of a snapshot; size and digest (of its references): 0 = unknown."""

    id: ManifestId
    size_bytes: int
    num_refs: int
    digest: int = 0


_OLD_INFO: Final = np.dtype(
    {
        "names": ["id", "size", "refs"],
        "formats": ["V12", "<u8", "<u4"],
        "offsets": [0, 16, 24],
        "itemsize": 32,
    }
)
"""The struct in files of spec 1."""
_INFO: Final = np.dtype([("id", "V12"), ("size", "<u8"), ("refs", "<u4"), ("digest", "<u8")])
_DIGEST: Final = np.dtype([("tag", "S4"), ("digest", "<u8")])
_DIGEST_TAG: Final = b"FzD1"
_PACK_DIGEST: Final = struct.Struct("<4sQ").pack


_FEW: Final = 16
"""Rows up to which Python's own values are faster than arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class ManifestTable:
    """The manifests of a snapshot, sorted by id, each once."""

    rows: Rows

    @classmethod
    def of(cls, infos: Iterable[ManifestInfo]) -> ManifestTable:
        """A table of these, in any order."""
        ordered = sorted({info.id: info for info in infos}.values(), key=lambda info: info.id)
        rows = np.zeros(len(ordered), _INFO)
        for i, info in enumerate(ordered):
            rows[i] = (info.id, info.size_bytes, info.num_refs, info.digest)
        return cls(rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.rows.nbytes

    @property
    def ids(self) -> npt.NDArray[np.uint8]:
        """uint8[k, 12]"""
        return raw_ids(self.rows["id"])

    @property
    def size_bytes(self) -> npt.NDArray[np.uint64]:
        """uint64[k]"""
        sizes: npt.NDArray[np.uint64] = self.rows["size"]
        return sizes

    @property
    def num_refs(self) -> npt.NDArray[np.uint32]:
        """uint32[k]"""
        counts: npt.NDArray[np.uint32] = self.rows["refs"]
        return counts

    def info(self, i: int) -> ManifestInfo:
        """The manifest in row `i`."""
        raw, size, refs, digest = self.rows[i].item()
        return ManifestInfo(ManifestId(raw), size, refs, digest)

    def find(self, manifest: ManifestId) -> int:
        """The row of this manifest, or -1."""
        keys = sort_keys(self.rows["id"])
        row = int(keys.searchsorted(np.frombuffer(manifest, "S12"))[0])
        return row if row < len(keys) and self.rows["id"][row].tobytes() == manifest else -1

    def get(self, manifest: ManifestId) -> ManifestInfo:
        """This manifest's row; `FormatError` if the snapshot does not list it."""
        row = self.find(manifest)
        if row < 0:
            raise FormatError(
                f"the manifest {manifest} is referred to, but not listed in its snapshot",
                ErrorKind.MANIFEST_INFO_NOT_FOUND,
            )
        return self.info(row)

    def select(self, ids: npt.NDArray[np.uint8], new: Iterable[ManifestInfo] = ()) -> ManifestTable:
        """The rows of these manifests (uint8[k, 12], in any order) and `new`, which win."""
        if len(self) + len(ids) <= _FEW:
            wanted = {raw.tobytes() for raw in ids}
            kept = [info for info in map(self.info, range(len(self))) if info.id in wanted]
            return ManifestTable.of([*kept, *new])
        added = ManifestTable.of(new).rows
        stay = np.isin(sort_keys(self.rows["id"]), sort_keys(ids))
        stay &= ~np.isin(sort_keys(self.rows["id"]), sort_keys(added["id"]))
        rows = np.concatenate([self.rows[stay], added])
        return ManifestTable(rows[np.argsort(sort_keys(rows["id"]), kind="stable")])


def decode_infos(root: Table) -> ManifestTable:
    """The manifests that the root of a snapshot file lists."""
    new = root.tables(MANIFESTS_V2) if root.has(MANIFESTS_V2) else None
    if new is not None and len(new):
        rows = np.zeros(len(new), _INFO)
        rows["id"] = new.struct(_INFO_ID, 12).view("V12").reshape(-1)
        rows["size"] = new.scalar(_INFO_SIZE, "<u8")
        rows["refs"] = new.scalar(_INFO_REFS, "<u4")
        rows["digest"] = _decode_digests(new)
    else:
        old = root.items(MANIFESTS, _OLD_INFO)
        rows = np.zeros(len(old), _INFO)
        for name in ("id", "size", "refs"):
            rows[name] = old[name]
    keys = sort_keys(rows["id"])
    if bool((keys[1:] <= keys[:-1]).any()):
        # Later readers search; a repeated id would make the result depend on how.
        rows = rows[np.unique(keys, return_index=True)[1]]
    return ManifestTable(rows)


def _decode_digests(infos: Tables) -> npt.NDArray[np.uint64]:
    """The digests of manifests, as far as Frazil has left any; 0 elsewhere."""
    digest = np.zeros(len(infos), np.uint64)
    if infos.has(_INFO_EXTRA).any():
        extra = infos.blob(_INFO_EXTRA, required=False)
        rows = np.flatnonzero(extra.size == _DIGEST.itemsize)
        found = fixed_rows(extra.heap, extra.start[rows], _DIGEST.itemsize).view(_DIGEST)[:, 0]
        own = found["tag"] == _DIGEST_TAG
        digest[rows[own]] = found["digest"][own]
    return digest


def encode_infos(table: ManifestTable, *, spec: int) -> tuple[Block, Block | None]:
    """What goes into `MANIFESTS`, and into `MANIFESTS_V2` by spec 2."""
    infos = table.rows
    if spec == 1:
        old = np.zeros(len(infos), _OLD_INFO)
        for name in ("id", "size", "refs"):
            old[name] = infos[name]
        return vector(old.tobytes(), len(old), align=8), None
    block = table_block(len(infos))
    block.struct(_INFO_ID, raw_ids(infos["id"]))
    block.scalar(_INFO_SIZE, "<u8", infos["size"])
    block.scalar(_INFO_REFS, "<u4", infos["refs"])
    _encode_digests(block, infos["digest"])
    return vector(b"", 0, align=8), vectors(block)


_INFO_RECORD: Final = Record(
    (_INFO_SIZE, "Q"), (_INFO_REFS, "I"), (_INFO_EXTRA, OFFSET), (_INFO_ID, "12s")
)


def pack_infos(table: ManifestTable) -> Packed:
    """What goes into `MANIFESTS_V2` where there are few."""
    return tables(
        [
            _INFO_RECORD.pack(
                size, refs, blob(_PACK_DIGEST(_DIGEST_TAG, digest)) if digest else None, id_
            )
            for id_, size, refs, digest in table.rows.tolist()
        ]
    )


def _encode_digests(infos: TableBlock, digest: npt.NDArray[np.uint64]) -> None:
    known = digest != 0
    extra = np.empty(int(known.sum()), _DIGEST)
    extra["tag"], extra["digest"] = _DIGEST_TAG, digest[known]
    if len(extra):
        counts = np.full(len(extra), _DIGEST.itemsize, np.int64)
        rows = np.where(known, np.cumsum(known) - 1, -1)
        infos.refer(_INFO_EXTRA, items(extra.view(np.uint8), counts), rows)
