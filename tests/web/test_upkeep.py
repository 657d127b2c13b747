"""Sizes, health, operations, settings; and changing names, where that is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.hooks import Hook
from frazil.web import app
from tests.web.conftest import HERE


def secret(site: TestClient) -> str:
    """What the forms of a page have in them."""
    match = re.search(r'name="secret" value="([^"]+)"', site.get("/names").text)
    assert match is not None
    return match[1]


@pytest.fixture
def repo() -> frazil.Repository:
    """A repository that tests change."""
    made = frazil.Repository.create(frazil.in_memory_storage())
    with made.edit("main", "Numbers") as tree:
        tree["numbers"] = np.random.default_rng(1).random(3000)
        tree["few"] = np.arange(3)
    return made


def test_storage_by_array_and_by_age(repo: frazil.Repository) -> None:
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/storage").text
    assert page.index("/numbers") < page.index("/few")
    assert "By age" not in page
    measured = site.get("/storage", params={"measure": 1}).text
    assert "By age" in measured
    assert "Transaction logs" in measured
    assert "Dead space in packs" in measured
    assert "/growth.svg?theme=dark" in measured


def test_growth_as_a_picture(repo: frazil.Repository) -> None:
    site = TestClient(app(repo), base_url=HERE)
    light = site.get("/growth.svg")
    assert light.headers["content-type"] == "image/svg+xml"
    assert "own objects" in light.text
    assert site.get("/growth.svg", params={"theme": "dark"}).text != light.text
    narrow = site.get("/growth.svg", params={"size": "narrow"}).text
    assert len(narrow) > 500


def test_large_versions_are_measured_when_asked(
    repo: frazil.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.web.usage.QUICK_ARRAYS", 1)
    site = TestClient(app(repo), base_url=HERE)
    assert "/numbers" not in site.get("/storage").text
    assert "/numbers" in site.get("/storage", params={"measure": 1}).text


def test_health_tells_of_the_last_verification(tmp_path: Path) -> None:
    place = frazil.local_filesystem_storage(str(tmp_path / "repo"))
    repo = frazil.Repository.create(place)
    with repo.edit("main", "Numbers") as tree:
        tree["numbers"] = np.random.default_rng(1).random(3000)
    site = TestClient(app(repo), base_url=HERE)
    assert "Not looked at" in site.get("/health").text
    assert "Nothing is wrong." in site.get("/health", params={"verify": "objects"}).text
    assert "Nothing is wrong." in site.get("/health").text
    for file in (tmp_path / "repo" / "chunks").iterdir():
        file.unlink()
    assert "1 thing wrong" in site.get("/health", params={"verify": "objects"}).text
    assert repo.last_verification() is None  # it was opened for looking
    repo.verify("metadata")
    later = TestClient(app(repo), base_url=HERE)
    assert "Nothing was wrong." in later.get("/health").text
    later = TestClient(app(repo, write=True), base_url=HERE)
    later.get("/health", params={"verify": "objects"})
    last = repo.last_verification()
    assert last is not None
    assert last.findings == 1


def test_operations_are_listed(repo: frazil.Repository) -> None:
    repo.create_tag("v1", repo.lookup_branch("main"))
    page = TestClient(app(repo), base_url=HERE).get("/operations").text
    order = [page.index(words) for words in ("Tag created", "New commit", "Repo initialized")]
    assert order == sorted(order)
    assert repo.lookup_branch("main") in page


def test_settings_and_their_history(repo: frazil.Repository) -> None:
    repo.save_config(frazil.RepositoryConfig(inline_chunk_threshold_bytes=77))
    site = TestClient(app(repo), base_url=HERE)
    assert "77" in site.get("/configuration").text
    assert re.search(
        r">default</td><td[^>]*>77<", site.get("/configuration", params={"history": 1}).text
    )


@pytest.mark.parametrize(
    "page", ["/retention", "/health", "/operations", "/configuration", "/storage", "/names"]
)
def test_format_1_has_these_pages_too(page: str) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=1)
    assert TestClient(app(repo), base_url=HERE).get(page).status_code == 200


def test_names_are_made_and_deleted(repo: frazil.Repository) -> None:
    site = TestClient(app(repo, write=True), base_url=HERE)
    form = {"secret": secret(site), "snapshot": repo.lookup_branch("main")}
    for kind in ("branch", "tag"):
        made = site.post(
            "/names", data={**form, "kind": kind, "name": "new/one", "action": "create"}
        )
        assert made.status_code == 200  # after the redirect
        assert "new/one" in made.text
    assert repo.lookup_tag("new/one") == repo.lookup_branch("new/one") == form["snapshot"]
    for kind in ("branch", "tag"):
        site.post("/names", data={**form, "kind": kind, "name": "new/one", "action": "delete"})
    assert repo.list_branches() == {"main"}
    assert repo.list_tags() == set()
    refused = site.post(
        "/names", data={**form, "kind": "branch", "name": "main", "action": "delete"}
    )
    assert refused.status_code == 422
    again = {**form, "kind": "branch", "name": "main", "action": "create"}
    assert site.post("/names", data=again).status_code == 409
    repo.hooks.before_tag(lambda event: f"no {event.ref} & co")
    tag = {**form, "kind": "tag", "name": "v9", "action": "create"}
    refused = site.post("/names", data=tag)
    assert refused.status_code == 422
    assert "no v9 &amp; co" in refused.text
    assert repo.list_branches() == {"main"}
    assert repo.list_tags() == set()


def test_many_names_are_on_several_pages(repo: frazil.Repository) -> None:
    tip = repo.lookup_branch("main")
    for number in range(103):
        repo.create_tag(f"t{number:03}", tip)
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/names").text
    assert "t099" in page
    assert "t100" not in page
    assert "Numbers" in page, "the newest commit"
    assert "/names?tag=100#tag" in page
    rest = site.get("/names", params={"tag": 100}).text
    assert "t102" in rest
    assert ">main<" in rest
    found = site.get("/names", params={"find": "T01"}).text
    assert "t010" in found
    assert "t020" not in found
    assert "None has such a name." in found


def test_other_sites_change_nothing(repo: frazil.Repository) -> None:
    site = TestClient(app(repo, write=True), base_url=HERE)
    form = {
        "secret": secret(site),
        "snapshot": repo.lookup_branch("main"),
        "kind": "branch",
        "name": "planted",
        "action": "create",
    }
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert site.post("/names", data=form, headers=headers).status_code == 403
    for wrong in ("", "x", "ä"):
        assert site.post("/names", data={**form, "secret": wrong}).status_code in (400, 403)
    assert site.post("/names", data={**form, "action": "reset"}).status_code == 400
    assert site.post("/names", content=b"x" * 100_000).status_code == 413
    assert site.post("/tree", data=form).status_code == 405
    assert repo.list_branches() == {"main"}
    assert site.post("/names", data=form, headers={"origin": HERE}).status_code == 200
    assert repo.list_branches() == {"main", "planted"}


def test_read_only_pages_have_no_forms_for_changes(repo: frazil.Repository) -> None:
    site = TestClient(app(repo), base_url=HERE)
    assert 'method="post"' not in site.get("/names").text
    assert site.post("/names").status_code == 405


def test_hooks_are_shown() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    repo.hooks.add(Hook(name="<b>", command=["rm", "<i>"], refs=["v*"], on=["tag"]))
    repo.set_metadata({"title": "x"})
    with TestClient(app(repo), base_url=HERE) as client:
        page = client.get("/configuration").text
        assert "&lt;b&gt;" in page
        assert "command rm &#39;&lt;i&gt;&#39;" in page
        assert "before tag" in page
        assert "frazil.<wbr>hooks" not in page
        repo.update_metadata({"frazil.hooks": {"x": {"odd": 1}}})
        page = client.get("/configuration").text
        assert "frazil.<wbr>hooks" in page, "as it is, where it is not understood"
