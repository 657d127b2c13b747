"""Commits, branches, tags and their history, made in turns."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import (
    FRAZIL,
    REAL,
    Library,
    both_orders,
    every_spec,
    needs_spec_2,
    on_every_store,
)
from tests.interop.place import Place
from tests.interop.view import history, plain_diff, tree

JSON_VALUES = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "small": [1, 127, 128, 255, 256, 65535, 65536, -1, -128, -129, -32768, -32769],
    "large": [2**31, 2**32, 2**53 + 1, 2**63 - 1, -(2**31), -(2**63), 2**64 - 1],
    "floats": [0.1, 1.5, -0.0, 1e308, 5e-324, 2.0],
    "mixed numbers": [1, 2.5, -3],
    "text": ["", "a", "é", "温度", "\U0001f9ca", 'quote " \\ / \n', "x" * 5000],
    "empty": [[], {}, ""],
    "two": [1, 2],
    "three": [1.5, 2.5, 0.1],
    "four": [-1, 2, -3, 4],
    "five": [1, 2, 3, 4, 5],
    "flags": [True, False, True],
    "mixed": [1, "a", None, True, 2.5, [], {}],
    "nested": {"a": {"b": {"c": [{"d": [[1], [2, [3]]]}]}}},
    "keys": {"": 1, "Z": 2, "a": 3, "a b": 4, "é": 5, "北": 6, "a.b": 7, "ab": 8, "aa": 9},
    "long list": list(range(300)),
    "many keys": {f"key {i}": i * i for i in range(300)},
}


def edit(repo: Any, name: str, branch: str = "main", **commit: Any) -> str:
    """Commit one more array."""
    session = repo.writable_session(branch)
    zarr.create_array(session.store, name=name, data=np.arange(12), chunks=5)
    return session.commit(f"add {name}", **commit)


def kind_of(error: BaseException) -> str:
    return str(getattr(error, "kind", ""))


@every_spec
@both_orders
def test_commit_metadata_of_every_json_type(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    for i, library in enumerate((first, second)):
        repo = place.open(library) if i else place.create(library, spec)
        repo.set_default_commit_metadata({"author": library.name, "null": "overlaid"})
        edit(repo, f"a{i}", metadata=JSON_VALUES)
    for library in (REAL, FRAZIL):
        infos = list(place.open(library).ancestry(branch="main"))
        assert [info.metadata for info in infos[:-1]] == [
            {"author": second.name} | JSON_VALUES,
            {"author": first.name} | JSON_VALUES,
        ]
    place.check()


@every_spec
@both_orders
def test_messages(place: Place, spec: int, first: Library, second: Library) -> None:
    place.create(first, spec)
    messages = ["", "two\nlines", "温度 \U0001f9ca", "x" * 20_000]
    for message in messages:
        for library in (first, second):
            session = place.open(library).writable_session("main")
            zarr.create_group(session.store, path=f"{len(message)} {library}")
            session.commit(message)
    found = [info.message for info in place.open(first).ancestry(branch="main")]
    assert found[-2::-2] == found[-3::-2] == messages
    place.check()


@on_every_store
@every_spec
@both_orders
def test_branches_and_tags(place: Place, spec: int, first: Library, second: Library) -> None:
    one = edit(place.create(first, spec), "one")
    two = edit(place.open(second), "two")
    here, there = place.open(first), place.open(second)
    here.create_branch("side-branch_1.x", one)
    there.create_branch("other", two)
    here.create_tag("v1.0", one)
    there.create_tag("v2.0-b", two)
    there.create_tag("gone", one)
    here.create_tag("gone too", two)
    here.delete_tag("gone")
    there.delete_tag("gone too")
    edit(there, "on the side", "side-branch_1.x")
    edit(here, "on the side too", "side-branch_1.x")
    edit(here, "three", "other")
    there.reset_branch("other", one)
    edit(there, "not three", "other")
    here.create_branch("short", two)
    there.delete_branch("short")
    for repo in (here, there):
        assert repo.list_tags() == {"v1.0", "v2.0-b"}
        assert repo.list_branches() == {"main", "side-branch_1.x", "other"}
        assert repo.lookup_tag("v2.0-b") == two
    for library in (first, second):
        repo = place.open(library)
        for burnt in ("gone", "gone too", "v1.0"):
            with pytest.raises(library.module.IcechunkError):
                repo.create_tag(burnt, two)
        with pytest.raises(library.module.IcechunkError):
            repo.lookup_branch("short")
    place.check()


@needs_spec_2
@both_orders
@pytest.mark.parametrize("spec", [1, 2])
def test_refused_names_are_refused_alike(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    tip = edit(place.create(first, spec), "one")
    place.open(second).create_tag("gone", tip)
    place.open(first).delete_tag("gone")
    place.open(second).create_branch("there", tip)
    unknown = "0" * 20
    actions = {
        "branch again": lambda repo: repo.create_branch("there", tip),
        "branch of nothing": lambda repo: repo.create_branch("new", unknown),
        "tag of nothing": lambda repo: repo.create_tag("new", unknown),
        "no id": lambda repo: repo.create_tag("new", "main"),
        "deleted tag": lambda repo: repo.create_tag("gone", tip),
        "tag twice": lambda repo: repo.delete_tag("gone"),
        "no branch": lambda repo: repo.delete_branch("nowhere"),
        "main": lambda repo: repo.delete_branch("main"),
        "no tag": lambda repo: repo.lookup_tag("gone"),
        "no such branch": lambda repo: repo.readonly_session("nowhere"),
        "no such snapshot": lambda repo: repo.readonly_session(snapshot_id=unknown),
        "nothing to write to": lambda repo: repo.writable_session("nowhere"),
        "not the tip": lambda repo: repo.reset_branch(
            "there", tip, from_snapshot_id="1CECHNKREP0F1RSTCMT0"
        ),
        "slash": lambda repo: repo.create_tag("a/b", unknown),
    }
    for name, act in actions.items():
        raised = []
        for library in (first, second):
            with pytest.raises(library.module.IcechunkError) as caught:
                act(place.open(library))
            raised.append((type(caught.value).__name__, kind_of(caught.value)))
        assert raised[0] == raised[1], name
    place.check()


ODD_NAMES = ["a b", "é", "温度", "x%20y", "p+q", "a:b", "a~b", "a{b}", "a#b?c", "*", "a\\b", "A"]


@on_every_store
@both_orders
def test_odd_names_in_spec_1(place: Place, first: Library, second: Library) -> None:
    """They are parts of file names there, and both write them the same way."""
    one = edit(place.create(first, 1), "one")
    # Icechunk 1.1 takes a backslash for a slash on S3, and does not find the name again.
    names = [name for name in ODD_NAMES if "\\" not in name or REAL.specs != [1]]
    for name in names:
        place.open(first).create_tag(name, one)
        place.open(first).create_branch(name, one)
        there = place.open(second)
        assert there.lookup_tag(name) == one
        two = edit(there, "two", name)
        assert place.open(first).lookup_branch(name) == two
        there.delete_tag(name)
        with pytest.raises(first.module.IcechunkError):
            place.open(first).lookup_tag(name)
        for library in (first, second):
            repo = place.open(library)
            assert next(iter(repo.ancestry(branch=name))).id == two
            assert len(tree(repo.readonly_session(name))) == 9
    # The real library lists the names of files, which it then does not find.
    assert place.open(FRAZIL).list_branches() == {*names, "main"}


@needs_spec_2
@both_orders
def test_any_name_is_a_branch_and_a_tag_in_spec_2(
    place: Place, first: Library, second: Library
) -> None:
    tip = edit(place.create(first, 2), "one")
    for name in ["a/b", "..", "", "a\0b", "refs/branch.x", "é" * 200, *ODD_NAMES]:
        place.open(second).create_tag(name, tip)
        place.open(first).create_branch(name, tip)
        edit(place.open(second), "two", name)
        edit(place.open(first), "three", name)
        assert place.open(second).lookup_tag(name) == tip
    place.check()


@needs_spec_2
@both_orders
def test_amended_and_detached_snapshots(place: Place, first: Library, second: Library) -> None:
    edit(place.create(first, 2), "one")

    def change(library: Library, name: str) -> Any:
        session = place.open(library).writable_session("main")
        zarr.create_array(session.store, name=name, data=np.arange(9), chunks=2)
        zarr.open_group(session.store)["one"][...] = len(name)
        return session

    replaced = [edit(place.open(second), "two")]
    replaced.append(change(first, "three").amend("two and three", metadata={"n": 2}))
    amended = change(second, "four").amend("two, three and four")
    detached = [change(library, f"loose-{library}").flush("loose") for library in (first, second)]
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        messages = [info.message for info in repo.ancestry(branch="main")]
        assert messages == ["two, three and four", "add one", "Repository initialized"]
        diff = repo.diff(from_tag=None, from_snapshot_id=_root(repo), to_branch="main")
        assert plain_diff(diff)["new_arrays"] == ["/four", "/one", "/three", "/two"]
        for id_ in detached:
            assert repo.lookup_snapshot(id_).parent_id == amended
            session = repo.readonly_session(snapshot_id=id_)
            assert len(zarr.open_group(session.store, mode="r")) == 5
        for id_ in replaced:
            assert repo.lookup_snapshot(id_).id == id_
    place.open(first).create_branch("found", detached[1])
    edit(place.open(second), "five", "found")
    place.check()


def _root(repo: Any) -> str:
    return next(id_ for id_, info in history(repo).items() if info.parent_id is None)


@needs_spec_2
@both_orders
@pytest.mark.parametrize("spec", [1, 2])
def test_empty_commits(place: Place, spec: int, first: Library, second: Library) -> None:
    place.create(first, spec).writable_session("main").commit("none", allow_empty=True)
    place.open(second).writable_session("main").commit("none either", allow_empty=True)
    edit(place.open(first), "one")
    place.check()


@every_spec
@both_orders
def test_open_repositories_see_each_other(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    """Repository objects that stay open follow what the other library does."""
    here = place.create(first, spec)
    there = place.open(second)
    for i in range(6):
        writer, reader = (here, there) if i % 2 else (there, here)
        before = reader.lookup_branch("main")
        tip = edit(writer, f"a{i}")
        assert reader.lookup_branch("main") == tip
        assert len(zarr.open_group(reader.readonly_session("main").store, mode="r")) == i + 1
        assert reader.lookup_snapshot(tip).parent_id == before
        reader.create_tag(f"t{i}", tip)
        assert writer.lookup_tag(f"t{i}") == tip
    place.check()


@every_spec
@both_orders
def test_as_of_finds_the_same_snapshot(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    place.create(first, spec)
    ids = [edit(place.open((first, second)[i % 2]), f"a{i}") for i in range(4)]
    times = {info.id: info.written_at for info in place.open(REAL).ancestry(branch="main")}
    step = timedelta(microseconds=1)
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        for i, id_ in enumerate(ids):
            assert repo.readonly_session("main", as_of=times[id_]).snapshot_id == id_
            earlier = repo.readonly_session("main", as_of=times[id_] - step).snapshot_id
            assert earlier == (ids[i - 1] if i else _root(repo))
    place.check()
