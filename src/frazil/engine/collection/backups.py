"""Removing old copies of replaced objects, which nothing tells of any more.

The log of operations goes on in such a copy: the repo object holds the newest 1,000 entries, say,
and with each operation that follows another copy becomes the next piece of the log. So all that
the repo object names stay, and the log ends after the next piece.
"""

from __future__ import annotations

from frazil.engine.times import microseconds
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.backups import removable

_FOLDER = "overwritten"


def old_backups(library: Library, catalog: Catalog, keep: int, cutoff: int) -> dict[str, int]:
    """The keys, with their sizes, of copies beyond the newest `keep` from before `cutoff` (us).

    What the repo object names stays.
    """
    infos = {
        info.key.rpartition("/")[2]: info
        for info in library.backend.list(_FOLDER)
        if microseconds("last_modified", info.last_modified) < cutoff
    }
    needed: set[str | None] = set()
    if isinstance(catalog, CatalogV2):
        info = catalog.info()
        updates = map(info.updates.update, range(len(info.updates)))
        needed = {info.repo_before_updates, *(update.backup_path for update in updates)}
    return {
        infos[name].key: infos[name].size for name in removable(infos, keep=keep, needed=needed)
    }
