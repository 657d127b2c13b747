"""Branches and tags, the rest of the common operations."""

import icechunk
import zarr

repo = icechunk.Repository.open_or_create(icechunk.in_memory_storage())

# --- Branching ---
main_snap = repo.lookup_branch("main")
repo.create_branch("experiment", snapshot_id=main_snap)
session = repo.writable_session("experiment")
zarr.create_group(session.store)

# --- Tagging ---
snapshot_id = session.commit("Release v2.0")
repo.create_tag("v2.0-release", snapshot_id=snapshot_id)

assert repo.readonly_session(tag="v2.0-release").snapshot_id == snapshot_id
assert repo.list_branches() == {"main", "experiment"}
