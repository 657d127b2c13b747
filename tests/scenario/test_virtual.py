"""Virtual chunks of local files: set, committed, read; and what must not be read."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import IcechunkError, Repository, VirtualChunkContainer, VirtualChunkSpec
from frazil.credentials import HttpAccess, LocalFileSystemAccess
from frazil.format.columns import ByteColumn

SPAWN = get_context("spawn")
SIZE = 8
DATA = np.arange(64 * SIZE, dtype="u1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "data.bin").write_bytes(DATA.tobytes())
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret.bin").write_bytes(b"secret" * 100)
    return folder


def config_for(source: Path, name: str | None = None) -> frazil.RepositoryConfig:
    config = frazil.RepositoryConfig()
    store = frazil.local_filesystem_store(str(source))
    config.set_virtual_chunk_container(VirtualChunkContainer(prefix(source), store, name))
    return config


def prefix(source: Path) -> str:
    return source.as_uri() + "/"


@pytest.fixture
def repo(source: Path) -> Repository:
    return Repository.create(
        frazil.in_memory_storage(),
        config_for(source, "here"),
        authorize_virtual_chunk_access={prefix(source): LocalFileSystemAccess},
    )


def array(session: frazil.Session, chunks: int = 64) -> zarr.Array:
    return zarr.create_array(
        session.store,
        name="a",
        shape=(chunks * SIZE,),
        chunks=(SIZE,),
        dtype="u1",
        compressors=None,
        fill_value=0,
    )


def read(session: Any, cells: int | None = None) -> np.ndarray:
    """The first cells of the array, or all."""
    return zarr.open_array(session.store, path="a", mode="r")[:cells]


def test_set_in_each_way_commit_and_read(repo: Repository, source: Path) -> None:
    url = prefix(source) + "data.bin"
    session = repo.writable_session("main")
    array(session)
    store = session.store
    store.set_virtual_ref("a/c/0", url, offset=0, length=SIZE)
    specs = [VirtualChunkSpec([i], "vcc://here/data.bin", i * SIZE, SIZE) for i in range(1, 20)]
    assert store.set_virtual_refs("a", specs) is None
    offsets = np.arange(20, 64, dtype="u8") * SIZE
    lengths = np.full(44, SIZE, "u8")
    failed = store.set_virtual_refs_arr("/a", (44,), [url] * 44, offsets, lengths, arr_offset=(20,))
    assert failed is None
    np.testing.assert_array_equal(read(session), DATA)
    session.commit("virtual")
    session = pickle.loads(pickle.dumps(repo.readonly_session("main")))
    np.testing.assert_array_equal(read(session), DATA)
    assert session.chunk_type("/a", [3]) == frazil.ChunkType.virtual
    assert session.all_virtual_chunk_locations() == [url] * 64


def test_async_twins_and_the_iterator(repo: Repository, source: Path) -> None:
    url = prefix(source) + "data.bin"
    session = repo.writable_session("main")
    a = array(session, 4)

    async def run() -> list[Any]:
        store = session.store
        await store.set_virtual_ref_async("a/c/0", url, offset=8, length=SIZE)
        await store.set_virtual_refs_async("a", [VirtualChunkSpec([1], url, 16, SIZE)])
        ones = np.full(1, SIZE, "u8")
        await store.set_virtual_refs_arr_async("a", (1,), [url], ones * 3, ones, arr_offset=(2,))
        return [batch async for batch in store.array_chunk_iterator("a", 3)]

    a[3 * SIZE :] = 9
    batches = asyncio.run(run())
    index = np.concatenate([batch[0] for batch in batches])
    np.testing.assert_array_equal(index, [[0], [1], [2], [3]])
    assert [len(batch[0]) for batch in batches] == [3, 1]
    assert batches[0][1].tolist() == [int(frazil.ChunkType.virtual)] * 3
    assert batches[0][2] == [url] * 3
    assert batches[0][3].tolist() == [8, 16, 24]
    assert batches[0][4].tolist() == [SIZE] * 3
    assert batches[1][5] == {0: bytes([9] * SIZE)}


def test_what_no_container_covers_is_left_out(repo: Repository, source: Path) -> None:
    url, other = prefix(source) + "data.bin", "s3://elsewhere/key"
    session = repo.writable_session("main")
    array(session, 4)
    store = session.store
    specs = [VirtualChunkSpec([0], url, 0, SIZE), VirtualChunkSpec([1], other, 0, SIZE)]
    assert store.set_virtual_refs("a", specs) == [(1,)]
    ones = np.full(2, SIZE, "u8")
    assert store.set_virtual_refs_arr("a", (2,), [other, url], ones, ones, arr_offset=(1,)) == [
        (1,)
    ]
    assert session.all_virtual_chunk_locations() == [url, url]
    assert store.set_virtual_refs("a", specs, validate_containers=False) is None
    assert session.all_virtual_chunk_locations() == [url, other, url]
    with pytest.raises(frazil.InvalidInputError) as caught:
        read(session)
    assert caught.value.kind == "no-container-for-virtual-chunk"
    assert "chunk (1,) of /a" in str(caught.value)


def test_gaps_in_columns_change_nothing(repo: Repository, source: Path) -> None:
    url = prefix(source) + "data.bin"
    session = repo.writable_session("main")
    a = array(session, 4)
    a[...] = 7
    offsets, lengths = np.arange(4, dtype="u8") * SIZE, np.full(4, SIZE, "u8")
    session.store.set_virtual_refs_arr("a", (4,), ["", url, "", url], offsets, lengths)
    expected = np.full(4 * SIZE, 7, "u1")
    for i in (1, 3):
        expected[i * SIZE : (i + 1) * SIZE] = DATA[i * SIZE : (i + 1) * SIZE]
    np.testing.assert_array_equal(a[...], expected)


def test_of_references_to_one_chunk_the_last_wins(repo: Repository, source: Path) -> None:
    url = prefix(source) + "data.bin"
    session = repo.writable_session("main")
    a = array(session, 2)
    specs = [VirtualChunkSpec([1], url, i, SIZE) for i in (5, 3, 1)]
    session.store.set_virtual_refs("a", specs)
    assert a[SIZE] == 1


Setter = Callable[[Any, str], object]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda s, u: s.set_virtual_ref("a/zarr.json", u, offset=0, length=1), "not-allowed"),
        (lambda s, u: s.set_virtual_ref("a/c/9", u, offset=0, length=1), "invalid-chunk-index"),
        (lambda s, u: s.set_virtual_ref("a/c/0/0", u, offset=0, length=1), "invalid-chunk-index"),
        (lambda s, u: s.set_virtual_ref("a/c/0", u, offset=0, length=0), "zero-length-chunk"),
        (lambda s, u: s.set_virtual_ref("n/c/0", u, offset=0, length=1), "node-not-found"),
        (lambda s, u: s.set_virtual_ref("c/0", u, offset=0, length=1), "not-an-array"),
        (
            lambda s, u: s.set_virtual_ref("a/c/0", "s3://b/k", offset=0, length=1),
            "no-container-for-virtual-chunk",
        ),
        (lambda s, u: s.set_virtual_ref("a/c/0", "key", offset=0, length=1), "invalid-virtual-ref"),
        (lambda s, u: s.set_virtual_refs("a", [_spec(u, 9)]), "invalid-chunk-index"),
        (lambda s, u: s.set_virtual_refs("a", [_spec(u, 0, 0)]), "invalid-chunk-index"),
        (lambda s, u: s.set_virtual_refs("a", [_spec(u, 0, length=0)]), "zero-length-chunk"),
        (lambda s, u: s.set_virtual_refs("n", [_spec(u, 0)]), "node-not-found"),
        (lambda s, u: s.set_virtual_refs("a/../a", [_spec(u, 0)]), "invalid-path"),
        (lambda s, u: s.set_virtual_refs("a", [_spec("key", 0)]), "invalid-virtual-ref"),
        (lambda s, u: _arr(s, (2, 2), [u] * 4), "invalid-chunk-index"),
        (lambda s, u: _arr(s, (4,), [u] * 4, arr_offset=(1,)), "invalid-chunk-index"),
        (lambda s, u: _arr(s, (2,), [u, "key"]), "invalid-virtual-ref"),
    ],
)
def test_what_cannot_be_set(repo: Repository, source: Path, call: Setter, kind: str) -> None:
    session = repo.writable_session("main")
    zarr.create_group(session.store)
    array(session, 4)
    with pytest.raises(IcechunkError) as caught:
        call(session.store, prefix(source) + "data.bin")
    assert caught.value.kind == kind
    assert session.all_virtual_chunk_locations() == []


def _spec(url: str, *index: int, length: int = SIZE) -> VirtualChunkSpec:
    return VirtualChunkSpec(index, url, 0, length)


def _arr(store: Any, grid: tuple[int, ...], urls: list[str], **options: Any) -> object:
    column = np.full(len(urls), SIZE, "u8")
    return store.set_virtual_refs_arr("a", grid, urls, column, column, **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"offsets": np.zeros(2, "i8")}, TypeError),
        ({"offsets": [0, 0]}, TypeError),
        ({"lengths": np.ones((1, 2), "u8")}, TypeError),
        ({"lengths": np.ones(3, "u8")}, ValueError),
        ({"chunk_grid_shape": (3,)}, ValueError),
        ({"arr_offset": (0, 0)}, ValueError),
        ({"arr_offset": (-1,)}, OverflowError),
        ({"checksum": 3}, TypeError),
        ({"checksum": datetime(2020, 1, 1)}, TypeError),
        ({"checksum": datetime(1960, 1, 1, tzinfo=UTC)}, OverflowError),
    ],
)
def test_columns_that_do_not_fit(
    repo: Repository, source: Path, options: dict[str, Any], error: type[Exception]
) -> None:
    session = repo.writable_session("main")
    array(session, 4)
    columns = {
        "chunk_grid_shape": (2,),
        "locations": [prefix(source) + "data.bin"] * 2,
        "offsets": np.zeros(2, "u8"),
        "lengths": np.full(2, SIZE, "u8"),
    }
    with pytest.raises(error):
        session.store.set_virtual_refs_arr("a", **(columns | options))


def test_read_only_stores_and_sessions_take_no_references(repo: Repository, source: Path) -> None:
    url = prefix(source) + "data.bin"
    session = repo.writable_session("main")
    array(session, 2)
    session.store.set_virtual_ref("a/c/0", url, offset=0, length=SIZE)
    stores = [session.store.with_read_only(True)]
    session.commit("one")
    stores.append(session.store)
    for store in stores:
        for call in (
            lambda s: s.set_virtual_ref("a/c/1", url, offset=0, length=SIZE),
            lambda s: s.set_virtual_refs("a", [_spec(url, 1)]),
            lambda s: _arr(s, (1,), [url]),
        ):
            with pytest.raises(frazil.ReadOnlyError) as caught:
                call(store)
            assert caught.value.kind == "read-only-store"


# Authorization


def test_without_authorization_nothing_is_read(repo: Repository, source: Path) -> None:
    session = repo.writable_session("main")
    array(session, 2)
    session.store.set_virtual_ref("a/c/0", prefix(source) + "data.bin", offset=0, length=SIZE)
    session.commit("one")
    stranger = Repository.open(repo.storage)
    assert stranger.authorized_virtual_container_prefixes == set()
    with pytest.raises(frazil.InvalidInputError, match="authorize_virtual_chunk_access") as caught:
        read(stranger.readonly_session("main"))
    assert caught.value.kind == "unauthorized-virtual-chunk-container"
    friend = stranger.reopen(authorize_virtual_chunk_access={prefix(source): LocalFileSystemAccess})
    assert friend.authorized_virtual_container_prefixes == {prefix(source)}
    for reader in (friend, friend.reopen(), pickle.loads(pickle.dumps(friend))):
        assert read(reader.readonly_session("main"), 5).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(frazil.InvalidInputError):
        read(friend.reopen(authorize_virtual_chunk_access={}).readonly_session("main"))


def test_credentials_that_do_not_fit(source: Path) -> None:
    for wrong in (HttpAccess, frazil.containers_credentials({"x": None, "y": HttpAccess})["y"]):
        storage = frazil.in_memory_storage()
        with pytest.raises(frazil.StorageError) as caught:
            Repository.create(storage, config_for(source), {prefix(source): wrong})
        assert caught.value.kind == "storage-other"
        assert not Repository.exists(storage)
    with pytest.raises(TypeError, match="containers_credentials"):
        Repository.create(storage, config_for(source), {prefix(source): "key"})  # type: ignore[dict-item]


def test_none_as_a_credential_is_deprecated(source: Path) -> None:
    with pytest.warns(DeprecationWarning, match="LocalFileSystemAccess"):
        repo = Repository.create(
            frazil.in_memory_storage(), config_for(source), {prefix(source): None}
        )
    assert repo.authorized_virtual_container_prefixes == {prefix(source)}


def test_containers_that_make_no_sense_are_refused_or_left_out(
    source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = VirtualChunkContainer("s3://bucket/", frazil.local_filesystem_store("/x"))
    config = frazil.RepositoryConfig(virtual_chunk_containers={"s3://bucket/": wrong})
    with pytest.raises(ValueError, match="url_prefix"):
        Repository.create(frazil.in_memory_storage(), config)
    repo = Repository.create(frazil.in_memory_storage())
    repo.save_config(config)
    caplog.clear()
    assert Repository.open(repo.storage).doctor().containers == {}
    assert "container is left out" in caplog.text
    unfinished = VirtualChunkContainer("s3://bucket", frazil.s3_store())
    with pytest.raises(ValueError, match="must end with"):
        Repository.create(
            frazil.in_memory_storage(),
            frazil.RepositoryConfig(virtual_chunk_containers={"s3://bucket": unfinished}),
        )


# Ways out


def _inside(source: Path) -> str:
    return prefix(source) + "data.bin"


def _try(repo: Repository, location: str, validate: bool) -> IcechunkError:
    session = repo.writable_session("main")
    array(session, 2)

    def set_and_read() -> None:
        session.store.set_virtual_ref(
            "a/c/0", location, offset=0, length=4, validate_container=validate
        )
        read(session)

    with pytest.raises(IcechunkError) as caught:
        set_and_read()
    return caught.value


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize(
    "way",
    [
        "../private/secret.bin",
        "%2e%2e/private/secret.bin",
        "x/../../private/secret.bin",
        "..%2fprivate/secret.bin",
        "%2E%2E%2Fprivate%2Fsecret.bin",
        "link/secret.bin",
        "secret-link.bin",
    ],
)
@pytest.mark.parametrize("start", ["", "vcc://here/"])
def test_ways_out_of_a_container_are_closed(
    repo: Repository, source: Path, start: str, way: str, validate: bool
) -> None:
    (source / "link").symlink_to(source.parent / "private")
    (source / "secret-link.bin").symlink_to(source.parent / "private" / "secret.bin")
    error = _try(repo, (start or prefix(source)) + way, validate)
    assert error.kind in ("no-container-for-virtual-chunk", "invalid-virtual-ref")
    assert "secret.bin" in str(error)


def test_a_container_does_not_cover_its_neighbours(tmp_path: Path, source: Path) -> None:
    (tmp_path / "source-private").mkdir()
    (tmp_path / "source-private" / "secret.bin").write_bytes(b"secret")
    for given in (prefix(source), prefix(source).rstrip("/")):
        config = frazil.RepositoryConfig()
        store = frazil.local_filesystem_store(str(source))
        config.set_virtual_chunk_container(VirtualChunkContainer(given, store))
        access = {given: LocalFileSystemAccess}
        repo = Repository.create(frazil.in_memory_storage(), config, access)
        neighbour = (tmp_path / "source-private" / "secret.bin").as_uri()
        for validate in (True, False):
            assert _try(repo, neighbour, validate).kind == "no-container-for-virtual-chunk"
        session = repo.writable_session("main")
        array(session, 2)
        session.store.set_virtual_ref("a/c/0", _inside(source), offset=1, length=SIZE)
        assert read(session)[0] == 1


def test_links_that_stay_inside_are_followed(repo: Repository, source: Path) -> None:
    (source / "deep").mkdir()
    (source / "deep" / "link.bin").symlink_to(Path("..") / "data.bin")
    (source / "there").symlink_to(source / "deep")
    session = repo.writable_session("main")
    array(session, 2)
    url = prefix(source) + "there/link.bin"
    session.store.set_virtual_ref("a/c/0", url, offset=3, length=SIZE)
    assert read(session)[0] == 3


def test_only_files_are_read(repo: Repository, source: Path) -> None:
    (source / "folder").mkdir()
    os.mkfifo(source / "pipe")
    for name in ("folder", "pipe", "nothing", "data.bin/below"):
        error = _try(repo, prefix(source) + name, True)
        assert error.kind == "virtual-chunk-fetch"
        assert "chunk (0,) of /a" in str(error)
        assert prefix(source) + name in str(error)


# Changed files


def _with_checksum(repo: Repository, source: Path, checksum: Any) -> frazil.Session:
    session = repo.writable_session("main")
    array(session, 3)
    for key in ("a/c/0", "a/c/1"):
        session.store.set_virtual_ref(
            key, _inside(source), offset=5, length=SIZE, checksum=checksum
        )
    session.commit("checked")
    return repo.readonly_session("main")


def _etag(path: Path) -> str:
    status = path.stat()
    return f"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"


@pytest.mark.parametrize("checksum", ["etag", "time"])
def test_a_changed_file_is_an_error_a_warning_or_nothing(
    repo: Repository, source: Path, checksum: str
) -> None:
    path = source / "data.bin"
    now = datetime.fromtimestamp(math.ceil(path.stat().st_mtime), UTC)
    session = _with_checksum(repo, source, _etag(path) if checksum == "etag" else now)
    assert session.virtual_checksums == "strict"
    assert read(session, 2).tolist() == [5, 6]
    later = now.timestamp() + 5
    os.utime(path, (later, later))
    for cells in (2, None):  # one chunk, and several at once
        with pytest.raises(frazil.StorageError) as caught:
            read(session, cells)
        assert caught.value.kind == "virtual-chunk-modified"
        text = str(caught.value)
        assert "chunk (0,) of /a" in text
        assert _inside(source) in text
        assert (_etag(path) if checksum == "etag" else "last modified at") in text
        assert "virtual_checksums" in text
    session.virtual_checksums = "warn"
    with pytest.warns(RuntimeWarning, match="has changed"):
        assert read(session, 2).tolist() == [5, 6]
    session.virtual_checksums = "off"
    assert read(session, 2).tolist() == [5, 6]
    assert pickle.loads(pickle.dumps(session)).virtual_checksums == "off"
    with pytest.raises(ValueError, match="strict"):
        session.virtual_checksums = "never"  # type: ignore[assignment]


def test_forks_take_the_policy_over(repo: Repository, source: Path) -> None:
    session = repo.writable_session("main")
    session.virtual_checksums = "warn"
    fork = pickle.loads(pickle.dumps(session.fork()))
    assert pickle.loads(pickle.dumps(fork)).virtual_checksums == "warn"


@pytest.mark.parametrize(("checksum", "passes"), [(0.75, False), (0.8, False), (1.0, True)])
def test_parts_of_a_second_are_cut_off(
    repo: Repository, source: Path, checksum: float, passes: bool
) -> None:
    """As in Icechunk: a file that was changed in the second of the checksum is noticed."""
    second = 1_700_000_000
    os.utime(source / "data.bin", (second + 0.75, second + 0.75))
    session = _with_checksum(repo, source, datetime.fromtimestamp(second + checksum, UTC))
    if passes:
        assert read(session, 1)[0] == 5
        return
    with pytest.raises(frazil.StorageError) as caught:
        read(session, 1)
    assert caught.value.kind == "virtual-chunk-modified"


def test_missing_and_short_files_are_errors(repo: Repository, source: Path) -> None:
    session = _with_checksum(repo, source, None)
    path = source / "data.bin"
    path.write_bytes(DATA.tobytes()[:9])
    with pytest.raises(frazil.StorageError, match="has 9 bytes") as caught:
        read(session)
    assert caught.value.kind == "invalid-object-size"
    path.write_bytes(DATA.tobytes()[:5])
    with pytest.raises(frazil.StorageError, match="has 5 bytes") as caught:
        read(session)
    assert caught.value.kind == "virtual-chunk-fetch"
    path.unlink()
    with pytest.raises(frazil.StorageError, match="is not there") as caught:
        read(session)
    assert caught.value.kind == "virtual-chunk-fetch"


def test_a_time_in_the_future_is_no_error(repo: Repository, source: Path) -> None:
    session = _with_checksum(repo, source, datetime.now(UTC) + timedelta(days=9))
    assert read(session, 1)[0] == 5


# The doctor


def test_a_healthy_repository(repo: Repository, source: Path) -> None:
    _with_checksum(repo, source, datetime.now(UTC) + timedelta(seconds=2))
    found = repo.doctor()
    assert found.is_healthy
    assert found.advice == ()
    one = found.containers[prefix(source)]
    assert (one.references, one.files, one.checked, one.authorized) == (2, 1, 1, True)
    assert "is_healthy: True" in repr(found)
    assert asyncio.run(repo.doctor_async("main")) == found


def test_what_the_doctor_finds(repo: Repository, source: Path) -> None:
    names = ["fine", "gone", "newer", "other", "short"]
    session = repo.writable_session("main")
    array(session, 7)
    for i, name in enumerate(names):
        path = source / name
        path.write_bytes(b"x" * 20)
        checksum = {"newer": datetime.now(UTC), "other": "tag"}.get(name)
        session.store.set_virtual_ref(
            f"a/c/{i}", path.as_uri(), offset=0, length=20, checksum=checksum
        )
    specs = [VirtualChunkSpec([5], "s3://nobody/key", 0, 9)]
    specs.append(VirtualChunkSpec([6], prefix(source) + "..%2fx", 0, 9))
    session.store.set_virtual_refs("a", specs, validate_containers=False)
    session.commit("files")
    (source / "gone").unlink()
    (source / "short").write_bytes(b"x")
    os.utime(source / "newer", (4e9, 4e9))
    found = repo.doctor()
    one = found.containers[prefix(source)]
    assert not found.is_healthy
    assert list(one.missing) == [prefix(source) + "gone"]
    assert list(one.changed) == [prefix(source) + name for name in ("newer", "other", "short")]
    assert "last modified at" in one.changed[prefix(source) + "newer"]
    assert "'tag'" in one.changed[prefix(source) + "other"]
    assert "20" in one.changed[prefix(source) + "short"]
    assert found.uncovered == {"s3://nobody/key": 1, prefix(source) + "..%2fx": 1}
    assert len(found.advice) == 3
    text = repr(found)
    assert "missing (1):" in text
    assert "uncovered (2):" in text
    assert "- add containers" in text
    few = repo.doctor(sample=2)
    assert few.containers[prefix(source)].checked == 2
    assert any("sample=None" in text for text in few.advice)
    everything = repo.doctor(snapshot_id=repo.lookup_branch("main"), sample=None)
    assert everything == found


def test_the_doctor_misses_credentials(repo: Repository, source: Path) -> None:
    _with_checksum(repo, source, None)
    found = repo.reopen(authorize_virtual_chunk_access={}).doctor()
    assert not found.containers[prefix(source)].authorized
    assert "authorize_virtual_chunk_access" in found.advice[0]
    assert not found.is_healthy


def test_without_virtual_chunks_the_doctor_has_nothing_to_say(repo: Repository) -> None:
    assert repo.doctor().is_healthy
    assert Repository.create(frazil.in_memory_storage()).doctor().containers == {}


@pytest.mark.parametrize("grid", [(), (1,)])
def test_the_one_chunk_of_a_scalar(repo: Repository, source: Path, grid: tuple[int, ...]) -> None:
    session = repo.writable_session("main")
    a = zarr.create_array(session.store, name="a", shape=(), dtype="u1", compressors=None)
    columns = np.array([5], "u8"), np.array([1], "u8")
    session.store.set_virtual_refs_arr("a", grid, [prefix(source) + "data.bin"], *columns)
    assert a[...] == 5


# Materializing


def _grid(repo: Repository, source: Path, name: str = "grid") -> np.ndarray:
    """An array of 8 by 8 virtual chunks of 2 by 4 values, committed; returns its values."""
    session = repo.writable_session("main")
    a = zarr.create_array(
        session.store, name=name, shape=(16, 32), chunks=(2, 4), dtype="u1", compressors=None
    )
    url = prefix(source) + "data.bin"
    offsets, lengths = np.arange(64, dtype="u8") * SIZE, np.full(64, SIZE, "u8")
    session.store.set_virtual_refs_arr(name, (8, 8), [url] * 64, offsets, lengths)
    expected: np.ndarray = a[...]
    session.commit("virtual")
    return expected


def _kinds(session: frazil.Session, name: str = "/grid") -> np.ndarray:
    kinds = [session.chunk_type(name, [i, j]) for i in range(8) for j in range(8)]
    return np.array(kinds).reshape(8, 8) == frazil.ChunkType.virtual


def test_materialize_a_region_then_the_rest(repo: Repository, source: Path) -> None:
    expected = _grid(repo, source)
    session = repo.writable_session("main")
    assert session.materialize("/grid", (slice(3, 9), slice(-4, None))) == 4
    wanted = np.ones((8, 8), bool)
    wanted[1:5, 7] = False
    np.testing.assert_array_equal(_kinds(session), wanted)
    session.commit("some")
    seen: list[Any] = []
    session = repo.writable_session("main")
    with frazil.progress.report(seen.append):
        assert session.materialize() == 60
    assert (seen[-1].done, seen[-1].total) == (60, 60)
    assert session.materialize("/") == 0
    session.commit("all")
    (source / "data.bin").unlink()
    session = Repository.open(repo.storage).readonly_session("main")
    assert session.all_virtual_chunk_locations() == []
    np.testing.assert_array_equal(zarr.open_array(session.store, path="grid")[...], expected)


def test_a_materialization_goes_on_where_it_failed(
    repo: Repository, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.engine.materialize.BATCH_CHUNKS", 10)
    expected = _grid(repo, source)
    session = repo.writable_session("main")
    gone = VirtualChunkSpec([4, 0], prefix(source) + "gone.bin", 0, SIZE)
    session.store.set_virtual_refs("grid", [gone])
    with pytest.raises(frazil.StorageError, match=r"chunk \(4, 0\) of /grid"):
        session.materialize("/grid")
    assert 0 < _kinds(session).sum() < 64
    session.commit("as far as it went")
    data = DATA.tobytes()[32 * SIZE : 33 * SIZE]
    (source / "gone.bin").write_bytes(data)
    session = repo.writable_session("main")
    left = int(_kinds(session).sum())
    assert asyncio.run(session.materialize_async("/grid")) == left
    np.testing.assert_array_equal(zarr.open_array(session.store, path="grid")[...], expected)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_workers_materialize(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("frazil.engine.materialize.BATCH_CHUNKS", 25)
    storage = frazil.local_filesystem_storage(str(tmp_path / "repository"))
    access = {prefix(source): LocalFileSystemAccess}
    config = config_for(source, "here")
    config.inline_chunk_threshold_bytes = 0
    repo = Repository.create(storage, config, authorize_virtual_chunk_access=access)
    expected = _grid(repo, source)
    session = repo.writable_session("main")
    a = zarr.open_array(session.store, path="grid")
    a[0:2, 0:4] = expected[0:2, 0:4] = 99
    pool = ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(1, SPAWN)
    with pool:
        assert session.materialize("/grid", on=pool) == 63
        gone = VirtualChunkSpec([4, 0], prefix(source) + "gone.bin", 0, SIZE)
        session.store.set_virtual_refs("grid", [gone])
        with pytest.raises(frazil.StorageError, match=r"chunk \(4, 0\) of /grid"):
            session.materialize("/grid", on=pool)
    session.store.delete_sync("grid/c/4/0")
    expected[8:10, 0:4] = 0
    session.commit("all")
    (source / "data.bin").unlink()
    session = Repository.open(storage).readonly_session("main")
    assert session.all_virtual_chunk_locations() == []
    np.testing.assert_array_equal(zarr.open_array(session.store, path="grid")[...], expected)


def test_own_changes_are_not_materialized_over(
    repo: Repository, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _grid(repo, source)
    session = repo.writable_session("main")
    a = zarr.open_array(session.store, path="grid")
    a[0:2, 0:4] = 99  # before
    sources = session._workspace.virtual
    read_many = sources.read_many

    def meanwhile(refs: Any, path: str) -> ByteColumn:
        data = read_many(refs, path)
        a[2:4, 0:4] = 77
        session.store.delete_sync("grid/c/7/7")
        return data

    monkeypatch.setattr(sources, "read_many", meanwhile)
    session.materialize("/grid")
    expected[0:2, 0:4], expected[2:4, 0:4], expected[14:, 28:] = 99, 77, 0
    np.testing.assert_array_equal(a[...], expected)


@pytest.mark.parametrize(
    ("path", "region", "error"),
    [
        ("/", (slice(1),), frazil.InvalidInputError),
        ("/grid", (slice(1),) * 3, frazil.InvalidInputError),
        ("/grid", (slice(0, 4, 2),), ValueError),
        ("/nothing", None, frazil.NodeNotFoundError),
    ],
)
def test_what_cannot_be_materialized(
    repo: Repository, source: Path, path: str, region: Any, error: type[Exception]
) -> None:
    _grid(repo, source)
    with pytest.raises(error):
        repo.writable_session("main").materialize(path, region)
    with pytest.raises(frazil.ReadOnlyError):
        repo.readonly_session("main").materialize("/grid")
