"""What a page says when something is wrong, and what to do then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a repository with one array."""
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(tmp_path / "repo")))
    with repo.edit("main", "Numbers") as tree:
        tree["t"] = np.random.default_rng(1).random(3000)
    return tmp_path / "repo"


def open_site(folder: Path) -> TestClient:
    repo = frazil.Repository.open(frazil.local_filesystem_storage(str(folder)))
    return TestClient(app(repo), base_url=HERE, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("address", "leads"),
    [("/tree?path=/nothing", "/tree"), ("/tree?at=nothing", "/names"), ("/nowhere", "/")],
)
def test_what_is_not_there_leads_to_what_is(folder: Path, address: str, leads: str) -> None:
    answer = open_site(folder).get(address)
    assert answer.status_code == 404
    assert f'class="button" href="{leads}"' in answer.text


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_damaged_files_lead_to_health(folder: Path, damage: str) -> None:
    for file in (folder / "snapshots").iterdir():
        file.unlink() if damage == "remove" else file.write_bytes(b"?")
    site = open_site(folder)
    answer = site.get("/tree")
    assert answer.status_code == (404 if damage == "remove" else 500)
    assert 'class="button" href="/health"' in answer.text
    assert "frazil repair" in answer.text
    assert site.get("/").status_code == 200
    assert "wrong." in site.get("/health?verify=metadata").text


def test_damaged_references_leave_the_rest_of_a_page(folder: Path) -> None:
    for file in (folder / "manifests").iterdir():
        file.write_bytes(b"?")
    site = open_site(folder)
    for address in ("/storage", "/storage?measure=1", "/chunks?path=/t", "/tree?path=/t"):
        assert site.get(address).status_code == 200, address
    assert 'href="/health"' in site.get("/storage").text
    page = site.get("/health?verify=metadata").text
    assert "Unreadable" in page
    assert "put the object back" in page.lower()


def test_a_defect_says_so_and_is_shielded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("frazil.web.site.read_commits", broken)
    answer = open_site(folder).get("/")
    assert answer.status_code == 500
    assert "defect" in answer.text
    assert "secret" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_repository_that_is_gone(folder: Path) -> None:
    site = open_site(folder)
    (folder / "repo").unlink()
    for address in ("/", "/tree", "/names", "/retention"):
        answer = site.get(address)
        assert answer.status_code == 404
        assert "the repository is gone" in answer.text.lower()
