"""Rebasing: which changes exclude each other, what solvers settle, and what comes out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import frazil
from frazil import (
    BasicConflictSolver,
    Conflict,
    ConflictDetector,
    ConflictError,
    ConflictType,
    RebaseFailedError,
    Repository,
    RepositoryConfig,
    VersionSelection,
)
from frazil.conflicts import ConflictSolver
from frazil.errors import ErrorKind, InternalError, SessionStateError, StorageError
from frazil.session import Session
from frazil.storage.doubles import Counting, Fault, Faulty
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import (
    array,
    change,
    chunks,
    commit,
    content,
    get,
    group,
    keys,
    tip,
)

Tree = dict[str, bytes | None]

BASE: Tree = {
    "": group(),
    "a": array([8]),
    "b": array([8]),
    "g": group(),
    "h": group(),
    "h/x": array([2]),
    **chunks("a", range(8), b"base"),
    **chunks("b", range(8), b"base"),
    "h/x/c/0": b"base",
}

THEIRS, FAIL = VersionSelection.UseTheirs, VersionSelection.Fail
DETECTOR = ConflictDetector()
SOLVERS: list[ConflictSolver] = [
    BasicConflictSolver(),
    BasicConflictSolver(on_chunk_conflict=THEIRS),
    BasicConflictSolver(on_chunk_conflict=FAIL),
    BasicConflictSolver(fail_on_delete_of_updated_array=True),
    BasicConflictSolver(fail_on_delete_of_updated_group=True),
]
OURS, USE_THEIRS, STRICT, KEEP_ARRAYS, KEEP_GROUPS = SOLVERS


@pytest.fixture
def repo(spec: int) -> Repository:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    commit(repo, BASE)
    return repo


def replaced(path: str) -> list[Tree]:
    """A node deleted, and then another one in its place."""
    return [{path: None}, {path: array([8]), f"{path}/c/0": b"new"}]


def conflict(kind: ConflictType, path: str, at: list[int] | None = None) -> Conflict:
    return Conflict(kind, path, None if at is None else [[i] for i in at])


def both(repo: Repository, mine: Tree | list[Tree], theirs: Tree | list[Tree]) -> Session:
    """A session with my changes, after theirs have been committed."""
    session, other = repo.writable_session("main"), repo.writable_session("main")
    for tree in mine if isinstance(mine, list) else [mine]:
        change(session, tree)
    for tree in theirs if isinstance(theirs, list) else [theirs]:
        change(other, tree)
    other.commit("theirs")
    return session


T = ConflictType

# mine, theirs, the conflicts, and the solvers that settle all of them
CONFLICTS: dict[str, tuple[Tree | list[Tree], Tree | list[Tree], list[Conflict], list]] = {
    "new array, new array": (
        {"n": array([2])},
        {"n": array([2])},
        [conflict(T.NewNodeConflictsWithExistingNode, "/n")],
        [],
    ),
    "new group, new array": (
        {"n": group()},
        {"n": array([2])},
        [conflict(T.NewNodeConflictsWithExistingNode, "/n")],
        [],
    ),
    "new node below a group that became an array": (
        {"g/n": group()},
        replaced("g"),
        [conflict(T.NewNodeInInvalidGroup, "/g")],
        [],
    ),
    "new node below a new array": (
        {"g/n/deep": group()},
        {"g/n": array([2])},
        [conflict(T.NewNodeInInvalidGroup, "/g/n")],
        [],
    ),
    "array metadata, array metadata": (
        {"a": array([8], mine=1)},
        {"a": array([8], theirs=1)},
        [conflict(T.ZarrMetadataDoubleUpdate, "/a")],
        [],
    ),
    "group metadata, group metadata": (
        {"g": group(mine=1)},
        {"g": group(theirs=1)},
        [conflict(T.ZarrMetadataDoubleUpdate, "/g")],
        [],
    ),
    "array metadata, deleted": (
        {"a": array([8], mine=1)},
        {"a": None},
        [conflict(T.ZarrMetadataUpdateOfDeletedArray, "/a")],
        [],
    ),
    "group metadata, deleted": (
        {"g": group(mine=1)},
        {"g": None},
        [conflict(T.ZarrMetadataUpdateOfDeletedGroup, "/g")],
        [],
    ),
    "the same chunks": (
        chunks("a", [1, 2, 3], b"mine"),
        chunks("a", [2, 3, 4], b"theirs"),
        [conflict(T.ChunkDoubleUpdate, "/a", [2, 3])],
        [OURS, USE_THEIRS, KEEP_ARRAYS, KEEP_GROUPS],
    ),
    "the same chunk with the same bytes": (
        chunks("a", [2], b"same"),
        chunks("a", [2], b"same"),
        [conflict(T.ChunkDoubleUpdate, "/a", [2])],
        [OURS, USE_THEIRS, KEEP_ARRAYS, KEEP_GROUPS],
    ),
    "a written and an erased chunk": (
        chunks("a", [2], b"mine"),
        {"a/c/2": None},
        [conflict(T.ChunkDoubleUpdate, "/a", [2])],
        [OURS, USE_THEIRS, KEEP_ARRAYS, KEEP_GROUPS],
    ),
    "a chunk that I cut off": (
        {"a": array([4])},
        chunks("a", [3, 6], b"theirs"),
        [conflict(T.ChunkDoubleUpdate, "/a", [6])],
        [OURS, USE_THEIRS, KEEP_ARRAYS, KEEP_GROUPS],
    ),
    "chunks of a deleted array": (
        chunks("a", [1], b"mine"),
        {"a": None},
        [conflict(T.ChunksUpdatedInDeletedArray, "/a")],
        [],
    ),
    "chunks of a replaced array": (
        chunks("a", [1], b"mine"),
        replaced("a"),
        [conflict(T.ChunksUpdatedInDeletedArray, "/a")],
        [],
    ),
    "chunks of an array with new metadata": (
        chunks("a", [1], b"mine"),
        {"a": array([4])},
        [conflict(T.ChunksUpdatedInUpdatedArray, "/a")],
        [],
    ),
    "deleted an array with new chunks": (
        {"a": None},
        chunks("a", [1], b"theirs"),
        [conflict(T.DeleteOfUpdatedArray, "/a")],
        [OURS, USE_THEIRS, STRICT, KEEP_GROUPS],
    ),
    "deleted an array with new metadata": (
        {"a": None},
        {"a": array([9])},
        [conflict(T.DeleteOfUpdatedArray, "/a")],
        [OURS, USE_THEIRS, STRICT, KEEP_GROUPS],
    ),
    "replaced an array with new chunks": (
        replaced("a"),
        chunks("a", [1], b"theirs"),
        [conflict(T.DeleteOfUpdatedArray, "/a")],
        [OURS, USE_THEIRS, STRICT, KEEP_GROUPS],
    ),
    "deleted a group with new metadata": (
        {"g": None},
        {"g": group(theirs=1)},
        [conflict(T.DeleteOfUpdatedGroup, "/g")],
        [OURS, USE_THEIRS, STRICT, KEEP_ARRAYS],
    ),
    "deleted the group of an array with new chunks": (
        {"h": None},
        {"h/x/c/1": b"theirs"},
        [conflict(T.DeleteOfUpdatedArray, "/h/x")],
        [OURS, USE_THEIRS, STRICT, KEEP_GROUPS],
    ),
    "both replaced an array": (
        replaced("a"),
        replaced("a"),
        [conflict(T.NewNodeConflictsWithExistingNode, "/a")],
        [],
    ),
    "several at once": (
        {**chunks("a", [1], b"mine"), "b": None, "g": group(mine=1)},
        {**chunks("a", [1], b"theirs"), **chunks("b", [1], b"theirs"), "g": group(theirs=1)},
        [
            conflict(T.ZarrMetadataDoubleUpdate, "/g"),
            conflict(T.ChunkDoubleUpdate, "/a", [1]),
            conflict(T.DeleteOfUpdatedArray, "/b"),
        ],
        [],
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
@pytest.mark.parametrize("solver", [DETECTOR, *SOLVERS], ids=str)
def test_conflicts(repo: Repository, case: str, solver: ConflictSolver) -> None:
    mine, theirs, conflicts, settled_by = CONFLICTS[case]
    session = both(repo, mine, theirs)
    base, theirs_id = session.snapshot_id, repo.lookup_branch("main")
    before = content(session)
    if solver in settled_by:
        session.rebase(solver)
        assert session.snapshot_id == theirs_id
        assert session.commit("mine") == repo.lookup_branch("main")
        return
    with pytest.raises(RebaseFailedError) as caught:
        session.commit("mine", rebase_with=solver)
    assert caught.value.kind == ErrorKind.REBASE_FAILED
    assert caught.value.snapshot == theirs_id
    settled = [c for c in conflicts if len(conflicts) > 1 and _settles(solver, c)]
    assert caught.value.conflicts == [c for c in conflicts if c not in settled]
    # Nothing has happened.
    assert repo.lookup_branch("main") == theirs_id
    assert session.snapshot_id == base
    assert content(session) == before


def _settles(solver: ConflictSolver, found: Conflict) -> bool:
    if not isinstance(solver, BasicConflictSolver):
        return False
    match found.conflict_type:
        case T.ChunkDoubleUpdate:
            return solver.on_chunk_conflict is not FAIL
        case T.DeleteOfUpdatedArray:
            return not solver.fail_on_delete_of_updated_array
        case _:
            return False


NO_CONFLICTS: dict[str, tuple[Tree | list[Tree], Tree | list[Tree], Tree]] = {
    "different chunks": (
        chunks("a", [1, 2], b"mine"),
        chunks("a", [3, 4], b"theirs"),
        {**chunks("a", [1, 2], b"mine"), **chunks("a", [3, 4], b"theirs")},
    ),
    "chunks of different arrays": (
        chunks("a", [1], b"mine"),
        chunks("b", [1], b"theirs"),
        {**chunks("a", [1], b"mine"), **chunks("b", [1], b"theirs")},
    ),
    "my metadata, their chunks": (
        {"a": array([8], mine=1)},
        chunks("a", [1], b"theirs"),
        {"a": array([8], mine=1), **chunks("a", [1], b"theirs")},
    ),
    "grown, and their chunks": (
        {"a": array([9]), "a/c/8": b"mine"},
        chunks("a", [1], b"theirs"),
        {"a": array([9]), "a/c/8": b"mine", **chunks("a", [1], b"theirs")},
    ),
    "cut, and their chunks in what is left": (
        {"a": array([4])},
        chunks("a", [1], b"theirs"),
        {
            "a": array([4]),
            **chunks("a", [1], b"theirs"),
            **dict.fromkeys(chunks("a", range(4, 8), b"")),
        },
    ),
    "metadata of different nodes": (
        {"a": array([8], mine=1), "g": group(mine=1)},
        {"b": array([8], theirs=1), "h": group(theirs=1)},
        {
            "a": array([8], mine=1),
            "g": group(mine=1),
            "b": array([8], theirs=1),
            "h": group(theirs=1),
        },
    ),
    "both deleted": ({"a": None, "g": None}, {"a": None}, {"a": None, "g": None}),
    "deleted a group in which they made a node": (
        {"g": None},
        {"g/n": group()},
        {"g": None, "g/n": group()},
    ),
    "a new node below a group that they deleted": (
        {"g/n": group()},
        {"g": None},
        {"g": None, "g/n": group()},
    ),
    "replaced, and changes elsewhere": (
        replaced("a"),
        chunks("b", [1], b"theirs"),
        {
            **dict.fromkeys(chunks("a", range(8), b"")),
            "a/c/0": b"new",
            **chunks("b", [1], b"theirs"),
        },
    ),
    "new nodes": (
        {"g/mine": group()},
        {"g/theirs": array([1]), "g/theirs/c/0": b"theirs"},
        {"g/mine": group(), "g/theirs": array([1]), "g/theirs/c/0": b"theirs"},
    ),
    "a node that came and went": (
        {"n": group()},
        [{"n": array([2]), "n/c/0": b"brief"}, {"n": None, "a": array([8], theirs=1)}],
        {"n": group(), "a": array([8], theirs=1)},
    ),
}


@pytest.mark.parametrize("case", NO_CONFLICTS)
@pytest.mark.parametrize("solver", [DETECTOR, OURS], ids=["detector", "solver"])
def test_no_conflicts(repo: Repository, case: str, solver: ConflictSolver) -> None:
    mine, theirs, expected = NO_CONFLICTS[case]
    session = both(repo, mine, theirs)
    session.rebase(solver)
    assert session.snapshot_id == repo.lookup_branch("main")
    _check(session, expected)
    session.commit("mine")
    _check(tip(repo), expected)


def _check(view: Session, changes: Tree) -> None:
    tree = {**BASE, **changes}
    found = content(view)
    expected = {
        key if "/c/" in key else f"{key}/zarr.json".lstrip("/"): value
        for key, value in tree.items()
        if value is not None
    }
    gone = {key for key, value in tree.items() if value is None and "/c/" not in key}
    dead = {
        key
        for key in expected
        for node in gone
        if key.startswith(f"{node}/c/") or key == f"{node}/zarr.json"
    }
    assert found == {key: value for key, value in expected.items() if key not in dead}


# What comes out where both wrote


@pytest.mark.parametrize(("solver", "winner"), [(OURS, b"mine"), (USE_THEIRS, b"theirs")])
def test_whose_chunk_stays(repo: Repository, solver: ConflictSolver, winner: bytes) -> None:
    session = both(repo, chunks("a", [1, 2], b"mine"), chunks("a", [2, 3], b"theirs"))
    session.rebase(solver)
    expected = [b"base", b"mine", winner, b"theirs"]
    assert [get(session, f"a/c/{i}") for i in range(4)] == expected
    session.commit("mine")
    assert [get(tip(repo), f"a/c/{i}") for i in range(4)] == expected


def test_an_erasure_wins_as_a_chunk_does(repo: Repository) -> None:
    both(repo, {"a/c/1": None}, chunks("a", [1], b"theirs")).commit("mine", rebase_with=OURS)
    assert get(tip(repo), "a/c/1") is None


def test_all_of_mine_may_give_way(repo: Repository) -> None:
    session = both(repo, chunks("a", [1], b"mine"), chunks("a", [1], b"theirs"))
    before = content(tip(repo))
    session.commit("nothing of mine", rebase_with=USE_THEIRS)
    assert content(tip(repo)) == before
    newest = next(repo.ancestry(branch="main"))
    assert newest.message == "nothing of mine"


def test_my_deletion_wins(repo: Repository) -> None:
    session = both(repo, {"a": None, "g": None}, {"a": array([9]), "g": group(theirs=1)})
    session.commit("mine", rebase_with=OURS)
    assert not {"a/zarr.json", "g/zarr.json"} & set(keys(tip(repo)))


def test_a_replaced_array_wins_over_chunks_of_the_old_one(repo: Repository) -> None:
    both(repo, replaced("a"), chunks("a", [1], b"theirs")).commit("mine", rebase_with=OURS)
    assert [get(tip(repo), f"a/c/{i}") for i in range(3)] == [b"new", None, None]


# Several commits


def test_a_rebase_stays_on_the_last_commit_that_fits(repo: Repository) -> None:
    session = change(repo.writable_session("main"), chunks("a", [1], b"mine"))
    commit(repo, chunks("a", [2], b"theirs"))
    fits = commit(repo, chunks("b", [1], b"theirs"))
    excludes = commit(repo, chunks("a", [1], b"theirs"))
    last = commit(repo, chunks("a", [3], b"theirs"))
    with pytest.raises(RebaseFailedError) as caught:
        session.rebase(DETECTOR)
    assert caught.value.snapshot == excludes
    assert session.snapshot_id == fits
    assert [get(session, f"a/c/{i}") for i in range(4)] == [b"base", b"mine", b"theirs", b"base"]
    session.rebase(OURS)
    assert session.snapshot_id == last
    session.commit("mine")
    values = [get(tip(repo), f"a/c/{i}") for i in range(4)]
    assert values == [b"base", b"mine", b"theirs", b"theirs"]


def test_a_rebase_over_many_commits_at_once(repo: Repository) -> None:
    session = change(
        repo.writable_session("main"), {**chunks("a", [0], b"mine"), "b": array([8], mine=1)}
    )
    for i in range(1, 8):
        commit(repo, chunks("a", [i], b"%d" % i))
    session.rebase(DETECTOR)
    session.commit("mine")
    view = tip(repo)
    assert [get(view, f"a/c/{i}") for i in range(8)] == [b"mine", *(b"%d" % i for i in range(1, 8))]
    assert get(view, "b") == array([8], mine=1)
    assert len(list(repo.ancestry(branch="main"))) == 10


def test_a_rebase_without_new_commits_does_nothing(repo: Repository) -> None:
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    session.rebase(DETECTOR)
    assert session.snapshot_id == repo.lookup_branch("main")
    session.commit("mine")
    assert get(tip(repo), "a/c/0") == b"mine"


def test_a_session_without_changes_moves_on(repo: Repository) -> None:
    session = repo.writable_session("main")
    newest = commit(repo, chunks("a", [0], b"theirs"))
    session.rebase(DETECTOR)
    assert session.snapshot_id == newest
    assert get(session, "a/c/0") == b"theirs"
    with pytest.raises(SessionStateError) as caught:
        session.commit("nothing")
    assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT


def test_changes_after_a_rebase(repo: Repository) -> None:
    session = both(repo, chunks("a", [0], b"mine"), {"a/c/1": b"theirs", "n": array([2])})
    session.rebase(DETECTOR)
    change(session, {"n/c/0": b"mine", "a/c/1": b"mine too", "g": group(mine=1)})
    session.commit("mine")
    view = tip(repo)
    assert get(view, "n/c/0") == b"mine"
    assert [get(view, f"a/c/{i}") for i in range(2)] == [b"mine", b"mine too"]


# Trying again and again


@pytest.mark.parametrize("attempts", [0, 1])
def test_the_number_of_rebases_is_recorded(repo: Repository, attempts: int) -> None:
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    for _ in range(attempts):
        commit(repo, chunks("a", [1], b"theirs"))
    snapshot = session.commit(
        "mine", {"n": 1, "__icechunk": {"rebase_attempts": "?", "mine": 2}}, rebase_with=DETECTOR
    )
    assert repo.lookup_snapshot(snapshot).metadata == {
        "n": 1,
        "__icechunk": {"rebase_attempts": attempts, "mine": 2},
    }


def test_what_is_no_map_under_that_name_is_replaced(repo: Repository) -> None:
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    snapshot = session.commit("mine", {"__icechunk": "text"}, rebase_with=DETECTOR)
    assert repo.lookup_snapshot(snapshot).metadata == {"__icechunk": {"rebase_attempts": 0}}
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    snapshot = session.commit("mine", {"__icechunk": "text"})
    assert repo.lookup_snapshot(snapshot).metadata == {"__icechunk": "text"}


class Overtaken(Counting):
    """Runs something before each of the next swaps of the branch."""

    times = 0
    before: Callable[[], object] | None = None

    def put(self, key, data, *, mode=None, content_type=None):  # type: ignore[no-untyped-def]
        if key in ("repo", "refs/branch.main/ref.json") and self.times and self.before:
            self.times -= 1
            times, self.times = self.times, 0
            self.before()
            self.times = times
        return super().put(key, data, mode=mode, content_type=content_type)


@pytest.fixture
def overtaken(spec: int) -> Overtaken:
    return Overtaken(MemoryBackend())


@pytest.fixture
def contended(overtaken: Overtaken, spec: int) -> Repository:
    """A repository in which somebody commits chunk 7 just before each of my swaps."""
    config = RepositoryConfig(
        manifest=frazil.ManifestConfig(
            splitting=frazil.ManifestSplittingConfig.from_dict(
                {
                    frazil.ManifestSplitCondition.AnyArray(): {
                        frazil.ManifestSplitDimCondition.Any(): 2
                    }
                }
            )
        )
    )
    repo = Repository.create(storage_around(overtaken), config, spec_version=spec)
    commit(repo, BASE)
    overtaken.before = lambda: commit(repo, chunks("a", [7], b"theirs"))
    return repo


def test_it_is_tried_as_often_as_allowed(contended: Repository, overtaken: Overtaken) -> None:
    session = change(contended.writable_session("main"), chunks("a", [0], b"mine"))
    overtaken.times = 9
    with pytest.raises(ConflictError) as caught:
        session.commit("mine", rebase_with=DETECTOR, rebase_tries=3)
    assert caught.value.kind == ErrorKind.COMMIT_CONFLICT
    assert overtaken.times == 9 - 4  # the first try and three more
    overtaken.times = 5
    snapshot = session.commit("mine", rebase_with=DETECTOR, rebase_tries=6)
    metadata = contended.lookup_snapshot(snapshot).metadata
    assert metadata == {"__icechunk": {"rebase_attempts": 6}}
    assert get(tip(contended), "a/c/0") == b"mine"
    assert get(tip(contended), "a/c/7") == b"theirs"


def test_tries_again_write_no_manifest_again(contended: Repository, overtaken: Overtaken) -> None:
    session = change(contended.writable_session("main"), chunks("a", [0, 1, 2], b"mine"))
    overtaken.times = 4
    overtaken.reset()
    session.commit("mine", rebase_with=DETECTOR)
    theirs, mine = 4, 2
    assert overtaken.requests["put", "manifests"] == theirs + mine
    assert [get(tip(contended), f"a/c/{i}") for i in (0, 2, 3, 7)] == [
        b"mine",
        b"mine",
        b"base",
        b"theirs",
    ]


def test_a_manifest_that_others_changed_is_merged_anew(
    contended: Repository, overtaken: Overtaken
) -> None:
    session = change(contended.writable_session("main"), chunks("a", [6], b"mine"))
    overtaken.times = 3
    session.commit("mine", rebase_with=DETECTOR)
    assert [get(tip(contended), f"a/c/{i}") for i in (5, 6, 7)] == [b"base", b"mine", b"theirs"]


# A history that is not what it was


def test_a_branch_that_was_reset_cannot_be_rebased_onto(repo: Repository) -> None:
    first = repo.lookup_branch("main")
    base = commit(repo, chunks("a", [1], b"theirs"))
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    repo.reset_branch("main", first)
    with pytest.raises(ConflictError) as caught:
        session.commit("mine")
    assert (caught.value.expected_parent, caught.value.actual_parent) == (base, first)
    for call in (
        lambda: session.rebase(DETECTOR),
        lambda: session.commit("mine", rebase_with=DETECTOR),
    ):
        with pytest.raises(InternalError, match="reset") as internal:
            call()
        assert internal.value.kind == ErrorKind.CONFLICTING_PATH_NOT_FOUND
    assert repo.lookup_branch("main") == first
    repo.reset_branch("main", base)
    session.commit("mine")


def test_without_a_record_of_their_changes_nobody_can_tell(repo: Repository) -> None:
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    theirs = commit(Repository.open(repo.storage), chunks("b", [0], b"theirs"))
    repo.storage.backend().delete([f"transactions/{theirs}"])
    with pytest.raises(SessionStateError, match="not recorded any more") as caught:
        session.rebase(DETECTOR)
    assert caught.value.kind == ErrorKind.REBASE_TX_LOG_PRUNED
    assert session.has_uncommitted_changes


def test_trouble_with_the_storage_is_not_taken_for_a_missing_record(spec: int) -> None:
    backend = Faulty(MemoryBackend(), lambda operation, key: None)
    repo = Repository.create(storage_around(backend), spec_version=spec)
    first = commit(repo, BASE)
    session = change(repo.writable_session("main"), chunks("a", [0], b"mine"))
    commit(Repository.open(repo.storage), chunks("b", [0], b"theirs"))
    backend.plan = lambda operation, key: Fault.REFUSED if key.startswith("transactions/") else None
    for call in (
        lambda: session.rebase(DETECTOR),
        lambda: repo.diff(from_snapshot_id=first, to_branch="main"),
    ):
        with pytest.raises(StorageError, match="as planned"):
            call()
    backend.plan = lambda operation, key: None
    session.commit("mine", rebase_with=DETECTOR)
