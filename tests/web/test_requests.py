"""What pages ask the storage for: what they show, and that once."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE, fill

AIR = "/climate/air"


def asked(repo: frazil.Repository, site: TestClient, address: str) -> int:
    """How many requests a page makes."""
    before = sum(repo.stats.requests.values())
    assert site.get(address).status_code == 200
    return sum(repo.stats.requests.values()) - before


@pytest.fixture(scope="module")
def repo() -> frazil.Repository:
    made = frazil.Repository.create(frazil.in_memory_storage())
    fill(made)
    with made.edit("main", "A line of chunks") as tree:
        zarr.open_group(tree.store, mode="a").create_array(
            "series", data=np.arange(80_000.0), chunks=(400,), compressors=None
        )
    return made


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/tree",
        "/tree?at=v1",
        f"/chunks?path={AIR}",
        f"/chunks?path={AIR}&by=commit",
        "/compare?before=v1",
        "/names",
        "/storage",
        "/operations",
    ],
)
def test_a_page_looks_once_where_the_repository_is(repo: frazil.Repository, address: str) -> None:
    site = TestClient(app(repo), base_url=HERE)
    site.get(address)  # what never changes is in memory after that
    few = 2 if "chunks" in address else 1  # the coordinate of a slider
    assert asked(repo, site, address) <= few


def test_pictures_of_a_page_read_the_same_chunks_once(repo: frazil.Repository) -> None:
    site = TestClient(app(repo), base_url=HERE)
    address = "/figure.svg?path=/series&at=main"
    first = asked(repo, site, address)
    for look in ("&theme=dark", "&size=narrow", "&size=half&beside=main", ""):
        assert asked(repo, site, address + look) == 1
    assert asked(repo, site, "/difference.svg?path=/series&before=main&after=main") == 1
    assert first > 1


def test_a_long_line_of_chunks_is_folded(repo: frazil.Repository) -> None:
    site = TestClient(app(repo), base_url=HERE)
    page = site.get("/chunks?path=/series").text
    assert "200 of 200 chunks in this slice, line by line" in page
    drawn = page[page.index('role="img"') :]
    cells = drawn[: drawn.index("</svg>")].count("<rect")
    assert cells == 200
    assert "each cell" not in page


def test_commits_that_share_a_colour_share_a_row() -> None:
    made = frazil.Repository.create(frazil.in_memory_storage())
    with made.edit("main", "An array") as tree:
        zarr.create_array(tree.store, name="t", shape=(20, 4), chunks=(1, 4), dtype="f4")
    for number in range(10):
        with made.edit("main", f"Row {number}") as tree:
            tree["t"][number] = 1
    site = TestClient(app(made), base_url=HERE)
    page = site.get("/chunks?path=/t&by=commit").text
    assert "4 commits before" in page
    assert page.index("Row 9") < page.index("Row 4") < page.index("4 commits") < page.index("Row 3")
