"""Hooks around commits, merges, tags and branches: what they see, refuse, and are told."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import ConflictDetector, HookError, Repository
from frazil.hooks import Hook, HookEvent, HookFinding
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.rounds import Distant, played


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAZIL_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("FRAZIL_HOOKS", raising=False)


def write(repo: Repository, values: Any, branch: str = "main", name: str = "a") -> str:
    """Commit an array."""
    session = repo.writable_session(branch)
    session[name] = values
    return session.commit("write")


def watch(repo: Repository) -> list[HookEvent]:
    """Keep all events."""
    seen: list[HookEvent] = []
    hooks = repo.hooks
    for register in (
        *(hooks.before_commit, hooks.after_commit, hooks.before_merge, hooks.after_merge),
        *(hooks.before_tag, hooks.after_tag, hooks.before_branch, hooks.after_branch),
    ):
        register(seen.append)
    return seen


def told(seen: list[HookEvent]) -> list[str]:
    """The events in words; forgets them."""
    words = [f"{event.when} {event.event} {event.action} {event.ref}" for event in seen]
    seen.clear()
    return words


def test_before_a_commit_the_tree_is_as_it_would_be(repo: Repository) -> None:
    write(repo, np.arange(4))
    seen: list[tuple[Any, ...]] = []

    @repo.hooks.before_commit
    def look(event: HookEvent) -> None:
        tree = event.tree
        with pytest.raises(frazil.ReadOnlyError):
            tree["c"] = [1]
        with pytest.raises(ValueError, match="not committed"):
            pickle.dumps(tree)
        changes = event.changes
        assert changes is not None
        paths = changes.new_arrays, changes.deleted_arrays
        seen.append((tree["b"][:].tolist(), "a" in tree, *paths, event.snapshot_id))
        assert event.changed_arrays() == ["/b"]
        assert [path for path, _ in event.arrays()] == ["/b"]

    session = repo.writable_session("main")
    base = session.snapshot_id
    session["b"] = np.arange(600)
    del session["a"]
    session.commit("change")
    assert seen == [(list(range(600)), False, {"/b"}, {"/a"}, None)]
    assert repo.lookup_snapshot(repo.lookup_branch("main")).parent_id == base


def test_a_refusal_leaves_everything_as_it_was(repo: Repository) -> None:
    write(repo, np.arange(4))
    before = repo.lookup_branch("main")

    @repo.hooks.before_commit
    def positive(event: HookEvent) -> Any:
        for path, array in event.arrays():
            if np.min(array[:]) < 0:
                yield HookFinding("is negative", path)

    @repo.hooks.before_commit
    def has_a_name(event: HookEvent) -> Any:
        return None if event.metadata.get("author") else "nobody says who"

    session = repo.writable_session("main")
    session["a"][:] = -1
    with pytest.raises(HookError, match=r"commit to branch 'main' was refused: .*/a: is neg") as e:
        session.commit("wrong")
    first, second = e.value.findings
    assert (first.path, first.message) == ("/a", "is negative")
    assert first.hook.endswith("positive")
    assert (second.path, second.message) == (None, "nobody says who")
    assert e.value.kind == "hook-refused"
    assert pickle.loads(pickle.dumps(e.value)).findings == e.value.findings
    assert repo.lookup_branch("main") == before
    assert session.has_uncommitted_changes
    session["a"][:] = 1
    session.commit("right", {"author": "me"})
    assert repo.at()["a"][:].tolist() == [1, 1, 1, 1]


def test_a_hook_that_fails_refuses(repo: Repository) -> None:
    @repo.hooks.before_commit
    def breaks(event: HookEvent) -> None:
        raise RuntimeError("no disk")

    with pytest.raises(HookError, match="RuntimeError: no disk") as e:
        write(repo, [1])
    assert isinstance(e.value.__cause__, RuntimeError)
    repo.hooks.remove(breaks)
    write(repo, [1])
    with pytest.raises(frazil.InvalidInputError, match="no hook"):
        repo.hooks.remove(breaks)


def test_a_hook_cannot_change_the_session(repo: Repository) -> None:
    session = repo.writable_session("main")
    session["a"] = [1]
    repo.hooks.before_commit(lambda event: session["a"].__setitem__(0, 7))
    with pytest.raises(frazil.SessionStateError, match="was changed while hooks looked"):
        session.commit("x")


def test_after_a_commit_it_stands(repo: Repository) -> None:
    seen: list[str | None] = []

    @repo.hooks.after_commit
    def fails(event: HookEvent) -> None:
        seen.append(event.snapshot_id)
        assert event.tree["a"][0] == 5
        raise OSError("no network")

    @repo.hooks.after_commit
    def goes_on(event: HookEvent) -> str:
        assert event.changes is not None
        assert event.changes.new_arrays == {"/a"}
        return "remark"

    with pytest.warns(RuntimeWarning) as warned:
        id_ = write(repo, [5])
    assert seen == [id_] == [repo.lookup_branch("main")]
    assert ["no network" in str(warned[0].message), "remark" in str(warned[1].message)] == [
        True
    ] * 2


def test_hooks_run_again_after_a_rebase_and_are_told_once(repo: Repository) -> None:
    write(repo, np.zeros(3), name="a")
    session, other = repo.writable_session("main"), repo.writable_session("main")
    session["b"] = np.ones(3)
    other["c"] = np.ones(3)
    trees: list[bool] = []
    known: list[str | None] = []
    done: list[str] = []

    @repo.hooks.before_commit
    def first_somebody_else(event: HookEvent) -> None:
        trees.append("c" in event.tree)
        known.append(event.previous_id)
        if len(trees) == 1:
            repo.hooks.remove(first_somebody_else)
            other.commit("first")
            repo.hooks.before_commit(first_somebody_else)

    repo.hooks.after_commit(lambda event: done.append(event.ref))
    session.commit("second", rebase_with=ConflictDetector())
    assert trees == [False, True]
    assert known[1] == other.snapshot_id
    assert done == ["main", "main"]


def test_which_events_there_are(repo: Repository) -> None:
    first = write(repo, np.zeros(3))
    seen = watch(repo)
    repo.create_branch("dev", first)
    assert told(seen) == ["before branch create dev", "after branch create dev"]
    second = write(repo, np.ones(3), "dev", "b")
    assert told(seen) == ["before commit commit dev", "after commit commit dev"]
    repo.merge("dev", into="main", fast_forward=True)
    assert told(seen) == ["before merge fast-forward main", "after merge fast-forward main"]
    repo.reset_branch("main", first)
    reset = seen[-1]
    assert reset.snapshot_id == first
    assert told(seen) == ["before branch reset main", "after branch reset main"]
    repo.merge("dev", into="main")
    event = seen[-1]
    assert event.changes is not None
    assert event.changes.new_arrays == {"/b"}
    assert told(seen) == ["before merge merge main", "after merge merge main"]
    write(repo, np.ones(3), "main", "d")
    seen.clear()
    repo.revert(repo.lookup_branch("main"), "main")
    assert told(seen) == ["before commit revert main", "after commit revert main"]
    third = write(repo, np.ones(2), "dev", "e")
    seen.clear()
    repo.merge("dev", into="main")
    assert told(seen) == ["before merge merge main", "after merge merge main"]
    write(repo, np.ones(2), "dev", "f")
    seen.clear()
    repo.cherry_pick(repo.lookup_branch("dev"), "main")
    assert told(seen) == ["before commit cherry-pick main", "after commit cherry-pick main"]
    repo.squash("dev", second, "one")
    assert seen[-1].tree["f"][:].tolist() == [1, 1]
    assert told(seen) == ["before commit squash dev", "after commit squash dev"]
    repo.create_tag("v1", third)
    assert seen[0].tree["e"].shape == (2,)
    assert told(seen) == ["before tag create v1", "after tag create v1"]
    repo.delete_tag("v1")
    repo.delete_branch("dev")
    assert told(seen) == [
        *("before tag delete v1", "after tag delete v1"),
        *("before branch delete dev", "after branch delete dev"),
    ]


def test_amended_commits(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    write(repo, np.zeros(3))
    seen: list[tuple[Any, ...]] = []

    def look(event: HookEvent) -> None:
        assert event.changes is not None
        chunks = event.changes.updated_chunks
        seen.append((event.when, event.action, chunks, event.tree["a"][0]))

    repo.hooks.after_commit(repo.hooks.before_commit(look))
    session = repo.writable_session("main")
    session["a"][:] = 2
    session.amend("better")
    chunks = {"/a": [[0]]}
    assert seen == [("before", "amend", chunks, 2), ("after", "amend", chunks, 2)]


def test_nodes_are_moved(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    write(repo, np.zeros(3), name="old")
    seen: list[list[str]] = []
    repo.hooks.before_commit(lambda event: seen.append(event.changed_arrays()))
    session = repo.rearrange_session("main")
    session.move("/old", "/new")
    session.commit("move")
    assert seen == [["/new"]]


@pytest.mark.parametrize("event", ["tag", "branch"])
def test_names_can_be_refused(repo: Repository, event: str) -> None:
    getattr(repo.hooks, f"before_{event}")(lambda event: f"no {event.action}")
    id_ = write(repo, [1])
    with pytest.raises(HookError, match=rf"to create {event} 'x' was refused: .*no create"):
        getattr(repo, f"create_{event}")("x", id_)
    assert repo.list_tags() == set()
    assert repo.list_branches() == {"main"}


def test_functions_are_ordinary_functions(repo: Repository) -> None:
    async def later(event: HookEvent) -> None: ...

    with pytest.raises(TypeError, match="ordinary function"):
        repo.hooks.before_commit(later)  # type: ignore[type-var]


# Stored hooks


def test_stored_hooks_run_for_everybody(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    repo.hooks.add(Hook(name="units", validator="cf"))
    repo.hooks.add(Hook(name="enough", validator="missing-values", options={"at_most": 0.5}))
    assert [hook.name for hook in repo.hooks] == ["enough", "units"]
    for other in (Repository.open(storage), pickle.loads(pickle.dumps(repo))):
        assert list(other.hooks) == list(repo.hooks)
        session = other.writable_session("main")
        session["a"] = [1.0, np.nan, np.nan]
        session["a"].attrs["units"] = "furlong / fortnight"
        with pytest.raises(HookError) as e:
            session.commit("x")
        assert [finding.hook for finding in e.value.findings] == ["enough", "units"]
        assert {finding.path for finding in e.value.findings} == {"/a"}
    repo.hooks.remove("units")
    repo.hooks.remove("enough")
    assert len(repo.hooks) == 0
    assert repo.get_metadata() == {}
    write(Repository.open(storage), [np.nan])


def test_patterns_say_which_branches(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    first = repo.lookup_branch("main")
    repo.hooks.add(
        Hook(name="whole", validator="missing-values", refs=["release-*"], on=["commit"])
    )
    repo.create_branch("release-1", first)
    write(repo, [np.nan])
    with pytest.raises(HookError):
        write(repo, [np.nan], "release-1")


def test_other_metadata_stays(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    repo.set_metadata({"title": "x"})
    repo.hooks.add(Hook(name="units", validator="cf"))
    repo.set_metadata({"title": "y"})
    assert repo.get_metadata()["title"] == "y"
    assert len(repo.hooks) == 1, "replacing metadata is not meant to remove hooks"


def test_hooks_of_a_later_version_are_not_left_out(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    repo.update_metadata({"frazil.hooks": {"new": {"validator": "of the future"}}})
    with pytest.raises(frazil.FormatError, match=r"'new'.*of the future"):
        write(repo, [1])
    repo.hooks.remove("new")
    write(repo, [1])


def test_functions_work_in_format_1_but_nothing_is_stored(storage: frazil.Storage) -> None:
    repo = Repository.create(storage, spec_version=1)
    assert list(repo.hooks) == []
    with pytest.raises(frazil.FormatError, match="storing hooks needs a spec 2"):
        repo.hooks.add(Hook(name="units", validator="cf"))


def test_on_request(storage: frazil.Storage) -> None:
    repo = Repository.create(storage)
    write(repo, [np.nan, 1.0])
    repo.hooks.add(Hook(name="whole", validator="missing-values"))
    repo.hooks.before_commit(lambda event: f"{event.action} of {event.ref}")
    found = repo.hooks.run()
    assert str(found[0]).endswith("check of main")
    assert found[1] == HookFinding(
        "1 of 2 values that are written are missing, 50.00%, and at most 0.00% may be",
        "/a",
        "whole",
    )
    assert repo.hooks.run("whole", snapshot_id=repo.lookup_branch("main")) == found[1:]
    with pytest.raises(frazil.InvalidInputError, match="no hook 'other'"):
        repo.hooks.run("other")


# What it costs


def test_hooks_take_no_requests_of_their_own(spec: int) -> None:
    counts = []
    for hooked in (False, True):
        place = Distant(MemoryBackend())
        repo = Repository.create(storage_around(place), spec_version=spec)
        if hooked:
            repo.hooks.before_commit(lambda event: None)
            repo.hooks.after_tag(lambda event: None)
            if spec == 2:
                repo.hooks.add(Hook(name="x", validator="cf", on=["merge"]))
        session = repo.writable_session("main")
        zarr.create_array(session.store, name="a", data=np.arange(3))
        place.reset()
        with played(place):
            session.commit("x")
            repo.create_tag("t", session.snapshot_id)
        counts.append((place.total, place.now))
    assert counts[0] == counts[1]
