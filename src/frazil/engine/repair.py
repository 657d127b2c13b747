"""Putting the newest backup in the place of a repo object that is lost, damaged or too old.

Each update of the repo object leaves the one before in `overwritten/`. What the newest of these
says was true before the last update, so that one is lost, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.errors import ErrorKind, FormatError, RepositoryNotFoundError, StorageError
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.format.snapshot import decode_listing
from frazil.ids import SnapshotId
from frazil.library.catalog_v2 import KEY, backup_name
from frazil.library.files import Library
from frazil.storage.base import CREATE, Fetched, PutMode, Update
from frazil.verification import RepairReport

_BACKUPS = 20
"""Newest backups that are looked at, should some be damaged themselves."""


@dataclass(frozen=True, slots=True)
class _State:
    key: str
    data: bytes
    info: RepoInfo

    @property
    def time(self) -> int:
        return int(self.info.updates.updated_at[0])


def repair_repo_object(library: Library, *, dry_run: bool) -> RepairReport:
    """Restore the repo object if that is needed and can be done.

    Raises `RepositoryNotFoundError` if there is neither such an object nor a backup of one,
    `FormatError` if none can be read or what it leads to is gone, and `PreconditionFailed` if
    somebody has changed it meanwhile.
    """
    found = _fetch(library)
    now = None if found is None else _decode(KEY, found.data)
    states = [] if now is None else [now]
    backups = sorted(one.key for one in library.backend.list("overwritten") if "/repo." in one.key)
    if found is None and not backups:
        raise RepositoryNotFoundError(
            "there is no object 'repo', and no backup of one in overwritten/: this is no "
            "repository of format 2, and others have no such object",
            ErrorKind.REPOSITORY_NOT_FOUND,
        )
    for key in backups[:_BACKUPS]:
        state = _decode(key, library.backend.get(key))
        if state is not None:
            states.append(state)
            break
    if not states:
        raise FormatError(
            f"neither the repo object nor its {min(len(backups), _BACKUPS)} newest backups can be "
            "read: put it back from a copy of the repository",
            ErrorKind.INVALID_FILE_FORMAT,
        )
    best = max(states, key=lambda state: state.time)
    if best is now:
        return RepairReport(dry_run, None, None, ())
    _check(library, best)
    aside = f"overwritten/{backup_name('damaged-repo', library.now(), library.new_id(SnapshotId))}"
    if not dry_run:
        mode: PutMode = CREATE
        if found is not None:
            library.backend.put(aside, found.data)
            mode = Update(found.version)
        library.backend.put(KEY, best.data, mode=mode)
    kept = None if found is None else aside
    return RepairReport(dry_run, best.key, kept, _unknown(library, best))


def _fetch(library: Library) -> Fetched | None:
    try:
        return library.backend.fetch(KEY)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None


def _decode(key: str, data: bytes) -> _State | None:
    try:
        info = decode_repo_info(data, where=key)
    except FormatError:
        return None
    return _State(key, data, info) if len(info.updates) else None


def _check(library: Library, state: _State) -> None:
    """Raise `FormatError` if a branch or tag of this state leads nowhere."""
    for name, id_ in [*state.info.branches.items(), *state.info.tags.items()]:
        if not library.backend.exists(f"snapshots/{id_}"):
            raise FormatError(
                f"{state.key} is the newest backup, but its {name!r} leads to snapshot {id_}, "
                "which is gone: put repo back from a copy of the repository",
                ErrorKind.INVALID_FILE_FORMAT,
            )


def _unknown(library: Library, state: _State) -> tuple[str, ...]:
    """Snapshots that are there and younger than all that this state knows."""
    found = []
    for one in library.backend.list("snapshots"):
        try:
            id_ = SnapshotId.parse(one.key.rpartition("/")[2])
            if state.info.snapshots.find(id_) < 0:
                listing = decode_listing(library.backend.get(one.key), where=one.key)
                if listing.flushed_at > state.time:
                    found.append(str(id_))
        except (FormatError, ValueError):
            continue  # not ours, or damaged: nothing is known of it
    return tuple(sorted(found))
