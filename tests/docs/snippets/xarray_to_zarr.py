"""Write with xarray's own `to_zarr`, read any version: consolidated=False always."""

import icechunk
import numpy as np
import xarray as xr

repo = icechunk.Repository.open_or_create(icechunk.in_memory_storage())
ds = xr.Dataset({"t": (("time", "x"), np.ones((2, 3)))})

# Non-dask: to_zarr is fine
session = repo.writable_session("main")
ds.to_zarr(session.store, zarr_format=3, consolidated=False)
repo.create_tag("v1.0", session.commit("Write dataset"))

session = repo.writable_session("main")
ds.to_zarr(session.store, append_dim="time", consolidated=False)
session.commit("Append timestep")

session = repo.readonly_session(branch="main")
ds = xr.open_zarr(session.store, consolidated=False)  # Always use False
assert ds.sizes["time"] == 4

# Read at specific version
session = repo.readonly_session(tag="v1.0")
ds_old = xr.open_zarr(session.store, consolidated=False)
assert ds_old.sizes["time"] == 2
