"""Looking at the objects that references lead to, and at the bytes in them."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from frazil.engine.packs import chunk_key
from frazil.errors import ErrorKind, FormatError, InvalidInputError, StorageError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.pack import checksum, decode_footer, footer_bytes
from frazil.ids import ChunkId, ManifestId, NodeId
from frazil.progress import task
from frazil.storage.base import Backend
from frazil.storage.pool import map_parallel
from frazil.verification import Finding, FindingKind

_OBJECTS_AT_ONCE = 4
"""Chunk objects that are in memory at the same time."""

_ROW = np.dtype(
    [
        ("object", "S12"),
        ("offset", "<u8"),
        ("length", "<u8"),
        ("checksum", "<u8"),
        ("source", "<u4"),
        ("row", "<u4"),
    ]
)


class Source(NamedTuple):
    """Where references come from."""

    manifest: ManifestId
    node: NodeId
    path: str


class References:
    """Native references of many manifests; any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[npt.NDArray[np.void]] = []
        self._sources: list[tuple[Source, npt.NDArray[np.uint32]]] = []

    def add(self, source: Source, refs: ChunkRefs) -> None:
        """References of one array that are all NATIVE."""
        rows = np.zeros(len(refs), _ROW)
        rows["object"] = np.ascontiguousarray(refs.object).view("S12").reshape(-1)
        rows["offset"], rows["length"] = refs.offset, refs.length
        if refs.checksum is not None:
            rows["checksum"] = refs.checksum
        rows["row"] = np.arange(len(refs))
        with self._lock:
            rows["source"] = len(self._sources)
            self._sources.append((source, refs.index))
            self._rows.append(rows)

    def distinct(self) -> npt.NDArray[np.void]:
        """Each place once, by object and offset; of the same place the one with a checksum."""
        rows = np.concatenate([np.empty(0, _ROW), *self._rows])
        order = np.lexsort((rows["checksum"], rows["length"], rows["offset"], rows["object"]))
        rows = rows[order]
        last = np.ones(len(rows), np.bool_)
        same = (
            (rows["object"][1:] == rows["object"][:-1])
            & (rows["offset"][1:] == rows["offset"][:-1])
            & (rows["length"][1:] == rows["length"][:-1])
        )
        last[:-1] = ~same
        return rows[last]

    def chunk(self, row: np.void) -> tuple[str, tuple[int, ...]]:
        """The array and the coordinates of a reference."""
        source, index = self._sources[int(row["source"])]
        return source.path, tuple(index[int(row["row"])].tolist())


class ChunkCheck:
    """The chunk objects of some references."""

    def __init__(self, backend: Backend, references: References, findings: list[Finding]) -> None:
        self._backend = backend
        self._references = references
        self._findings = findings
        self._rows = references.distinct()
        object_ = self._rows["object"]
        first = np.ones(len(object_), np.bool_)
        first[1:] = object_[1:] != object_[:-1]
        self._starts = np.flatnonzero(first)
        self._stops = np.append(self._starts[1:], len(object_))[: len(self._starts)]
        self._gone: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._rows)

    def check_objects(self) -> int:
        """Whether objects are there and large enough; returns how many there should be."""
        sizes = self._sizes()
        with task("Verifying objects", len(self._starts)) as progress:
            for start, stop in zip(self._starts.tolist(), self._stops.tolist(), strict=True):
                self._check_object(self._rows[start:stop], sizes)
                progress.step()
        return len(self._starts)

    def _sizes(self) -> dict[bytes, int]:
        sizes = {}
        for info in self._backend.list("chunks"):
            try:
                sizes[bytes(ChunkId.parse(info.key.rpartition("/")[2]))] = info.size
            except InvalidInputError:
                continue  # not ours
        return sizes

    def _check_object(self, rows: npt.NDArray[np.void], sizes: dict[bytes, int]) -> None:
        id_ = _id_of(rows)
        size = sizes.get(id_)
        if size is None:
            self._gone.add(id_)
            self._find(FindingKind.MISSING, rows, "there is no such object")
            return
        offset, length = rows["offset"], rows["length"]
        beyond = (length > size) | (offset > size - np.minimum(length, size))
        if beyond.any():
            self._gone.add(id_)
            text = f"it has {size} bytes, and chunks are said to lie beyond its end"
            self._find(FindingKind.TOO_SHORT, rows[beyond], text)
            return
        meet = offset[1:] < offset[:-1] + length[:-1]
        if meet.any():
            text = "references to it overlap"
            self._find(FindingKind.OVERLAPPING, rows[1:][meet], text)

    def check_data(self, sample: float) -> tuple[int, int]:
        """Compare bytes with checksums: how many chunks had one, and how many had none.

        sample: the share of objects that are read, evenly chosen.
        """
        count = len(self._starts)
        chosen = np.arange(count)
        if sample < 1 and count:
            some = max(1, round(count * sample))
            chosen = np.unique(np.linspace(0, count - 1, some).astype(np.intp))
        with task("Verifying chunks", len(chosen)) as progress:

            def read(i: int) -> tuple[int, int]:
                done = self._check_bytes(self._rows[self._starts[i] : self._stops[i]])
                progress.step()
                return done

            counts = map_parallel(read, chosen.tolist(), limit=_OBJECTS_AT_ONCE)
        return sum(one for one, _ in counts), sum(other for _, other in counts)

    def _check_bytes(self, rows: npt.NDArray[np.void]) -> tuple[int, int]:
        id_ = _id_of(rows)
        if id_ in self._gone:
            return 0, 0
        try:
            data = self._backend.get(chunk_key(id_))
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            self._find(FindingKind.MISSING, rows, "it went away while it was looked at")
            return 0, 0
        known = self._footer(id_, data, rows)
        view = memoryview(data)
        unchecked = 0
        for i, row in enumerate(rows):
            start, length = int(row["offset"]), int(row["length"])
            if known and (start, length) not in known:
                text = f"its footer knows of no chunk of {length} bytes at byte {start}"
                self._find(FindingKind.DISAGREES, rows[i : i + 1], text)
            written = int(row["checksum"]) or known.get((start, length), 0)
            if not written:
                unchecked += 1
                continue
            found = checksum(view[start : start + length])
            if found != written:
                text = (
                    f"bytes {start} to {start + length} have the checksum {found:016x}, "
                    f"{written:016x} was written"
                )
                self._find(FindingKind.CORRUPTED, rows[i : i + 1], text)
        return len(rows) - unchecked, unchecked

    def _footer(
        self, id_: bytes, data: bytes, rows: npt.NDArray[np.void]
    ) -> dict[tuple[int, int], int]:
        """Checksums by place, as far as the object says."""
        size = footer_bytes(data)
        if not size:
            if rows["checksum"].any():
                text = "its footer is gone, or not as it was"
                self._find(FindingKind.DAMAGED_FOOTER, rows[:0], text, id_)
            return {}
        try:
            packed = decode_footer(data[-size:], size=len(data), where=chunk_key(id_))
        except FormatError as error:
            self._find(FindingKind.DAMAGED_FOOTER, rows[:0], error.message, id_)
            return {}
        places = zip(packed.offset.tolist(), packed.length.tolist(), strict=True)
        return dict(zip(places, packed.checksum.tolist(), strict=True))

    def _find(
        self,
        kind: FindingKind,
        rows: npt.NDArray[np.void],
        message: str,
        id_: bytes | None = None,
    ) -> None:
        key = chunk_key(_id_of(rows) if id_ is None else id_)
        array, chunk = self._references.chunk(rows[0]) if len(rows) else (None, None)
        self._findings.append(Finding(kind, key, message, array, chunk, len(rows)))


def _id_of(rows: npt.NDArray[np.void]) -> bytes:
    # Strings of numpy are without the zeros at their end.
    return bytes(rows["object"][0]).ljust(ChunkId.SIZE, b"\0")
