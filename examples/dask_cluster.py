"""A Dask cluster computes and writes; what comes back is the list of what was written.

    python examples/dask_cluster.py [FOLDER]

Departures from the mean of a century of air temperature (A1B scenario, from iris-sample-data) are
computed by two worker processes. `to_icechunk` gives them forks of the session, and merges those.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import iris_sample_data
import numpy as np
import xarray as xr
from distributed import Client, LocalCluster

import frazil
from frazil.xarray import to_icechunk

SOURCE = Path(iris_sample_data.path) / "A1B_north_america.nc"


def main(folder: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "climate")))
    with xr.open_dataset(SOURCE, decode_times=False) as source:
        ds = source[["air_temperature"]].drop_encoding().load()

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
    ):
        session = repo.writable_session("main")
        to_icechunk(ds.chunk(time=24), session)
        session.commit("The run itself")

        # A version is read by the workers, and the result written by them.
        run = frazil.open_dataset(repo, chunks={}, decode_times=False)
        departures = run - run.mean("time")
        session = repo.writable_session("main")
        to_icechunk(departures.drop_encoding().chunk(time=24), session, group="departures")
        session.commit("Departures from the mean")

    stored = frazil.open_dataset(repo, group="departures", decode_times=False).load()
    expected = ds.air_temperature - ds.air_temperature.mean("time")
    np.testing.assert_allclose(stored.air_temperature, expected, atol=1e-3)
    print(repo.diff(from_snapshot_id=list(repo.ancestry(branch="main"))[-1].id, to_branch="main"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
