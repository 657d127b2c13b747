"""The common operations in one go."""

import icechunk
import numpy as np
import xarray as xr
import zarr
from icechunk.dask import store_dask  # for dask array writes
from icechunk.xarray import to_icechunk  # for xarray writes

ds = xr.Dataset({"t": (("time", "x"), np.ones((2, 3)))})
ds_new = ds

# --- Create/open repo ---
storage = icechunk.in_memory_storage()  # for testing
repo = icechunk.Repository.open_or_create(storage)  # idempotent (preferred)

# --- Write with xarray ---
session = repo.writable_session("main")
to_icechunk(ds, session, mode="w")
snapshot_id = session.commit("Initial write")
repo.create_tag("v1.0", snapshot_id=snapshot_id)

# --- Read with xarray ---
session = repo.readonly_session(branch="main")
ds = xr.open_zarr(session.store, consolidated=False)

# --- Append data ---
session = repo.writable_session("main")
to_icechunk(ds_new, session, append_dim="time")
session.commit("Append timestep")

# --- Time travel ---
session = repo.readonly_session(tag="v1.0")
ds_old = xr.open_zarr(session.store, consolidated=False)
assert ds_old.sizes["time"] == 2

# --- Branching ---
main_snap = repo.lookup_branch("main")
repo.create_branch("experiment", snapshot_id=main_snap)
session = repo.writable_session("experiment")
zarr.create_group(session.store, path="trial")

# --- Tagging ---
snapshot_id = session.commit("Release v2.0")
repo.create_tag("v2.0-release", snapshot_id=snapshot_id)

# --- Transaction context manager (auto-commits) ---
with repo.transaction("main", message="Auto-commit") as store:
    zarr.create_array(store, name="data", shape=(10,), dtype=float)

assert callable(store_dask)
