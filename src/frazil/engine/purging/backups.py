"""Backups of the repo object that name snapshots which are not there any more.

They are deleted. First nothing must lead to them: the log of operations goes on in backups. A swap
of the repo object makes one more, which then names what the swap has removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np

from frazil.errors import FormatError
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.format.updates import Update, UpdateKind
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.keys import Keys
from frazil.model.purging import unlinked
from frazil.model.refs import UNSTAMPED
from frazil.model.sweep import logs_to_keep

FOLDER = "overwritten"


def keys_of(ids: Iterable[bytes]) -> Keys:
    """S12[n]: these ids, as a column."""
    return np.frombuffer(b"".join(ids), "S12")


def names(info: RepoInfo, gone: Keys) -> bool:
    """Whether a state of the repository names one of these snapshots or logs."""
    return bool(np.isin(logs_to_keep(info.snapshots), gone).any())


def backups(library: Library) -> Iterator[tuple[str, RepoInfo | None]]:
    """The keys of all, with the state that each holds, None for one that cannot be read."""
    for one in library.backend.list(FOLDER):
        if one.key.startswith((f"{FOLDER}/repo.", f"{FOLDER}/damaged-repo.")):
            state = None
            with suppress(FormatError):
                state = decode_repo_info(library.backend.get(one.key), where=one.key)
            yield one.key, state


def doomed(library: Library, gone: Keys) -> list[str]:
    """The names in the folder of those that name something that goes, or cannot be read."""
    start = len(FOLDER) + 1
    found = backups(library)
    return [key[start:] for key, state in found if state is None or names(state, gone)]


def forget(catalog: CatalogV2, library: Library, gone: Keys) -> int:
    """Delete those that name something that is gone; their number."""
    found = doomed(library, gone)
    if found:
        catalog.update(lambda info: (unlinked(info, found), Update(UpdateKind.GC_RAN, UNSTAMPED)))
        library.backend.delete([f"{FOLDER}/{name}" for name in found])
    return len(found)
