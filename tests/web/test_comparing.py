"""Chunks, and versions side by side."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
import zarr
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE

AIR = "/climate/air"


def classes(page: str) -> list[str]:
    """The classes of the cells of the map of chunks in a page."""
    start = page.index("<svg", page.index("<figure"))
    root = ElementTree.fromstring(page[start : page.index("</svg>", start) + 6])
    return [cell.attrib["class"] for cell in root]


def test_a_map_of_chunks_by_kind(site: TestClient) -> None:
    page = site.get("/chunks", params={"path": AIR, "x": 0, "y": "none"}).text
    assert classes(page) == ["g1", "g1", "g1", "g0"]
    assert "3 of 4 chunks" in page


def test_kinds_of_chunks() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Two kinds") as tree:
        array = zarr.create_array(
            tree.store, name="a", shape=(3, 600), chunks=(1, 600), dtype="f8", compressors=None
        )
        array[0] = np.arange(600.0)
        zarr.create_array(tree.store, name="b", data=np.arange(4), chunks=(1,), compressors=None)
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/chunks", params={"path": "/b"}).text
    assert classes(page) == ["g0", "g3", "g3", "g3"]
    assert "in the manifest" in page
    # Rows of chunks, one column.
    assert classes(site.get("/chunks", params={"path": "/a"}).text) == ["g1", "g0", "g0"]


def test_a_map_of_chunks_by_commit(site: TestClient, filled: frazil.Repository) -> None:
    asked = {"at": "fixes", "path": AIR, "x": 0, "y": "none", "by": "commit"}
    page = site.get("/chunks", params=asked).text
    assert classes(page) == ["g1", "g2", "g2", "g0"]
    assert page.index("Correct the first day") < page.index("Add temperatures")
    one = site.get("/chunks", params={**asked, "x": 2, "y": 1, "i0": 1}).text
    assert classes(one) == ["g1"]
    assert "Add temperatures" in one
    assert "Correct the first day" not in one


def test_many_chunks_share_cells() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Many") as tree:
        array = zarr.create_array(
            tree.store, name="a", shape=(100, 500), chunks=(1, 1), dtype="i1", compressors=None
        )
        array[:3, :6] = 1
    page = TestClient(app(repo), base_url=HERE).get("/chunks", params={"path": "/a"}).text
    assert "each cell stands for 3 × 6" in page
    assert "18 of 50" in page
    assert classes(page).count("g3") == 1


def test_versions_are_compared_by_names_and_chunks(site: TestClient) -> None:
    page = site.get("/compare", params={"before": "v1", "after": "v2"}).text
    assert "Other chunks" in page
    assert "Other metadata" in page
    assert AIR in page
    assert "1 chunk<" in page
    back = site.get("/compare", params={"before": "v2", "after": "v2"}).text
    assert "the same snapshot" in back


def test_versions_with_nothing_in_common() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    empty = repo.lookup_branch("main")
    with repo.edit("main", "One") as tree:
        tree["one/array"] = np.zeros(3)
    repo.create_branch("other", empty)
    with repo.edit("other", "Two") as tree:
        tree["two"] = np.zeros(3)
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/compare", params={"before": "main", "after": "other"}).text
    for words in ("Arrays created", "Arrays deleted", "Groups deleted", "/one/array", "/two"):
        assert words in page
    # An array that only one of them has.
    asked = {"before": "main", "after": "other", "path": "/two"}
    assert "main has no such array" in site.get("/compare", params=asked).text


def test_the_difference_in_pictures(site: TestClient) -> None:
    asked = {"before": "v1", "after": "v2", "path": AIR}
    page = site.get("/compare", params=asked).text
    # The first look is at a chunk that changed.
    assert 'name="i0" min="0" max="3" value="0"' in page
    assert page.count("/difference.svg?") == 4
    assert page.count("/figure.svg?") == 8
    picture = site.get("/difference.svg", params=asked).text
    assert "everywhere 5 K" in picture
    none = site.get("/difference.svg", params={**asked, "i0": 1}).text
    assert "everywhere 0 K" in none


def test_pictures_side_by_side_have_the_same_colours(site: TestClient) -> None:
    ends = []
    for at, beside in (("v1", "v2"), ("v2", "v1")):
        asked = {"at": at, "beside": beside, "path": AIR, "i0": 0}
        root = ElementTree.fromstring(site.get("/figure.svg", params=asked).text)
        texts = [node.text for node in root.iter() if node.text and node.text.strip()]
        ends.append(texts[-4:-1])
    assert ends[0] == ends[1] == ["0", "602", "1204"]


def test_the_difference_of_arrays_that_grew(spec: int) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=spec)
    with repo.edit("main", "Begin") as tree:
        tree["a"] = np.arange(12.0).reshape(3, 4)
        tree["b"] = np.arange(3)
    repo.create_tag("short", repo.lookup_branch("main"))
    with repo.edit("main", "Grow") as tree:
        array = tree["a"]
        array.resize((5, 4))
        array[1:] = array[1:] - 2
        tree["b"] = np.zeros((2, 2))
    site = TestClient(app(repo), base_url=HERE)
    asked = {"before": "short", "after": "main", "path": "/a"}
    assert "min −2 · mean −1.333 · max 0" in site.get("/difference.svg", params=asked).text
    assert "3 × 4 → 5 × 4" in site.get("/compare", params={**asked, "path": ""}).text
    other = site.get("/difference.svg", params={**asked, "path": "/b"})
    assert other.status_code == 200
    assert "numbers of dimensions" in " ".join(ElementTree.fromstring(other.text).itertext())


@pytest.mark.parametrize("address", ["/chunks?path=/climate", "/compare?path=/climate"])
def test_only_arrays_have_chunks(site: TestClient, address: str) -> None:
    assert site.get(address).status_code == 400
