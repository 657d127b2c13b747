"""A repository in a folder."""

import icechunk

storage = icechunk.local_filesystem_storage("path/to/repo")

assert not icechunk.Repository.exists(storage)
icechunk.Repository.create(storage)
assert icechunk.Repository.exists(icechunk.local_filesystem_storage("path/to/repo"))
