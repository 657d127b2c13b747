"""What every storage does, and every wrapper around one."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from obstore.store import MemoryStore

import frazil
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.storage.base import (
    CREATE,
    FRESH,
    OVERWRITE,
    UNVERSIONED,
    Backend,
    PreconditionFailed,
    Update,
    is_immutable,
)
from frazil.storage.disk_cache import DiskCached
from frazil.storage.doubles import Counting, Faulty, Slow, Wrapper
from frazil.storage.local import LocalBackend
from frazil.storage.memory import MemoryBackend
from frazil.storage.objects import ObjectBackend
from frazil.storage.pieces import PieceFolder
from frazil.storage.pool import map_parallel
from tests.servers.fixtures import CLOUDS


def objects_in(store: MemoryStore) -> ObjectBackend:
    return ObjectBackend(lambda manner: store, where="a bucket of tests")


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda path: MemoryBackend(),
    "local": LocalBackend,
    "wrapped": lambda path: Wrapper(MemoryBackend()),
    "counting": lambda path: Counting(LocalBackend(path)),
    "slow": lambda path: Slow(MemoryBackend(), read=1e-6, write=1e-6),
    "faulty": lambda path: Faulty(LocalBackend(path), lambda operation, key: None),
    "objects": lambda path: objects_in(MemoryStore()),
    "cached": lambda path: DiskCached(
        MemoryBackend(), PieceFolder(str(path / "cache"), 100_000_000), "here"
    ),
}
"""Places that need no server; the suite also runs on each of `CLOUDS`."""

UNUSUAL_KEYS = [
    "refs/branch.ü/ref.json",
    "refs/branch.a b/ref.json",
    "refs/branch.../ref.json",
    "refs/branch.100%/ref.json",
    "refs/branch.%C3%BC/ref.json",
    "refs/branch.a\\b/ref.json",
    "refs/branch.x#1/ref.json",
    "refs/branch.?*:|<>\"'/ref.json",
    "refs/branch.日本/ref.json",
    ".hidden",
    "...",
]

NO_KEYS = [
    "",
    "/repo",
    "repo/",
    "chunks//a",
    "..",
    "../repo",
    "chunks/../../repo",
    "a/./b",
    "\ud800",
]


@pytest.fixture(params=[*BACKENDS, *CLOUDS])
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if place in BACKENDS:
        return BACKENDS[place](tmp_path / "root" / "repository")
    cloud = request.getfixturevalue("servers").get(CLOUDS[place])
    storage: frazil.Storage = cloud.storage(frazil, f"contract/{secrets.token_hex(8)}")
    return storage.backend()


def kind_of(call: Callable[[], object]) -> str:
    with pytest.raises(StorageError) as caught:
        call()
    return caught.value.kind


@pytest.mark.parametrize("key", ["repo", "chunks/one", "refs/branch.main/ref.json"])
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_what_is_put_is_got(backend: Backend, key: str, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    backend.put(key, data)
    assert backend.get(key) == data
    found = backend.fetch(key)
    assert found is not None
    assert found.data == data
    assert backend.exists(key)
    info = backend.info(key)
    assert (info.key, info.size) == (key, size)
    assert abs(info.last_modified - datetime.now(UTC)) < timedelta(hours=1)
    assert abs(found.last_modified - datetime.now(UTC)) < timedelta(hours=1)


def test_memoryviews_are_stored_by_their_bytes(backend: Backend) -> None:
    numbers = memoryview(bytes(range(24))).cast("I", (2, 3))
    backend.put("chunks/numbers", numbers)
    backend.put("config.yaml", numbers, mode=CREATE)
    assert backend.get("chunks/numbers") == backend.get("config.yaml") == bytes(range(24))


def test_a_stored_object_does_not_change_with_the_callers_buffer(backend: Backend) -> None:
    buffer = bytearray(b"before")
    backend.put("chunks/a", memoryview(buffer))
    buffer[:] = b"after!"
    assert backend.get("chunks/a") == b"before"


@pytest.mark.parametrize("key", ["repo", "chunks/one"])
def test_overwrite_replaces(backend: Backend, key: str) -> None:
    backend.put(key, b"first, which is longer")
    backend.put(key, b"second")
    assert backend.get(key) == b"second"
    assert backend.info(key).size == 6


def test_ranges(backend: Backend) -> None:
    backend.put("chunks/a", b"0123456789")
    assert backend.get("chunks/a", start=2, end=5) == b"234"
    assert backend.get("chunks/a", start=7) == b"789"
    assert backend.get("chunks/a", end=3) == b"012"
    assert backend.get("chunks/a", start=4, end=4) == b""
    assert backend.get("chunks/a", start=10) == b""
    assert backend.get_ranges("chunks/a", [(8, 10), (0, 2), (1, 1)]) == [b"89", b"01", b""]
    assert backend.get_ranges("chunks/a", []) == []


@pytest.mark.parametrize(
    ("start", "end"), [(0, 11), (9, 12), (11, 11), (11, None), (10**18, 10**18 + 5), (0, 2**64)]
)
def test_a_range_beyond_the_end_is_an_error(backend: Backend, start: int, end: int | None) -> None:
    backend.put("chunks/a", b"0123456789")
    with pytest.raises(StorageError, match=r"'chunks/a' is too short.*found 10 bytes") as caught:
        backend.get("chunks/a", start=start, end=end)
    assert caught.value.kind == ErrorKind.INVALID_OBJECT_SIZE
    if end is not None:
        bad = [(0, 1), (start, end)]
        assert kind_of(lambda: backend.get_ranges("chunks/a", bad)) == "invalid-object-size"


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4), (0, -1)])
def test_a_range_that_cannot_be_is_the_callers_error(
    backend: Backend, start: int, end: int
) -> None:
    backend.put("chunks/a", b"0123456789")
    with pytest.raises(InvalidInputError) as caught:
        backend.get("chunks/a", start=start, end=end)
    assert caught.value.kind == ErrorKind.INVALID_BYTE_RANGE


def test_what_is_missing(backend: Backend) -> None:
    for _ in "before and after the first object":
        for key in ("repo", "chunks/none", "refs/branch.main/ref.json"):
            assert not backend.exists(key)
            assert kind_of(lambda key=key: backend.get(key)) == "object-not-found"
            assert kind_of(lambda key=key: backend.get(key, start=0, end=1)) == "object-not-found"
            assert kind_of(lambda key=key: backend.get_ranges(key, [(0, 1)])) == "object-not-found"
            assert kind_of(lambda key=key: backend.fetch(key)) == "object-not-found"
            assert kind_of(lambda key=key: backend.info(key)) == "object-not-found"
            assert kind_of(lambda key=key: backend.copy(key, "overwritten/x")) == "object-not-found"
            backend.delete([key])
        assert [found.key for found in backend.list()] in ([], ["chunks/other"])
        assert list(backend.list("manifests")) == []
        backend.put("chunks/other", b"")


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_is_no_key_is_refused(backend: Backend, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: backend.get(key),
        lambda: backend.get_ranges(key, [(0, 1)]),
        lambda: backend.fetch(key),
        lambda: backend.put(key, b""),
        lambda: backend.put(key, b"", mode=CREATE),
        lambda: backend.exists(key),
        lambda: backend.info(key),
        lambda: backend.delete([key]),
        lambda: backend.copy(key, "overwritten/x"),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError):
            call()
    assert list(backend.list()) == []


@pytest.mark.parametrize("prefix", ["/chunks", "..", "../other", "chunks//", "a/../b"])
def test_a_prefix_outside_is_refused(backend: Backend, prefix: str) -> None:
    backend.put("chunks/a", b"")
    with pytest.raises(InvalidInputError):
        list(backend.list(prefix))


@pytest.mark.parametrize("key", UNUSUAL_KEYS)
def test_any_name_can_be_a_segment(backend: Backend, key: str) -> None:
    version = backend.put(key, b"one", mode=CREATE)
    backend.put(key, b"two!", mode=Update(version))
    assert backend.get(key) == b"two!"
    assert [(found.key, found.size) for found in backend.list()] == [(key, 4)]
    backend.delete([key])
    assert not backend.exists(key)
    assert list(backend.list()) == []


def test_control_characters_are_stored_or_refused(backend: Backend) -> None:
    for key in ("refs/branch.a\0b/ref.json", "refs/branch.a\nb/ref.json"):
        try:
            backend.put(key, b"one", mode=CREATE)
        except InvalidInputError:
            assert list(backend.list()) == []
        else:
            assert backend.get(key) == b"one"
            assert [found.key for found in backend.list()] == [key]
            backend.delete([key])


def test_names_that_look_alike_are_different_objects(backend: Backend) -> None:
    for i, key in enumerate(UNUSUAL_KEYS):
        backend.put(key, bytes([i]))
    found = [backend.get(key) for key in UNUSUAL_KEYS]
    assert found == [bytes([i]) for i in range(len(UNUSUAL_KEYS))]
    assert {found.key for found in backend.list()} == set(UNUSUAL_KEYS)


def test_pages_of_names(backend: Backend) -> None:
    assert list(backend.pages("chunks")) == []
    for key in ("chunks/a", "chunks/b", "chunks/b.d/c", "manifests/a"):
        backend.put(key, b"1234")
    pages = list(backend.pages("chunks"))
    names = [name for page in pages for name in page.names]
    assert sorted(n.decode() if isinstance(n, bytes) else n for n in names) == ["a", "b"]
    for page in pages:
        assert page.sizes is None or page.sizes.tolist() == [4] * len(page.names)
        assert page.times is None or len(page.times) == len(page.names)
    assert list(backend.pages("nothing")) == []
    assert list(backend.pages("nothing", details=True)) == []


def microseconds(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_pages_with_details(backend: Backend) -> None:
    keys = {f"chunks/{i}": bytes(i) for i in range(5)}
    for key, data in {**keys, "chunks/d/e": b"below", "manifests/a": b""}.items():
        backend.put(key, data)
    found = {}
    for page in backend.pages("chunks", details=True):
        assert page.sizes is not None
        assert page.times is not None
        assert page.sizes.dtype == page.times.dtype == np.int64
        for name, *row in zip(page.names, page.sizes.tolist(), page.times.tolist(), strict=True):
            found[name.decode() if isinstance(name, bytes) else name] = row
    assert {name: size for name, (size, _) in found.items()} == {str(i): i for i in range(5)}
    for info in backend.list("chunks"):
        if info.key in keys:
            # A file system counts in smaller steps, which are rounded here and cut off there.
            assert abs(found[info.key[7:]][1] - microseconds(info.last_modified)) <= 1


def test_looking_at_some(backend: Backend) -> None:
    assert [column.tolist() for column in backend.look_at("chunks", [])] == [[], []]
    assert backend.look_at("chunks", ["a", "b"])[0].tolist() == [-1, -1]
    for name in ("b", "a", "c%d"):
        backend.put(f"chunks/{name}", name.encode())
    backend.put("chunks/d/e", b"")
    sizes, times = backend.look_at("chunks", ["c%d", "none", "a", "d"])
    assert sizes.dtype == times.dtype == np.int64
    assert sizes.tolist() == [3, -1, 1, -1]
    assert abs(times[2] - microseconds(backend.info("chunks/a").last_modified)) <= 1


def test_list(backend: Backend) -> None:
    keys = {"repo", "chunks/a", "chunks/b", "chunks2/c", "refs/branch.main/ref.json", "chunk"}
    for key in keys:
        backend.put(key, key.encode())
    found = {info.key: info.size for info in backend.list()}
    assert found == {key: len(key) for key in keys}
    assert {info.key for info in backend.list("chunks")} == {"chunks/a", "chunks/b"}
    assert {info.key for info in backend.list("chunks/")} == {"chunks/a", "chunks/b"}
    assert {info.key for info in backend.list("refs")} == {"refs/branch.main/ref.json"}
    assert {info.key for info in backend.list("refs/branch.main")} == {"refs/branch.main/ref.json"}
    for nothing in ("chunk", "chun", "repo", "refs/branch", "none"):
        assert list(backend.list(nothing)) == []


def test_delete(backend: Backend) -> None:
    keys = [f"chunks/{i}" for i in range(5)] + ["repo", "refs/tag.x/ref.json"]
    for key in keys:
        backend.put(key, b"x")
    backend.delete(iter([*keys[1:], "chunks/never", "refs/never"]))
    assert [found.key for found in backend.list()] == ["chunks/0"]
    backend.put("repo", b"again", mode=CREATE)
    assert backend.get("repo") == b"again"


def test_create_takes_only_a_free_name(backend: Backend) -> None:
    for key in ("repo", "refs/tag.x/ref.json", "snapshots/a"):
        backend.put(key, b"first", mode=CREATE)
        with pytest.raises(PreconditionFailed):
            backend.put(key, b"second", mode=CREATE)
        assert backend.get(key) == b"first"


def test_update_takes_only_the_version_that_was_read(backend: Backend) -> None:
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"x", mode=Update(UNVERSIONED))
    first = backend.put("repo", b"one", mode=CREATE)
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"x", mode=Update(UNVERSIONED))
    second = backend.put("repo", b"two", mode=Update(first))
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"x", mode=Update(first))
    found = backend.fetch("repo")
    assert found is not None
    assert found.version == second
    assert found.data == b"two"
    backend.put("repo", b"six", mode=Update(found.version))
    assert backend.get("repo") == b"six"
    backend.delete(["repo"])
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"x", mode=Update(found.version))
    assert not backend.exists("repo")


def test_an_overwrite_ends_a_version(backend: Backend) -> None:
    version = backend.put("config.yaml", b"one")
    backend.put("config.yaml", b"two", mode=OVERWRITE)
    with pytest.raises(PreconditionFailed):
        backend.put("config.yaml", b"x", mode=Update(version))


def test_a_fresh_object_may_be_there_all_the_same(backend: Backend) -> None:
    for data in (b"longer", b"short"):  # a name drawn by somebody else, or by one who died
        backend.put("snapshots/a", data, mode=FRESH)
        assert backend.get("snapshots/a") == data
    assert [info.key for info in backend.list()] == ["snapshots/a"]


def test_fetch_unless_unchanged(backend: Backend) -> None:
    backend.put("repo", b"one")
    found = backend.fetch("repo")
    assert found is not None
    for _ in range(3):
        assert backend.fetch("repo", unless=found.version) is None
    backend.put("repo", b"two")  # the same size, perhaps in the same tick of the clock
    again = backend.fetch("repo", unless=found.version)
    assert again is not None
    assert again.data == b"two"
    assert again.version != found.version
    assert backend.fetch("repo", unless=UNVERSIONED) == again


@pytest.mark.parametrize("target", ["overwritten/repo.1", "config.yaml"])
def test_copy(backend: Backend, target: str) -> None:
    first = backend.put("repo", b"one")
    backend.copy("repo", target)
    backend.copy("repo", target, version=first)
    second = backend.put("repo", b"two")
    assert backend.get(target) == b"one"
    with pytest.raises(PreconditionFailed):
        backend.copy("repo", target, version=first)
    assert backend.get(target) == b"one"
    backend.copy("repo", target, version=second)
    assert backend.get(target) == b"two"
    backend.put(target, b"own")
    assert backend.get("repo") == b"two"
    assert {found.key for found in backend.list()} == {"repo", target}


def test_sync_and_close_may_be_called_at_any_time(backend: Backend) -> None:
    backend.sync()
    backend.close()
    backend.put("chunks/a", b"a")
    backend.sync()
    backend.sync()
    backend.delete(["chunks/a"])
    backend.put("chunks/b", b"b")
    backend.close()
    backend.sync()
    assert backend.get("chunks/b") == b"b"


def test_twenty_threads_create_one_object(backend: Backend) -> None:
    barrier = threading.Barrier(20)

    def create(i: int) -> bool:
        barrier.wait()
        try:
            backend.put("refs/tag.race/ref.json", b"%d" % i, mode=CREATE)
        except PreconditionFailed:
            return False
        return True

    won = map_parallel(create, range(20))
    assert won.count(True) == 1
    assert backend.get("refs/tag.race/ref.json") == b"%d" % won.index(True)


def test_no_update_of_a_counter_is_lost(backend: Backend) -> None:
    backend.put("repo", b"0")

    def increment(_: int) -> None:
        while True:
            found = backend.fetch("repo")
            assert found is not None
            try:
                backend.put("repo", b"%d" % (int(found.data) + 1), mode=Update(found.version))
            except PreconditionFailed:
                continue
            return

    map_parallel(increment, range(40))
    assert backend.get("repo") == b"40"


def test_readers_see_whole_objects_while_they_are_replaced(backend: Backend) -> None:
    backend.put("repo", b"0" * 50_000)
    done = threading.Event()

    def replace() -> None:
        try:
            for i in range(30):
                backend.put("repo", b"%d" % (i % 10) * (50_000 + i))
        finally:
            done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not done.is_set():
        data = backend.get("repo")
        assert len(set(data)) == 1
        assert len(data) >= 50_000
        assert len(backend.get("repo", start=10, end=20)) == 10
    writer.join()


def test_what_it_says_of_itself(backend: Backend) -> None:
    assert not backend.read_only
    assert backend.conditional
    assert backend.local is not isinstance(backend, Slow | ObjectBackend)


def test_immutable_is_what_lies_in_the_folders_of_ids() -> None:
    immutable = ["chunks/a", "manifests/a", "snapshots/a", "transactions/a", "overwritten/repo.1"]
    assert all(map(is_immutable, immutable))
    assert not any(map(is_immutable, ["repo", "config.yaml", "refs/branch.main/ref.json"]))
