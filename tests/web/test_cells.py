"""Arrays of all types: in pictures, in tables, and their types in words."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import zarr
from starlette.testclient import TestClient

import frazil
from frazil.web import app
from tests.web.conftest import HERE

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def site() -> TestClient:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "Of all kinds") as tree:
        root = zarr.open_group(tree.store, mode="a")
        for name, values in {
            "texts": np.array([[f"{row}-{column}" for column in range(9)] for row in range(3)]),
            "many": np.array([EVIL] * 50),
            "bytes": np.array([b"ab", b"\xff"], "S2"),
            "one": np.array("a" * 300),
            "days": np.arange("2001-02-03", "2001-03-15", dtype="M8[D]"),
            "spans": np.arange(20).astype("m8[s]"),
            "missing": np.full((3, 4), np.nan),
            "infinite": np.where(np.eye(4) > 0, np.inf, 1.5),
            "alike": np.full((3, 4), 273.15),
            "near": 1e6 + np.arange(4) * 1e-3,
        }.items():
            root.create_array(name, data=values)
        root.create_array(
            "records",
            data=np.array([(7, 2.5)], dtype=[("id", "i4"), ("lat", "f8")]),
            attributes={"units": "K"},
        )
        root.create_array("scalar", data=np.array(42.5), attributes={"units": "hPa"})
        root.create_array("nothing", shape=(0,), dtype="U3", chunks=(1,))
    return TestClient(app(repo), base_url=HERE)


def words(site: TestClient, name: str, page: str = "/tree") -> str:
    """What a page about an array says, without its markup."""
    answer = site.get(page, params={"path": f"/{name}"})
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]*>", " ", answer.text).split())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("texts", "text, 3 characters"),
        ("texts", "0 1 2 3 4 5 6 7 0 0-0 0-1 0-2 0-3 0-4 0-5 0-6 0-7 1 1-0"),
        ("texts", "These are the first of them."),
        ("many", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("bytes", "bytes, 2 each"),
        ("bytes", "0 b&#39;ab&#39; 1 b&#39;\\xff&#39;"),
        ("one", "a" * 199 + "…"),
        ("records", "structure of id int32, lat float64"),
        ("records", "0 7, 2.5"),
        ("scalar", "42.5 hPa Chunks"),
        ("nothing", "This array has no elements."),
        ("days", "datetime64[D]"),
        ("days", "NaT"),
    ],
)
def test_values_that_are_no_picture(site: TestClient, name: str, expected: str) -> None:
    assert expected in words(site, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("days", "2001-02-17"),
        ("days", "min 2001-02-03 00:00 · mean 2001-02-22 12:00 · max 2001-03-14 00:00"),
        ("spans", "spans (s)"),
        ("missing", "None of the 12 elements"),
        ("infinite", "25% infinite"),
        ("infinite", "no number"),
        ("alike", "everywhere 273.15"),
        ("near", "1000000.001"),
    ],
)
def test_what_pictures_say(site: TestClient, name: str, expected: str) -> None:
    assert expected in words(site, name, "/figure.svg")


def test_a_table_shows_a_part(site: TestClient) -> None:
    assert words(site, "many").count("alert(1)") == 40


@pytest.mark.parametrize(
    "data_type",
    [
        "i4, i8",
        "(1000000,)f8",
        {"name": "struct", "configuration": {"fields": [["a", {"name": "struct"}], 7]}},
        {"name": "struct", "configuration": {"fields": [["a", {"name": "struct"}]]}},
        {"name": "fixed_length_utf32", "configuration": {"length_bytes": "x"}},
        {"name": "null_terminated_bytes", "configuration": 5},
        {"name": ["numpy.datetime64"]},
        EVIL,
        None,
    ],
)
def test_types_that_are_none(data_type: object) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2],
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}},
        "codecs": [],
    }
    with repo.edit("main", "Odd") as tree:
        tree._workspace.set_metadata("/odd", json.dumps(document).encode())
    site = TestClient(app(repo), base_url=HERE)
    for address in ("/tree", "/tree?path=/odd", "/figure.svg?path=/odd"):
        answer = site.get(address)
        assert answer.status_code == 200
        assert EVIL not in answer.text
    assert "odd" in repo.at()._repr_html_()
