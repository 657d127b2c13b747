"""What the pages say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from starlette.testclient import TestClient

import frazil
from frazil.format.history import SnapshotRecord, SnapshotTable
from frazil.format.nodes import NodeTable
from frazil.format.snapshot import Node
from frazil.ids import SnapshotId
from frazil.web import app
from frazil.web.commits import Commits
from tests.web.conftest import HERE

AIR = "/climate/air"


def test_the_history_has_each_commit_with_its_names(
    site: TestClient, filled: frazil.Repository
) -> None:
    page = site.get("/").text
    for info in filled.ancestry(branch="main"):
        assert info.message in page
    for name in ("main", "fixes", "v1", "v2"):
        assert f">{name}</a>" in page
    assert page.count("<circle") == 5


def test_a_commit_tells_what_it_changed(site: TestClient, filled: frazil.Repository) -> None:
    page = site.get("/commit", params={"id": filled.lookup_branch("fixes")}).text
    assert "Correct the first day" in page
    assert "Arrays with chunks written" in page
    assert AIR in page
    assert "1 chunk<" in page


def test_the_tree_is_that_of_the_version(site: TestClient) -> None:
    new = site.get("/tree", params={"at": "main", "path": "/climate"}).text
    old = site.get("/tree", params={"at": "tag:v1", "path": "/climate"}).text
    assert "hand-made" in new
    assert "hand-made" not in old
    assert "time 4 × lat 30 × lon 40" in old
    assert "float32" in old
    assert "1 × 30 × 40" in old


@pytest.mark.parametrize("at", ["main", "branch:main", "tag:v2", "snapshot"])
def test_versions_are_named_in_many_ways(
    site: TestClient, filled: frazil.Repository, at: str
) -> None:
    named = filled.lookup_branch("main") if at == "snapshot" else at
    assert "hand-made" in site.get("/tree", params={"at": named, "path": "/climate"}).text


def test_an_array_has_facts_and_a_slider_without_scripts(site: TestClient) -> None:
    page = site.get("/tree", params={"path": AIR, "i0": 2}).text
    assert 'type="range" id="i0"' in page
    assert "2001-02-05" in page
    assert "i0=1" in page
    assert "i0=3" in page
    assert "Air temperature" in page


def test_a_heat_map_has_units_and_coordinates_on_its_axes(site: TestClient) -> None:
    picture = site.get("/figure.svg", params={"path": AIR, "i0": 1})
    assert picture.headers["content-type"].startswith("image/svg+xml")
    texts = [node.text for node in ElementTree.fromstring(picture.text).iter() if node.text]
    assert "lat (degrees_north)" in texts
    assert "lon (degrees_east)" in texts
    assert "0" in texts
    assert any("min 1200 · mean 1800 · max 2399 K" in text for text in texts)


def test_missing_values_and_lines(site: TestClient) -> None:
    never_written = site.get("/figure.svg", params={"path": AIR, "i0": 3}).text
    assert "everywhere 0 K" in never_written
    line = site.get("/figure.svg", params={"path": AIR, "x": 0, "y": "none"}).text
    assert "2001-02-03" in line
    assert '<path d="M' in line


@pytest.mark.parametrize(
    ("path", "words"), [("/names", "no numbers to draw"), ("/answer", "The answer is 42.")]
)
def test_what_cannot_be_drawn_says_why(site: TestClient, path: str, words: str) -> None:
    text = " ".join(re.findall(r">([^<]+)<", site.get("/figure.svg", params={"path": path}).text))
    assert words in text


def test_a_new_repository_is_empty(spec: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec)
    site = TestClient(app(repo), base_url=HERE)
    assert "This group is empty." in site.get("/tree").text
    assert "Repository initialized" in site.get("/").text
    assert "the same snapshot" in site.get("/compare").text


def test_a_page_makes_as_little_of_a_long_history_as_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    real = SnapshotTable.record

    def counted(table: SnapshotTable, row: int) -> SnapshotRecord:
        made.append(row)
        return real(table, row)

    monkeypatch.setattr(SnapshotTable, "record", counted)
    ids = [SnapshotId(number.to_bytes(12, "big")) for number in range(10_000)]
    parents = [None, *ids]
    records = [
        SnapshotRecord(id_, parent, number, f"commit {number}")
        for number, (id_, parent) in enumerate(zip(ids, parents, strict=False))
    ]
    table = SnapshotTable.of(records)
    order = np.arange(len(table))[::-1]
    commits = Commits(table, order, {"main": ids[-1], "old": ids[5]}, {})
    page = commits.page(9_000, 50)
    assert [commit.record.message for commit in page] == [
        f"commit {number}" for number in range(999, 949, -1)
    ]
    assert len(made) == 50


def test_a_page_describes_only_the_nodes_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Many") as tree:
        for number in range(3_000):
            document = b'{"zarr_format":3,"node_type":"group"}'
            tree._workspace.set_metadata(f"/g{number:04}", document)
    made: list[int] = []
    real = NodeTable.node

    def counted(table: NodeTable, row: int) -> Node:
        made.append(row)
        return real(table, row)

    monkeypatch.setattr(NodeTable, "node", counted)
    site = TestClient(app(repo), base_url=HERE)
    assert "g2050" in site.get("/tree", params={"start": 2000}).text
    assert len(made) <= 110


def test_groups_are_searched_and_paged() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Many") as tree:
        for number in range(130):
            tree[f"a{number:03}"] = np.zeros(1)
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/tree").text
    assert "a099" in page
    assert "a100" not in page
    assert "a129" in site.get("/tree", params={"start": 100}).text
    found = site.get("/tree", params={"find": "A12"}).text
    assert "a129" in found
    assert "a001" not in found


def test_the_history_is_paged_and_lines_go_on(spec: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec)
    first = repo.lookup_branch("main")
    for number in range(60):
        with repo.edit("main", f"Commit {number:02}") as tree:
            tree.store.session._workspace.set_metadata(
                f"/g{number}", b'{"zarr_format":3,"node_type":"group"}'
            )
    repo.create_branch("old", first)
    with repo.edit("old", "Elsewhere") as tree:
        tree["x"] = np.zeros(1)
    site = TestClient(app(repo), base_url=HERE)
    newest, older = site.get("/").text, site.get("/", params={"start": 50}).text
    assert "Commit 59" in newest
    assert "Commit 10" not in newest
    assert "Commit 10" in older
    # The line of the other branch passes by on both pages, and ends at the beginning.
    assert newest.count("<circle") == 50
    assert older.count("<circle") == 12
    assert older.count("M8.0 0V56") + older.count("M24.0 0V56") == 11


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/tree?at=nowhere", 404),
        ("/tree?at=tag:nowhere", 404),
        ("/tree?path=/nothing", 404),
        ("/tree?path=../../etc/passwd", 400),
        ("/tree?at=snapshot:xyz", 400),
        ("/figure.svg?path=/climate", 400),
        ("/commit?id=..", 400),
        ("/commit", 400),
        ("/tree?start=x", 400),
        ("/nowhere", 404),
    ],
)
def test_mistakes_are_told_in_one_line(site: TestClient, address: str, status: int) -> None:
    answer = site.get(address)
    assert answer.status_code == status
    assert '<p class="lead">' in answer.text
    assert "Traceback" not in answer.text
