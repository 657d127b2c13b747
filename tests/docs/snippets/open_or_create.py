"""open_or_create can run any number of times, create only once."""

import icechunk

storage = icechunk.in_memory_storage()

repo = icechunk.Repository.create(storage)  # Fails if exists
repo = icechunk.Repository.open_or_create(storage)  # Safe - creates or opens

try:
    icechunk.Repository.create(storage)
except icechunk.IcechunkError:
    pass
else:
    raise AssertionError("created twice")
