"""Where the store does its work, and what it hands over, on a workspace that takes notes."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import cpu, default_buffer_prototype

from frazil.engine.reader import LATER, Later
from frazil.errors import (
    ErrorKind,
    IcechunkError,
    NodeNotFoundError,
    NotFoundError,
    ReadOnlyError,
)
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import NodeId
from frazil.store import IcechunkStore
from frazil.store.errors import KeyNotFoundError, ReadOnlyStoreError
from frazil.store.store import DIRECT_BYTES

PROTOTYPE = default_buffer_prototype()


class Notebook:
    """Stands in for a session and its workspace: /a and /b are arrays, each chunk its own name."""

    read_only = False
    snapshot_id = "S"
    branch = "main"
    reads_at_once = 33

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.notes: list[tuple[str, int]] = []
        self.batches: list[tuple[str, int]] = []

    @property
    def _workspace(self) -> Any:
        return self

    def node(self, path: str) -> Node | None:
        if path not in ("/a", "/b"):
            return None
        return Node(NodeId(bytes(8)), path, b"{}", NodeKind.ARRAY, ((100, 100),), None, ())

    def document(self, path: str) -> bytes | None:
        node = self.node(path)
        return None if node is None else node.user_data

    def _note(self, what: str) -> None:
        self.notes.append((what, threading.get_ident()))

    def get_chunk(self, node: Node, coords: tuple[int, ...], *bounds: int | None) -> bytes:
        self._note("get_chunk")
        return f"{node.path}{coords}".encode()[slice(*bounds[:2])]

    def get_chunk_now(
        self, node: Node, coords: tuple[int, ...], *bounds: int | None
    ) -> bytes | Later:
        return self.get_chunk(node, coords, *bounds) if self.quick else LATER

    def get_chunks(self, node: Node, coords: Sequence[tuple[int, ...]]) -> list[bytes]:
        self.batches.append((node.path, len(coords)))
        return [f"{node.path}{chunk}".encode() for chunk in coords]

    def chunk_size(self, node: Node, coords: tuple[int, ...]) -> int:
        self._note("chunk_size")
        return 3

    def set_chunk(self, path: str, coords: tuple[int, ...], data: memoryview) -> None:
        self._note("set_chunk")


def buffer(size: int) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(bytes(size))


@pytest.mark.parametrize("quick", [True, False])
async def test_only_quick_reads_hold_up_the_event_loop(quick: bool) -> None:
    notebook = Notebook(quick)
    store = IcechunkStore(notebook)
    await store.get("a/c/1", PROTOTYPE)
    assert await store.exists("a/c/1")
    assert await store.getsize("a/c/1") == 3
    assert [what for what, _ in notebook.notes] == ["get_chunk", "chunk_size", "chunk_size"]
    here = [ident == threading.get_ident() for _, ident in notebook.notes]
    assert here == [quick, False, False]


@pytest.mark.parametrize(("size", "here"), [(DIRECT_BYTES - 1, True), (DIRECT_BYTES, False)])
async def test_only_small_writes_hold_up_the_event_loop(size: int, here: bool) -> None:
    notebook = Notebook(quick=True)
    await IcechunkStore(notebook).set("a/c/1", buffer(size))
    ((what, ident),) = notebook.notes
    assert what == "set_chunk"
    assert (ident == threading.get_ident()) is here


def test_the_synchronous_methods_use_no_other_thread() -> None:
    notebook = Notebook(quick=False)
    store = IcechunkStore(notebook)
    store.set_sync("a/c/1", buffer(DIRECT_BYTES))
    assert store.get_sync("a/c/1") is not None
    assert {ident for _, ident in notebook.notes} == {threading.get_ident()}


async def test_many_chunks_are_asked_for_array_by_array() -> None:
    notebook = Notebook(quick=False)
    requests = [("a/c/1", None), ("b/c/2", None), ("n/c/1", None), ("a/c/3", None)]
    ranges = [("a/c/4", RangeByteRequest(0, 2)), ("a/zarr.json", None)]
    found = await IcechunkStore(notebook).get_partial_values(PROTOTYPE, [*requests, *ranges])
    assert [None if value is None else value.to_bytes() for value in found] == [
        b"/a(1,)",
        b"/b(2,)",
        None,
        b"/a(3,)",
        b"/a",
        b"{}",
    ]
    assert notebook.batches == [("/a", 2), ("/b", 1)]


def test_a_missing_key_is_an_error_of_every_kind_that_is_expected() -> None:
    error = KeyNotFoundError("no such node", ErrorKind.NODE_NOT_FOUND)
    for kind in (NodeNotFoundError, NotFoundError, IcechunkError, KeyError, FileNotFoundError):
        assert isinstance(error, kind)


def test_a_refused_write_is_an_error_of_every_kind_that_is_expected() -> None:
    error = ReadOnlyStoreError("read-only", ErrorKind.READ_ONLY_STORE)
    for kind in (ReadOnlyError, IcechunkError, ValueError):
        assert isinstance(error, kind)


@pytest.mark.parametrize("cls", [KeyNotFoundError, ReadOnlyStoreError])
def test_errors_say_what_happened_also_after_pickling(cls: type[IcechunkError]) -> None:
    error = cls("what happened", ErrorKind.UNKNOWN)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert type(each) is cls
        assert str(each) == each.message == "what happened"
        assert each.kind == ErrorKind.UNKNOWN
