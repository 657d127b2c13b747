"""Chunks of which some elements go: decoded, filled and encoded, each once for all of history.

A chunk is what has the same coordinates, place and codecs: as many versions as may have it. New
bytes are stored in packs, inline ones stay inline; those of foreign files become our own. Nothing
refers to them until the manifests are written, and what was stored before an error is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from frazil.engine.checksums import check_many
from frazil.engine.packs import ChunkWriter, Places, chunk_key
from frazil.engine.purging.survey import Form, Reading
from frazil.engine.repacking.move import read_chunks
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.sources.reading import Chunk, VirtualSources
from frazil.engine.tuning import pack_sizes
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.format.chunk_refs import ABSENT, INLINE, NATIVE, VIRTUAL, ChunkRefs, NativeRef
from frazil.format.columns import ByteColumn
from frazil.format.manifest import decode_manifest
from frazil.ids import ChunkId, ManifestId, NodeId
from frazil.model.purge_target import Box, Target
from frazil.model.relocation import PLACE_BYTES, PlaceKeys
from frazil.model.replaced import Replaced, chunk_keys
from frazil.progress import task
from frazil.storage.pool import map_parallel

_MANIFESTS = 16
"""That are in memory at a time."""
_BATCH_BYTES = 16 * 1024 * 1024
_BATCH_CHUNKS = 4096
"""Encoded chunks that are in memory at a time."""
_DECODED_BYTES = 512 * 1024 * 1024
_COPIES = 4
"""Of a decoded chunk, while it is at work."""
_AT_ONCE = 8


class Eraser(Protocol):
    """Sets elements of the chunks of one array to the fill value; see `frazil.store.erasing`."""

    nbytes: int

    def erase(self, chunk: bytes, part: Box) -> bytes | None:
        """The chunk without these elements; itself, None, or `ValueError`."""


class _Look(NamedTuple):
    """A manifest: its cut chunks, by the form of their array; and whether it has some of an array
    that one of the snapshots which need it has not."""

    id: ManifestId
    cut: dict[Form, ChunkRefs]
    leftover: bool


@dataclass(slots=True)
class Erased:
    """What has become of cut chunks.

    replaced: by the form of their array; manifests: that have such chunks, and have to be written
    anew; chunks, bytes: that were written anew, and the size they had; taken_over: how many of them
    were in foreign files; dropped_inline, dropped_virtual: of these kinds, with nothing but fill
    value then.
    """

    replaced: dict[Form, Replaced] = field(default_factory=dict)
    manifests: set[ManifestId] = field(default_factory=set)
    chunks: int = 0
    bytes: int = 0
    taken_over: int = 0
    dropped_inline: int = 0
    dropped_virtual: int = 0

    def places(self, *, same: bool) -> PlaceKeys:
        """Where native chunks were, of those that are as they were, or else were written anew."""
        found = [
            one.native_places(one.same if same else ~one.same & (one.refs.kind != ABSENT))[1]
            for one in self.replaced.values()
        ]
        return np.unique(np.concatenate([np.empty(0, f"S{PLACE_BYTES}"), *found]))

    def of(self, reading: Reading) -> dict[NodeId, Replaced]:
        """What is in the place of chunks, for those who read a manifest so."""
        return {form.node: self.replaced[form] for form in reading if form in self.replaced}


class Erasing:
    """Erases a target from chunks, in many manifests. stores: else it only finds out what for."""

    def __init__(
        self,
        core: RepositoryCore,
        target: Target,
        make: Callable[[bytes], Eraser],
        *,
        stores: bool,
    ) -> None:
        """make: an eraser, for the metadata of an array of one chunk."""
        self._core = core
        self._library = core.library.aside()
        self._target = target
        self._make = make
        self._erasers: dict[Form, Eraser] = {}
        self._stored: list[ChunkId] = []
        self._writer = self._new_writer() if stores else None

    def run(
        self, readings: Mapping[ManifestId, Collection[Reading]], paths: Mapping[Form, str]
    ) -> Erased:
        """All cut chunks of these manifests; paths: of the arrays, for errors.

        Raises `InvalidInputError` for chunks that cannot be decoded and encoded, `FormatError` for
        one that is damaged, `StorageError` for one that cannot be read.
        """
        erased = Erased()
        for form in sorted({form for all_ in readings.values() for one in all_ for form in one}):
            self._erasers[form] = self._eraser(form, paths[form])
        ids = sorted(readings)
        with task("Looking into chunks", len(ids)) as progress:
            for first in range(0, len(ids), _MANIFESTS):
                group = ids[first : first + _MANIFESTS]
                looks = map_parallel(lambda id_: self._look(id_, readings[id_]), group)
                for form, refs in _new(looks, erased).items():
                    for batch in _batches(refs):
                        self._erase(form, paths[form], batch, erased)
                erased.manifests.update(look.id for look in looks if _differs(look, erased))
                progress.step(len(group))
        if self._writer is not None:
            self._writer.flush()
        return erased

    def undo(self) -> None:
        """Delete what was stored, as far as it can be: a purge that follows does so, too."""
        with suppress(StorageError):
            if self._writer is not None:
                self._writer.flush()
            self._library.backend.delete([chunk_key(id_) for id_ in self._stored])

    def _new_writer(self) -> ChunkWriter:
        library = self._core.library

        def new_id() -> ChunkId:
            self._stored.append(library.new_id(ChunkId))
            return self._stored[-1]

        return ChunkWriter(library.backend, new_id, pack_sizes(self._core.config), library.identity)

    def _eraser(self, form: Form, path: str) -> Eraser:
        try:
            return self._make(form.document.encode())
        except ValueError as error:
            raise _impossible(f"the chunks of {path}", form, error) from error

    def _look(self, id_: ManifestId, readings: Collection[Reading]) -> _Look:
        key = f"manifests/{id_}"
        arrays = decode_manifest(self._library.backend.get(key), where=key).arrays
        cut: dict[NodeId, ChunkRefs] = {}
        for node, refs in arrays.items():
            rows = self._target.cut(node, refs.index)
            if rows.any():
                cut[node] = refs.take(rows)
        forms = {form for reading in readings for form in reading if form.node in cut}
        everywhere = all(cut.keys() <= {form.node for form in reading} for reading in readings)
        return _Look(id_, {form: cut[form.node] for form in sorted(forms)}, not everywhere)

    def _erase(self, form: Form, path: str, refs: ChunkRefs, erased: Erased) -> None:
        cells = (self._target.cells or {})[form.node]
        eraser, index = self._erasers[form], refs.index.tolist()
        data = self._read(refs, path)

        def one(row: int) -> bytes | None:
            try:
                return eraser.erase(data[row] or b"", cells.part(index[row]))
            except ValueError as error:
                raise _impossible(str(Chunk(path, index[row])), form, error) from error

        limit = _DECODED_BYTES // max(1, _COPIES * eraser.nbytes)
        results = map_parallel(one, range(len(refs)), limit=max(1, min(limit, _AT_ONCE)))
        same = np.array([new == data[row] for row, new in enumerate(results)], np.bool_)
        empty = np.array([new is None for new in results], np.bool_)
        other = ~(same | empty)
        own = np.flatnonzero(other & (refs.kind != INLINE))
        inline = np.flatnonzero(other & (refs.kind == INLINE))
        keys = chunk_keys(refs)
        parts = [
            (np.flatnonzero(same), _alone(refs.take(same))),
            (np.flatnonzero(empty), ChunkRefs.absent(refs.index[empty])),
            (own, self._store(form.node, refs.index[own], [results[i] for i in own])),
            (inline, _inline(refs.index[inline], [results[i] for i in inline])),
        ]
        rows = np.concatenate([rows for rows, _ in parts])
        new = Replaced(keys[rows], ChunkRefs.concat([part for _, part in parts]), same[rows])
        erased.replaced[form] = erased.replaced[form].joined(new)
        erased.chunks += int(other.sum())
        erased.bytes += int(refs.length[other].sum())
        erased.taken_over += int((other & (refs.kind == VIRTUAL)).sum())
        erased.dropped_inline += int((empty & (refs.kind == INLINE)).sum())
        erased.dropped_virtual += int((empty & (refs.kind == VIRTUAL)).sum())

    def _read(self, refs: ChunkRefs, path: str) -> list[bytes | None]:
        """The chunks as they are stored."""
        data: list[bytes | None] = [None] * len(refs)
        native, virtual = np.flatnonzero(refs.kind == NATIVE), np.flatnonzero(refs.kind == VIRTUAL)
        if len(native):
            some = refs.take(native)
            column = read_chunks(self._library.backend, some)

            def what(row: int) -> tuple[Chunk, NativeRef]:
                ref = some.row(row)
                assert isinstance(ref, NativeRef)
                return Chunk(path, some.index[row].tolist()), ref

            if some.checksum is not None:
                check_many(column, some.checksum, what)
            _fill(data, native, column)
        if len(virtual):
            sources = VirtualSources(self._core.sources)
            _fill(data, virtual, sources.read_many(refs.take(virtual), path))
        if refs.payload is not None:
            inline = np.flatnonzero(refs.kind == INLINE)
            _fill(data, inline, refs.payload.take(inline))
        return data

    def _store(
        self, node: NodeId, index: npt.NDArray[np.uint32], chunks: Sequence[bytes | None]
    ) -> ChunkRefs:
        n, column = len(index), ByteColumn.of(chunks)
        none = np.zeros(n, np.uint64)
        size = column.size.astype(np.uint64)
        places = Places(np.zeros((n, ChunkId.SIZE), np.uint8), none, size, none)
        if self._writer is not None and n:
            places = self._writer.write_many(node, index, column)
        return ChunkRefs(
            index,
            np.full(n, NATIVE, np.uint8),
            places.object,
            places.offset,
            places.length,
            checksum=places.checksum,
        )


def _new(looks: Sequence[_Look], erased: Erased) -> dict[Form, ChunkRefs]:
    """The cut chunks of some manifests that are not known yet, each once."""
    parts: dict[Form, list[ChunkRefs]] = {}
    for look in looks:
        for form, refs in look.cut.items():
            known = erased.replaced.setdefault(form, Replaced.none(refs.ndim))
            parts.setdefault(form, []).append(refs.take(known.find(chunk_keys(refs)) < 0))
    new = {form: ChunkRefs.concat(several) for form, several in parts.items()}
    return {
        form: refs.take(np.sort(np.unique(chunk_keys(refs), return_index=True)[1]))
        for form, refs in new.items()
    }


def _differs(look: _Look, erased: Erased) -> bool:
    """Whether a manifest has to be written anew."""
    return look.leftover or any(
        not erased.replaced[form].are_same(refs).all() for form, refs in look.cut.items()
    )


def _inline(index: npt.NDArray[np.uint32], chunks: Sequence[bytes | None]) -> ChunkRefs:
    n, column = len(index), ByteColumn.of(chunks)
    return ChunkRefs(
        index,
        np.full(n, INLINE, np.uint8),
        np.zeros((n, ChunkId.SIZE), np.uint8),
        np.zeros(n, np.uint64),
        column.size.astype(np.uint64),
        column,
    )


def _alone(refs: ChunkRefs) -> ChunkRefs:
    """Without what else is in the manifest that they are from."""
    return replace(
        refs,
        payload=None if refs.payload is None else refs.payload.compact(),
        etag=None if refs.etag is None else refs.etag.compact(),
    )


def _fill(data: list[bytes | None], rows: npt.NDArray[np.intp], column: ByteColumn) -> None:
    for i, row in enumerate(rows.tolist()):
        data[row] = column[i]


def _batches(refs: ChunkRefs) -> Iterator[ChunkRefs]:
    end, first = np.cumsum(refs.length), 0
    while first < len(refs):
        done = int(end[first]) - int(refs.length[first])
        stop = int(np.searchsorted(end, np.uint64(done + _BATCH_BYTES), side="right"))
        stop = min(max(stop, first + 1), first + _BATCH_CHUNKS)
        yield refs.take(slice(first, stop))
        first = stop


def _impossible(what: str, form: Form, error: ValueError) -> InvalidInputError:
    codecs = [
        str(codec["name"] if isinstance(codec, dict) else codec)
        for codec in json.loads(form.document).get("codecs", ())
    ]
    why = f"the codecs of the array are {', '.join(codecs)}; {error}"
    if not codecs:
        why = "the metadata of the array do not say how they are encoded"
    return InvalidInputError(
        f"{what} cannot be taken apart here: {why}. "
        "Nothing has changed. Whole chunks can be purged, with all that is in them: "
        "whole_chunks=True, --whole-chunks",
        ErrorKind.NOT_ALLOWED,
    )
