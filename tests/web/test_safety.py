"""Who is let in, and what hostile repositories and requests can do."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import zarr
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from frazil.web.safety import hosts_of, is_loopback
from tests.web.conftest import HERE

EVIL = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "localhost:9", "[::1]:8642"])
def test_names_of_this_machine_are_fine(filled: frazil.Repository, host: str) -> None:
    site = TestClient(app(filled), base_url=HERE)
    assert site.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "localhost@evil", "a:b"]
)
def test_other_names_are_not(filled: frazil.Repository, host: str) -> None:
    site = TestClient(app(filled), base_url=HERE)
    assert site.get("/", headers={"host": host}).status_code == 421


def test_without_the_token_nothing_is_shown(filled: frazil.Repository) -> None:
    site = TestClient(
        app(filled, token="open sesame", hosts=hosts_of("0.0.0.0")),
        base_url="http://192.0.2.7:8642",
        follow_redirects=False,
    )
    for address in ("/", "/tree", "/figure.svg", "/static/explorer.css", "/files/repo"):
        assert site.get(address).status_code == 401
    assert site.get("/?token=wrong").status_code == 401
    assert site.get("/", headers={"authorization": "Bearer no"}).status_code == 401
    assert site.get("/", headers={"authorization": "Bearer open sesame"}).status_code == 200
    assert site.get("/", headers={"host": "rebound.example"}).status_code == 421
    admitted = site.get("/tree?at=main&token=open+sesame")
    assert admitted.status_code == 303
    assert admitted.headers["location"] == "/tree?at=main"
    cookie = admitted.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "sesame" not in cookie
    assert site.get("/").status_code == 200  # with the cookie


def test_explorers_on_one_host_do_not_share_a_cookie(filled: frazil.Repository) -> None:
    jars = []
    for token in ("one", "two"):
        site = TestClient(app(filled, token=token), base_url=HERE, follow_redirects=False)
        jars.append(site.get(f"/?token={token}").headers["set-cookie"].partition("=")[0])
    assert len(set(jars)) == 2


def test_no_way_out_by_the_token(filled: frazil.Repository) -> None:
    site = TestClient(app(filled, token="t"), base_url=HERE, follow_redirects=False)
    target = site.get("http://127.0.0.1//evil.example/?token=t").headers["location"]
    assert target == "/evil.example/"


def test_every_answer_is_shielded(site: TestClient) -> None:
    for address in ("/", "/tree", "/static/explorer.js", "/nowhere"):
        headers = site.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_other_sites_can_link_here_but_not_embed(site: TestClient) -> None:
    asked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert site.get("/health?verify=objects", headers=asked).status_code == 403
    link = {**asked, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert site.get("/", headers=link).status_code == 200
    assert site.get("/", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_read_only_is_read_only(site: TestClient, method: str) -> None:
    assert site.request(method, "/branches").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/%2e%2e/application.py",
        "/static/..%2fapplication.py",
        "/static//etc/passwd",
    ],
)
def test_static_files_are_only_those(site: TestClient, path: str) -> None:
    assert site.get(path).status_code == 404


@pytest.fixture(scope="module")
def hostile() -> frazil.Repository:
    """A repository that puts markup wherever it can."""
    repo = frazil.Repository.create(frazil.in_memory_storage())
    name = f"{EVIL} {QUOTES}".replace("/", "∕")
    with repo.edit("main", f"{EVIL} {QUOTES}", metadata={EVIL: QUOTES}) as tree:
        group = zarr.open_group(tree.store, mode="a", attributes={EVIL: QUOTES, "units": EVIL})
        data = group.create_array(
            name,
            data=np.arange(12.0).reshape(3, 4),
            dimension_names=(name, f"{name}2"),
            attributes={EVIL: [QUOTES], "units": EVIL},
        )
        assert data.shape == (3, 4)
        group.create_array(f"{name}2", data=np.arange(4.0), attributes={"units": EVIL})
    repo.create_branch(name, repo.lookup_branch("main"))
    repo.create_tag(name, repo.lookup_branch("main"))
    repo.set_metadata({EVIL: QUOTES})
    repo.set_retention(f"keep last 5; tag {EVIL}: last 1")
    config = frazil.RepositoryConfig()
    for number, prefix in enumerate((EVIL, QUOTES)):
        url = f"file:///{prefix.replace('/', '_')}/"
        container = frazil.VirtualChunkContainer(
            url, frazil.local_filesystem_store("/"), name=f"{number} {prefix.replace('/', '_')}"
        )
        config.set_virtual_chunk_container(container)
    repo.save_config(config)
    return repo


def test_markup_in_a_repository_stays_text(hostile: frazil.Repository) -> None:
    name = f"{EVIL} {QUOTES}".replace("/", "∕")
    site = TestClient(app(hostile, write=True), base_url=HERE)
    version = {"at": f"tag:{name}"}
    pages = [
        site.get("/"),
        site.get("/commit", params={"id": hostile.lookup_branch("main")}),
        site.get("/tree", params=version),
        site.get("/tree", params={"find": QUOTES}),
        site.get("/tree", params={**version, "path": f"/{name}"}),
        site.get("/figure.svg", params={**version, "path": f"/{name}"}),
        site.get("/chunks", params={**version, "path": f"/{name}"}),
        site.get("/chunks", params={**version, "path": f"/{name}", "by": "commit"}),
        site.get("/compare", params={"after": f"branch:{name}"}),
        site.get("/compare", params={"after": f"branch:{name}", "path": f"/{name}"}),
        site.get("/names"),
        site.get("/storage", params=version),
        site.get("/operations"),
        site.get("/health"),
        site.get("/retention", params={"older": "2100-01-01"}),
        site.get("/configuration"),
        site.get("/configuration", params={"history": 1}),
        site.get("/tree", params={"at": EVIL}),
        site.get("/tree", params={"path": f"/{QUOTES}"}),
    ]
    for page in pages:
        assert "alert(1)" in page.text or "figure.svg" in str(page.url), page.url
        assert "<script>" not in page.text
        assert "<img src=x" not in page.text
        assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', page.text))


def test_documents_that_are_no_documents(spec: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec)
    odd = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2, 3],
        "data_type": "float64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 3]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": {"a": [EVIL]},
        "codecs": [{"name": EVIL}],
        "attributes": {"units": 7, "scale_factor": "x", "_FillValue": [1]},
        "dimension_names": ["odd", None],
    }
    with repo.edit("main", "Odd") as tree:
        tree._workspace.set_metadata("/odd", json.dumps(odd).encode())
    site = TestClient(app(repo), base_url=HERE)
    assert EVIL not in site.get("/tree", params={"path": "/odd"}).text
    picture = site.get("/figure.svg", params={"path": "/odd"})
    assert picture.status_code == 200
    assert EVIL not in picture.text


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_what_loopback_is(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
