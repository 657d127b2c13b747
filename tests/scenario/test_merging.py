"""Branches merged, and commits picked and reverted."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import (
    BasicConflictSolver,
    CallbackSolver,
    ConflictDetector,
    ConflictType,
    InvalidInputError,
    MetadataMergeSolver,
    RebaseFailedError,
    Repository,
    SessionStateError,
    ThreeWay,
    VersionSelection,
)
from frazil.errors import ErrorKind
from frazil.session import Session
from tests.scenario.trees import array, change, chunks, commit, content, get, group, tip

Tree = dict[str, bytes | None]
INITIAL = "1CECHNKREP0F1RSTCMT0"
T = ConflictType


@pytest.fixture
def forked(repo: Repository) -> Repository:
    """A repository with the branches `main` and `dev` on one commit."""
    base = commit(
        repo,
        {
            "": group(),
            "a": array([8], k=0),
            "b": array([4]),
            "g": group(),
            "g/x": array([2]),
            **chunks("a", range(8), b"base"),
            **chunks("b", range(4), b"base"),
            "g/x/c/0": b"base",
        },
    )
    repo.create_branch("dev", base)
    return repo


def on(repo: Repository, branch: str, tree: Tree, message: str = "a commit") -> str:
    return change(repo.writable_session(branch), tree).commit(message)


def history(repo: Repository, branch: str = "main") -> list[str]:
    return [item.id for item in repo.ancestry(branch=branch)]


def values(repo: Repository, path: str, n: int) -> list[bytes | None]:
    return [get(tip(repo), f"{path}/c/{i}") for i in range(n)]


def attributes(session: Session, key: str) -> Any:
    return json.loads(get(session, key) or b"")["attributes"]


def stored(repo: Repository) -> dict[str, int]:
    """The number of objects in each folder."""
    found: dict[str, int] = {}
    for info in repo.storage.backend().list():
        folder = info.key.split("/")[0]
        found[folder] = found.get(folder, 0) + 1
    return found


class TestMerge:
    def test_everything_that_goes_together(self, forked: Repository) -> None:
        big = bytes(5000)
        on(
            forked,
            "dev",
            {
                **chunks("a", [0, 1], b"dev"),
                "a/c/2": None,
                "b": array([6]),
                "b/c/5": big,
                "new": group(by="dev"),
                "new/y": array([2]),
                "new/y/c/1": big,
                "g/x": None,
            },
        )
        source = on(forked, "dev", {"": group(dev=1), "a/c/1": b"again"})
        target = on(
            forked,
            "main",
            {"a": array([8], k=0, main=1), "a/c/7": b"main", "other": group(), "g": group(m=1)},
        )
        before = stored(forked)
        id_ = forked.merge("dev", "main", metadata={"who": "me"})
        view = tip(forked)
        assert values(forked, "a", 8) == [
            *(b"dev", b"again", None, b"base", b"base", b"base", b"base", b"main")
        ]
        assert values(forked, "b", 6) == [b"base"] * 4 + [None, big]
        assert attributes(view, "") == {"dev": 1}
        assert attributes(view, "a") == {"k": 0, "main": 1}
        assert attributes(view, "g") == {"m": 1}
        assert get(view, "new/y/c/1") == big
        keys = content(view).keys()
        assert {"other/zarr.json", "new/zarr.json"} <= keys
        assert "g/x/zarr.json" not in keys
        assert history(forked)[:2] == [id_, target]
        info = forked.lookup_snapshot(id_)
        assert info.message == "Merge 'dev' into 'main'"
        assert info.metadata == {"who": "me", "frazil": {"merge_parents": [source]}}
        diff = forked.diff(from_snapshot_id=target, to_branch="main")
        assert diff.updated_chunks["/a"] == [[0], [1], [2]]
        assert (diff.new_groups, diff.deleted_arrays) == ({"/new"}, {"/g/x"})
        assert diff.updated_arrays == {"/b"}
        assert stored(forked)["chunks"] == before["chunks"]
        assert forked.lookup_branch("dev") == source

    def test_nothing_to_do(self, forked: Repository) -> None:
        assert forked.merge("dev", "main") == forked.lookup_branch("main")
        target = on(forked, "main", {"a/c/0": b"main"})
        assert forked.merge("dev", "main") == target
        on(forked, "dev", {"a/c/1": b"dev"})
        merged = forked.merge("dev", "main")
        assert forked.merge("dev", "main") == merged  # through the second parent

    def test_a_branch_without_commits_of_its_own(self, forked: Repository) -> None:
        target = forked.lookup_branch("main")
        source = on(forked, "dev", {"a/c/0": b"dev", "n": group()})
        before = content(forked.readonly_session("dev"))
        files = stored(forked)
        id_ = forked.merge("dev", "main", message="merged")
        assert history(forked)[:2] == [id_, target]
        assert content(tip(forked)) == before
        assert stored(forked)["manifests"] == files["manifests"]
        diff = forked.diff(from_snapshot_id=target, to_branch="main")
        assert diff == forked.diff(from_snapshot_id=target, to_branch="dev")
        assert forked.merge("main", "dev", fast_forward=True) == id_
        assert history(forked, "dev") == history(forked)
        assert forked.merge("main", "dev", fast_forward=True) == id_
        assert source in forked.lookup_snapshot(id_).metadata["frazil"]["merge_parents"]

    def test_fast_forward_merges_where_it_must(self, forked: Repository) -> None:
        source = on(forked, "dev", {"a/c/0": b"dev"})
        target = on(forked, "main", {"a/c/1": b"main"})
        id_ = forked.merge("dev", "main", fast_forward=True)
        assert id_ not in (source, target)
        assert values(forked, "a", 2) == [b"dev", b"main"]

    def test_merging_again_starts_from_what_was_merged(self, forked: Repository) -> None:
        on(forked, "dev", {"a/c/0": b"dev"})
        forked.merge("dev", "main")
        on(forked, "main", {"a/c/0": b"main"})
        on(forked, "dev", {"a/c/1": b"dev"})
        # From the point where the branches parted, chunk 0 would be in conflict.
        forked.merge("dev", "main")
        assert values(forked, "a", 2) == [b"main", b"dev"]
        forked.merge("main", "dev")
        assert content(forked.readonly_session("dev")) == content(tip(forked))

    def test_what_both_did_is_no_conflict(self, forked: Repository) -> None:
        both: Tree = {"a": array([8], k=1), "n": group(), "a/c/0": b"same", "g": None}
        on(forked, "dev", {**both, "a/c/1": b"dev"})
        target = on(forked, "main", {**both, "a/c/2": b"main"})
        forked.merge("dev", "main")
        assert values(forked, "a", 3) == [b"same", b"dev", b"main"]
        diff = forked.diff(from_snapshot_id=target, to_branch="main")
        assert diff.updated_chunks == {"/a": [[1]]}
        assert [diff.updated_arrays, diff.new_groups, diff.deleted_groups] == [set()] * 3

    def test_two_roots(self, repo: Repository) -> None:
        repo.create_branch("dev", INITIAL)
        on(repo, "dev", {"": group(dev=1), "d": array([1])})
        on(repo, "main", {"": group(main=1), "m": array([1])})
        repo.merge("dev", "main")
        assert attributes(tip(repo), "") == {"main": 1, "dev": 1}
        assert {"d/zarr.json", "m/zarr.json"} <= content(tip(repo)).keys()

    def test_appends_of_two_branches(self, repo: Repository) -> None:
        session = repo.writable_session("main")
        zarr.create_group(session.store).create_array("x", data=np.arange(4), chunks=(2,))
        repo.create_branch("dev", session.commit("base"))
        for branch, value in (("dev", 7), ("main", 9)):
            session = repo.writable_session(branch)
            found = zarr.open_array(session.store, path="x")
            found.append(np.full(4, value))
            session.commit("appended")
        with pytest.raises(RebaseFailedError):
            repo.merge("dev", "main")
        repo.merge("dev", "main", solver=MetadataMergeSolver(appends="order"))
        data = np.asarray(zarr.open_array(tip(repo).store, path="x", mode="r"))
        assert data.tolist() == [0, 1, 2, 3, 9, 9, 9, 9, 7, 7, 7, 7]

    def test_somebody_is_faster(self, forked: Repository) -> None:
        on(forked, "dev", {"a/c/0": b"dev"})
        on(forked, "main", {"a/c/1": b"main"})
        other, library = Repository.open(forked.storage), forked._core.library
        write, left = library.write_log, [b"2", b"3"]

        def late(log: Any, uploads: Any) -> None:
            if left:
                value = left.pop()
                on(other, "main", {f"a/c/{value.decode()}": value})
            write(log, uploads)

        library.write_log = late  # type: ignore[method-assign]
        forked.merge("dev", "main")
        assert values(forked, "a", 4) == [b"dev", b"main", b"2", b"3"]

    def test_unknown_branches(self, forked: Repository) -> None:
        with pytest.raises(frazil.RefNotFoundError):
            forked.merge("nowhere", "main")
        with pytest.raises(frazil.RefNotFoundError):
            forked.merge("main", "nowhere")

    async def test_the_twin(self, forked: Repository) -> None:
        on(forked, "dev", {"a/c/0": b"dev"})
        on(forked, "main", {"a/c/1": b"main"})
        assert await forked.merge_async("dev", "main") == history(forked)[0]


# What dev did, what main did, and the conflicts: type, path, and the values.
Described = tuple[ConflictType, str, list[tuple[Any, ...]]]
CONFLICTS: dict[str, tuple[Tree, Tree, list[Described]]] = {
    "chunks": (
        {"a/c/0": b"dev", "a/c/1": None, "a/c/2": b"dev"},
        {"a/c/0": b"main", "a/c/1": b"main"},
        [
            (
                T.ChunkDoubleUpdate,
                "/a",
                [(None, (0,), b"base", b"dev", b"main"), (None, (1,), b"base", None, b"main")],
            )
        ],
    ),
    "keys": (
        {"a": array([8], k=1, same=1, dev=1)},
        {"a": array([8], k=2, same=1, main=1)},
        [(T.ZarrMetadataDoubleUpdate, "/a", [(("attributes", "k"), None, 0, 1, 2)])],
    ),
    "shapes": (
        {"b": array([5])},
        {"b": array([6])},
        [(T.ZarrMetadataDoubleUpdate, "/b", [(("shape",), None, [4], [5], [6])])],
    ),
    "new nodes": (
        {"n": group(k=1)},
        {"n": group(k=2)},
        [(T.NewNodeConflictsWithExistingNode, "/n", [(("attributes", "k"), None, None, 1, 2)])],
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_conflicts_and_their_values(forked: Repository, name: str) -> None:
    dev, main, expected = CONFLICTS[name]
    on(forked, "dev", {**dev, "a/c/7": b"dev"})
    target = on(forked, "main", main)
    before = stored(forked)
    with pytest.raises(RebaseFailedError, match="Merge failed on snapshot") as caught:
        forked.merge("dev", "main")
    error = caught.value
    assert error.snapshot == target
    found = [
        (c.conflict_type, c.path, [(v.key, v.chunk, v.base, v.ours, v.theirs) for v in c.values])
        for c in error.conflicts
    ]
    assert found == expected
    assert all(v.path == c.path for c in error.conflicts for v in c.values)
    assert stored(forked) == before
    assert history(forked)[0] == target
    again = pickle.loads(pickle.dumps(error))
    assert [c.values for c in again.conflicts] == [c.values for c in error.conflicts]


@pytest.mark.parametrize(
    ("dev", "main", "kind", "path"),
    [
        ({"a": None}, {"a/c/0": b"main"}, T.DeleteOfUpdatedArray, "/a"),
        ({"a/c/0": b"dev"}, {"a": None}, T.ChunksUpdatedInDeletedArray, "/a"),
        ({"g": None}, {"g": group(k=1)}, T.DeleteOfUpdatedGroup, "/g"),
        ({"g": None}, {"g/n": group()}, T.DeleteOfUpdatedGroup, "/g"),
        ({"g/n": group()}, {"g": None}, T.NewNodeInInvalidGroup, "/g"),
        ({"n": array([1])}, {"n": array([1])}, T.NewNodeConflictsWithExistingNode, "/n"),
        ({"n": array([1])}, {"n": group()}, T.NewNodeConflictsWithExistingNode, "/n"),
        ({"b": array([4], [2])}, {"b/c/0": b"main"}, T.ChunksUpdatedInUpdatedArray, "/b"),
        ({"b/c/0": b"dev"}, {"b": array([4], [2])}, T.ChunksUpdatedInUpdatedArray, "/b"),
    ],
)
def test_conflicts_about_whole_nodes(
    forked: Repository, dev: Tree, main: Tree, kind: ConflictType, path: str
) -> None:
    on(forked, "dev", dev)
    on(forked, "main", main)
    with pytest.raises(RebaseFailedError) as caught:
        forked.merge("dev", "main")
    conflicts = {(c.conflict_type, c.path) for c in caught.value.conflicts}
    assert (kind, path) in conflicts
    with pytest.raises(RebaseFailedError):
        forked.merge("dev", "main", solver=ConflictDetector())


def test_all_conflicts_come_at_once(forked: Repository) -> None:
    on(forked, "dev", {"a": array([8], k=1), "b/c/0": b"dev"})
    on(forked, "dev", {"g": None, "b/c/1": b"dev"})
    on(forked, "main", {"a": array([8], k=2), "b/c/0": b"main"})
    on(forked, "main", {"g": group(k=1), "b/c/1": b"main"})
    with pytest.raises(RebaseFailedError) as caught:
        forked.merge("dev", "main")
    assert [(c.conflict_type, c.path) for c in caught.value.conflicts] == [
        (T.ZarrMetadataDoubleUpdate, "/a"),
        (T.ChunkDoubleUpdate, "/b"),
        (T.DeleteOfUpdatedGroup, "/g"),
    ]
    assert caught.value.conflicts[1].conflicted_chunks == [[0], [1]]


@pytest.mark.parametrize(
    ("solver", "chunk"),
    [
        (BasicConflictSolver(), b"dev"),
        (BasicConflictSolver(on_chunk_conflict=VersionSelection.UseTheirs), b"main"),
        (CallbackSolver(lambda item: item.theirs + item.ours), b"maindev"),
    ],
)
def test_solvers(forked: Repository, solver: Any, chunk: bytes) -> None:
    on(forked, "dev", {"a/c/0": b"dev", "a/c/1": b"dev"})
    on(forked, "main", {"a/c/0": b"main"})
    forked.merge("dev", "main", solver=solver)
    assert values(forked, "a", 2) == [chunk, b"dev"]


def test_a_callback_for_metadata(forked: Repository) -> None:
    def largest(item: ThreeWay) -> Any:
        return max(item.ours, item.theirs, key=lambda document: document["attributes"]["k"])

    on(forked, "dev", {"a": array([8], k=1)})
    on(forked, "main", {"a": array([8], k=2), "a/c/0": b"main"})
    forked.merge("dev", "main", solver=CallbackSolver(largest))
    assert attributes(tip(forked), "a") == {"k": 2}


def test_moved_nodes_are_not_merged() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=2)
    repo.create_branch("dev", commit(repo, {"": group(), "a": array([2]), "a/c/0": b"base"}))
    session = repo.rearrange_session("dev")
    session.move("/a", "/moved")
    session.commit("moved")
    on(repo, "main", {"a/c/0": b"main"})
    for source, into in (("dev", "main"), ("main", "dev")):
        with pytest.raises(RebaseFailedError) as caught:
            repo.merge(source, into)
        assert [c.conflict_type for c in caught.value.conflicts] == [T.MoveOperationCannotBeRebased]


def test_a_node_that_is_there_under_another_name_is_not_made_again() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    made = commit(repo, {"": group(), "g": group(), "a": array([1])})
    change(repo.writable_session("main"), {"g": group(k=1)}).amend("amended")
    session = repo.rearrange_session("main")
    session.move("/a", "/g/a")
    session.commit("moved")
    before = content(tip(repo))
    with pytest.raises(RebaseFailedError) as caught:
        repo.cherry_pick(made, "main")
    assert (T.MoveOperationCannotBeRebased, "/a") in [
        (conflict.conflict_type, conflict.path) for conflict in caught.value.conflicts
    ]
    assert content(tip(repo)) == before


def test_moved_nodes_on_a_branch_ahead() -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=2)
    base = commit(repo, {"": group(), "a": array([2]), "a/c/0": b"base"})
    repo.create_branch("dev", base)
    session = repo.rearrange_session("dev")
    session.move("/a", "/moved")
    session.commit("moved")
    repo.merge("dev", "main")
    assert get(tip(repo), "moved/c/0") == b"base"
    diff = repo.diff(from_snapshot_id=base, to_branch="main")
    assert diff.moved_nodes == [("/a", "/moved")]


def test_the_drawing_shows_what_was_merged(forked: Repository) -> None:
    source = on(forked, "dev", {"a/c/0": b"dev"}, "on dev")
    target = on(forked, "main", {"a/c/1": b"main"}, "on main")
    id_ = forked.merge("dev", "main")
    forked.delete_branch("dev")
    base = history(forked)[2]
    assert str(forked.ancestry_graph(branch="main", plain=True)) == (
        f"●─╮ {id_[:8]} (main) Merge 'dev' into 'main'\n│ │\n"
        f"● │ {target[:8]} on main\n│ │\n"
        f"│ ● {source[:8]} on dev\n│ │\n"
        f"●─╯ {base[:8]} a commit\n│\n"
        "●   1CECHNKR Repository initialized\n"
    )


class TestCherryPick:
    def test_one_commit(self, forked: Repository) -> None:
        on(forked, "dev", {"a/c/0": b"not this"})
        picked = on(
            forked, "dev", {"a/c/1": b"this", "n": array([1]), "n/c/0": b"x", "g": group(k=1)}, "it"
        )
        on(forked, "dev", {"a/c/2": b"nor this"})
        target = on(forked, "main", {"a/c/3": b"main"})
        id_ = forked.cherry_pick(picked, "main", metadata={"n": 1})
        assert history(forked)[:2] == [id_, target]
        assert values(forked, "a", 4) == [b"base", b"this", b"base", b"main"]
        assert get(tip(forked), "n/c/0") == b"x"
        info = forked.lookup_snapshot(id_)
        assert info.message == "it"
        assert info.metadata == {"n": 1, "frazil": {"cherry_picked": picked}}
        # Both have it now, and a merge has nothing to say of it.
        forked.merge("dev", "main")
        assert values(forked, "a", 4) == [b"not this", b"this", b"nor this", b"main"]

    def test_what_does_not_fit(self, forked: Repository) -> None:
        on(forked, "dev", {"a/c/0": b"before"})
        picked = on(forked, "dev", {"a/c/0": b"picked"})
        with pytest.raises(RebaseFailedError, match="Cherry-pick failed") as caught:
            forked.cherry_pick(picked, "main")
        ((value,),) = [c.values for c in caught.value.conflicts]
        assert (value.base, value.ours, value.theirs) == (b"before", b"picked", b"base")
        forked.cherry_pick(picked, "main", solver=BasicConflictSolver(), message="all the same")
        assert get(tip(forked), "a/c/0") == b"picked"
        assert next(forked.ancestry(branch="main")).message == "all the same"

    def test_what_is_there_already(self, forked: Repository) -> None:
        picked = on(forked, "main", {"a/c/0": b"x"})
        with pytest.raises(SessionStateError) as caught:
            forked.cherry_pick(picked, "main")
        assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT
        with pytest.raises(InvalidInputError, match="the snapshot before it does not exist"):
            forked.cherry_pick(INITIAL, "main")

    async def test_the_twin(self, forked: Repository) -> None:
        picked = on(forked, "dev", {"a/c/0": b"x"})
        assert await forked.cherry_pick_async(picked, "main") == history(forked)[0]


class TestRevert:
    @pytest.mark.parametrize(
        "tree",
        [
            {"a/c/0": b"x", "a/c/1": None},
            {"a": array([8], k=9), "": group(k=1)},
            {"n": group(), "n/y": array([1]), "n/y/c/0": b"x"},
            {"g": None, "a": None},
            {"b": array([2])},
            {"b": array([6]), "b/c/5": b"x"},
            {"b": array([2, 2]), "b/c/1/1": b"x"},
        ],
        ids=["chunks", "metadata", "new", "deleted", "smaller", "larger", "rank"],
    )
    def test_a_commit_and_its_undoing(self, forked: Repository, tree: Tree) -> None:
        before = content(tip(forked))
        id_ = on(forked, "main", tree, "to be undone\nwith details")
        last = on(forked, "main", {"other": group()})
        reverted = forked.revert(id_, "main")
        after = content(tip(forked))
        assert after.pop("other/zarr.json")
        assert after == before
        assert history(forked)[:3] == [reverted, last, id_]
        info = forked.lookup_snapshot(reverted)
        assert info.message == 'Revert "to be undone"'
        assert info.metadata == {"frazil": {"reverted": id_}}
        forked.revert(reverted, "main")
        assert content(tip(forked)) == content(forked.readonly_session(snapshot_id=last))

    def test_what_was_changed_since(self, forked: Repository) -> None:
        id_ = on(forked, "main", {"a": array([8], k=1, n=1), "a/c/0": b"x", "a/c/1": b"x"})
        on(forked, "main", {"a": array([8], k=2, n=1), "a/c/0": b"y"})
        before = content(tip(forked))
        with pytest.raises(RebaseFailedError, match="Revert failed") as caught:
            forked.revert(id_, "main")
        found = [
            (v.key, v.chunk, v.ours, v.theirs) for c in caught.value.conflicts for v in c.values
        ]
        assert found == [(("attributes", "k"), None, 0, 2), (None, (0,), b"base", b"y")]
        assert content(tip(forked)) == before

    def test_what_cannot_be_reverted(self, forked: Repository) -> None:
        elsewhere = on(forked, "dev", {"a/c/0": b"x"})
        for id_ in (elsewhere, INITIAL):
            with pytest.raises(InvalidInputError) as caught:
                forked.revert(id_, "main")
            assert caught.value.kind == ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF

    def test_what_was_before_it_has_expired(self, repo: Repository) -> None:
        for name in "xyz":
            last = commit(repo, {"": group(), name: group()})
        repo.expire_snapshots(next(repo.ancestry(branch="main")).written_at)
        for act in (repo.revert, repo.cherry_pick):
            with pytest.raises(InvalidInputError, match="has expired"):
                act(last, "main")

    async def test_the_twin(self, forked: Repository) -> None:
        id_ = on(forked, "main", {"a/c/0": b"x"})
        assert await forked.revert_async(id_, "main", message="undo") == history(forked)[0]


@pytest.mark.parametrize(
    "act",
    [
        lambda repo: repo.merge("dev", "main"),
        lambda repo: repo.cherry_pick(repo.lookup_branch("dev"), "main"),
        lambda repo: repo.revert(repo.lookup_branch("main"), "main"),
        lambda repo: repo.squash("main", INITIAL, "no"),
    ],
)
def test_a_repository_that_is_set_to_read_only(act: Callable[[Repository], str]) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=2)
    repo.create_branch("dev", commit(repo, {"": group()}))
    on(repo, "dev", {"d": group()})
    on(repo, "main", {"m": group()})
    repo.set_status(frazil.RepoStatus(frazil.RepoAvailability.read_only))
    with pytest.raises(frazil.ReadOnlyError):
        act(repo)
