"""The servers are what the tests take them for, seen by a client that knows nothing of Frazil."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4

import obstore
import pytest
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    NotFoundError,
    PreconditionError,
)

from frazil.storage.pool import map_parallel
from tests.servers.fixtures import Cloud, Servers
from tests.servers.gcs import gcs_standin
from tests.servers.nginx import Static
from tests.servers.proxy import (
    CLOSE_AFTER,
    RESET_AFTER,
    RESET_BEFORE,
    STALL,
    TRUNCATE,
    Fault,
    Proxy,
    Request,
    delay,
    refuse,
    rounds,
)
from tests.servers.s3 import S3


def version_of(result: Any) -> dict[str, str]:
    return {part: result[part] for part in ("e_tag", "version") if result.get(part)}


def winners(client: Any, key: str, mode: Any, content: bytes) -> int:
    barrier = threading.Barrier(20)

    def put(i: int) -> bool:
        barrier.wait()
        try:
            obstore.put(client, key, content + b"%02d" % i, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    return sum(map_parallel(put, range(20)))


def test_one_of_twenty_creates_and_one_of_twenty_updates(cloud: Cloud) -> None:
    client = cloud.client(f"race-{uuid4().hex}")
    for _ in range(3):
        key = uuid4().hex
        assert winners(client, key, "create", b"created") == 1
        version = version_of(obstore.head(client, key))
        assert winners(client, key, version, b"updated") == 1


def test_objects_are_read_listed_copied_and_deleted(cloud: Cloud) -> None:
    client = cloud.client(f"objects-{uuid4().hex}")
    for key in ("a/one", "a/two", "b", "ä/%41 +"):
        obstore.put(client, key, key.encode())
    assert bytes(obstore.get(client, "ä/%41 +").bytes()) == "ä/%41 +".encode()
    assert bytes(obstore.get_range(client, "a/one", start=2, end=4)) == b"on"
    obstore.copy(client, "a/one", "c")
    obstore.delete(client, ["b"])
    listed = [item["path"] for page in obstore.list(client) for item in page]
    assert sorted(listed) == ["a/one", "a/two", "c", "ä/%41 +"]
    assert obstore.list_with_delimiter(client)["common_prefixes"] == ["a", "ä"]
    with pytest.raises(FileNotFoundError):
        obstore.get(client, "b")


def test_a_large_object_arrives_in_parts(cloud: Cloud) -> None:
    client = cloud.client(f"large-{uuid4().hex}")
    data = bytes(range(256)) * 50_000
    obstore.put(client, "large", data, use_multipart=True, chunk_size=6_000_000)
    assert bytes(obstore.get(client, "large").bytes()) == data


def test_long_lists_of_the_standin_have_pages(servers: Servers) -> None:
    client = servers.get(gcs_standin).client("pages")
    names = {f"{i:04}" for i in range(1_050)}
    map_parallel(lambda name: obstore.put(client, f"f/{name}", b""), names)
    listed = [item["path"] for page in obstore.list(client, "f") for item in page]
    assert len(listed) == 1_050
    assert set(listed) == {f"f/{name}" for name in names}


def test_rclone_ignores_conditions(careless_s3: S3) -> None:
    client = careless_s3.client("careless")
    obstore.put(client, "key", b"first", mode="create")
    obstore.put(client, "key", b"second", mode="create")
    assert bytes(obstore.get(client, "key").bytes()) == b"second"


def test_nginx_serves_ranges_and_redirects(static: Static) -> None:
    (static.folder / "file").write_bytes(b"0123456789")
    asked = urllib.request.Request(f"http://{static.address}/file", headers={"Range": "bytes=2-4"})
    with urllib.request.urlopen(asked) as response:
        assert (response.status, response.read()) == (206, b"234")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{static.address}/go/some/where")
    assert caught.value.code == 302
    assert caught.value.headers["Location"] == f"http+icechunk://{static.address}/some/where"


def once(fault: Fault, method: str) -> Any:
    """A plan: spoil the first request of a method."""
    left = [fault]

    def plan(request: Request) -> Fault | None:
        return left.pop() if request.method == method and left else None

    return plan


def test_the_proxy_counts_and_delays(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    client = server.client("counted")
    obstore.put(client, "a", b"12345")
    obstore.get(client, "a").bytes()
    assert proxy.methods() == {"PUT": 1, "GET": 1}
    assert (proxy.sent, proxy.received) == (5, 5)
    assert rounds(proxy.requests) == 2
    proxy.reset()
    proxy.plan = lambda request: delay(0.2)
    map_parallel(lambda i: obstore.get(client, "a").bytes(), range(4))
    assert len(proxy.requests) == proxy.most_at_once == 4
    assert rounds(proxy.requests) == 1
    assert proxy.requests[0].path == "/frazil/counted/a"


@pytest.mark.parametrize("fault", [refuse(503), refuse(429), TRUNCATE], ids=str)
def test_the_proxy_spoils_what_clients_survive(behind: tuple[S3, Proxy], fault: Fault) -> None:
    server, proxy = behind
    client = server.client("survived")
    data = bytes(100_000)
    obstore.put(client, "a", data)
    proxy.plan = once(fault, "GET")
    assert bytes(obstore.get(client, "a").bytes()) == data
    assert [request.fault == fault for request in proxy.requests if request.method == "GET"] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("fault", "error", "is_there"),
    [
        (RESET_BEFORE, GenericError, False),
        (RESET_AFTER, GenericError, True),
        (CLOSE_AFTER, AlreadyExistsError, True),
    ],
    ids=["reset before", "reset after", "close after"],
)
def test_the_proxy_loses_requests_and_responses(
    behind: tuple[S3, Proxy], fault: Fault, error: type[Exception], is_there: bool
) -> None:
    server, proxy = behind
    client = server.client(f"lost-{uuid4().hex}")
    proxy.plan = once(fault, "PUT")
    with pytest.raises(error):
        obstore.put(client, "a", b"12345", mode="create")
    if is_there:
        assert bytes(obstore.get(client, "a").bytes()) == b"12345"
    else:
        with pytest.raises((FileNotFoundError, NotFoundError)):
            obstore.get(client, "a")


def test_the_proxy_stalls(behind: tuple[S3, Proxy]) -> None:
    server, proxy = behind
    proxy.plan = once(STALL, "GET")
    obstore.put(server.client("stalled"), "a", bytes(100_000))
    url = f"http://{server.address}/frazil/stalled/a"
    with urllib.request.urlopen(url, timeout=0.5) as got, pytest.raises(TimeoutError):
        got.read()
