"""The changes of the other side win; what is left is committed, even if that is nothing."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())
with repo.transaction("main", message="start") as store:
    zarr.create_array(store, name="data", shape=(5,), chunks=(5,), dtype=float)

session = repo.writable_session("main")
zarr.open_array(session.store, path="data")[:] = 1
with repo.transaction("main", message="another") as store:
    zarr.open_array(store, path="data")[:] = 2
try:
    session.commit("Update data")
except icechunk.ConflictError:
    session.rebase(
        icechunk.BasicConflictSolver(on_chunk_conflict=icechunk.VersionSelection.UseTheirs)
    )
    session.commit("Resolved conflicts")

data = zarr.open_array(repo.readonly_session("main").store, path="data", mode="r")
assert data[:].tolist() == [2] * 5
