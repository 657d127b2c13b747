"""Multiple groups require mode="a"."""

import icechunk
import numpy as np
import xarray as xr

repo = icechunk.Repository.create(icechunk.in_memory_storage())
session = repo.writable_session("main")
ds1 = xr.Dataset({"t": ("x", np.arange(3))})
ds2 = xr.Dataset({"p": ("x", np.arange(4))})

ds1.to_zarr(session.store, group="A", zarr_format=3, consolidated=False, mode="w")
ds2.to_zarr(session.store, group="B", zarr_format=3, consolidated=False, mode="a")  # "a" not "w"

session.commit("Two groups")
store = repo.readonly_session("main").store
assert xr.open_zarr(store, group="A", consolidated=False).sizes == {"x": 3}
assert xr.open_zarr(store, group="B", consolidated=False).sizes == {"x": 4}
