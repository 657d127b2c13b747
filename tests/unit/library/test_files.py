"""Typed access to the files of a repository."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from frazil.errors import FormatError, StorageError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef
from frazil.format.manifest import Manifest
from frazil.format.snapshot import Node, NodeKind, NodeTable, initial_snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import INITIAL_SNAPSHOT, ChunkId, ManifestId, NodeId, SnapshotId
from frazil.library.files import Library
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend

NODE = NodeId(b"node-id.")
MANIFEST = Manifest(
    ManifestId(b"m" * 12),
    {NODE: ChunkRefs.of(1, {(0,): InlineRef(b"x"), (1,): NativeRef(ChunkId(bytes(12)), 0, 9)})},
)


@pytest.fixture
def backend() -> Counting:
    return Counting(MemoryBackend())


@pytest.fixture
def library(backend: Counting, spec: int) -> Library:
    return Library(backend, spec=spec)


def test_files_are_read_once(library: Library, backend: Counting, spec: int) -> None:
    info = library.write_manifest(MANIFEST)
    library.write_snapshot(initial_snapshot(7))
    library.write_log(TransactionLog(INITIAL_SNAPSHOT, new_groups=frozenset({NODE})))
    assert info.id == MANIFEST.id
    assert info.num_refs == 2
    assert info.size_bytes == backend.info(f"manifests/{MANIFEST.id}").size
    reader = Library(backend, spec=spec)
    backend.reset()
    for _ in range(2):
        assert reader.manifest(MANIFEST.id).arrays[NODE].equals(MANIFEST.arrays[NODE])
        assert reader.snapshot(INITIAL_SNAPSHOT).flushed_at == 7
        assert reader.transaction_log(INITIAL_SNAPSHOT).new_groups == {NODE}
    folders = ("manifests", "snapshots", "transactions")
    assert backend.requests == {("get", folder): 1 for folder in folders}


def test_what_was_written_is_not_read_at_all(library: Library, backend: Counting) -> None:
    assert library.known_manifest(MANIFEST.id) is None
    library.write_manifest(MANIFEST)
    assert library.known_manifest(MANIFEST.id) is MANIFEST
    backend.reset()
    assert library.manifest(MANIFEST.id) is MANIFEST
    assert not backend.requests


def test_a_missing_file_is_asked_for_again(library: Library, backend: Counting) -> None:
    for read in (library.snapshot, library.transaction_log):
        for _ in range(2):
            with pytest.raises(StorageError) as caught:
                read(SnapshotId(bytes(12)))
            assert caught.value.kind == "object-not-found"
    library.write_snapshot(initial_snapshot(7))
    assert library.snapshot(INITIAL_SNAPSHOT).id == INITIAL_SNAPSHOT


def test_a_damaged_file_says_which_it_is(library: Library, backend: Counting) -> None:
    backend.put(f"manifests/{MANIFEST.id}", b"nonsense")
    with pytest.raises(FormatError, match=str(MANIFEST.id)):
        library.manifest(MANIFEST.id)


def test_ids_come_from_the_source_given(backend: Counting) -> None:
    numbers = count()
    library = Library(backend, spec=2, random_bytes=lambda n: bytes([next(numbers)]) * n)
    assert library.new_id(NodeId) == bytes(8)
    assert library.new_id(SnapshotId) == b"\1" * 12


def test_memory_is_that_of_the_columns() -> None:
    small, large = (
        Manifest(MANIFEST.id, {NODE: ChunkRefs.of(1, {(i,): InlineRef(b"x") for i in range(n)})})
        for n in (10, 10_000)
    )
    columns = large.arrays[NODE]
    assert large.nbytes > columns.index.nbytes + columns.object.nbytes
    assert large.nbytes > 100 * small.nbytes
    snapshot = initial_snapshot(7)
    node = Node(NODE, "/x", bytes(5_000), NodeKind.ARRAY)
    group = Node(NodeId(b"12345678"), "/", b"{}", NodeKind.GROUP)
    assert replace(snapshot, nodes=NodeTable.of([node])).nbytes > 5_000
    assert replace(snapshot, nodes=NodeTable.of([group])).nbytes < 2_000
    many = frozenset(NodeId(i.to_bytes(8, "big")) for i in range(1_000))
    assert TransactionLog(snapshot.id, new_arrays=many).nbytes > 8 * 1_000
    coords = np.zeros((1_000, 2), np.uint32)
    assert TransactionLog(snapshot.id, updated_chunks={NODE: coords}).nbytes > coords.nbytes
