"""A transaction is a writable session and its commit."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())

session = repo.writable_session("main")
# ... make changes via session.store ...
zarr.create_group(session.store)
snapshot_id = session.commit("message")

assert repo.lookup_branch("main") == snapshot_id
