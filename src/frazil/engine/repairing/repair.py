"""Mending what can be proven, and saying what cannot.

- A repo object that is lost, damaged or too old: its newest backup takes its place. Each update
  leaves the state before in `overwritten/`, so that the last update is lost, and nothing else.
- A manifest that is lost or damaged: it is built anew, see `rebuild`.
- A transaction log that is lost or damaged: it is told from what differs between the snapshots,
  see `logs`, and the report says what that does not tell.
- Only if that is asked for, chunks that are lost are given up, see `drop_lost`.

What is healthy is never touched, and what is replaced is kept in `overwritten/`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from frazil.engine.copying import End
from frazil.engine.repairing.drop_lost import drop, losses
from frazil.engine.repairing.logs import Retold, retell
from frazil.engine.repairing.rebuild import Rebuilt, rebuild
from frazil.engine.repository_core import RepositoryCore, open_, stored_spec
from frazil.engine.verification.steps import Decodable, Look
from frazil.engine.verification.tips import find_tips
from frazil.engine.verification.verify import Scope, verify
from frazil.errors import ErrorKind, FormatError, RepositoryNotFoundError, StorageError
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.format.snapshot import decode_listing
from frazil.ids import ManifestId, ObjectId, SnapshotId
from frazil.library.catalog_v2 import KEY, backup_name
from frazil.library.files import Library
from frazil.storage import Storage
from frazil.storage.base import CREATE, Fetched, PutMode, Update
from frazil.verification import Finding, FindingKind, Level, LostManifest, RepairReport

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
    mended = _repair_files(core, wish, decode)
    report = replace(
        report,
        manifests=tuple(one.told for one in mended.manifests),
        logs=tuple(one.told for one in mended.logs),
        left=mended.left,
        lost=mended.lost,
    )
    if wish.drop is None:
        return report
    end = End(core.storage, core.config.storage)
    look = Look(end, "/", 0, decode if wish.level == "data" else None)
    lost = losses(
        core, wish.drop, look, [one.id for one in mended.manifests] if wish.dry_run else []
    )
    report = replace(report, dropped=tuple(loss.told() for loss in lost.found))
    if wish.dry_run or not lost.found:
        return report
    core.check_writable()
    return replace(report, snapshot=str(drop(core, wish.drop, lost)))


@dataclass(frozen=True, slots=True)
class _Mended:
    """What was made anew; the manifests that cannot be; what is wrong then."""

    manifests: list[Rebuilt]
    logs: list[Retold]
    lost: tuple[LostManifest, ...]
    left: tuple[Finding, ...]


def _repair_files(core: RepositoryCore, wish: Wish, decode: Decodable) -> _Mended:
    """Make lost manifests and logs anew."""
    findings = verify(core, wish.level, Scope(), memory=_MEMORY, decode=decode).findings
    doubtful = {
        ManifestId.parse(name): one.kind
        for one in findings
        if (name := _name_in("manifests/", one)) and one.kind != FindingKind.UNDECODABLE
    }
    logs = [SnapshotId.parse(name) for one in findings if (name := _name_in("transactions/", one))]
    if not doubtful and not logs:
        return _Mended([], [], (), findings)
    tips, _ = find_tips(core.catalog, core.library.place, None, None)
    proven, lost = rebuild(core.library, core.catalog, tips, doubtful) if doubtful else ([], [])
    # Where two files contradict each other, only a digest tells which of them is wrong.
    disagree = {id_ for id_, kind in doubtful.items() if kind == FindingKind.DISAGREES}
    rebuilt = [one for one in proven if one.id not in disagree or one.told.proof == "digest"]
    lost = [one for one in lost if ManifestId.parse(one.id) not in disagree]
    for one in rebuilt:
        core.library.take_as_stored(one.manifest)
    retold = retell(core.library, core.catalog, tips, logs)
    if wish.dry_run:
        keys = {f"manifests/{one.id}" for one in rebuilt}
        keys |= {f"transactions/{one.log.id}" for one in retold}
        left = tuple(one for one in findings if one.object not in keys)
        return _Mended(rebuilt, retold, tuple(lost), left)
    for one in rebuilt:
        _keep(core.library, "manifest", f"manifests/{one.id}", one.id)
        core.library.backend.put(f"manifests/{one.id}", one.data)
    for told in retold:
        _keep(core.library, "log", f"transactions/{told.log.id}", told.log.id)
        core.library.write_log(told.log)
    if rebuilt or retold:
        core.library.backend.sync()
        findings = verify(core, wish.level, Scope(), memory=_MEMORY, decode=decode).findings
    return _Mended(rebuilt, retold, tuple(lost), findings)


def _name_in(folder: str, finding: Finding) -> str | None:
    """The name of the object that a finding is about, if it is in this folder."""
    name = finding.object.removeprefix(folder)
    return name if name != finding.object else None


def _keep(library: Library, what: str, key: str, id_: ObjectId) -> None:
    """Keep what is there, before it is replaced."""
    try:
        damaged = library.backend.get(key)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
    else:
        name = backup_name(f"damaged-{what}", library.now(), id_)
        library.backend.put(f"overwritten/{name}", damaged)


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
