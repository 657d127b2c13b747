"""Rearrange sessions: nodes get other paths, and nothing else changes."""

from __future__ import annotations

import asyncio
import pickle

import numpy as np
import pytest
import zarr

import frazil
from frazil import FormatError, InvalidInputError, RebaseFailedError, SessionStateError
from frazil.session import Session
from frazil.storage.api import Storage
from tests.scenario.trees import array, change, commit, content, get, group, keys, put, tip

TREE = {
    "": group(),
    "a": array([4]),
    "a/c/0": b"inline",
    "a/c/1": b"native" * 200,
    "a-b": group(),
    "g": group(name=1),
    "g/b": array([4]),
    "g/b/c/2": b"below",
}


@pytest.fixture
def repo(storage: Storage) -> frazil.Repository:
    repo = frazil.Repository.create(storage)
    commit(repo, dict(TREE), "base")
    return repo


def moving(repo: frazil.Repository, *moves: tuple[str, str]) -> Session:
    session = repo.rearrange_session("main")
    for source, target in moves:
        session.move(source, target)
    return session


def test_a_subtree_moves_and_its_data_with_it(repo: frazil.Repository) -> None:
    before = content(tip(repo))
    ids = {path: tip(repo).get_node_id(path) for path in ("/g", "/g/b", "/a")}
    stored = {info.key for info in repo._core.library.backend.list("manifests")}
    session = moving(repo, ("/g", "/a-b/g"))
    assert session.mode is frazil.SessionMode.rearrange
    assert (session.branch, session.read_only) == ("main", False)
    expected = {
        key if not key.startswith("g/") else f"a-b/{key}": value for key, value in before.items()
    }
    assert content(session) == expected
    session.commit("moved")
    assert session.mode is frazil.SessionMode.readonly
    assert content(session) == content(tip(repo)) == expected
    assert tip(repo).get_node_id("/a-b/g/b") == ids["/g/b"]
    assert {info.key for info in repo._core.library.backend.list("manifests")} == stored


def test_the_session_shows_the_moved_nodes_in_zarr(repo: frazil.Repository) -> None:
    session = moving(repo, ("/g", "/h"), ("/a", "/h/deep"))
    root = zarr.open_group(session.store, mode="r")
    assert sorted(root.group_keys()) == ["a-b", "h"]
    assert sorted(root["h"].array_keys()) == ["b", "deep"]
    assert session.chunk_type("/h/deep", [1]) is frazil.ChunkType.native
    with pytest.raises(frazil.NodeNotFoundError):
        session.get_node_id("/g")


def test_moves_are_compounded(repo: frazil.Repository) -> None:
    base = repo.lookup_branch("main")
    session = moving(repo, ("/g", "/t"), ("/a", "/g"), ("/t", "/a"), ("/a/b", "/g2"))
    expected = [("/g", "/a"), ("/a", "/g"), ("/g/b", "/g2")]
    assert session.status().moved_nodes == expected
    assert str(session.status()).split() == [
        *("Nodes", "moved/renamed:"),
        *("/g", "->", "/a", "/a", "->", "/g", "/g/b", "->", "/g2"),
    ]
    session.commit("moved")
    diff = repo.diff(from_snapshot_id=base, to_branch="main")
    assert diff.moved_nodes == expected
    assert diff == frazil.Diff(moved_nodes=expected)


def test_there_and_back_is_no_move_but_a_change(repo: frazil.Repository) -> None:
    base = repo.lookup_branch("main")
    session = moving(repo, ("/g", "/h"), ("/h", "/g"))
    assert session.has_uncommitted_changes
    assert session.status().is_empty()
    session.commit("nothing after all")
    assert repo.diff(from_snapshot_id=base, to_branch="main").is_empty()


def test_discarding_moves(repo: frazil.Repository) -> None:
    session = moving(repo, ("/g", "/h"))
    session.discard_changes()
    assert not session.has_uncommitted_changes
    assert content(session) == content(tip(repo))
    session.move("/g", "/i")
    session.commit("moved")
    assert "i/zarr.json" in keys(tip(repo))


def test_refused_moves_change_nothing(repo: frazil.Repository) -> None:
    session = repo.rearrange_session("main")
    for source, target, kind in (
        ("/no", "/h", "node-not-found"),
        ("/g", "/a", "move-wont-overwrite"),
        ("/g", "/g/h", "move-into-self-or-descendant"),
        ("/g", "/h/i", "move-destination-parent-missing"),
        ("/g", "/a/i", "move-destination-parent-not-group"),
        *((source, "/h", "invalid-path") for source in ("g", "", "/g/", "/./g", "/../g")),
        *(("/g", target, "invalid-path") for target in ("h", "", "/h/", "/h/../i", "//h")),
    ):
        with pytest.raises(frazil.IcechunkError) as caught:
            session.move(source, target)
        assert caught.value.kind == kind, (source, target)
    assert not session.has_uncommitted_changes
    with pytest.raises(SessionStateError) as refused:
        session.commit("nothing")
    assert refused.value.kind == "no-changes-to-commit"


def test_a_rearrange_session_does_nothing_else(repo: frazil.Repository) -> None:
    session = moving(repo, ("/g", "/h"))
    fork = repo.writable_session("main").fork()
    calls = [
        lambda: put(session, "new", group()),
        lambda: put(session, "a/c/0", b"x"),
        lambda: session.store.delete_sync("a/c/0"),
        lambda: session.store.delete_sync("a/c/3"),
        lambda: session.store.delete_sync("a/zarr.json"),
        lambda: session.store.sync_clear(),
        lambda: asyncio.run(session.store.delete_dir("a")),
        lambda: session.shift_array("/a", [1]),
        lambda: session.reindex_array("/a", lambda i: i),
        lambda: session.merge(fork),
    ]
    for call in calls:
        with pytest.raises(SessionStateError) as caught:
            call()
        assert caught.value.kind == "rearrange-session-only"
    assert session.status().moved_nodes == [("/g", "/h"), ("/g/b", "/h/b")]
    with pytest.raises(ValueError, match="cannot be pickled"):
        pickle.dumps(session)


def test_other_sessions_do_not_move(repo: frazil.Repository) -> None:
    writable = repo.writable_session("main")
    for session in (writable, writable.fork(), moving(repo, ("/a", "/z")).fork()):
        with pytest.raises(SessionStateError) as caught:
            session.move("/g", "/h")
        assert caught.value.kind == "non-rearrange-session"
    with pytest.raises(frazil.ReadOnlyError) as refused:
        tip(repo).move("/g", "/h")
    assert refused.value.kind == "read-only-session"


def test_spec_1_has_no_moves() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=1)
    session = repo.writable_session("main")
    for call in (
        lambda: repo.rearrange_session("main"),
        lambda: session.move("/a", "/b"),
        lambda: asyncio.run(repo.rearrange_session_async("main")),
    ):
        with pytest.raises(FormatError) as caught:
            call()
        assert caught.value.kind == "unsupported-spec-version"


def test_the_feature_flag_forbids_moves(repo: frazil.Repository) -> None:
    sessions = [moving(repo, ("/g", "/h")) for _ in range(3)]
    repo.set_feature_flag("move_node", False)
    calls = [
        lambda: repo.rearrange_session("main"),
        lambda: sessions[0].commit("moved"),
        lambda: sessions[1].amend("moved"),
        lambda: sessions[2].flush("moved"),
    ]
    for call in calls:
        with pytest.raises(SessionStateError, match="move_node") as caught:
            call()
        assert caught.value.kind == "feature-flag-disabled"
    repo.set_feature_flag("move_node", None)
    sessions[0].commit("moved")
    assert "h/zarr.json" in keys(tip(repo))


def test_a_missing_branch(repo: frazil.Repository) -> None:
    with pytest.raises(frazil.RefNotFoundError):
        repo.rearrange_session("no")


@pytest.mark.parametrize(
    "theirs",
    [{"a/c/0": b"new"}, {"g/b/c/2": b"new"}, {"g": group(x=1)}, {"g/n": group()}, {"g/b": None}],
    ids=["elsewhere", "chunk", "metadata", "new child", "no child"],
)
def test_moves_are_rebased_over_edits(
    repo: frazil.Repository, theirs: dict[str, bytes | None]
) -> None:
    session = moving(repo, ("/g", "/h"))
    commit(repo, theirs, "theirs")
    edited = content(tip(repo))
    session.commit("moved", rebase_with=frazil.ConflictDetector())
    assert content(tip(repo)) == {
        "h" + key[1:] if key.startswith("g/") else key: value for key, value in edited.items()
    }
    moved = repo.diff(from_snapshot_id=_parent(repo), to_branch="main").moved_nodes
    below = {key.removesuffix("/zarr.json") for key in edited if key.startswith("g/")}
    nodes = sorted(path for path in below if f"{path}/zarr.json" in edited)
    assert moved == [(f"/{path}", f"/h{path[1:]}") for path in nodes]


def _parent(repo: frazil.Repository) -> str:
    return [info.id for info in repo.ancestry(branch="main")][1]


@pytest.mark.parametrize(
    ("moves", "theirs"),
    [
        (("/g", "/h"), {"h": group()}),
        (("/g", "/h"), {"g": None}),
        (("/a", "/g/a"), {"g": None}),
        (("/a", "/g/n"), {"g": None, "g/n": group()}),
    ],
    ids=["taken", "gone", "no parent", "no parent but taken"],
)
def test_moves_that_are_not_possible_any_more(
    repo: frazil.Repository, moves: tuple[str, str], theirs: dict[str, bytes | None]
) -> None:
    session = moving(repo, moves)
    shown = content(session)
    commit(repo, {"a-b": group(x=1)}, "harmless")
    blocking = commit(repo, theirs, "theirs")
    for solver in (frazil.ConflictDetector(), frazil.BasicConflictSolver()):
        with pytest.raises(RebaseFailedError) as caught:
            session.rebase(solver)
        assert caught.value.snapshot == blocking
        (conflict,) = caught.value.conflicts
        assert conflict.conflict_type is frazil.ConflictType.MoveOperationCannotBeRebased
        assert conflict.path == moves[0]
    assert content(session) == shown


@pytest.mark.parametrize("rearrange", [True, False])
def test_nothing_is_rebased_over_moves(repo: frazil.Repository, rearrange: bool) -> None:
    session = moving(repo, ("/a", "/z")) if rearrange else repo.writable_session("main")
    if not rearrange:
        put(session, "a/c/0", b"x")
    moving(repo, ("/g", "/h")).commit("theirs")
    for solver in (frazil.ConflictDetector(), frazil.BasicConflictSolver()):
        with pytest.raises(RebaseFailedError) as caught:
            session.rebase(solver)
        (conflict,) = caught.value.conflicts
        assert conflict.conflict_type is frazil.ConflictType.MoveOperationCannotBeRebased


def test_amending_moves_with_moves(repo: frazil.Repository) -> None:
    base = repo.lookup_branch("main")
    moving(repo, ("/g", "/h")).commit("first")
    moving(repo, ("/h", "/i"), ("/a", "/i/a")).amend("second")
    diff = repo.diff(from_snapshot_id=base, to_branch="main")
    assert diff.moved_nodes == [("/g", "/i"), ("/a", "/i/a"), ("/g/b", "/i/b")]
    assert _parent(repo) == base


def test_amending_edits_with_moves(repo: frazil.Repository) -> None:
    base = repo.lookup_branch("main")
    commit(repo, {"new": array([2]), "new/c/0": b"x", "a/c/0": b"x"}, "edits")
    moving(repo, ("/new", "/g/new"), ("/a", "/a2")).amend("edits and moves")
    diff = repo.diff(from_snapshot_id=base, to_branch="main")
    assert diff.new_arrays == {"/g/new"}
    assert diff.updated_chunks == {"/a2": [[0]], "/g/new": [[0]]}
    assert diff.moved_nodes == [("/a", "/a2")]
    assert get(tip(repo), "g/new/c/0") == b"x"


def test_amending_moves_with_edits_is_refused(repo: frazil.Repository) -> None:
    moving(repo, ("/g", "/h")).commit("moves")
    session = repo.writable_session("main")
    put(session, "a/c/0", b"x")
    with pytest.raises(SessionStateError) as caught:
        session.amend("edits")
    assert caught.value.kind == "rearrange-session-only"
    session.commit("edits")


def test_flushing_and_forking_what_was_moved(repo: frazil.Repository) -> None:
    session = moving(repo, ("/g", "/h"))
    fork = session.fork()
    assert content(fork) == content(session)
    put(fork, "h/b/c/0", b"fork")
    flushed = session.flush("moved")
    assert content(repo.readonly_session(snapshot_id=flushed)) != content(fork)
    assert "h/zarr.json" in keys(repo.readonly_session(snapshot_id=flushed))
    assert "g/zarr.json" in keys(tip(repo))


def test_edits_after_moves(repo: frazil.Repository) -> None:
    moving(repo, ("/a", "/g/a"), ("/g", "/h")).commit("moved")
    with repo.transaction("main", message="edited") as store:
        zarr.open_group(store).create_array("g", data=np.arange(3))
        change(store.session, {"h/a/c/0": b"new", "h/b": None})
    assert get(tip(repo), "h/a/c/0") == b"new"
    assert get(tip(repo), "h/a/c/1") == TREE["a/c/1"]
    assert "h/b/zarr.json" not in keys(tip(repo))


def test_coroutines(repo: frazil.Repository) -> None:
    async def run() -> None:
        session = await repo.rearrange_session_async("main")
        await session.move_async("/g", "/h")
        await session.commit_async("moved")

    asyncio.run(run())
    assert "h/zarr.json" in keys(tip(repo))


def test_many_nodes(repo: frazil.Repository) -> None:
    commit(repo, {f"g/n{i:04}": group(i=i) for i in range(3000)}, "many")
    moving(repo, ("/g", "/a-b/g"), ("/a-b", "/z")).commit("moved")
    session = tip(repo)
    assert get(session, "z/g/n1234") == group(i=1234)
    assert len(list(session._workspace.nodes_under("/z/g"))) == 3002


def test_an_invalid_path_is_told_before_anything_else(repo: frazil.Repository) -> None:
    with pytest.raises(InvalidInputError):
        repo.writable_session("main").move("g", "h")
