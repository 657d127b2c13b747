"""A repository to look at, and the explorer of it without a server."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import zarr

import frazil

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

from starlette.testclient import TestClient

from frazil.web import app

HERE = "http://127.0.0.1"


def fill(repo: frazil.Repository) -> None:
    """Two branches that were merged, two tags, arrays of several kinds."""
    with repo.edit("main", "Add temperatures") as tree:
        root = zarr.open_group(tree.store, mode="a")
        air = root.create_array(
            "climate/air",
            shape=(4, 30, 40),
            chunks=(1, 30, 40),
            dtype="float32",
            dimension_names=("time", "lat", "lon"),
            attributes={"units": "K", "long_name": "Air temperature"},
        )
        air[:3] = np.arange(3 * 30 * 40, dtype="float32").reshape(3, 30, 40)
        for name, values, units in (
            ("time", np.arange(4.0), "days since 2001-02-03"),
            ("lat", np.linspace(-60, 60, 30), "degrees_north"),
            ("lon", np.linspace(0, 350, 40), "degrees_east"),
        ):
            axis = root.create_array(
                f"climate/{name}", data=values, dimension_names=(name,), attributes={"units": units}
            )
            assert axis.shape == values.shape
        root.create_array("names", data=np.array(["a", "b"]))
        root.create_array("answer", data=np.array(42))
    repo.create_tag("v1", repo.lookup_branch("main"))
    repo.create_branch("fixes", repo.lookup_branch("main"))
    with repo.edit("fixes", "Correct the first day") as tree:
        air = tree["climate/air"]
        air[0] = air[0] + 5
    with repo.edit("main", "Describe the data") as tree:
        tree["climate"].attrs["comment"] = "hand-made"
    repo.merge("fixes", into="main", message="Merge the correction")
    repo.create_tag("v2", repo.lookup_branch("main"))


@pytest.fixture(scope="module")
def filled() -> frazil.Repository:
    """The repository of `fill`, in memory; nobody changes it."""
    repo = frazil.Repository.create(frazil.in_memory_storage())
    fill(repo)
    return repo


@pytest.fixture(scope="module")
def site(filled: frazil.Repository) -> Iterator[TestClient]:
    """A browser of sorts, at the explorer of `filled`."""
    with TestClient(app(filled), base_url=HERE, follow_redirects=False) as client:
        yield client
