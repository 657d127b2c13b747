"""Writing chunks: packed, in the background, by many threads, with a storage that fails."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from frazil.engine import packs
from frazil.engine.packs import ChunkWriter, chunk_key
from frazil.errors import StorageError
from frazil.format.chunk_refs import NativeRef
from frazil.format.columns import ByteColumn
from frazil.format.pack import checksum, decode_footer, footer_bytes
from frazil.ids import ChunkId, NodeId
from frazil.storage import pool
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting, Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend

NODE = NodeId(bytes(range(8)))
FOOTER = 108
"""Bytes that tell of one chunk of an array of rank 1."""
LARGE = packs.PACKED_CHUNK_BYTES + 1


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 100)


def writer(backend: Backend) -> ChunkWriter:
    return ChunkWriter(backend, ChunkId.random)


def stored(backend: Backend, ref: NativeRef) -> bytes:
    return backend.get(chunk_key(ref.object), start=ref.offset, end=ref.offset + ref.length)


def test_small_chunks_share_an_object() -> None:
    backend = Counting(MemoryBackend())
    chunks = writer(backend)
    values = [bytes([i]) * (i + 1) for i in range(50)]
    refs = [chunks.write(NODE, (0,), value) for value in values]
    assert len({ref.object for ref in refs}) == 1
    assert not backend.requests
    assert [chunks.pending(ref) for ref in refs] == values
    chunks.flush()
    assert backend.requests == {("put", "chunks"): 1}
    assert [chunks.pending(ref) for ref in refs] == [None] * 50
    assert [stored(backend, ref) for ref in refs] == values


def test_a_large_chunk_is_stored_alone_and_at_once() -> None:
    backend = MemoryBackend()
    chunks = writer(backend)
    small = chunks.write(NODE, (0,), b"small")
    large = chunks.write(NODE, (0,), memoryview(bytes(LARGE)))
    assert large.object != small.object
    assert (large.offset, large.length) == (0, LARGE)
    assert chunks.pending(large) is None
    assert stored(backend, large) == bytes(LARGE)


def test_without_chunks_a_flush_stores_nothing() -> None:
    backend = Counting(MemoryBackend())
    chunks = writer(backend)
    chunks.flush()
    chunks.write(NODE, (0,), b"x")
    chunks.flush()
    chunks.flush()
    assert backend.requests == {("put", "chunks"): 1}


@pytest.mark.usefixtures("small_packs")
def test_nothing_is_lost_between_threads() -> None:
    backend = MemoryBackend()
    chunks = writer(backend)

    def write(thread: int) -> list[tuple[NativeRef, bytes]]:
        values = [f"{thread}-{i}".encode() * 3 for i in range(200)]
        written = []
        for value in values:
            ref = chunks.write(NODE, (0,), value)
            # Readable at once, wherever it is by now.
            assert (chunks.pending(ref) or stored(backend, ref)) == value
            written.append((ref, value))
        return written

    with ThreadPoolExecutor(8) as threads:
        written = [item for part in threads.map(write, range(8)) for item in part]
    chunks.flush()
    assert all(stored(backend, ref) == value for ref, value in written)
    places = sorted((ref.object, ref.offset, ref.length) for ref, _ in written)
    assert all(a[0] != b[0] or a[1] + a[2] <= b[1] for a, b in itertools.pairwise(places))


@pytest.mark.usefixtures("small_packs")
def test_nothing_is_lost_from_the_threads_of_the_pool_itself() -> None:
    backend = MemoryBackend()
    chunks = writer(backend)

    def write(i: int) -> NativeRef:
        return chunks.write(NODE, (0,), b"%05d" % i * 10)

    refs = pool.map_parallel(write, range(500))
    chunks.flush()
    assert [stored(backend, ref) for ref in refs] == [b"%05d" % i * 10 for i in range(500)]


class Blocked(Wrapper):
    """Puts of chunks wait until they may go on."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.begun = 0
        self.may_go_on = threading.Event()

    def put(self, key, data, *, mode=packs, content_type=None):  # type: ignore[no-untyped-def]
        self.begun += 1
        self.may_go_on.wait()
        return self.inner.put(key, data)


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    backend = Blocked(MemoryBackend())
    yield backend
    backend.may_go_on.set()


@pytest.mark.usefixtures("small_packs")
def test_writers_wait_while_too_many_bytes_are_under_way(
    blocked: Blocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "MAX_BYTES_IN_FLIGHT", 4 * (100 + FOOTER))
    chunks = writer(blocked)
    refs = [chunks.write(NODE, (0,), bytes([i]) * 100) for i in range(4)]
    one_more = threading.Thread(target=lambda: refs.append(chunks.write(NODE, (0,), b"x" * 100)))
    one_more.start()
    while blocked.begun < 4 or len(chunks._stored) < 5:
        pass
    assert one_more.is_alive()
    # Meanwhile all of them can be read, and small chunks taken.
    assert [chunks.pending(ref) for ref in refs] == [bytes([i]) * 100 for i in range(4)]
    assert chunks.pending(chunks.write(NODE, (0,), b"small")) == b"small"
    blocked.may_go_on.set()
    one_more.join()
    chunks.flush()
    assert [stored(blocked, ref) for ref in refs] == [bytes([i]) * 100 for i in range(4)] + [
        b"x" * 100
    ]


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("fault", list(Fault))
def test_a_pack_that_could_not_be_stored_is_tried_again_later(fault: Fault) -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: fault)
    chunks = writer(backend)
    refs = [chunks.write(NODE, (0,), b"a" * 60), chunks.write(NODE, (0,), b"b" * 60)]
    for _ in range(2):
        with pytest.raises(StorageError, match="as planned"):
            chunks.flush()
        assert [chunks.pending(ref) for ref in refs] == [b"a" * 60, b"b" * 60]
    backend.plan = lambda operation, key: None
    chunks.flush()
    assert [stored(backend, ref) for ref in refs] == [b"a" * 60, b"b" * 60]
    assert chunks.pending(refs[0]) is None


@pytest.mark.usefixtures("small_packs")
def test_a_failure_in_the_background_is_made_good() -> None:
    failures = [Fault.REFUSED]
    backend = Faulty(MemoryBackend(), lambda operation, key: failures.pop() if failures else None)
    chunks = writer(backend)
    ref = chunks.write(NODE, (0,), b"a" * 100)
    ((_, failed, _),) = chunks._stored.values()
    assert failed.exception() is not None
    chunks.flush()
    assert stored(backend, ref) == b"a" * 100


@pytest.mark.usefixtures("small_packs")
def test_chunks_are_stored_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = ThreadPoolExecutor(1)
    ended.shutdown()
    monkeypatch.setattr("frazil.storage.pool.io_pool", lambda: ended)
    backend = MemoryBackend()
    chunks = writer(backend)
    refs = [chunks.write(NODE, (0,), bytes([i]) * 100) for i in range(9)]
    chunks.flush()
    assert [stored(backend, ref) for ref in refs] == [bytes([i]) * 100 for i in range(9)]


def test_a_large_chunk_that_could_not_be_stored_has_no_reference() -> None:
    chunks = writer(Faulty(MemoryBackend(), lambda operation, key: Fault.REFUSED))
    with pytest.raises(StorageError, match="as planned"):
        chunks.write(NODE, (0,), bytes(LARGE))
    chunks.flush()


@pytest.mark.usefixtures("small_packs")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_stores_what_its_parent_was_storing(blocked: Blocked) -> None:
    chunks = writer(blocked)
    ref = chunks.write(NODE, (0,), b"a" * 100)
    while not blocked.begun:
        pass
    child = os.fork()
    if child == 0:
        blocked.may_go_on.set()
        chunks.flush()
        os._exit(0 if stored(blocked, ref) == b"a" * 100 else 1)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 0


def test_objects_say_what_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 2000)
    monkeypatch.setattr(packs, "PACKED_CHUNK_BYTES", 500)
    monkeypatch.setattr(packs, "PACK_CHUNKS", 30)
    backend = MemoryBackend()
    chunks = writer(backend)
    other = NodeId(bytes(8))
    expected = {}
    for i in range(100):
        expected[(NODE, (i,))] = (
            bytes([i]) * (1 + i * 7),
            chunks.write(NODE, (i,), bytes([i]) * (1 + i * 7)),
        )
    index = np.array([(i, j, 7) for i in range(9) for j in range(9)], np.uint32)
    rows = [bytes([i]) * (1 + i * 9) for i in range(len(index))]
    places = chunks.write_many(other, index, ByteColumn.of(rows))
    for i, row in enumerate(rows):
        ref = NativeRef(
            ChunkId(places.object[i].tobytes()),
            int(places.offset[i]),
            int(places.length[i]),
            int(places.checksum[i]),
        )
        expected[(other, tuple(index[i].tolist()))] = row, ref
    chunks.flush()
    found = {}
    for info in backend.list("chunks"):
        data = backend.get(info.key)
        packed = decode_footer(data[-footer_bytes(data) :], size=info.size, where=info.key)
        first = 0
        for i, rank in enumerate(packed.rank.tolist()):
            coords = tuple(packed.coords[first : first + rank].tolist())
            first += rank
            at, length = int(packed.offset[i]), int(packed.length[i])
            ref = NativeRef(ChunkId.parse(info.key[7:]), at, length, int(packed.checksum[i]))
            found[(NodeId(packed.node[i].tobytes()), coords)] = data[at : at + length], ref
    assert found == expected
    for place, (row, ref) in expected.items():
        assert ref.checksum == found[place][1].checksum == checksum(row)
