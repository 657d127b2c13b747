"""Write, append and read with xarray."""

import icechunk
import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

repo = icechunk.Repository.create(icechunk.in_memory_storage())

# Write new dataset
ds = xr.Dataset({"t": (("time", "x"), np.ones((2, 3)))})
session = repo.writable_session("main")
to_icechunk(ds, session, mode="w")
repo.create_tag("v1.0", session.commit("Write dataset"))

# Append to existing
session = repo.writable_session("main")
to_icechunk(ds, session, append_dim="time")
session.commit("Append time dimension")

# Read with Xarray
session = repo.readonly_session(branch="main")
assert xr.open_zarr(session.store, consolidated=False).sizes["time"] == 4

# Read at specific version
session = repo.readonly_session(tag="v1.0")
ds = xr.open_zarr(session.store, consolidated=False)
assert ds.sizes["time"] == 2
