"""xarray's own tests of Zarr stores, on stores of sessions: run by `test_xarray_suite.py`.

All of them: `pytest -c tests/integrations/xarray_suite/pytest.ini tests/integrations/xarray_suite`
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import xarray as xr
import zarr
from xarray.tests import test_backends as suite
from xarray.tests.conftest import time_unit as time_unit
from xarray.tests.conftest import use_dask as use_dask

import frazil
from frazil.xarray import to_icechunk
from frazil.xarray.backend import FrazilBackendEntrypoint

DIFFERENT = {
    "test_chunk_key_encoding_v2": "the format has no other chunk keys than those of Zarr v3",
    "test_concurrent_load_multiple_objects": "small values are there before another task begins",
}
"""What these tests ask for and does not apply."""


@pytest.fixture(autouse=True)
def default_zarr_format(request: pytest.FixtureRequest) -> Iterator[None]:
    """The only format that repositories have; skips what xarray's tests skip with it."""
    node = request.node
    if node.originalname in DIFFERENT:
        pytest.skip(DIFFERENT[node.originalname])
    params = {"default_zarr_format": 3} | (
        node.callspec.params if hasattr(node, "callspec") else {}
    )
    for mark in node.iter_markers("skip_if_param"):
        conditions = dict(mark.kwargs)
        reason = conditions.pop("reason")
        if conditions.pop("condition", True) and all(
            params.get(name) == value for name, value in conditions.items()
        ):
            pytest.skip(reason)
    with zarr.config.set(default_zarr_format=3):
        yield


class TestStore(suite.TestZarrDictStore):
    """xarray's own functions with the store of a fork, which pickles as other stores do."""

    @contextlib.contextmanager
    def create_zarr_target(self) -> Iterator[Any]:
        repo = frazil.Repository.create(frazil.in_memory_storage())
        yield repo.writable_session("main").fork().store


class TestFunctions(TestStore):
    """`to_icechunk`, and the engine "frazil"."""

    def save(self, dataset: xr.Dataset, store_target: Any, **kwargs: Any) -> None:
        if not kwargs.pop("compute", True):
            pytest.skip("to_icechunk writes at once")
        if isinstance(store_target, str):
            pytest.skip("a test with a file of its own")
        for other in ("consolidated", "zarr_format", "storage_options"):
            kwargs.pop(other, None)
        to_icechunk(dataset, store_target.session, **kwargs)

    @contextlib.contextmanager
    def open(self, path: Any, **kwargs: Any) -> Iterator[xr.Dataset]:
        with xr.open_dataset(path, engine=FrazilBackendEntrypoint, **kwargs) as ds:
            yield ds
