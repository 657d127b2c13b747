"""Cases with xarray and Dask, which are imported by those that need them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Case, Clock, Lib, Sizes, checked, create, open_

_ROWS = 100
"""Rows of chunks in the array that Dask writes."""


def _to_icechunk(lib: Lib) -> Any:
    return importlib.import_module(f"{lib.__name__}.xarray").to_icechunk


def write_dask(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Dask computes with threads, as it does where there is no cluster."""
    import dask.array as da
    import xarray as xr

    rows = min(_ROWS, sizes.small_chunks)
    shape = (rows * 8, sizes.small_chunks // rows * (sizes.small_chunk_bytes // 64))
    chunks = (8, sizes.small_chunk_bytes // 64)
    noise = np.random.default_rng(0).random(chunks)
    data = da.zeros(shape, chunks=chunks).map_blocks(lambda block: noise, dtype="f8")
    ds = xr.Dataset({"v": (("y", "x"), data)})
    repo, clock, to_icechunk = create(lib, folder), Clock(), _to_icechunk(lib)
    with clock.running():
        session = repo.writable_session("main")
        to_icechunk(ds, session, encoding={"v": {"compressors": None}})
        session.commit("written")
    ds = xr.open_zarr(open_(lib, folder).readonly_session("main").store, consolidated=False)
    same = (ds.v[:8, -chunks[1] :].values == noise).sum()
    return checked(clock, int(same), noise.size, "values of the last chunk")


def prepare_variables(lib: Lib, folder: Path, sizes: Sizes) -> None:
    import xarray as xr

    values = np.arange(4.0)
    ds = xr.Dataset(
        {f"v{i}": (("x",), values + i, {"units": "m"}) for i in range(sizes.variables)},
        coords={"x": values},
    )
    session = create(lib, folder).writable_session("main")
    _to_icechunk(lib)(ds, session)
    session.commit("variables")


def open_variables(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    import xarray as xr

    clock = Clock()
    with clock.running():
        session = open_(lib, folder).readonly_session("main")
        ds = xr.open_zarr(session.store, consolidated=False, chunks=None)
    return checked(clock, len(ds.data_vars), sizes.variables, "variables")


def append(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """Each one is a commit."""
    import xarray as xr

    def step(number: int) -> Any:
        time = np.datetime64("2026-01-01", "ns") + np.array([number]) * np.timedelta64(1, "h")
        values = np.full((1, 50, 50), float(number))
        return xr.Dataset({"t": (("time", "y", "x"), values)}, coords={"time": time})

    repo, clock, to_icechunk = create(lib, folder), Clock(), _to_icechunk(lib)
    session = repo.writable_session("main")
    encoding = {"time": {"units": "hours since 2026-01-01", "dtype": "i8", "chunks": (1000,)}}
    to_icechunk(step(0), session, encoding=encoding)
    session.commit("first")
    with clock.running():
        for number in range(1, sizes.appends + 1):
            session = repo.writable_session("main")
            to_icechunk(step(number), session, append_dim="time")
            session.commit("append")
    ds = xr.open_zarr(open_(lib, folder).readonly_session("main").store, consolidated=False)
    return checked(clock, int(ds.t[-1].mean()), sizes.appends, "as the last value")


CASES = (
    Case(
        "dask-write",
        lambda s: f"to_icechunk of {s.small_chunks:,} Dask chunks of {s.small_chunk_bytes:,} B",
        write_dask,
        commits=True,
    ),
    Case(
        "open-dataset",
        lambda s: f"open a dataset with {s.variables} variables",
        open_variables,
        prepare_variables,
    ),
    Case("append", lambda s: f"to_icechunk appends {s.appends} times", append, commits=True),
)
