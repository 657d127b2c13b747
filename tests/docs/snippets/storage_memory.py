"""A repository in memory, for tests."""

import icechunk

storage = icechunk.in_memory_storage()

icechunk.Repository.create(storage)
assert icechunk.Repository.exists(storage)
