"""Many chunks at once: as if each was written and read for itself, in fewer requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import frazil
from frazil.engine import packs
from frazil.engine.bulk_reads import part_of, read_all
from frazil.engine.workspace import Workspace
from frazil.errors import InvalidInputError, NodeNotFoundError, ReadOnlyError, StorageError
from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, VirtualRef
from frazil.format.columns import ByteColumn
from frazil.format.pack import footer_bytes
from frazil.ids import ChunkId, NodeId
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting, Wrapper
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around


class Far(Wrapper):
    """A storage that is reached over a network, as far as anybody can tell."""

    @property
    def local(self) -> bool:
        return False


def repository(backend: Backend) -> frazil.Repository:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=8)
    return frazil.Repository.create(storage_around(backend), config)


def grid(session: Any, shape: tuple[int, int] = (8, 8)) -> Workspace:
    zarr.create_array(session.store, name="a", shape=shape, chunks=(1, 1), dtype="u1")
    return session._workspace  # type: ignore[no-any-return]


def every(shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.argwhere(np.ones(shape, bool)).astype(np.uint32)


chunks = st.dictionaries(
    st.tuples(st.integers(0, 7), st.integers(0, 7)),
    st.none() | st.binary(min_size=1, max_size=30),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("far", [False, True])
@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.tuples(chunks, st.booleans(), st.booleans()), max_size=5))
def test_as_if_written_and_read_singly(far: bool, batches: list[Any]) -> None:
    backend = MemoryBackend()
    repo = repository(Far(backend) if far else backend)
    session = repo.writable_session("main")
    workspace = grid(session)
    expected: dict[tuple[int, int], bytes | None] = {}
    for batch, at_once, commit in batches:
        if at_once:
            data = ByteColumn.of(list(batch.values()))
            workspace.set_chunks("/a", np.array(list(batch), np.uint32), data)
        else:
            for coords, chunk in batch.items():
                if chunk is None:
                    workspace.delete_chunk("/a", coords)
                else:
                    workspace.set_chunk("/a", coords, chunk)
        expected |= batch
        if commit:
            session.commit("so far", allow_empty=True)
            session = repo.writable_session("main")
            workspace = session._workspace
        node = workspace.node("/a")
        assert node is not None
        found = workspace.get_chunks(node, list(map(tuple, every().tolist())))
        assert found == [expected.get(tuple(c)) for c in every().tolist()]  # type: ignore[call-overload]
        assert found == [workspace.get_chunk(node, tuple(c)) for c in every().tolist()]


def test_the_later_of_two_rows_counts() -> None:
    workspace = grid(repository(MemoryBackend()).writable_session("main"))
    index = np.array([[1, 1], [0, 0], [1, 1]], np.uint32)
    workspace.set_chunks("/a", index, ByteColumn.of([b"first", b"x", b"second"]))
    node = workspace.node("/a")
    assert node is not None
    assert workspace.get_chunks(node, [(1, 1), (0, 0), (9, 9), (1,)]) == [
        b"second",
        b"x",
        None,
        None,
    ]


def test_what_cannot_be_written() -> None:
    repo = repository(MemoryBackend())
    session = repo.writable_session("main")
    workspace = grid(session)
    two = np.array([[0, 0], [0, 9]], np.uint32)
    data = ByteColumn.of([b"a", b"b"])
    with pytest.raises(InvalidInputError, match=r"\(0, 9\) is outside of /a") as caught:
        workspace.set_chunks("/a", two, data)
    assert caught.value.kind == "invalid-chunk-index"
    with pytest.raises(InvalidInputError, match="no bytes") as caught:
        workspace.set_chunks("/a", two % 8, ByteColumn.of([b"a", b""]))
    assert caught.value.kind == "zero-length-chunk"
    with pytest.raises(NodeNotFoundError):
        workspace.set_chunks("/b", two, data)
    with pytest.raises(InvalidInputError, match="group"):
        workspace.set_chunks("/", two, data)
    session.commit("array")
    with pytest.raises(ReadOnlyError):
        workspace.set_chunks("/a", two % 8, data)


@pytest.mark.parametrize("far", [False, True])
def test_neighbours_are_written_and_read_with_few_requests(far: bool) -> None:
    backend = Counting(MemoryBackend())
    session = repository(Far(backend) if far else backend).writable_session("main")
    workspace = grid(session, (40, 50))
    data = ByteColumn.of([bytes([i % 251]) * 1000 for i in range(2000)])
    workspace.set_chunks("/a", every((40, 50)), data)
    session.commit("chunks")
    assert backend.requests["put", "chunks"] == 1
    backend.reset()
    node = workspace.node("/a")
    assert node is not None
    some = every((40, 50))[::3]
    found = workspace.get_chunks(node, list(map(tuple, some.tolist())))
    assert found == [data[i] for i in range(0, 2000, 3)]
    assert backend.requests["get", "chunks"] == (1 if far else 2)


def test_large_chunks_are_objects_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACKED_CHUNK_BYTES", 100)
    monkeypatch.setattr(packs, "PACK_BYTES", 300)
    backend = MemoryBackend()
    writer = packs.ChunkWriter(backend, ChunkId.random)
    rows = [bytes([i]) * (30 * (i % 6) + 1) for i in range(60)]
    places = writer.write_many(
        NodeId(bytes(8)), np.arange(60, dtype=np.uint32)[:, None], ByteColumn.of(rows)
    )
    writer.flush()
    for i, row in enumerate(rows):
        key = packs.chunk_key(places.object[i].tobytes())
        start, length = int(places.offset[i]), int(places.length[i])
        assert backend.get(key, start=start, end=start + length) == row
        if len(row) > 100:
            assert (start, footer_bytes(backend.get(key))) == (0, backend.info(key).size - len(row))
    objects = [backend.get(info.key) for info in backend.list("chunks")]
    sizes = [len(data) - footer_bytes(data) for data in objects]
    assert max(sizes) <= 300
    assert len(sizes) < 60


def test_a_damaged_reference_is_an_error() -> None:
    session = repository(MemoryBackend()).writable_session("main")
    workspace = grid(session)
    workspace.set_chunk("/a", (0, 0), bytes(100))
    node = workspace.node("/a")
    assert node is not None
    ref = workspace.locate(node, (0, 0))
    assert isinstance(ref, NativeRef)
    assert workspace.writer is not None
    workspace.writer.flush()
    for offset, length in [(290, 20), (2**64 - 10, 20), (0, 2**63)]:
        broken = ChunkRefs.of(2, {(1, 1): NativeRef(ref.object, offset, length)})
        workspace.edit_chunks(node, broken)
        with pytest.raises(StorageError) as caught:
            workspace.get_chunks(node, [(0, 0), (1, 1)])
        assert caught.value.kind == "invalid-object-size"


def test_parts_of_chunks() -> None:
    refs = ChunkRefs.of(
        1,
        {
            (0,): InlineRef(b"0123456789"),
            (1,): NativeRef(ChunkId(bytes(12)), 1000, 50),
            (2,): VirtualRef("s3://b/k", 70, 20, "tag"),
        },
    )
    rows = np.array([0, 1, 2, 0])
    parts = part_of(refs, rows, np.array([2, 10, 5, 0], "u8"), np.array([3, 7, 15, 1], "u8"))
    assert [parts.row(i) for i in range(4)] == [
        InlineRef(b"234"),
        NativeRef(ChunkId(bytes(12)), 1010, 7),
        VirtualRef("s3://b/k", 75, 15, "tag"),
        InlineRef(b"0"),
    ]


def test_a_plan_tells_what_is_quick() -> None:
    for backend, quick in [(MemoryBackend(), True), (Far(MemoryBackend()), False)]:
        session = repository(backend).writable_session("main")
        workspace = grid(session)
        node = workspace.node("/a")
        assert node is not None
        assert workspace.plan_reads(node, every()).fetches == []
        workspace.set_chunks("/a", every(), ByteColumn.of([b"12345"] * 64))
        inline = workspace.plan_reads(node, every())
        assert inline.quick
        assert [len(rows) for rows, _ in read_all(inline)] == [64]
        workspace.set_chunks("/a", every(), ByteColumn.of([bytes(20)] * 64))
        assert workspace.plan_reads(node, every()).quick is quick
