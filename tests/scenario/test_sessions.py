"""Sessions: what they show, what they may do, and how they end."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import frazil
from frazil import ChunkType, ConflictDetector, Repository, RepositoryConfig, SessionMode
from frazil.errors import (
    ErrorKind,
    InvalidInputError,
    NodeNotFoundError,
    ReadOnlyError,
    SessionStateError,
)
from frazil.session import Session
from tests.scenario.places import everywhere
from tests.scenario.trees import (
    array,
    change,
    chunks,
    commit,
    content,
    erase,
    get,
    group,
    grown,
    keys,
    put,
    tip,
)

LARGE = bytes(range(256)) * 4


# What a session sees


@everywhere
def test_a_session_reads_its_own_writes_and_nobody_else_does(repo: Repository) -> None:
    grown(repo, 4)
    session, other = repo.writable_session("main"), repo.writable_session("main")
    before = content(other)
    change(
        session,
        {
            "g": group(new=1),
            "a": array([4], attribute="new"),
            "a/c/0": b"small",
            "a/c/1": LARGE,
            "a/c/2": None,
            "g/b": array([2]),
            "g/b/c/1": b"z",
        },
    )
    expected = {
        **before,
        "g/zarr.json": group(new=1),
        "a/zarr.json": array([4], attribute="new"),
        "a/c/0": b"small",
        "a/c/1": LARGE,
        "g/b/zarr.json": array([2]),
        "g/b/c/1": b"z",
    }
    del expected["a/c/2"]
    assert content(session) == expected
    assert content(other) == content(tip(repo)) == before
    session.commit("done")
    assert content(session) == content(tip(repo)) == expected
    assert content(other) == before  # a session stays on its snapshot


def test_an_erased_chunk_can_be_written_again(repo: Repository) -> None:
    grown(repo, 2)
    session = repo.writable_session("main")
    change(session, {"a/c/0": None})
    assert get(session, "a/c/0") is None
    change(session, {"a/c/0": b"again"})
    assert get(session, "a/c/0") == b"again"
    session.commit("again")
    assert get(tip(repo), "a/c/0") == b"again"


def test_a_node_that_is_made_anew_has_none_of_its_old_chunks(repo: Repository) -> None:
    grown(repo, 2)
    session = repo.writable_session("main")
    old = session.get_node_id("/a")
    change(session, {"a": None})
    assert get(session, "a") is get(session, "a/c/0") is None
    change(session, {"a": array([2]), "a/c/1": b"new"})
    assert session.get_node_id("/a") != old
    assert [get(session, f"a/c/{i}") for i in range(2)] == [None, b"new"]
    session.commit("anew")
    assert [get(tip(repo), f"a/c/{i}") for i in range(2)] == [None, b"new"]


def test_deleting_a_group_deletes_what_is_below_it(repo: Repository) -> None:
    tree = {"": group(), "g": group(), "g/a": array([1]), "g/a/c/0": b"x", "g-2": group()}
    commit(repo, {**tree, "gg": group()})
    session = change(repo.writable_session("main"), {"g/new": group(), "g": None})
    assert keys(session) == ["g-2/zarr.json", "gg/zarr.json", "zarr.json"]
    session.commit("less")
    assert keys(tip(repo)) == ["g-2/zarr.json", "gg/zarr.json", "zarr.json"]


def test_discarding_goes_back_to_the_snapshot(repo: Repository) -> None:
    grown(repo, 4)
    session = repo.writable_session("main")
    before = content(session)
    change(session, {"g": group(), "a/c/0": LARGE, "a/c/1": None, "a": array([2])})
    assert session.has_uncommitted_changes
    session.discard_changes()
    assert not session.has_uncommitted_changes
    assert session.status().is_empty()
    assert content(session) == before
    with pytest.raises(SessionStateError) as caught:
        session.commit("nothing")
    assert caught.value.kind == ErrorKind.NO_CHANGES_TO_COMMIT
    change(session, {"a/c/3": LARGE})
    session.commit("something")
    assert content(tip(repo)) == {**before, "a/c/3": LARGE}


def test_what_a_failed_commit_had_prepared_is_not_used_for_other_changes(repo: Repository) -> None:
    grown(repo, 4)
    session = change(repo.writable_session("main"), chunks("a", [0], b"first"))
    commit(repo, {"other": group()})
    with pytest.raises(frazil.ConflictError):
        session.commit("too late")
    session.discard_changes()
    change(session, chunks("a", [0], b"second"))
    session.commit("in time", rebase_with=ConflictDetector())
    assert get(tip(repo), "a/c/0") == b"second"


# Status


def test_the_status_tells_what_would_be_committed(repo: Repository) -> None:
    commit(
        repo,
        {
            "": group(),
            "a": array([9]),
            "gone": group(),
            "gone/a": array([1]),
            "g": group(),
            **chunks("a", [1], b"x"),
        },
    )
    session = repo.writable_session("main")
    change(
        session,
        {
            "gone": None,
            "g": group(changed=1),
            "new": group(),
            "new/a": array([3]),
            "new/a/c/2": b"x",
            "a": array([9], changed=1),
            **chunks("a", [5, 0], b"x"),
            "a/c/1": None,
            "brief": group(),
            "brief/a": array([3]),
            "brief/a/c/0": b"x",
        },
    )
    erase(session, "brief")
    status = session.status()
    assert status.new_groups == {"/new"}
    assert status.new_arrays == {"/new/a"}
    assert status.deleted_groups == {"/gone"}
    assert status.deleted_arrays == {"/gone/a"}
    assert status.updated_groups == {"/g"}
    assert status.updated_arrays == {"/a"}
    assert status.updated_chunks == {"/a": [[0], [1], [5]], "/new/a": [[2]]}
    assert status.moved_nodes == []
    before = tip(repo).snapshot_id
    after = session.commit("all of it")
    assert repo.diff(from_snapshot_id=before, to_snapshot_id=after) == status
    assert session.status().is_empty()


def test_the_same_metadata_again_is_no_change_but_the_same_chunk_is(repo: Repository) -> None:
    grown(repo, 2)
    session = change(repo.writable_session("main"), {"a": array([2]), "": group()})
    assert not session.has_uncommitted_changes
    change(session, {"a/c/0": b"base"})
    assert session.status().updated_chunks == {"/a": [[0]]}


def test_erasing_a_chunk_that_is_not_there_is_a_change(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([2])})
    session = change(repo.writable_session("main"), {"a/c/0": None})
    assert session.has_uncommitted_changes
    session.commit("nothing there")
    assert keys(tip(repo)) == ["a/zarr.json", "zarr.json"]


# Modes


def test_the_two_modes(repo: Repository) -> None:
    snapshot = grown(repo, 1)
    repo.create_tag("t", snapshot)
    writable = repo.writable_session("main")
    assert writable.mode is SessionMode.writable
    assert not writable.read_only
    assert not writable.store.read_only
    assert (writable.branch, writable.snapshot_id) == ("main", snapshot)
    for readable in (
        repo.readonly_session("main"),
        repo.readonly_session(tag="t"),
        repo.readonly_session(snapshot_id=snapshot),
    ):
        assert readable.mode is SessionMode.readonly
        assert readable.read_only
        assert readable.store.read_only
        assert (readable.branch, readable.snapshot_id) == (None, snapshot)
        assert not readable.has_uncommitted_changes


@pytest.mark.parametrize("committed", [False, True], ids=["never writable", "committed"])
def test_what_a_read_only_session_refuses(repo: Repository, committed: bool) -> None:
    grown(repo, 1)
    session = repo.writable_session("main")
    if committed:
        change(session, {"g": group()}).commit("done")
    else:
        session = repo.readonly_session("main")
    for key in ("a", "a/c/0"):
        with pytest.raises(ReadOnlyError) as caught:
            put(session, key, b"x")
        assert caught.value.kind == ErrorKind.READ_ONLY_STORE
        with pytest.raises(ReadOnlyError) as caught:
            erase(session, key)
        assert caught.value.kind == ErrorKind.READ_ONLY_SESSION
    with pytest.raises(ReadOnlyError) as caught:
        session.discard_changes()
    assert caught.value.kind == ErrorKind.READ_ONLY_SESSION
    for call in (
        lambda: session.commit("x", allow_empty=True),
        lambda: session.rebase(ConflictDetector()),
    ):
        with pytest.raises(SessionStateError) as state:
            call()
        assert state.value.kind == ErrorKind.COMMIT_NOT_ALLOWED


def test_after_a_commit_a_session_is_a_view_of_it(repo: Repository) -> None:
    grown(repo, 1)
    session = change(repo.writable_session("main"), {"a/c/0": LARGE})
    store = session.store
    snapshot = session.commit("done")
    assert session.mode is SessionMode.readonly
    assert session.read_only
    assert session.branch is None
    assert session.snapshot_id == snapshot
    assert not session.has_uncommitted_changes
    assert session.store.read_only
    assert store.get_sync("a/c/0").to_bytes() == LARGE  # type: ignore[union-attr]


def test_sessions_are_equal_only_to_themselves(repo: Repository) -> None:
    one, other = repo.writable_session("main"), repo.writable_session("main")
    assert one == one.store.session
    assert one != other
    assert one.store == one.store
    assert one.store != other.store
    assert one != "session"
    assert len({one, other}) == 2


@pytest.mark.parametrize("path", ["a", "", "/a/", "//a", "/a/../b", "/./a"])
def test_paths_are_absolute_and_plain(repo: Repository, path: str) -> None:
    session = repo.readonly_session("main")
    for call in (session.get_node_id, lambda p: session.chunk_type(p, [0])):
        with pytest.raises(InvalidInputError) as caught:
            call(path)  # type: ignore[no-untyped-call]
        assert caught.value.kind == ErrorKind.INVALID_PATH


@everywhere
def test_where_chunks_are(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([4, 4]), "a/c/0/0": b"x", "a/c/0/1": LARGE})
    session = change(repo.writable_session("main"), {"a/c/1/0": b"x", "a/c/1/1": LARGE})
    for state in (session, repo.readonly_session("main")):
        assert state.chunk_type("/a", [0, 0]) is ChunkType.inline
        assert state.chunk_type("/a", (0, 1)) is ChunkType.native
        assert state.chunk_type("/a", [2, 2]) is ChunkType.uninitialized
        assert state.chunk_type("/a", [9, 9]) is ChunkType.uninitialized
    assert session.chunk_type("/a", [1, 0]) is ChunkType.inline
    assert session.chunk_type("/a", [1, 1]) is ChunkType.native
    with pytest.raises(NodeNotFoundError) as missing:
        session.chunk_type("/b", [0])
    assert missing.value.kind == ErrorKind.NODE_NOT_FOUND
    with pytest.raises(InvalidInputError) as wrong:
        session.chunk_type("/", [0])
    assert wrong.value.kind == ErrorKind.NOT_AN_ARRAY


async def test_the_coordinates_of_all_chunks(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([3, 3]), "s": array([]), "s/c": b"x"})
    session = change(
        repo.writable_session("main"), {f"a/c/{i}/{j}": b"x" for i in range(3) for j in range(3)}
    )
    session.commit("nine")
    session = change(repo.writable_session("main"), {"a/c/1/1": b"y", "a/c/2/2": None})
    for size in (1, 4, 1000):
        found = [c async for c in session.chunk_coordinates("/a", batch_size=size)]
        assert sorted(found) == [(i, j) for i in range(3) for j in range(3) if (i, j) != (2, 2)]
    assert [c async for c in session.chunk_coordinates("/s")] == [()]
    with pytest.raises(NodeNotFoundError):
        [c async for c in session.chunk_coordinates("/missing")]


# Chunks and where they go


@pytest.mark.parametrize(("limit", "size"), [(None, 512), (100, 100), (0, 0)])
def test_the_inline_threshold_is_inclusive(
    storage: frazil.Storage, spec: int, limit: int | None, size: int
) -> None:
    config = RepositoryConfig(inline_chunk_threshold_bytes=limit)
    repo = Repository.create(storage, config, spec_version=spec)
    session = change(repo.writable_session("main"), {"": group(), "a": array([2])})
    change(session, {"a/c/0": bytes(max(size, 1)), "a/c/1": bytes(size + 1)})
    kinds = [session.chunk_type("/a", [i]) for i in range(2)]
    assert kinds == [ChunkType.inline if size else ChunkType.native, ChunkType.native]
    session.commit("two")
    again = tip(repo)
    assert [again.chunk_type("/a", [i]) for i in range(2)] == kinds
    assert [len(get(again, f"a/c/{i}") or b"") for i in range(2)] == [max(size, 1), size + 1]


@everywhere
def test_small_chunks_share_an_object(repo: Repository, storage: frazil.Storage) -> None:
    session = change(repo.writable_session("main"), {"": group(), "a": array([50])})
    change(session, {f"a/c/{i}": bytes([i]) * 1000 for i in range(50)})
    session.commit("fifty")
    assert len(storage.list_objects(prefix="chunks")) == 1
    view = tip(repo)
    assert [get(view, f"a/c/{i}") for i in range(50)] == [bytes([i]) * 1000 for i in range(50)]


def test_a_chunk_that_is_cut_off_does_not_come_back(repo: Repository) -> None:
    grown(repo, 8)
    session = change(repo.writable_session("main"), {"a/c/6": b"mine", "a": array([4])})
    assert [get(session, f"a/c/{i}") for i in (3, 4, 6)] == [b"base", None, None]
    change(session, {"a": array([8]), "a/c/5": b"new"})

    def seen(view: Session) -> list[bytes | None]:
        return [get(view, f"a/c/{i}") for i in range(8)]

    expected = [b"base"] * 4 + [None, b"new", None, None]
    assert seen(session) == expected
    assert len(keys(session)) == 7
    session.commit("cut and grown")
    assert seen(tip(repo)) == expected


def test_a_chunk_that_an_earlier_commit_cut_off_does_not_come_back(repo: Repository) -> None:
    grown(repo, 8)
    commit(repo, {"a": array([4])})
    assert [key for key in keys(tip(repo)) if "/c/" in key] == [f"a/c/{i}" for i in range(4)]
    commit(repo, {"a": array([8])})
    assert [key for key in keys(tip(repo)) if "/c/" in key] == [f"a/c/{i}" for i in range(4)]
    (manifest,) = repo.list_manifest_files(repo.lookup_branch("main"))
    assert manifest.num_chunk_refs == 4


@pytest.mark.parametrize("ranks", [(1, 2), (2, 1), (3, 2), (2, 0), (1, 0), (0, 2)])
def test_an_array_of_another_rank_starts_empty(repo: Repository, ranks: tuple[int, int]) -> None:
    old, new = ranks

    def first(rank: int) -> str:
        return "a/c" + "/0" * rank

    commit(repo, {"": group(), "a": array([2] * old), first(old): b"old"})
    session = change(repo.writable_session("main"), {"a": array([2] * new)})
    assert get(session, first(new)) is None
    session.commit("another rank")
    assert keys(tip(repo)) == ["a/zarr.json", "zarr.json"]
    commit(repo, {first(new): b"new"})
    commit(repo, {"a": array([2] * old)})
    assert keys(tip(repo)) == ["a/zarr.json", "zarr.json"]


# Pickling


def test_read_only_sessions_and_stores_can_be_pickled(tmp_path: Path, spec: int) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path))
    repo = Repository.create(storage, spec_version=spec)
    snapshot = grown(repo, 2)
    session = tip(repo)
    commit(repo, {"a/c/0": b"later"})
    for copy in (
        pickle.loads(pickle.dumps(session)),
        pickle.loads(pickle.dumps(session.store)).session,
    ):
        assert copy.read_only
        assert copy.snapshot_id == snapshot
        assert content(copy) == content(session)


def test_a_committed_session_can_be_pickled(tmp_path: Path) -> None:
    repo = Repository.create(frazil.local_filesystem_storage(str(tmp_path)))
    session = change(repo.writable_session("main"), {"": group()})
    session.commit("done")
    assert keys(pickle.loads(pickle.dumps(session))) == ["zarr.json"]


def test_writable_sessions_and_their_stores_cannot_be_pickled(repo: Repository) -> None:
    session = repo.writable_session("main")
    for value in (session, session.store):
        with pytest.raises(ValueError, match="writable session cannot be pickled"):
            pickle.dumps(value)


def test_repositories_can_be_pickled(tmp_path: Path, spec: int) -> None:
    storage = frazil.local_filesystem_storage(str(tmp_path))
    config = RepositoryConfig(inline_chunk_threshold_bytes=7)
    repo = Repository.create(storage, config, spec_version=spec)
    repo.set_default_commit_metadata({"who": "me"})
    copy = pickle.loads(pickle.dumps(repo))
    assert copy.config.inline_chunk_threshold_bytes == 7
    assert copy.spec_version == spec
    assert copy.default_commit_metadata() == {"who": "me"}
    snapshot = commit(copy, {"": group()})
    assert repo.lookup_branch("main") == snapshot
    copy.save_config()


def test_what_sessions_show(repo: Repository) -> None:
    writable = repr(repo.writable_session("main"))
    assert "branch: main" in writable
    assert "has_uncommitted_changes: False" in writable
    readable = repr(repo.readonly_session("main"))
    assert "read_only: True" in readable
    assert "branch" not in readable
