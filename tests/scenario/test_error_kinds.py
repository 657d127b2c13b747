"""Each kind of error that the package can raise is provoked by a test.

Those of `PROVOKED` are provoked here; for the others, `ELSEWHERE` names the test module that
does, because it needs a damaged file, a failing storage or several steps. Who adds a kind to
the source has to add a test for it, and an entry to one of the two.
"""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import frazil
from frazil import ConflictDetector, Repository, errors
from frazil.errors import ErrorKind, IcechunkError
from frazil.ids import INITIAL_SNAPSHOT
from frazil.model import patterns
from frazil.session import Session
from tests.scenario.trees import array, change, commit, get, group, put, tip

TESTS = Path(__file__).parent.parent
SOURCE = Path(errors.__file__).parent


def new(spec: int = 2) -> Repository:
    """A repository with a group `g` and an array `a` of two chunks."""
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    commit(repo, {"": group(), "g": group(), "a": array([2]), "a/c/0": b"0"})
    return repo


def writable(repo: Repository | None = None) -> Session:
    return (repo or new()).writable_session("main")


def rearranging(**groups: bytes) -> Session:
    repo = new()
    if groups:
        commit(repo, dict(groups))
    return repo.rearrange_session("main")


def overtaken(theirs: dict[str, bytes | None], mine: dict[str, bytes | None]) -> Session:
    """A session that has lost the race for its branch."""
    repo = new()
    session = change(writable(repo), mine)
    commit(repo, theirs)
    return session


def tagged(*, deleted: bool) -> None:
    repo = new()
    target = repo.lookup_branch("main")
    repo.create_tag("t", target)
    if deleted:
        repo.delete_tag("t")
    repo.create_tag("t", target)


def read_only() -> Repository:
    repo = new()
    repo.set_status(frazil.RepoStatus(frazil.RepoAvailability.read_only))
    return repo


def twice_a_branch(spec: int) -> None:
    repo = new(spec)
    for _ in range(2):
        repo.create_branch("b", str(INITIAL_SNAPSHOT))


def on_a_branch_that_was_reset() -> Session:
    repo = new()
    session = change(writable(repo), {"a/c/1": b"1"})
    repo.reset_branch("main", str(INITIAL_SNAPSHOT))
    return session


def forgotten() -> None:
    data = pickle.dumps(frazil.in_memory_storage())
    gc.collect()
    pickle.loads(data)


def damaged() -> None:
    repo = new()
    key = f"snapshots/{repo.lookup_branch('main')}"
    repo.storage.backend().put(key, b"damaged")
    get(tip(Repository.open(repo.storage)), "a/c/0")


def half_done() -> None:
    session = writable()
    session._state.workspace.lock.spoil()
    session.commit("m")


PROVOKED: dict[ErrorKind, Callable[[], object]] = {
    ErrorKind.BRANCH_ALREADY_EXISTS: lambda: twice_a_branch(2),
    ErrorKind.BRANCH_UPDATE_CONFLICT: lambda: twice_a_branch(1),
    ErrorKind.CANNOT_DELETE_MAIN: lambda: new().delete_branch("main"),
    ErrorKind.CANNOT_FORK_READ_ONLY_SESSION: lambda: tip(new()).fork(),
    ErrorKind.COMMIT_CONFLICT: lambda: overtaken({"a/c/0": b"1"}, {"a/c/1": b"1"}).commit("m"),
    ErrorKind.EMPTY_PREFIX_CREATION: lambda: Repository.create(
        frazil.s3_storage(bucket="b", prefix="")
    ),
    ErrorKind.INVALID_CHUNK_INDEX: lambda: put(writable(), "a/c/7", b"1"),
    ErrorKind.INVALID_COMMIT_CONFIGURATION: lambda: patterns.compile_pattern("("),
    ErrorKind.INVALID_REF_NAME: lambda: new(1).create_branch("a/b", str(INITIAL_SNAPSHOT)),
    ErrorKind.INVALID_SNAPSHOT_ID: lambda: new().lookup_snapshot("?"),
    ErrorKind.MOVE_INTO_SELF_OR_DESCENDANT: lambda: rearranging().move("/g", "/g/h"),
    ErrorKind.MOVE_DESTINATION_PARENT_MISSING: lambda: rearranging().move("/a", "/no/a"),
    ErrorKind.MOVE_DESTINATION_PARENT_NOT_GROUP: lambda: rearranging().move("/g", "/a/g"),
    ErrorKind.MOVE_WONT_OVERWRITE: lambda: rearranging().move("/a", "/g"),
    ErrorKind.NODE_NOT_FOUND: lambda: tip(new()).get_node_id("/no"),
    ErrorKind.NON_REARRANGE_SESSION: lambda: writable().move("/a", "/b"),
    ErrorKind.NO_CHANGES_TO_COMMIT: lambda: writable().commit("m"),
    ErrorKind.NO_SNAPSHOT_AT_TIME: lambda: new().readonly_session(
        "main", as_of=datetime(2000, 1, 1, tzinfo=UTC)
    ),
    ErrorKind.READ_ONLY_REPOSITORY: lambda: read_only().writable_session("main"),
    ErrorKind.READ_ONLY_SESSION: lambda: tip(new()).discard_changes(),
    ErrorKind.READ_ONLY_STORE: lambda: put(tip(new()), "b", group()),
    ErrorKind.REARRANGE_SESSION_ONLY: lambda: put(rearranging(), "a/c/1", b"1"),
    ErrorKind.REBASE_FAILED: lambda: overtaken({"a/c/0": b"1"}, {"a/c/0": b"2"}).commit(
        "m", rebase_with=ConflictDetector()
    ),
    ErrorKind.REF_NOT_FOUND: lambda: new().lookup_branch("no"),
    ErrorKind.REPOSITORY_NOT_FOUND: lambda: Repository.open(frazil.in_memory_storage()),
    ErrorKind.SNAPSHOT_NOT_FOUND: lambda: new().create_tag("t", "0" * 20),
    ErrorKind.TAG_ALREADY_EXISTS: lambda: tagged(deleted=False),
    ErrorKind.TAG_PREVIOUSLY_DELETED: lambda: tagged(deleted=True),
    ErrorKind.UNSUPPORTED_SPEC_VERSION: lambda: new(1).rearrange_session("main"),
    ErrorKind.UNSUPPORTED_OPERATION_FOR_VERSION: lambda: new(1).rewrite_manifests(
        "m", branch="main", commit_method="amend"
    ),
    ErrorKind.PICKLE: forgotten,
    ErrorKind.CONFLICTING_PATH_NOT_FOUND: lambda: on_a_branch_that_was_reset().commit(
        "m", rebase_with=ConflictDetector()
    ),
    ErrorKind.ZERO_LENGTH_CHUNK: lambda: put(writable(), "a/c/0", b""),
    ErrorKind.INVALID_FILE_FORMAT: damaged,
    ErrorKind.POISON_LOCK: half_done,
}

ELSEWHERE = {
    ErrorKind.BAD_KEY_PREFIX: "scenario/test_store_behaviour.py",
    ErrorKind.BAD_REDIRECT: "unit/storage/test_redirect.py",
    ErrorKind.BAD_METADATA: "scenario/test_store_behaviour.py",
    ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF: "scenario/test_squash.py",
    ErrorKind.BRANCH_NOT_FOUND: "scenario/test_commits.py",
    ErrorKind.COMMIT_NOT_ALLOWED: "scenario/test_commits.py",
    ErrorKind.CANNOT_PARSE_URL: "unit/storage/test_urls.py",
    ErrorKind.INVALID_CREDENTIALS: "unit/credentials/test_credentials.py",
    ErrorKind.STORAGE_CONFIG: "unit/storage/test_urls.py",
    ErrorKind.CONFIG_DESERIALIZATION: "unit/config/test_repository_config.py",
    ErrorKind.CONFIG_UPDATED: "scenario/test_lifecycle.py",
    ErrorKind.DESERIALIZATION: "unit/format/test_repo_info.py",
    ErrorKind.DUPLICATE_SNAPSHOT_ID: "unit/format/test_history.py",
    ErrorKind.FEATURE_FLAG_DISABLED: "scenario/test_moves.py",
    ErrorKind.GC_DELETES_FAILING: "scenario/test_maintenance.py",
    ErrorKind.INVALID_ARRAY_METADATA: "unit/format/test_snapshot.py",
    ErrorKind.INVALID_BYTE_RANGE: "contract/test_storage.py",
    ErrorKind.INVALID_FEATURE_FLAG: "scenario/test_settings.py",
    ErrorKind.INVALID_KEY: "scenario/test_store_behaviour.py",
    ErrorKind.INVALID_MANIFEST_SPLIT_INDEX: "scenario/test_splitting.py",
    ErrorKind.INVALID_OBJECT_SIZE: "contract/test_storage.py",
    ErrorKind.INVALID_PATH: "scenario/test_moves.py",
    ErrorKind.INVALID_REPOSITORY_MIGRATION: "scenario/test_migration.py",
    ErrorKind.IO: "unit/storage/test_durability.py",
    ErrorKind.KEY_NOT_FOUND: "scenario/test_store_behaviour.py",
    ErrorKind.MANIFEST_INFO_NOT_FOUND: "unit/format/test_snapshot.py",
    ErrorKind.MERGE_FAILED: "scenario/test_forks.py",
    ErrorKind.MERGE_NOT_ALLOWED: "scenario/test_forks.py",
    ErrorKind.NODE_ALREADY_EXISTS: "scenario/test_store_behaviour.py",
    ErrorKind.NOT_AN_ARRAY: "scenario/test_reindexing.py",
    ErrorKind.NOT_ON_BRANCH: "scenario/test_resuming.py",
    ErrorKind.NO_AMEND_FOR_INITIAL_COMMIT: "scenario/test_commits.py",
    ErrorKind.NO_SNAPSHOT: "scenario/test_resuming.py",
    ErrorKind.OBJECT_NOT_FOUND: "contract/test_storage.py",
    ErrorKind.OBJECT_STORE: "unit/engine/test_deleting.py",
    ErrorKind.PARENT_DIRECTORY_NOT_CLEAN: "scenario/test_lifecycle.py",
    ErrorKind.READ_ONLY_STORAGE: "scenario/test_settings.py",
    ErrorKind.REBASE_TX_LOG_PRUNED: "scenario/test_rebase.py",
    ErrorKind.REPO_INFO_UPDATED: "scenario/test_lifecycle.py",
    ErrorKind.SERIALIZATION: "unit/format/test_flatbuf.py",
    ErrorKind.SNAPSHOT_TIMESTAMP: "unit/model/test_refs.py",
    ErrorKind.STORAGE_OTHER: "unit/library/test_catalog_v1.py",
    ErrorKind.THROTTLED: "unit/engine/test_deleting.py",
    ErrorKind.INVALID_VIRTUAL_REF: "scenario/test_virtual.py",
    ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK: "scenario/test_virtual.py",
    ErrorKind.VIRTUAL_CHUNK_FETCH: "scenario/test_virtual.py",
    ErrorKind.VIRTUAL_CHUNK_MODIFIED: "scenario/test_virtual.py",
    ErrorKind.NOT_ALLOWED: "scenario/test_virtual.py",
    ErrorKind.UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER: "scenario/test_virtual.py",
    ErrorKind.UNCOMMITTED_CHANGES: "scenario/test_forks.py",
    ErrorKind.UNIMPLEMENTED: "scenario/test_store_behaviour.py",
    ErrorKind.UNKNOWN: "scenario/test_forks.py",
    ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED: "scenario/test_maintenance.py",
}


@pytest.mark.parametrize("kind", PROVOKED, ids=str)
def test_it_is_raised(kind: ErrorKind) -> None:
    with pytest.raises(IcechunkError) as caught:
        PROVOKED[kind]()
    assert caught.value.kind == kind


def test_no_kind_is_without_a_test() -> None:
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    raised = {ErrorKind[name] for name in re.findall(r"ErrorKind\.([A-Z_]+)", source)}
    assert raised == set(PROVOKED) | set(ELSEWHERE)


@pytest.mark.parametrize("kind", ELSEWHERE, ids=str)
def test_elsewhere_it_is_named(kind: ErrorKind) -> None:
    text = (TESTS / ELSEWHERE[kind]).read_text()
    assert f"ErrorKind.{kind.name}" in text or f'"{kind}"' in text


def test_every_class_is_raised() -> None:
    raised = set()
    for provoke in PROVOKED.values():
        with pytest.raises(IcechunkError) as caught:
            provoke()
        raised.add(type(caught.value))
    classes = {
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, IcechunkError)
    }
    # The first two are bases.
    assert classes - raised == {IcechunkError, errors.NotFoundError}
