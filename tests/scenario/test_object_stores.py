"""Repositories in object stores: forked processes, settings, and what a careless server does."""

from __future__ import annotations

import secrets
import warnings
from typing import Any

import pytest
import zarr

import frazil
from frazil import (
    Repository,
    RepositoryConfig,
    StorageConcurrencySettings,
    StorageSettings,
)
from frazil.errors import ErrorKind, InvalidInputError, ReadOnlyError, StorageError
from frazil.storage import ChecksumAlgorithm
from frazil.storage.base import CREATE, Update
from tests.children import forks, in_child
from tests.servers.proxy import Proxy
from tests.servers.s3 import S3

pytestmark = forks

MIB = 2**20


def somewhere(server: Any, **options: Any) -> frazil.Storage:
    """A new, empty place."""
    storage: frazil.Storage = server.storage(frazil, f"stores/{secrets.token_hex(8)}", **options)
    return storage


def test_a_child_goes_on_with_a_storage_that_its_parent_has_used(s3: S3) -> None:
    storage = somewhere(s3)
    backend = storage.backend()
    backend.put("chunks/a", b"of the parent")

    def grandchild() -> bool:
        return backend.get("chunks/b") == b"of the child"

    def child() -> bool:
        assert backend.get("chunks/a") == b"of the parent"
        assert storage.backend() is backend
        backend.put("chunks/b", b"of the child")
        in_child(grandchild)
        return [info.key for info in backend.list()] == ["chunks/a", "chunks/b"]

    in_child(child)
    in_child(child)
    assert backend.get("chunks/b") == b"of the child"


def test_forked_sessions_write_in_children(s3: S3) -> None:
    repo = Repository.create(somewhere(s3))
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, shape=(4, 3000), chunks=(1, 3000), dtype="f8")
    array[0] = 1
    session.commit("made")
    in_child(lambda: commit(repo, 1))
    in_child(lambda: commit(repo, 2))
    commit(repo, 3)
    stored = zarr.open_array(repo.readonly_session("main").store, mode="r")
    assert [stored[row, 0] for row in range(4)] == [1, 1, 2, 3]


def commit(repo: Repository, row: int) -> bool:
    session = repo.writable_session("main")
    zarr.open_array(session.store)[row] = row
    session.commit(f"row {row}")
    return True


def test_large_reads_are_split_and_go_on_at_once(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    settings = StorageSettings(concurrency=StorageConcurrencySettings(3, 10_000))
    backend = somewhere(server).backend(settings)
    data = secrets.token_bytes(95_000)
    backend.put("chunks/a", data)

    def requests_of(read: Any, expected: bytes) -> list[str]:
        proxy.reset()
        assert read() == expected
        assert proxy.most_at_once <= 3
        return sorted(request.headers.get("range", "all") for request in proxy.requests)

    ranges = requests_of(lambda: backend.get("chunks/a", start=5, end=30_005), data[5:30_005])
    assert ranges == ["bytes=10005-20004", "bytes=20005-30004", "bytes=5-10004"]
    assert len(requests_of(lambda: backend.get("chunks/a", end=10_000), data[:10_000])) == 1
    whole = requests_of(lambda: backend.get("chunks/a"), data)
    assert len(whole) == 11
    assert whole[0] == "all"  # tells how large the object is


def test_near_ranges_are_read_with_one_request(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    backend = somewhere(server).backend()
    data = secrets.token_bytes(3 * MIB)
    backend.put("chunks/a", data)
    proxy.reset()
    far = 2 * MIB
    ranges = [(far, far + 5), (10, 20), (0, 5), (15, 40)]
    assert backend.get_ranges("chunks/a", ranges) == [data[a:b] for a, b in ranges]
    assert sorted(request.headers["range"] for request in proxy.requests) == [
        "bytes=0-39",
        f"bytes={far}-{far + 4}",
    ]


def test_large_objects_are_sent_in_equal_parts(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    settings = StorageSettings(
        concurrency=StorageConcurrencySettings(2, 6 * MIB),
        minimum_size_for_multipart_upload=7 * MIB,
    )
    backend = somewhere(server).backend(settings)
    for size, parts in ((7 * MIB - 1, 1), (17 * MIB, 3)):
        data = bytes(size)
        proxy.reset()
        backend.put("chunks/a", data)
        puts = sorted(request.sent for request in proxy.requests if request.method == "PUT")
        assert sum(puts) == size
        assert len(puts) == parts
        assert max(puts) - min(puts) < 1024
        assert backend.get("chunks/a") == data


def test_what_requests_carry(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    storage = somewhere(
        server,
        requester_pays=True,
        checksum_algorithm=ChecksumAlgorithm.Sha256,
        headers={"x-both": "1"},
        read_headers={"x-read": "2"},
        write_headers={"x-write": "3"},
    )
    backend = storage.backend(
        StorageSettings(storage_class="STANDARD_IA", chunks_storage_class="GLACIER_IR")
    )
    version = backend.put("config.yaml", b"c", mode=CREATE, content_type="application/yaml")
    backend.put("chunks/a", b"c")
    backend.put("snapshots/a", b"c")
    assert backend.fetch("config.yaml", unless=version) is None
    list(backend.list())
    config, chunk, snapshot, read, listing = proxy.requests
    assert config.headers["if-none-match"] == "*"
    assert config.headers["content-type"] == "application/yaml"
    assert config.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert chunk.headers["x-amz-storage-class"] == "GLACIER_IR"
    assert snapshot.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert read.status == 304
    for request in (config, chunk, snapshot):
        assert "x-amz-checksum-sha256" in request.headers
        assert (request.headers["x-both"], request.headers["x-write"]) == ("1", "3")
        assert "x-read" not in request.headers
        assert ";x-both;x-write," in request.headers["authorization"]  # they are signed
    for request in (read, listing):
        assert (request.headers["x-both"], request.headers["x-read"]) == ("1", "2")
        assert "x-write" not in request.headers
    for request in proxy.requests:
        assert request.headers["x-amz-request-payer"] == "requester"
        assert request.headers["user-agent"] == f"frazil/{frazil.__version__}"
        assert "/us-east-1/s3/aws4_request" in request.headers["authorization"]


def test_without_credentials_nothing_is_signed(behind: tuple[S3, Proxy]) -> None:
    _, proxy = behind
    storage = frazil.s3_storage(
        bucket="frazil",
        prefix="stores/none",
        endpoint_url=f"http://{proxy.address}",
        allow_http=True,
        anonymous=True,
    )
    assert storage.list_objects() == []
    storage.backend().put("chunks/a", b"")
    assert all("authorization" not in request.headers for request in proxy.requests)


def test_many_objects_are_deleted_with_few_requests(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    backend = somewhere(server).backend()
    backend.put("chunks/2499", b"")
    proxy.reset()
    backend.delete(f"chunks/{i}" for i in range(2500))
    assert proxy.methods() == {"POST": 3}
    assert list(backend.list()) == []


def test_requests_go_through_the_proxy_of_the_environment(
    s3: S3, behind: tuple[S3, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, proxy = behind
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "")
    somewhere(s3).backend().put("chunks/a", b"")
    assert proxy.methods() == {"PUT": 1}


UNSAFE = StorageSettings(unsafe_use_conditional_create=False, unsafe_use_conditional_update=False)


def test_without_conditions_nothing_is_asked_and_a_warning_is_given_once(
    behind: tuple[S3, Proxy],
) -> None:
    server, proxy = behind
    backend = somewhere(server).backend(UNSAFE)
    assert not backend.conditional
    with pytest.warns(UserWarning, match="commits that are made at the same time can be lost"):
        version = backend.put("repo", b"one", mode=CREATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.put("repo", b"two", mode=CREATE)
        backend.put("repo", b"three", mode=Update(version))
    assert backend.get("repo") == b"three"
    assert not any(name.startswith("if-") for r in proxy.requests for name in r.headers)


def test_a_store_that_ignores_conditions_is_refused(careless_s3: S3) -> None:
    storage = somewhere(careless_s3)
    with pytest.raises(StorageError, match=r"ignores.*unsafe_use_conditional_update=False") as no:
        Repository.create(storage)
    assert no.value.kind == ErrorKind.STORAGE_CONFIG
    assert not Repository.exists(storage)
    for half in ("unsafe_use_conditional_create", "unsafe_use_conditional_update"):
        with pytest.raises(StorageError, match="ignores"), pytest.warns(UserWarning, match=half):
            Repository.create(storage, RepositoryConfig(storage=StorageSettings(**{half: False})))


@pytest.mark.filterwarnings("ignore:.*can be lost")
def test_a_store_that_ignores_conditions_can_be_used_all_the_same(careless_s3: S3) -> None:
    storage = somewhere(careless_s3)
    repo = Repository.create(storage, RepositoryConfig(storage=UNSAFE))
    session = repo.writable_session("main")
    zarr.create_array(session.store, shape=4, chunks=2, dtype="i4")[:] = 1
    session.commit("made")
    repo = Repository.open(storage)
    assert repo.config.storage == UNSAFE
    assert zarr.open_array(repo.readonly_session("main").store, mode="r")[3] == 1


def test_detection_is_cheap(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    backend = somewhere(server).backend()
    backend.put("snapshots/a", b"content")
    proxy.reset()
    backend.check_conditions("snapshots/a")
    assert sorted((r.method, r.status) for r in proxy.requests) == [
        ("GET", 200),
        ("HEAD", 200),
        ("PUT", 412),
        ("PUT", 412),
    ]


def test_where_repositories_cannot_be_created(s3: S3) -> None:
    with pytest.raises(InvalidInputError, match="choose a prefix") as caught:
        Repository.create(s3.storage(frazil, "/"))
    assert caught.value.kind == ErrorKind.EMPTY_PREFIX_CREATION
    weak = frazil.tigris_storage(
        bucket="frazil",
        prefix="weak",
        use_weak_consistency=True,
        endpoint_url=f"http://{s3.address}",
        allow_http=True,
        anonymous=True,
    )
    with pytest.raises(ReadOnlyError):
        Repository.create(weak)
    with pytest.raises(ReadOnlyError):
        weak.backend().put("repo", b"")


def test_a_bucket_that_is_not_there(s3: S3) -> None:
    storage = frazil.s3_storage(
        bucket="nowhere",
        prefix="p",
        endpoint_url=f"http://{s3.address}",
        allow_http=True,
        access_key_id="k",
        secret_access_key="s",
    )
    with pytest.raises(StorageError, match="NoSuchBucket"):
        Repository.create(storage)
    assert not Repository.exists(storage)
