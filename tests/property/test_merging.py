"""Three-way merges against a model: a dictionary of nodes, each merged on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frazil
from frazil import RebaseFailedError, Repository
from frazil.session import Session
from tests.scenario.trees import array, content, erase, group, put

ARRAYS, GROUPS = ("a",), ("g",)


@dataclass
class Model:
    """A node: its creation, kind, attributes, and chunks."""

    born: object
    is_array: bool
    attributes: dict[str, int] = field(default_factory=dict)
    chunks: dict[int, bytes] = field(default_factory=dict)

    def same(self, other: Model) -> bool:
        return (self.attributes, self.chunks) == (other.attributes, other.chunks)


Tree = dict[str, Model]
CONFLICT = object()

steps = st.one_of(
    st.tuples(
        st.just("attribute"),
        st.sampled_from(ARRAYS + GROUPS),
        st.sampled_from("xyz"),
        st.integers(0, 2),
    ),
    st.tuples(
        st.just("chunk"),
        st.sampled_from(ARRAYS),
        st.integers(0, 3),
        st.sampled_from([None, b"1", b"2"]),
    ),
    st.tuples(st.just("delete"), st.sampled_from(ARRAYS + GROUPS)),
    st.tuples(st.just("create"), st.sampled_from((*ARRAYS, *GROUPS, "n")), st.booleans()),
)


def document(node: Model) -> bytes:
    return array([4], **node.attributes) if node.is_array else group(**node.attributes)


def do(session: Session, tree: Tree, step: Any) -> None:
    """One step in the session and in the model, unless there is no such node."""
    kind, path, *rest = step
    node = tree.get(path)
    if kind == "create":
        if node is None:
            tree[path] = node = Model(object(), path in ARRAYS or (path == "n" and rest[0]))
            put(session, path, document(node))
    elif node is not None:
        if kind == "delete":
            del tree[path]
            erase(session, path)
        elif kind == "attribute":
            node.attributes[rest[0]] = rest[1]
            put(session, path, document(node))
        elif rest[1] is None:
            node.chunks.pop(rest[0], None)
            erase(session, f"{path}/c/{rest[0]}")
        else:
            node.chunks[rest[0]] = rest[1]
            put(session, f"{path}/c/{rest[0]}", rest[1])


def by_key(base: Mapping[Any, Any], ours: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> Any:
    merged = {}
    for key in base.keys() | ours.keys() | theirs.keys():
        before, mine, other = (values.get(key) for values in (base, ours, theirs))
        if mine not in (before, other) and other != before:
            return CONFLICT
        merged[key] = mine if other == before else other
    return {key: value for key, value in merged.items() if value is not None}


def merged(base: Model | None, ours: Model | None, theirs: Model | None) -> Any:
    """What becomes of one node: None, a model, or CONFLICT."""
    kept, left = (
        base is not None and side is not None and side.born is base.born for side in (ours, theirs)
    )
    if base is not None and kept and not left:
        return theirs if ours is not None and ours.same(base) else CONFLICT
    if base is not None and left and not kept:
        return ours if theirs is not None and theirs.same(base) else CONFLICT
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    if not kept and (ours.is_array or theirs.is_array):
        return CONFLICT
    before = base if base is not None and kept else Model(None, False)
    attributes = by_key(before.attributes, ours.attributes, theirs.attributes)
    chunks = by_key(before.chunks, ours.chunks, theirs.chunks)
    if CONFLICT in (attributes, chunks):
        return CONFLICT
    return Model(theirs.born, theirs.is_array, attributes, chunks)


def shown(session: Session) -> dict[str, Any]:
    """The keys of a store; documents by their attributes and kind."""
    found: dict[str, Any] = {}
    for key, data in content(session).items():
        if key.endswith("zarr.json"):
            parsed = json.loads(data or b"")
            found[key] = parsed["node_type"], parsed["attributes"]
        else:
            found[key] = data
    return found


def expected(tree: Tree) -> dict[str, Any]:
    keys: dict[str, Any] = {"zarr.json": ("group", {})}
    for path, node in tree.items():
        kind = "array" if node.is_array else "group"
        keys[f"{path}/zarr.json"] = kind, node.attributes
        keys |= {f"{path}/c/{i}": data for i, data in node.chunks.items()}
    return keys


def commit(repo: Repository, branch: str, tree: Tree, parts: list[list[Any]]) -> None:
    for part in parts:
        session = repo.writable_session(branch)
        for step in part:
            do(session, tree, step)
        session.commit("some steps", allow_empty=True)


sides = st.lists(st.lists(steps, min_size=1, max_size=5), min_size=1, max_size=2)


@pytest.mark.parametrize("spec", [1, 2])
@given(st.lists(steps, max_size=6), sides, sides)
def test_merge(spec: int, base: list[Any], ours: list[Any], theirs: list[Any]) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    session = repo.writable_session("main")
    put(session, "", group())
    tree: Tree = {}
    start = [("create", path, True) for path in ARRAYS + GROUPS]
    for step in [*start, *base]:
        do(session, tree, step)
    repo.create_branch("dev", session.commit("base"))
    mine, other = (
        {
            path: Model(node.born, node.is_array, dict(node.attributes), dict(node.chunks))
            for path, node in tree.items()
        }
        for _ in range(2)
    )
    commit(repo, "dev", mine, ours)
    commit(repo, "main", other, theirs)
    paths = tree.keys() | mine.keys() | other.keys()
    result = {path: merged(tree.get(path), mine.get(path), other.get(path)) for path in paths}
    conflicts = {path for path, node in result.items() if node is CONFLICT}
    if conflicts:
        tip = repo.lookup_branch("main")
        with pytest.raises(RebaseFailedError) as caught:
            repo.merge("dev", "main")
        assert {conflict.path for conflict in caught.value.conflicts} == {
            f"/{p}" for p in conflicts
        }
        assert repo.lookup_branch("main") == tip
        return
    id_ = repo.merge("dev", "main")
    after = {path: node for path, node in result.items() if node is not None}
    assert shown(repo.readonly_session("main")) == expected(after)
    # To undo the merge leaves what the branch had; twice, what it had with it.
    if expected(after) == expected(other):
        return  # there may be nothing to undo
    again = repo.revert(id_, "main")
    assert shown(repo.readonly_session("main")) == expected(other)
    repo.revert(again, "main")
    assert shown(repo.readonly_session("main")) == expected(after)
