"""Copy a plain Zarr store into a repository."""

import icechunk
import numpy as np
import zarr

existing = zarr.open_group("old-zarr-data", mode="w")
existing.create_array("data", data=np.arange(20).reshape(4, 5), chunks=(2, 2))

# Create Icechunk repo
storage = icechunk.local_filesystem_storage("repo")
repo = icechunk.Repository.create(storage)

# Read existing Zarr data
old_zarr_group = zarr.open_group("old-zarr-data", mode="r")

# Write to Icechunk
session = repo.writable_session("main")
for name, array in old_zarr_group.arrays():
    new_array = zarr.create_array(
        session.store, name=name, shape=array.shape, chunks=array.chunks, dtype=array.dtype
    )
    new_array[:] = array[:]

session.commit("Migrated from old Zarr store")

copied = zarr.open_group(repo.readonly_session("main").store, mode="r")["data"]
assert (copied[:] == np.arange(20).reshape(4, 5)).all()
