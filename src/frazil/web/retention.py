"""Which versions stay, what protects them, and what was done last: of what is cheap to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from frazil.engine.collection.incremental import KEY as RECORD
from frazil.engine.collection.leases import LeaseRecord, holding, read_leases
from frazil.errors import ErrorKind, IcechunkError, StorageError
from frazil.format.updates import UpdateKind
from frazil.library.catalog_v2 import CatalogV2
from frazil.repository import Repository
from frazil.retention import RetentionChange
from frazil.verification import LastVerification

QUICK_SNAPSHOTS = 5_000
"""Of so many snapshots it is said what the policy keeps without being asked."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a repository's upkeep.

    policies: newest first; leases: that hold now; lapsed: how many do not any more; expired,
    collected: when, in us since the epoch, 0 where the part of the log that is at hand does not
    say, None in format 1, which has no log; incremental: the last incremental collection;
    problems: what could not be read, in words.
    """

    policies: tuple[RetentionChange, ...]
    leases: tuple[LeaseRecord, ...]
    lapsed: int
    expired: int | None
    collected: int | None
    incremental: datetime | None
    verified: LastVerification | None
    problems: tuple[str, ...]


def read_upkeep(repo: Repository) -> Known:
    """Look at the repository's own notes: some requests, none for each snapshot or chunk."""
    core = repo._core
    problems: list[str] = []
    expired = collected = None
    if isinstance(core.catalog, CatalogV2):
        updates = core.catalog.info().updates
        expired = updates.newest(UpdateKind.EXPIRATION_RAN)
        collected = updates.newest(UpdateKind.GC_RAN)
    none: list[LeaseRecord] = []
    leases = _try(problems, lambda: read_leases(core.library), none)
    held = holding(core.library, leases, core.library.now())
    return Known(
        tuple(_try(problems, repo.retention_history, [])),
        tuple(sorted(held, key=lambda lease: lease.started)),
        len(leases) - len(held),
        expired,
        collected,
        _try(problems, lambda: _written(repo, RECORD), None),
        _try(problems, repo.last_verification, None),
        tuple(problems),
    )


def _written(repo: Repository, key: str) -> datetime | None:
    try:
        return repo._core.library.backend.info(key).last_modified
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None


def _try(problems: list[str], read: Callable[[], T], otherwise: T) -> T:
    """What was read; what cannot be is a problem of its own, and no reason to show nothing."""
    try:
        return read()
    except IcechunkError as error:
        problems.append(error.message)
        return otherwise
