"""Each kind of error that the package can raise is provoked by a test.

Almost all of them here; for the two that need a server, `ELSEWHERE` names the test module that does
it. Who adds a kind to the source has to add what provokes it.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from zarr.core.buffer import cpu
from zarr.core.sync import sync

import frazil
from frazil import ConflictDetector, Repository, errors
from frazil.credentials import LocalFileSystemAccess
from frazil.errors import ErrorKind, IcechunkError
from frazil.format import flatbuf_layout, flexbuf
from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.repo_info import RepoInfo, Update
from frazil.format.snapshot import ManifestTable, NodeTable, decode_snapshot, encode_snapshot
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library.catalog_v2 import CatalogV2, Retries
from frazil.model import patterns
from frazil.model.refs import create_branch
from frazil.session import Session
from frazil.storage import osfiles
from frazil.storage.memory import MemoryBackend
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


def emptied(folder: str, repo: Repository | None = None) -> Repository:
    """A repository without the objects of a folder, opened anew."""
    repo = repo or new()
    backend = repo.storage.backend()
    backend.delete([info.key for info in list(backend.list(folder))])
    return Repository.open(repo.storage)


def configured_twice() -> None:
    repo = new(1)
    Repository.open(
        repo.storage, frazil.RepositoryConfig(inline_chunk_threshold_bytes=7)
    ).save_config()
    repo.save_config(frazil.RepositoryConfig(inline_chunk_threshold_bytes=8))


def misconfigured() -> None:
    repo = new(1)
    repo.storage.backend().put("config.yaml", b"inline_chunk_threshold_bytes: many")
    Repository.open(repo.storage)


def without_moves() -> None:
    repo = new()
    repo.set_feature_flag("move_node", False)
    repo.rearrange_session("main")


def split_by_nothing() -> None:
    every = frazil.ManifestSplitCondition.AnyArray()
    nothing = frazil.ManifestSplitDimCondition.Any()
    splitting = frazil.ManifestSplittingConfig.from_dict({every: {nothing: 0}})
    manifest = frazil.ManifestConfig(splitting=splitting)
    repo = Repository.create(frazil.in_memory_storage(), frazil.RepositoryConfig(manifest=manifest))
    commit(repo, {"": group(), "a": array([2]), "a/c/0": b"0"})


def forked(
    theirs: dict[str, bytes | None], mine: dict[str, bytes | None]
) -> tuple[Session, Session]:
    """A session, and a fork of it, with these changes."""
    session = writable()
    fork = session.fork()
    return change(session, mine), change(fork, theirs)


def merged(theirs: dict[str, bytes | None], mine: dict[str, bytes | None]) -> None:
    session, fork = forked(theirs, mine)
    session.merge(fork)


def taken_up(branch: str, *, changed: bool = True) -> None:
    """What was flushed, on a branch that begins with the repository."""
    repo = new()
    repo.create_branch("b", str(INITIAL_SNAPSHOT))
    flushed = change(writable(repo), {"a/c/1": b"1"}).flush("m")
    repo.resume_session(branch, flushed if changed else str(INITIAL_SNAPSHOT))


def without_chunks() -> None:
    """An array of spec 1 with elements, but no chunks."""
    repo = new()
    snapshot = repo._core.library.snapshot(SnapshotId.parse(repo.lookup_branch("main")))
    node = replace(snapshot.nodes.node(snapshot.nodes.find("/a")), shape=((5, 0),))
    encode_snapshot(replace(snapshot, nodes=NodeTable.of([node])), spec=1)


def rebased_without_logs() -> None:
    repo = new()
    session = change(writable(Repository.open(repo.storage)), {"a/c/1": b"1"})
    commit(repo, {"a/c/0": b"1"})
    repo.storage.backend().delete([f"transactions/{repo.lookup_branch('main')}"])
    session.rebase(ConflictDetector())


def with_a_large_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuf_layout, "_MAX_SIZE", 100)
    new()


def from_the_future() -> None:
    repo = new()
    repo._core.library.now = lambda: 0
    repo.create_tag("t", repo.lookup_branch("main"))


def outrun() -> None:
    """Somebody is always faster."""
    repo = new()
    catalog = repo._core.catalog
    assert isinstance(catalog, CatalogV2)
    catalog.retries = Retries(max_tries=2)
    other = Repository.open(repo.storage)
    names = map(str, count())

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        other.create_tag(next(names), str(INITIAL_SNAPSHOT))
        return create_branch("b", INITIAL_SNAPSHOT)(info)

    catalog.update(edit)


def unlisted_manifests() -> None:
    repo = new()
    key = f"snapshots/{repo.lookup_branch('main')}"
    backend = repo.storage.backend()
    snapshot = replace(decode_snapshot(backend.get(key), where=key), manifests=ManifestTable.of([]))
    backend.put(key, encode_snapshot(snapshot, spec=2))
    Repository.open(repo.storage).chunk_storage_stats()


def chunks_cut_off() -> None:
    repo = Repository.create(
        frazil.in_memory_storage(), frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    )
    commit(repo, {"": group(), "a": array([9], [9]), "a/c/0": b"123456789"})
    backend = repo.storage.backend()
    (chunk,) = backend.list("chunks")
    backend.put(chunk.key, b"1")
    get(tip(repo), "a/c/0")


def beside_others() -> None:
    storage = frazil.in_memory_storage()
    storage.backend().put("chunks/other", b"")
    Repository.create(storage)


def without_branch() -> None:
    repo = new(1)
    session = change(writable_on(repo, "b"), {"a/c/1": b"1"})
    repo.delete_branch("b")
    session.commit("m")


def writable_on(repo: Repository, branch: str) -> Session:
    repo.create_branch(branch, repo.lookup_branch("main"))
    return repo.writable_session(branch)


def merge_backwards() -> None:
    session, fork = forked({}, {})
    fork.merge(session)  # type: ignore[arg-type]


def disk_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    with tempfile.TemporaryDirectory() as folder:
        repo = Repository.create(frazil.local_filesystem_storage(folder))
        monkeypatch.setattr(osfiles, "os", SimpleNamespace(**{**vars(os), "write": write}))
        commit(repo, {"": group()})


def write_protected(monkeypatch: pytest.MonkeyPatch) -> None:
    repo = new()
    monkeypatch.setattr(MemoryBackend, "read_only", True)
    repo.writable_session("main")


def deleting_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: MemoryBackend, keys: object) -> None:
        raise errors.StorageError("no", ErrorKind.OBJECT_STORE)

    monkeypatch.setattr(MemoryBackend, "delete", fail)
    repo = new()
    repo.reset_branch("main", str(INITIAL_SNAPSHOT))
    repo.garbage_collect(datetime.now(UTC) + timedelta(days=1), max_consecutive_delete_failures=1)


def flipped() -> None:
    """A chunk of an object with one bit of it changed."""
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    repo = Repository.create(frazil.in_memory_storage(), config)
    commit(repo, {"": group(), "a": array([9], [9]), "a/c/0": b"123456789"})
    backend = repo.storage.backend()
    (chunk,) = backend.list("chunks")
    data = bytearray(backend.get(chunk.key))
    data[0] ^= 1
    backend.put(chunk.key, bytes(data))
    get(tip(repo), "a/c/0")


def own_ancestor() -> None:
    repo = new(1)
    key = f"snapshots/{repo.lookup_branch('main')}"
    backend = repo.storage.backend()
    snapshot = decode_snapshot(backend.get(key), where=key)
    backend.put(key, encode_snapshot(replace(snapshot, parent_id=snapshot.id), spec=1))
    list(Repository.open(repo.storage).ancestry(branch="main"))


def virtual(
    name: str = "data.bin", *, allowed: bool = True, moment: datetime | None = None
) -> None:
    """A reference to a file is set, committed and read, in a folder with a file `data.bin`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.bin").write_bytes(b"12345678")
        prefix = Path(folder).as_uri() + "/"
        config = frazil.RepositoryConfig()
        config.set_virtual_chunk_container(
            frazil.VirtualChunkContainer(prefix, frazil.local_filesystem_store(folder))
        )
        access = {prefix: LocalFileSystemAccess} if allowed else None
        repo = Repository.create(
            frazil.in_memory_storage(), config, authorize_virtual_chunk_access=access
        )
        commit(repo, {"": group(), "a": array([2])})
        session = writable(repo)
        location = name if ":" in name else prefix + name
        session.store.set_virtual_ref("a/c/0", location, offset=0, length=1, checksum=moment)
        session.commit("m")
        get(tip(repo), "a/c/0")


def discarded_meanwhile() -> None:
    """A file is put, and its session forgets all changes before it is there as a whole."""
    session = writable()

    class Source(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            session.discard_changes()
            return super().read(size)

    session.files().put("file", Source(b"1"))


def refused() -> None:
    """A hook does not like a commit."""
    repo = new()
    repo.hooks.before_commit(lambda event: "not today")
    writable(repo).commit("m", allow_empty=True)


PROVOKED: dict[ErrorKind, Callable[[], object]] = {
    ErrorKind.HOOK_REFUSED: refused,
    ErrorKind.INVALID_HOOK: lambda: new().hooks.remove("none"),
    ErrorKind.NOT_A_GROUP: lambda: writable().files("a"),
    ErrorKind.CONCURRENCY: discarded_meanwhile,
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
    ErrorKind.BAD_KEY_PREFIX: lambda: sync(writable().store.delete_dir("..")),
    ErrorKind.BAD_METADATA: lambda: put(writable(), "b", b"{}"),
    ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF: lambda: new().diff(
        from_branch="main", to_snapshot_id=str(INITIAL_SNAPSHOT)
    ),
    ErrorKind.BRANCH_NOT_FOUND: without_branch,
    ErrorKind.CANNOT_PARSE_URL: lambda: frazil.open("nonsense://x"),
    ErrorKind.COMMIT_NOT_ALLOWED: lambda: tip(new()).commit("m"),
    ErrorKind.CONFIG_DESERIALIZATION: misconfigured,
    ErrorKind.CONFIG_UPDATED: configured_twice,
    ErrorKind.DESERIALIZATION: lambda: flexbuf.decode(b"", where="x"),
    ErrorKind.DUPLICATE_SNAPSHOT_ID: lambda: SnapshotTable.of(
        2 * [SnapshotRecord(INITIAL_SNAPSHOT, None, 0, "")]
    ),
    ErrorKind.FEATURE_FLAG_DISABLED: without_moves,
    ErrorKind.INVALID_ARRAY_METADATA: without_chunks,
    ErrorKind.STORAGE_CONFIG: lambda: frazil.open("memory://?nonsense=1"),
    ErrorKind.INVALID_BYTE_RANGE: lambda: new().storage.backend().get("repo", start=2, end=1),
    ErrorKind.INVALID_FEATURE_FLAG: lambda: new().set_feature_flag("no", True),
    ErrorKind.INVALID_KEY: lambda: sync(
        writable().store.set("a/b.txt", cpu.Buffer.from_bytes(b"1"))
    ),
    ErrorKind.INVALID_MANIFEST_SPLIT_INDEX: split_by_nothing,
    ErrorKind.INVALID_OBJECT_SIZE: chunks_cut_off,
    ErrorKind.INVALID_PATH: lambda: rearranging().move("a//b", "/c"),
    ErrorKind.INVALID_REPOSITORY_MIGRATION: lambda: frazil.upgrade_icechunk_repository(
        new(), dry_run=False
    ),
    ErrorKind.KEY_NOT_FOUND: lambda: sync(writable().store.getsize(".zgroup")),
    ErrorKind.MANIFEST_INFO_NOT_FOUND: unlisted_manifests,
    ErrorKind.MERGE_FAILED: lambda: merged({"b": group()}, {"b": array([1])}),
    ErrorKind.MERGE_NOT_ALLOWED: lambda: merge_backwards(),
    ErrorKind.NODE_ALREADY_EXISTS: lambda: put(writable(), "g", array([1])),
    ErrorKind.NOT_AN_ARRAY: lambda: put(writable(), "g/c/0", b"1"),
    ErrorKind.NOT_ON_BRANCH: lambda: taken_up("b"),
    ErrorKind.NO_AMEND_FOR_INITIAL_COMMIT: lambda: change(
        writable(Repository.create(frazil.in_memory_storage())), {"": group()}
    ).amend("m"),
    ErrorKind.NO_SNAPSHOT: lambda: taken_up("main", changed=False),
    ErrorKind.OBJECT_NOT_FOUND: lambda: get(tip(emptied("manifests")), "a/c/0"),
    ErrorKind.PARENT_DIRECTORY_NOT_CLEAN: beside_others,
    ErrorKind.REBASE_TX_LOG_PRUNED: rebased_without_logs,
    ErrorKind.SNAPSHOT_TIMESTAMP: from_the_future,
    ErrorKind.UNCOMMITTED_CHANGES: lambda: forked({"a/c/0": b"1"}, {"a/c/1": b"1"})[0].commit("m"),
    ErrorKind.UNIMPLEMENTED: lambda: sync(
        writable().store.set_partial_values([("a/c/0", 0, b"1")])
    ),
    ErrorKind.UNKNOWN: lambda: writable().fork().flush("m"),
    ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED: outrun,
    ErrorKind.REPO_INFO_UPDATED: lambda: Repository.create(new().storage, check_clean_root=False),
    ErrorKind.CHUNK_CORRUPTED: flipped,
    ErrorKind.STORAGE_OTHER: own_ancestor,
    ErrorKind.INVALID_CREDENTIALS: lambda: frazil.s3_credentials(get_credentials=lambda: None),
    ErrorKind.BAD_REDIRECT: lambda: frazil.redirect_storage("http://127.0.0.1:1/x").backend(),
    ErrorKind.INVALID_VIRTUAL_REF: lambda: virtual("s3://"),
    ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK: lambda: virtual("s3://bucket/elsewhere"),
    ErrorKind.UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER: lambda: virtual(allowed=False),
    ErrorKind.VIRTUAL_CHUNK_FETCH: lambda: virtual("none.bin"),
    ErrorKind.VIRTUAL_CHUNK_MODIFIED: lambda: virtual(moment=datetime(2000, 1, 1, tzinfo=UTC)),
    ErrorKind.NOT_ALLOWED: lambda: frazil.open_dataset(tip(new()), tag="t"),
    ErrorKind.INVALID_RETENTION_POLICY: lambda: new().set_retention("keep some"),
    ErrorKind.NO_RETENTION_POLICY: lambda: new().apply_retention(),
    ErrorKind.ANOTHER_REPOSITORY: lambda: new().sync_to(new().storage),
}
"""How each is provoked."""

PATCHED: dict[ErrorKind, Callable[[pytest.MonkeyPatch], object]] = {
    ErrorKind.GC_DELETES_FAILING: deleting_fails,
    ErrorKind.SERIALIZATION: with_a_large_layout,
    ErrorKind.IO: disk_full,
    ErrorKind.READ_ONLY_STORAGE: write_protected,
}
"""Those for which something has to be replaced."""

ELSEWHERE = {
    ErrorKind.OBJECT_STORE: "unit/storage/test_objects.py",
    ErrorKind.THROTTLED: "contract/test_object_faults.py",
}


@pytest.mark.parametrize("kind", PROVOKED, ids=str)
def test_it_is_raised(kind: ErrorKind) -> None:
    with pytest.raises(IcechunkError) as caught:
        PROVOKED[kind]()
    assert caught.value.kind == kind


@pytest.mark.parametrize("kind", PATCHED, ids=str)
def test_it_is_raised_where_something_fails(
    kind: ErrorKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IcechunkError) as caught:
        PATCHED[kind](monkeypatch)
    assert caught.value.kind == kind


def test_no_kind_is_without_a_test() -> None:
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    raised = {ErrorKind[name] for name in re.findall(r"ErrorKind\.([A-Z_]+)", source)}
    assert raised == set(PROVOKED) | set(PATCHED) | set(ELSEWHERE)


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
    assert classes - raised == {errors.NotFoundError}  # a base
