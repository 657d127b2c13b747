"""Dask writes an array through a fork of a session."""

import dask.array as da
import icechunk
import zarr
from icechunk.dask import store_dask

repo = icechunk.Repository.create(icechunk.in_memory_storage())

# 1. Initialize array structure first
session = repo.writable_session("main")
zarr_array = zarr.create_array(
    session.store, name="array", shape=(100, 100), chunks=(10, 10), dtype="f8"
)
session.commit("Initialize")

# 2. Fork session for distributed writes
session = repo.writable_session("main")
fork = session.fork()
zarr_array = zarr.open_array(fork.store, path="array")

# 3. Write dask array through fork
dask_array = da.random.random((100, 100), chunks=(20, 20))
remote_session = store_dask(sources=[dask_array], targets=[zarr_array])

# 4. Merge and commit
session.merge(remote_session)
session.commit("Wrote dask array")
