"""A forecast: write, tag, append, branch, write from many processes, clean up."""

from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

import icechunk
import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

initial_temp_data = initial_press_data = new_temp_data = np.ones((24, 2, 3))
temp_data = np.arange(24 * 6.0).reshape(24, 2, 3)
dims = ["time", "lat", "lon"]


def write_timestep(itime, fork_session):
    ds = xr.Dataset({"temperature": (dims, temp_data[itime : itime + 1])})
    to_icechunk(ds, fork_session, region={"time": slice(itime, itime + 1)})
    return fork_session


def main():
    # 1. Create repo
    storage = icechunk.local_filesystem_storage("climate-model")
    repo = icechunk.Repository.create(storage)

    # 2. Initial write
    session = repo.writable_session("main")
    ds = xr.Dataset(
        {"temperature": (dims, initial_temp_data), "pressure": (dims, initial_press_data)}
    )
    to_icechunk(ds, session, mode="w")
    v1_snapshot = session.commit("Initial forecast")

    # 3. Create release tag
    repo.create_tag("release-2025-01", snapshot_id=v1_snapshot)

    # 4. Continue work on main
    session = repo.writable_session("main")
    ds_update = xr.Dataset(
        {"temperature": (dims, new_temp_data), "pressure": (dims, initial_press_data)}
    )
    to_icechunk(ds_update, session, append_dim="time")
    session.commit("Append new forecast timestep")

    # 5. Create experimental branch
    current_main = repo.lookup_branch("main")
    repo.create_branch("experimental", snapshot_id=current_main)

    # 6. Reader accessing specific version
    session = repo.readonly_session(tag="release-2025-01")
    ds_release = xr.open_zarr(session.store, consolidated=False)
    # Guaranteed to read v1 even if main has changed 100 times
    assert ds_release.sizes["time"] == 24

    # 7. Parallel append with distributed workers
    session = repo.writable_session("main")
    fork = session.fork()
    with ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(write_timestep, i, fork) for i in range(24)]
        remote_sessions = [f.result() for f in futures]
    for remote_session in remote_sessions:
        session.merge(remote_session)
    session.commit("Appended 24 hours of forecast data")

    # 8. Cleanup old versions
    expiry = datetime.now(UTC) - timedelta(days=365)
    repo.expire_snapshots(older_than=expiry)
    repo.garbage_collect(expiry)


if __name__ == "__main__":
    main()
