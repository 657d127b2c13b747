"""Which versions stay and which would go, leases, and garbage: looked at, never changed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE


@pytest.fixture
def repo() -> frazil.Repository:
    """Three commits, and a tag."""
    made = frazil.Repository.create(frazil.in_memory_storage())
    for number in range(3):
        with made.edit("main", f"Day {number}") as tree:
            tree["t"] = np.random.default_rng(number).random(3000)
    made.create_tag("kept", made.resolve("main~1"))
    return made


def site_of(repo: frazil.Repository) -> TestClient:
    return TestClient(app(repo), base_url=HERE)


def test_without_a_policy_it_says_how_to_have_one(repo: frazil.Repository) -> None:
    page = site_of(repo).get("/retention").text
    assert "every version stays" in page
    assert "frazil retention set" in page
    assert "would go" not in page


def test_the_policy_and_what_it_lets_go(repo: frazil.Repository) -> None:
    repo.set_retention("keep last 2")
    repo.set_retention("keep last 1; dev/*: all; tag nightly-*: last 5")
    page = site_of(repo).get("/retention").text
    for words in ("branches dev/*", "tags nightly-*", "last 1", "1 policy before", "last 2"):
        assert words in page, words
    gone, kept = page.split("would stay")
    assert "1 version of 4" in gone
    assert "Day 0" in gone
    assert "Day 1" not in gone
    assert "tip of main" in kept
    assert "tag kept" in kept
    repo.set_retention(None)
    assert "The policy was removed" in site_of(repo).get("/retention").text


def test_long_histories_are_judged_when_asked(
    repo: frazil.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frazil.web.views.retention.QUICK_SNAPSHOTS", 1)
    repo.set_retention("keep last 1")
    assert "Day 0" not in site_of(repo).get("/retention").text
    assert "Day 0" in site_of(repo).get("/retention", params={"preview": 1}).text


def test_what_was_done_last(repo: frazil.Repository) -> None:
    assert site_of(repo).get("/retention").text.count("none is in the log") == 2
    repo.apply_retention("keep last 1")
    repo.garbage_collect(datetime(2100, 1, 1, tzinfo=UTC), incremental=True)
    repo.verify("metadata")
    page = site_of(repo).get("/retention").text
    assert "none is in the log" not in page
    assert "Last incremental collection" in page
    assert "nothing wrong" in page


def test_leases_that_hold_and_one_that_lapsed(repo: frazil.Repository) -> None:
    assert "No writer holds one" in site_of(repo).get("/retention").text
    with repo.lease(hours=2, holder="reprocessing <b>"):
        backend = repo.storage.backend()
        backend.put("frazil/leases/OLD", b'{"started": 1, "seconds": -9, "holder": "late"}')
        page = site_of(repo).get("/retention").text
        assert "reprocessing &lt;b&gt;" in page
        assert "late" not in page
        assert "1 other lapsed" in page
    backend.put("frazil/leases/ODD", b"?")
    page = site_of(repo).get("/retention")
    assert page.status_code == 200
    assert "frazil/leases/ODD" in page.text


def test_garbage_is_told_on_request_and_nothing_is_written(repo: frazil.Repository) -> None:
    parent = next(iter(repo.ancestry(branch="main"))).parent_id
    repo.reset_branch("main", parent or "")
    lease = repo.lease(hours=1)
    site = site_of(repo)
    before = dict(repo.stats.requests)
    assert "Chunks" not in site.get("/retention").text
    page = site.get("/retention", params={"older": "2100-01-01"}).text
    assert "in 4 objects" in page
    assert "<wbr>t</th>" in page
    assert before != repo.stats.requests, "it has looked"
    for kind in ("put", "delete"):
        assert before.get(kind) == repo.stats.requests.get(kind)
    lease.release()
    assert site.get("/retention", params={"older": "soon"}).status_code == 400
