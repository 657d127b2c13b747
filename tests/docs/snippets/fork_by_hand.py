"""Parallel writes without dask: fork, write elsewhere, merge, commit."""

import icechunk
import numpy as np
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())
with repo.transaction("main", message="Initialize array") as store:
    zarr.create_array(store, name="data", shape=(100, 100), chunks=(10, 10), dtype="f8")

session = repo.writable_session("main")
fork = session.fork()
zarr.open_array(fork.store, path="data")[:10] = np.ones((10, 100))
session.merge(fork)
session.commit("Wrote a part")
