"""Making a spec 2 repository of one of spec 1.

One new object, `repo`, takes the place of the references and of the configuration; no other
file is touched. Until it is stored the repository is one of spec 1, and from then on one of
spec 2, whatever happens.
"""

from __future__ import annotations

import logging

from frazil.engine.expire import check_writable
from frazil.engine.repository_core import RepositoryCore, open_
from frazil.errors import (
    ConflictError,
    ErrorKind,
    FormatError,
    IcechunkError,
    SessionStateError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import encode_repo_info
from frazil.format.v1 import decode_ref
from frazil.ids import SnapshotId
from frazil.library.catalog import already_there
from frazil.library.catalog_v1 import CONFIG
from frazil.library.catalog_v2 import KEY
from frazil.library.files import Library
from frazil.model.keys import raw_ids
from frazil.model.migration import Contents, migrated
from frazil.model.sweep import Objects
from frazil.progress import task
from frazil.storage.base import CREATE, Backend, PreconditionFailed
from frazil.storage.pool import map_parallel

logger = logging.getLogger(__name__)

PREFETCH = 64
_DELETED = ".deleted"


def migrate(
    core: RepositoryCore, *, dry_run: bool, delete_v1_files: bool, prefetch: int | None
) -> RepositoryCore:
    """Migrate; returns the repository as it is now, in a dry run as it was.

    Nobody may write to the repository meanwhile. If a reference is seen to move, nothing is
    changed (`ConflictError`). prefetch: snapshots that are read at once.
    """
    if core.spec != 1:
        raise SessionStateError(
            f"only repositories of spec 1 can be migrated, and this one is spec {core.spec}",
            ErrorKind.INVALID_REPOSITORY_MIGRATION,
        )
    library, backend = core.library, core.library.backend
    check_writable(library)
    contents = _contents(core, PREFETCH if prefetch is None else prefetch)
    info = migrated(contents, library.now())
    data = encode_repo_info(info, level=library.level)
    logger.info("%d of %d snapshots are carried over", len(info.snapshots), len(contents.snapshots))
    if dry_run:
        return core
    backend.sync()
    try:
        backend.put(KEY, data, mode=CREATE)
    except PreconditionFailed as error:
        raise already_there(2) from error
    try:
        if open_(core.storage, None, None).catalog.branches() != contents.branches:
            raise ConflictError(
                message="the new 'repo' object does not say what was stored",
                kind=ErrorKind.REPO_INFO_UPDATED,
            )
        if _refs(backend) != (contents.branches, contents.tags, contents.deleted_tags):
            raise ConflictError(
                message="branches or tags were changed during the migration: stop whoever "
                "writes to the repository, and migrate again",
                kind=ErrorKind.BRANCH_UPDATE_CONFLICT,
            )
    except IcechunkError:
        backend.delete([KEY])
        raise
    if delete_v1_files:
        backend.delete([info.key for info in backend.list("refs")])
        backend.delete([CONFIG])
    result = RepositoryCore(
        core.storage, 2, core.config, core.attribution, dict(core.default_metadata)
    )
    result.authorize(core.access)
    return result


def _contents(core: RepositoryCore, prefetch: int) -> Contents:
    library = core.library
    branches, tags, deleted = _refs(library.backend)
    snapshots = _prefetched(library, prefetch)
    for tip in (*branches.values(), *tags.values()):
        line: set[SnapshotId] = set()
        id_: SnapshotId | None = tip
        while id_ is not None:
            if id_ in line:
                raise FormatError(
                    f"snapshot {id_} is its own ancestor: the repository is damaged",
                    ErrorKind.INVALID_FILE_FORMAT,
                )
            line.add(id_)
            if id_ not in snapshots:
                snapshots[id_] = _record(library, id_)  # raises what is wrong with it
            id_ = snapshots[id_].parent
    return Contents(branches, tags, deleted, snapshots, core.catalog.config_document())


def _refs(
    backend: Backend,
) -> tuple[dict[str, SnapshotId], dict[str, SnapshotId], dict[str, SnapshotId]]:
    """Branches, tags and deleted tags."""
    keys = [info.key for info in backend.list("refs")]
    refs = [key for key in keys if key.endswith("/ref.json")]
    gone = {key.removesuffix(_DELETED) for key in keys if key.endswith(_DELETED)}

    def targets(kind: str, among: list[str]) -> dict[str, SnapshotId]:
        prefix = f"refs/{kind}."
        return {
            key.removeprefix(prefix).removesuffix("/ref.json"): decode_ref(
                backend.get(key), where=key
            )
            for key in among
            if key.startswith(prefix)
        }

    return (
        targets("branch", refs),
        targets("tag", [key for key in refs if key not in gone]),
        targets("tag", [key for key in refs if key in gone]),
    )


def _prefetched(library: Library, prefetch: int) -> dict[SnapshotId, SnapshotRecord]:
    """All snapshots that are stored and can be read."""
    infos = list(library.backend.list("snapshots"))
    names = [info.key.partition("/")[2] for info in infos]
    stored = raw_ids(Objects.of(names, [0] * len(names), [0] * len(names)).ids)

    def read(raw: bytes) -> SnapshotRecord | None:
        progress.step()
        try:
            return _record(library, SnapshotId(raw))
        except IcechunkError:
            return None  # of interest only if it is needed

    with task("Reading snapshots", len(stored)) as progress:
        records = map_parallel(read, stored, limit=prefetch)
    return {record.id: record for record in records if record is not None}


def _record(library: Library, id_: SnapshotId) -> SnapshotRecord:
    snapshot = library.read_snapshot(id_)
    return SnapshotRecord(
        id_, snapshot.parent_id, snapshot.flushed_at, snapshot.message, snapshot.metadata
    )
