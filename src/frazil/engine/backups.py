"""Removing old copies of replaced objects, which nothing tells of any more.

The log of operations goes on in such a copy: the repo object holds the newest 1,000 entries, say,
and with each operation that follows another copy becomes the next piece of the log. So all that
the repo object names stay, and the log ends after the next piece.
"""

from __future__ import annotations

from frazil.engine.ops_log import CONFIGURING
from frazil.engine.times import microseconds
from frazil.errors import ErrorKind, StorageError
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.backups import removable

_FOLDER = "overwritten"


def old_backups(library: Library, catalog: Catalog, keep: int, cutoff: int) -> dict[str, int]:
    """The keys, with their sizes, of copies beyond the newest `keep` from before `cutoff` (us).

    What the repo object names, and what says how the configuration was, stays.
    """
    infos = {
        info.key.rpartition("/")[2]: info
        for info in library.backend.list(_FOLDER)
        if microseconds("last_modified", info.last_modified) < cutoff
    }
    needed = _needed(library, catalog.info()) if isinstance(catalog, CatalogV2) else set[str]()
    return {
        infos[name].key: infos[name].size for name in removable(infos, keep=keep, needed=needed)
    }


def _needed(library: Library, info: RepoInfo) -> set[str]:
    """What the repo object names, and what says how the configuration was, as far as is known."""
    updates = map(info.updates.update, range(len(info.updates)))
    needed = {update.backup_path for update in updates if update.backup_path is not None}
    seen: set[str] = set()
    while (name := info.repo_before_updates) is not None and name not in seen:
        seen.add(name)
        key = f"{_FOLDER}/{name}"
        try:
            info = decode_repo_info(library.backend.get(key), where=key)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            break  # the log ends here already
        for row in range(len(info.updates)):
            update = info.updates.update(row)
            if update.backup_path is not None and update.kind in CONFIGURING:
                needed.add(update.backup_path)
    return needed | seen
