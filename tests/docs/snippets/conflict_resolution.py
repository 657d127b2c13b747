"""Rebase after a conflict, or let the commit do it."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())
with repo.transaction("main", message="start") as store:
    zarr.create_array(store, name="data", shape=(10,), chunks=(5,), dtype=float)


def write_over_another(cells):
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="data")[cells] = 1
    with repo.transaction("main", message="another") as store:
        zarr.open_array(store, path="data")[:5] = 2
    return session


session = write_over_another(slice(0, 5))
try:
    session.commit("Update data")
except icechunk.ConflictError:
    session.rebase(
        icechunk.BasicConflictSolver(on_chunk_conflict=icechunk.VersionSelection.UseOurs)
    )
    session.commit("Resolved conflicts")

# Or auto-rebase on commit:
session = write_over_another(slice(5, 10))
session.commit("Update", rebase_with=icechunk.ConflictDetector())

data = zarr.open_array(repo.readonly_session("main").store, path="data", mode="r")
assert data[:].tolist() == [2] * 5 + [1] * 5
