"""Uncommitted changes are invisible to others; a session is read-only after its commit."""

import icechunk
import zarr

repo = icechunk.Repository.create(icechunk.in_memory_storage())

session = repo.writable_session("main")
zarr.create_group(session.store, path="first")
assert not session.read_only
session.commit("First write")
assert session.read_only
session = repo.writable_session("main")  # New session required
zarr.create_group(session.store, path="second")
assert "second" not in zarr.open_group(repo.readonly_session("main").store, mode="r")
session.commit("Second write")
assert "second" in zarr.open_group(repo.readonly_session("main").store, mode="r")
