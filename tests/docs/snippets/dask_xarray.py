"""Xarray data that dask holds: to_icechunk handles forking internally."""

import icechunk
import numpy as np
import xarray as xr
from icechunk.xarray import to_icechunk

repo = icechunk.Repository.create(icechunk.in_memory_storage())
ds = xr.Dataset({"t": (("time", "x"), np.ones((2, 3)))})

session = repo.writable_session("main")
ds_dask = ds.chunk({"time": 1})
to_icechunk(ds_dask, session, mode="w")
session.commit("Wrote xarray with dask")
