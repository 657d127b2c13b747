"""Commits, time travel, branches, history, tags, resets and conflicts."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())

# Create and commit
session = repo.writable_session("main")
root = zarr.create_group(session.store)
root.create_array("data", shape=(10, 10), chunks=(5, 5), dtype=float)
snapshot_id = session.commit("Create dataset")

# Time travel to previous snapshot
session = repo.readonly_session(snapshot_id=snapshot_id)
data = zarr.open_group(session.store, mode="r")
assert data["data"].shape == (10, 10)

# Create branch from snapshot
repo.create_branch("dev", snapshot_id=snapshot_id)
session = repo.writable_session("dev")
# ... make changes ...
zarr.open_group(session.store)["data"][:5] = 1
new_snapshot_id = session.commit("Work in progress")

# List history
for ancestor in repo.ancestry(branch="main"):
    print(f"{ancestor.id}: {ancestor.message} at {ancestor.written_at}")

# Create immutable tag
repo.create_tag("v1.0-release", snapshot_id=snapshot_id)
session = repo.readonly_session(tag="v1.0-release")
assert session.snapshot_id == snapshot_id

# Reset branch (destructive)
repo.reset_branch("dev", snapshot_id)
assert repo.lookup_branch("dev") == snapshot_id

# Handle conflicts
session = repo.writable_session("main")
zarr.open_group(session.store)["data"][:] = 2
other = repo.writable_session("main")
zarr.open_group(other.store)["data"][:5] = 3
other.commit("The first of two")
try:
    session.commit("Update data")
except icechunk.ConflictError:
    session.rebase(
        icechunk.BasicConflictSolver(on_chunk_conflict=icechunk.VersionSelection.UseOurs)
    )
    session.commit("Resolved conflicts")

assert next(repo.ancestry(branch="main")).message == "Resolved conflicts"
