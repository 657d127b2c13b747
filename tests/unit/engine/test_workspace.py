"""One workspace and several threads: no write is lost without an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from frazil.engine.workspace import Workspace
from frazil.errors import InvalidInputError, NodeNotFoundError, ReadOnlyError, StorageError
from frazil.format.snapshot import NodeTable, initial_snapshot
from frazil.library.files import Library
from frazil.storage.base import Backend
from frazil.storage.doubles import Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend

LARGE = bytes(2 * 1024 * 1024)  # not packed: stored by the writing thread itself


def document(length: int) -> bytes:
    grid = {"name": "regular", "configuration": {"chunk_shape": [1]}}
    return json.dumps({"node_type": "array", "shape": [length], "chunk_grid": grid}).encode()


def workspace(backend: Backend | None = None) -> Workspace:
    library = Library(backend or MemoryBackend(), spec=2)
    result = Workspace(library, initial_snapshot(0), inline_bytes=8)
    result.set_metadata("/a", document(100))
    return result


def read(space: Workspace, i: int) -> bytes | None:
    node = space.node("/a")
    assert node is not None
    return space.get_chunk(node, (i,))


class Interrupted(Wrapper):
    """Does something else in the middle of the next put of a chunk."""

    meanwhile: Callable[[], object] | None = None

    def put(self, key, data, *, mode=None, content_type=None):  # type: ignore[no-untyped-def]
        version = self.inner.put(key, data)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            # In another thread, as the lock may be taken again by this one.
            thread = threading.Thread(target=meanwhile)
            thread.start()
            thread.join()
        return version


def test_a_write_that_a_commit_overtakes_fails() -> None:
    backend = Interrupted(MemoryBackend())
    space = workspace(backend)
    backend.meanwhile = lambda: space.freeze(space.base)
    with pytest.raises(ReadOnlyError) as caught:
        space.set_chunk("/a", (0,), LARGE)
    assert caught.value.kind == "read-only-store"
    assert space.changes.is_empty()


def test_a_write_that_a_discard_overtakes_is_made_again() -> None:
    backend = Interrupted(MemoryBackend())
    space = workspace(backend)

    def begin_anew() -> None:
        space.discard_changes()
        space.set_metadata("/a", document(50))

    backend.meanwhile = begin_anew
    space.set_chunk("/a", (0,), LARGE)
    assert read(space, 0) == LARGE


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda space: space.delete_node("/a"), NodeNotFoundError),
        (lambda space: space.set_metadata("/a", document(5)), InvalidInputError),
        (lambda space: space.discard_changes(), NodeNotFoundError),
    ],
    ids=["deleted", "cut", "discarded"],
)
def test_a_write_to_an_array_that_goes_meanwhile_fails(
    change: Callable[[Workspace], None], error: type[Exception]
) -> None:
    backend = Interrupted(MemoryBackend())
    space = workspace(backend)
    backend.meanwhile = lambda: change(space)
    with pytest.raises(error):
        space.set_chunk("/a", (50,), LARGE)
    assert not list(space.changes.edited_arrays())


def test_chunks_packed_before_a_discard_are_gone_and_later_ones_are_not() -> None:
    space = workspace()
    space.set_chunk("/a", (0,), bytes(100))
    space.discard_changes()
    assert space.node("/a") is None
    space.set_metadata("/a", document(100))
    assert read(space, 0) is None
    space.set_chunk("/a", (1,), bytes(100))
    assert space.writer is not None
    space.writer.flush()
    assert read(space, 1) == bytes(100)


def test_threads_write_and_read_at_once() -> None:
    space = workspace()

    def work(thread: int) -> None:
        for i in range(thread, 100, 4):
            space.set_chunk("/a", (i,), bytes([i]) * (i + 1))
            assert read(space, i) == bytes([i]) * (i + 1)
            space.set_metadata(f"/g{i}", b'{"node_type": "group"}')
            assert f"g{i}" in space.children("/")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    node = space.node("/a")
    assert node is not None
    found = space.get_chunks(node, [(i,) for i in range(100)])
    assert found == [bytes([i]) * (i + 1) for i in range(100)]
    assert sorted(c for batch in space.chunk_batches(node) for c in batch[:, 0]) == list(range(100))
    assert len(space.children("/")) == 101


def test_a_chunk_that_cannot_be_stored_is_not_recorded() -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: Fault.REFUSED)
    space = workspace(backend)
    with pytest.raises(StorageError):
        space.set_chunk("/a", (0,), LARGE)
    assert read(space, 0) is None


def test_a_read_only_workspace_discards_nothing() -> None:
    space = workspace()
    space.freeze(space.base)
    with pytest.raises(ReadOnlyError) as caught:
        space.discard_changes()
    assert caught.value.kind == "read-only-session"


def test_the_children_of_a_node_are_those_it_has_now() -> None:
    group = b'{"node_type": "group"}'
    space = workspace()
    for path in ("/", "/g", "/g/x", "/g/y", "/h"):
        space.set_metadata(path, group)
    table = NodeTable.of(space.changes.created.values())
    stored = Workspace(space.library, replace(initial_snapshot(0), nodes=table), inline_bytes=8)
    assert stored.children("/") == ["a", "g", "h"]
    stored.delete_node("/g/x")
    stored.delete_node("/h")
    stored.set_metadata("/g/z", group)
    stored.set_metadata("/i", group)
    assert stored.children("/") == ["a", "g", "i"]
    assert stored.children("/g") == ["y", "z"]
    stored.set_metadata("/h", group)
    assert stored.children("/") == ["a", "g", "h", "i"]
    stored.clear()
    assert stored.children("/") == stored.children("/g") == []
    assert [node.path for node in stored.nodes_under("/")] == []
