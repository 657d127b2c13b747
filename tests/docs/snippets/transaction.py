"""A transaction as a context manager commits on exit."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())

with repo.transaction("main", message="...") as store:
    # changes auto-committed on exit
    zarr.create_group(store)

with repo.transaction("main", message="Auto-commit") as store:
    zarr.create_array(store, name="data", shape=(10,), dtype=float)

assert [info.message for info in repo.ancestry(branch="main")][:2] == ["Auto-commit", "..."]
