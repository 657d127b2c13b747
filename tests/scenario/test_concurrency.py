"""Many committers at once: processes, some of them killed, and threads."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import frazil
from frazil import BasicConflictSolver, ConflictDetector, Repository
from tests.scenario.committers import Ground, crowd, deadly, undisturbed
from tests.scenario.places import everywhere
from tests.scenario.trees import array, change, commit, get, group, grown, put, tip
from tests.servers.s3 import S3


def test_nothing_that_was_reported_is_lost(tmp_path: Path, spec: int) -> None:
    result = undisturbed(Ground(tmp_path), spec)
    assert result.faults == []
    assert (result.reported, result.in_history) == (90, 90)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_nothing_is_lost_when_processes_are_killed(tmp_path: Path, spec: int) -> None:
    result = deadly(Ground(tmp_path), spec, writers=3, kills=4)
    assert result.faults == []
    assert result.in_history >= result.reported > 0


def test_a_crowd_writes_little_more_than_one_writer(tmp_path: Path, spec: int) -> None:
    result, ratio = crowd(Ground(tmp_path), spec, writers=20, commits=3, children=2)
    assert result.faults == []
    assert (result.reported, result.in_history) == (60, 60)
    # A lost try costs a snapshot and a log; who has lost waits in line, so there are few.
    assert ratio < 2


def test_a_crowd_on_an_object_store(tmp_path: Path, s3: S3) -> None:
    result, ratio = crowd(Ground(tmp_path, s3), 2, writers=12, commits=2, children=2)
    assert result.faults == []
    assert (result.reported, result.in_history) == (24, 24)
    assert ratio < 2.5  # those of different processes cannot wait in line


@everywhere
def test_threads_with_a_session_each(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([6, 5])})

    def work(thread: int) -> list[str]:
        mine = []
        for i in range(5):
            session = change(repo.writable_session("main"), {f"a/c/{thread}/{i}": b"%d" % thread})
            mine.append(session.commit("one", rebase_with=ConflictDetector()))
        return mine

    with ThreadPoolExecutor(6) as threads:
        reported = [id_ for ids in threads.map(work, range(6)) for id_ in ids]
    history = [item.id for item in repo.ancestry(branch="main")]
    assert len(history) == 32
    assert set(reported) < set(history)
    view = tip(repo)
    for thread in range(6):
        for i in range(5):
            assert get(view, f"a/c/{thread}/{i}") == b"%d" % thread


@everywhere
def test_threads_that_fight_for_one_chunk(repo: Repository) -> None:
    grown(repo)
    solver = BasicConflictSolver()

    def work(thread: int) -> tuple[str, bytes]:
        session = change(repo.writable_session("main"), {"a/c/0": b"%d" % thread})
        return session.commit("mine", rebase_with=solver), b"%d" % thread

    with ThreadPoolExecutor(6) as threads:
        written = dict(threads.map(work, range(6)))
    history = [item.id for item in repo.ancestry(branch="main")][:6]
    assert set(history) == set(written)
    for id_, value in written.items():
        assert get(repo.readonly_session(snapshot_id=id_), "a/c/0") == value


def test_threads_in_one_session(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([200])})
    session = repo.writable_session("main")

    def work(i: int) -> None:
        put(session, f"a/c/{i}", b"%03d" % i * (300 if i % 2 else 1))
        put(session, f"g{i}", group())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    session.commit("all")
    view = tip(repo)
    for i in range(200):
        assert get(view, f"a/c/{i}") == b"%03d" % i * (300 if i % 2 else 1)
        assert get(view, f"g{i}") == group()


def test_what_is_written_during_a_commit_is_in_it_or_refused(repo: Repository) -> None:
    commit(repo, {"": group(), "a": array([10_000])})
    session = repo.writable_session("main")
    written: list[int] = []
    begun = threading.Event()

    def work() -> None:
        for i in range(10_000):
            try:
                put(session, f"a/c/{i}", b"%05d" % i * (200 if i % 3 else 1))
            except frazil.errors.ReadOnlyError:
                return
            written.append(i)
            if i == 20:
                begun.set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    session.commit("in the middle")
    thread.join()
    view = tip(repo)
    found = [i for i in range(written[-1] + 2) if get(view, f"a/c/{i}") is not None]
    assert found == written


@everywhere
def test_branches_tags_and_commits_at_once(repo: Repository) -> None:
    one = grown(repo)

    def work(i: int) -> None:
        repo.create_branch(f"b{i}", one)
        repo.create_tag(f"t{i}", one)
        session = change(repo.writable_session(f"b{i}"), {"a/c/0": b"%d" % i})
        session.commit("mine")
        if i % 2:
            repo.delete_tag(f"t{i}")

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(work, range(10)))
    assert repo.list_branches() == {"main", *(f"b{i}" for i in range(10))}
    assert repo.list_tags() == {f"t{i}" for i in range(0, 10, 2)}
    for i in range(10):
        assert get(repo.readonly_session(f"b{i}"), "a/c/0") == b"%d" % i


def test_lost_races_leave_no_copies_behind(tmp_path: Path) -> None:
    repo = Repository.create(frazil.local_filesystem_storage(str(tmp_path)))
    commit(repo, {"": group(), "a": array([100])})

    def work(i: int) -> None:
        session = change(repo.writable_session("main"), {f"a/c/{i}": b"%d" % i})
        session.commit("mine", rebase_with=ConflictDetector())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(40)))
    backups = {path.name for path in (tmp_path / "overwritten").iterdir()}
    assert backups == {update.backup_path for update in repo.ops_log()} - {None}


def test_who_has_lost_a_race_waits_in_line(tmp_path: Path) -> None:
    place = frazil.local_filesystem_storage(str(tmp_path))
    repo = Repository.create(place)
    commit(repo, {"": group(), "a": array([4])})
    late = change(repo.writable_session("main"), {"a/c/1": b"late"})
    commit(repo, {"a/c/0": b"first"})
    done = threading.Event()

    def finish() -> None:
        late.commit("late", rebase_with=ConflictDetector())
        done.set()

    with place.backend().turn():
        thread = threading.Thread(target=finish)
        thread.start()
        assert not done.wait(0.2)
        assert get(tip(repo), "a/c/1") is None
        # Newcomers need not wait.
        commit(repo, {"a/c/2": b"new"})
    thread.join()
    assert get(tip(repo), "a/c/1") == b"late"
