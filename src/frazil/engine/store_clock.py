"""The time by the clock of the storage, which is the one that ages of objects are told by."""

from __future__ import annotations

from contextlib import suppress

from frazil.engine.times import microseconds
from frazil.errors import StorageError
from frazil.ids import ObjectId
from frazil.library.files import Library

OWN_FOLDER = "frazil"
"""What Frazil keeps beside the folders of a repository. Icechunk leaves it alone."""


def storage_now(library: Library) -> int:
    """Us since the epoch, found out by storing a small object and removing it.

    Never late: a storage that counts in seconds tells the one that has begun.
    """
    key = f"{OWN_FOLDER}/clock-{library.new_id(ObjectId)}"
    library.backend.put(key, b"")
    try:
        return microseconds("last_modified", library.backend.info(key).last_modified)
    finally:
        with suppress(StorageError):
            library.backend.delete([key])
