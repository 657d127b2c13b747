"""Groups and arrays in large, deep and oddly named trees, made in turns."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import cpu
from zarr.core.sync import sync

from tests.interop.libraries import FRAZIL, REAL, SPECS, Library, both_orders, every_spec
from tests.interop.place import Place
from tests.interop.view import tree
from tests.scenario.trees import array, group

# In the order of their bytes, in which `/` comes after a space, `!`, `-` and `.`.
NAMES = ["A", "a", "a b", "a!", "a-b", "a.b", "a0", "c", "z", "é", "Ünïcode", "温度", "\U0001f9ca"]


def put(store: Any, items: dict[str, bytes]) -> None:
    """Set keys of a store: documents first, for chunks need their arrays."""

    async def put_all() -> None:
        documents = {key for key in items if key.endswith("zarr.json")}
        for keys in (documents, items.keys() - documents):
            await asyncio.gather(*(store.set(k, cpu.Buffer.from_bytes(items[k])) for k in keys))

    sync(put_all())


def commit(repo: Any, message: str, items: dict[str, bytes]) -> str:
    session = repo.writable_session("main")
    put(session.store, items)
    return session.commit(message)


@every_spec
@both_orders
def test_names_of_all_sorts(place: Place, spec: int, first: Library, second: Library) -> None:
    session = place.create(first, spec).writable_session("main")
    root = zarr.create_group(session.store, attributes={"title": "names"})
    for name in NAMES:
        root.create_group(f"groups/{name}/{name}", attributes={"name": name})
        root.create_array(f"arrays/{name}", data=np.arange(5), chunks=2)
    session.commit("names")

    session = place.open(second).writable_session("main")
    root = zarr.open_group(session.store)
    for name in NAMES:
        assert root[f"groups/{name}/{name}"].attrs["name"] == name
        assert set(root[f"groups/{name}"]) == {name}
        root[f"arrays/{name}"][1:3] = 7
        root.create_group(f"groups/{name}/{name}/below")
    for name in NAMES[::2]:
        del root[f"groups/{name}"]
    session.commit("half of the groups")

    root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
    assert set(root["groups"]) == set(NAMES[1::2])
    for name in NAMES:
        np.testing.assert_array_equal(root[f"arrays/{name}"][...], [0, 7, 7, 3, 4])
    place.check()


@every_spec
@both_orders
def test_a_deep_tree(place: Place, spec: int, first: Library, second: Library) -> None:
    paths = ["/".join(f"level-{i}" for i in range(depth)) for depth in range(1, 81)]
    documents = {f"{path}/zarr.json": group(depth=i) for i, path in enumerate(paths)}
    commit(place.create(first, spec), "deep", {"zarr.json": group(), **documents})
    deepest = f"{paths[-1]}/array"
    items = {f"{deepest}/zarr.json": array([2, 2]), f"{deepest}/c/1/0": b"\x2a"}
    commit(place.open(second), "deeper", items)
    root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root[deepest][...], [[0, 0], [42, 0]])
    assert root[paths[40]].attrs["depth"] == 40
    place.check()


@both_orders
def test_two_thousand_nodes(place: Place, first: Library, second: Library) -> None:
    items = {"zarr.json": group()}
    for i in range(40):
        items[f"group-{i:02}/zarr.json"] = group(i=i)
        for j in range(49):
            items[f"group-{i:02}/{j}/zarr.json"] = array([4]) if j == 7 else group()
        items[f"group-{i:02}/7/c/2"] = bytes([i])
    commit(place.create(first, SPECS[-1]), "many", items)

    session = place.open(second).writable_session("main")
    root = zarr.open_group(session.store)
    assert len(root) == 40
    assert set(root["group-17"]) == {str(j) for j in range(49)}
    np.testing.assert_array_equal(root["group-17/7"][...], [0, 0, 17, 0])
    del root["group-03"]
    root["group-39/7"][...] = 9
    root["group-00"].attrs["i"] = -1
    root.create_group("group-20/another")
    session.commit("fewer")

    root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
    assert len(root) == 39
    assert root["group-00"].attrs["i"] == -1
    assert "another" in root["group-20"]
    np.testing.assert_array_equal(root["group-39/7"][...], 9)
    place.check()


@every_spec
@both_orders
def test_nodes_without_parents_or_root(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    commit(place.create(first, spec), "orphan", {"x/y/zarr.json": group(x=1)})
    items = {"x/y/z/zarr.json": array([2]), "x/y/z/c/0": b"a"}
    commit(place.open(second), "below", items)
    commit(place.open(first), "below an array", {"x/y/z/w/zarr.json": group()})
    commit(place.open(second), "root", {"zarr.json": array([3]), "c/2": b"z"})
    place.check()


@every_spec
@both_orders
def test_clearing_and_beginning_again(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    commit(
        place.create(first, spec),
        "all",
        {"zarr.json": group(), "a/zarr.json": array([2]), "a/c/0": b"1"},
    )
    session = place.open(second).writable_session("main")
    sync(session.store.clear())
    session.commit("nothing")
    assert tree(place.open(first).readonly_session("main")) == {}
    commit(place.open(first), "again", {"a/zarr.json": array([2]), "a/c/1": b"2"})
    place.check()


@pytest.mark.parametrize("writer", [REAL, FRAZIL], ids=repr)
@every_spec
def test_documents_keep_every_byte(place: Place, spec: int, writer: Library) -> None:
    """Unknown members, spaces, escapes and the order of members are the user's own."""
    document = (
        b' {"node_type" : "group",\n "zarr_format":3, "attributes":{"\\u00e9":1e400,"z":1,"a":-0.0,'
        b'"big":123456789012345678901234567890},"consolidated_metadata":null,"x-own":[ ] }\t'
    )
    commit(place.create(writer, spec), "bytes", {"g/zarr.json": document})
    for library in (REAL, FRAZIL):
        store = place.open(library).readonly_session("main").store
        value = sync(store.get("g/zarr.json", cpu.buffer_prototype))
        assert value is not None
        assert value.to_bytes() == document
    place.check()
