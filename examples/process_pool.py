"""Files are imported by a pool of processes, as one commit.

    python examples/process_pool.py [FOLDER] [spawn|fork|forkserver]

Each process gets a fork of the session, which pickles, writes a part, and sends the fork back.
The data is a century-long run of air temperature (A1B scenario, from iris-sample-data).
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import iris_sample_data
import numpy as np
import xarray as xr

import frazil
from frazil.distributed import merge_sessions
from frazil.xarray import to_icechunk

SOURCE = Path(iris_sample_data.path) / "A1B_north_america.nc"
CALENDAR = xr.coders.CFDatetimeCoder(use_cftime=True)
YEARS = 60
"""A part, and a chunk."""


def air_temperature() -> xr.Dataset:
    with xr.open_dataset(SOURCE, decode_times=CALENDAR) as ds:
        return ds[["air_temperature"]].drop_vars(["forecast_reference_time", "height"])


def write_years(fork: frazil.ForkSession, first: int) -> frazil.ForkSession:
    """What a process does."""
    part = air_temperature().isel(time=slice(first, first + YEARS)).load()
    to_icechunk(part, fork, region="auto")
    return fork


def main(folder: Path, method: str = "spawn") -> None:
    ds = air_temperature()
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "climate")))

    # Metadata and coordinates first, by one writer; a template has no values of its own.
    session = repo.writable_session("main")
    template = xr.full_like(ds, np.nan)
    to_icechunk(template, session, encoding={"air_temperature": {"chunks": (YEARS, 37, 49)}})
    session.commit("An empty array")

    session = repo.writable_session("main")
    fork = session.fork()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        parts = [
            pool.submit(write_years, fork, first) for first in range(0, ds.sizes["time"], YEARS)
        ]
        session.merge(merge_sessions([part.result() for part in parts]))
    session.commit("All years")

    stored = frazil.open_dataset(repo, decode_times=CALENDAR).load()
    xr.testing.assert_equal(stored, ds.load())
    print(f"{stored.sizes['time']} years written by {method}ed processes in {len(parts)} parts")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given:
        main(Path(given[0]), *given[1:2])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
