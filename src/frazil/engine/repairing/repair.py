"""Mending what can be proven, and saying what cannot.

- A repo object that is lost, damaged or too old: its newest backup takes its place. Each update
  leaves the state before in `overwritten/`, so that the last update is lost, and nothing else.
- A manifest that is lost or damaged: it is built anew, see `rebuild`.
- Only if that is asked for, chunks that are lost are given up, see `drop_lost`.

What is healthy is never touched, and what is replaced is kept in `overwritten/`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from frazil.engine.copying import End
from frazil.engine.repairing.drop_lost import drop, losses
from frazil.engine.repairing.rebuild import Rebuilt, rebuild
from frazil.engine.repository_core import RepositoryCore, open_, stored_spec
from frazil.engine.verification.steps import Decodable, Look
from frazil.engine.verification.tips import find_tips
from frazil.engine.verification.verify import Scope, verify
from frazil.errors import ErrorKind, FormatError, RepositoryNotFoundError, StorageError
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.format.snapshot import decode_listing
from frazil.ids import ManifestId, SnapshotId
from frazil.library.catalog_v2 import KEY, backup_name
from frazil.library.files import Library
from frazil.storage import Storage
from frazil.storage.base import CREATE, Fetched, PutMode, Update
from frazil.verification import Finding, FindingKind, Level, RepairReport

_MEMORY = 1024 * 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class Wish:
    """What a repair may do. drop: the branch to give up lost chunks on, None: none is given up."""

    dry_run: bool
    drop: str | None
    level: Level


def repair(storage: Storage, wish: Wish, decode: Decodable) -> RepairReport:
    """See `Repository.repair`."""
    backend = storage.backend()
    report = RepairReport(wish.dry_run, None, None, ())
    if stored_spec(backend) != 1:
        report = repair_repo_object(Library(backend, spec=2), dry_run=wish.dry_run)
        if wish.dry_run and report.restored is not None:
            return report  # what else is wrong can be found out afterwards
    core = open_(storage, None, None, even_if_archived=True)
    rebuilt, left = _repair_manifests(core, wish, decode)
    report = replace(report, manifests=tuple(one.told for one in rebuilt), left=left)
    if wish.drop is None:
        return report
    end = End(core.storage, core.config.storage)
    look = Look(end, "/", 0, decode if wish.level == "data" else None)
    lost = losses(core, wish.drop, look, [one.id for one in rebuilt] if wish.dry_run else [])
    report = replace(report, dropped=tuple(loss.told() for loss in lost.found))
    if wish.dry_run or not lost.found:
        return report
    core.check_writable()
    return replace(report, snapshot=str(drop(core, wish.drop, lost)))


def _repair_manifests(
    core: RepositoryCore, wish: Wish, decode: Decodable
) -> tuple[list[Rebuilt], tuple[Finding, ...]]:
    """Build lost manifests anew; returns these, and what is wrong then."""
    findings = verify(core, wish.level, Scope(), memory=_MEMORY, decode=decode).findings
    doubtful = {
        ManifestId.parse(one.object.removeprefix("manifests/")): one.kind
        for one in findings
        if one.object.startswith("manifests/") and one.kind != FindingKind.UNDECODABLE
    }
    if not doubtful:
        return [], findings
    tips, _ = find_tips(core.catalog, core.library.place, None, None)
    rebuilt = [
        one
        for one in rebuild(core.library, core.catalog, tips, doubtful)
        # Where two files contradict each other, only a digest tells which of them is wrong.
        if doubtful[one.id] != FindingKind.DISAGREES or one.told.proof == "digest"
    ]
    keys = {f"manifests/{one.id}" for one in rebuilt}
    if wish.dry_run:
        return rebuilt, tuple(one for one in findings if one.object not in keys)
    for one in rebuilt:
        _replace_manifest(core.library, one)
    if rebuilt:
        core.library.backend.sync()
        findings = verify(core, wish.level, Scope(), memory=_MEMORY, decode=decode).findings
    return rebuilt, findings


def _replace_manifest(library: Library, one: Rebuilt) -> None:
    """Store it, and keep what was there."""
    key = f"manifests/{one.id}"
    try:
        damaged = library.backend.get(key)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
    else:
        name = backup_name("damaged-manifest", library.now(), one.id)
        library.backend.put(f"overwritten/{name}", damaged)
    library.backend.put(key, one.data)


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
