"""Every hour, many workers write one commit together: each a tile of the map.

    python examples/append_hourly.py [FOLDER]

The coordinator makes the array one hour longer and hands out forks of its session. A worker writes
its tile and leaves its changes in the repository's storage: what it sends back is an id, a short
text. The hour appears all at once, when the coordinator has merged the ids and commits.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

import frazil
from frazil.runner import run
from frazil.xarray import to_icechunk

HOURS, LATITUDES, LONGITUDES, TILE = 3, 60, 120, 20
START = np.datetime64("2026-01-01T00", "ns")


def measured(hour: int, rows: slice) -> np.ndarray:
    """What a worker computes or downloads."""
    latitude = np.linspace(-90, 90, LATITUDES)[rows, None]
    longitude = np.linspace(0, 2 * np.pi, LONGITUDES)[None]
    return np.cos(np.deg2rad(latitude)) * np.sin(longitude + hour / 4)


def write_tile(fork: frazil.ForkSession, hour: int, first: int) -> str:
    """The work of one worker, in a process of its own."""
    rows = slice(first, first + TILE)
    tile = xr.Dataset({"wind": (("time", "latitude", "longitude"), measured(hour, rows)[None])})
    to_icechunk(tile, fork, region={"time": slice(hour, hour + 1), "latitude": rows})
    return fork.save()


def empty_hours(count: int, first: int) -> xr.Dataset:
    time = START + np.arange(first, first + count) * np.timedelta64(1, "h")
    shape = (count, LATITUDES, LONGITUDES)
    return xr.Dataset(
        {"wind": (("time", "latitude", "longitude"), np.broadcast_to(np.nan, shape))},
        coords={"time": time},
    )


def main(folder: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "wind")))
    session = repo.writable_session("main")
    to_icechunk(
        empty_hours(0, 0),
        session,
        encoding={
            "wind": {"chunks": (1, TILE, LONGITUDES), "dtype": "f8"},
            "time": {"chunks": (24,), "units": "hours since 2026-01-01", "dtype": "i8"},
        },
    )
    session.commit("An empty archive")

    workers = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=workers) as pool:
        for hour in range(HOURS):
            session = repo.writable_session("main")
            to_icechunk(empty_hours(1, hour), session, append_dim="time")
            step = partial(write_tile, session.fork(), hour)
            session.merge(*run(step, range(0, LATITUDES, TILE), on=pool))
            session.commit(f"Hour {hour}", metadata={"hour": hour})

    for info in repo.ancestry(branch="main"):
        print(info.id, info.message)
    wind = zarr.open_array(repo.at().store, path="wind", mode="r")[...]
    everything = slice(0, LATITUDES)
    assert (wind == [measured(hour, everything) for hour in range(HOURS)]).all()
    assert len(list(repo.ancestry(branch="main"))) == HOURS + 2


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
