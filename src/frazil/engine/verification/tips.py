"""Where a verification begins: branches, tags, configuration, the repo object and its backups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from frazil.engine.verification.steps import Found, read_file
from frazil.errors import ErrorKind, FormatError, IcechunkError, RepositoryNotFoundError
from frazil.format.repo_info import decode_repo_info
from frazil.format.v1 import decode_ref
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v1 import CONFIG, MAIN_KEY
from frazil.library.catalog_v2 import KEY, CatalogV2
from frazil.storage.base import Backend
from frazil.verification import FindingKind

BACKUPS = 3
"""Newest backups of the repo object that are compared with it."""

Line = tuple[SnapshotId, tuple[SnapshotId, ...]]
"""A snapshot, and the logs that it has taken over from expired ones."""


def find_tips(
    catalog: Catalog, backend: Backend, branch: str | None, tag: str | None
) -> tuple[list[SnapshotId], list[Found]]:
    """What these branches and tags point at, all if none is named; and which cannot be read.

    `RefNotFoundError` for a name that does not exist.
    """
    found: list[Found] = []
    try:
        if branch is not None or tag is not None:
            tips = [] if branch is None else [catalog.branch(branch)]
            return tips + ([] if tag is None else [catalog.tag(tag)]), found
        if isinstance(catalog, CatalogV2):
            return sorted({*catalog.branches().values(), *catalog.tags().values()}), found
    except FormatError as error:
        key = KEY if isinstance(catalog, CatalogV2) else _key_of(branch, tag)
        return [], [Found(FindingKind.UNREADABLE, key, error.message)]
    except RepositoryNotFoundError as error:
        return [], [Found(FindingKind.MISSING, KEY, error.message)]
    return _references(backend, found), found


def _key_of(branch: str | None, tag: str | None) -> str:
    return f"refs/tag.{tag}/ref.json" if branch is None else f"refs/branch.{branch}/ref.json"


def _references(backend: Backend, found: list[Found]) -> list[SnapshotId]:
    """What the references of a spec 1 repository point at."""
    keys = {info.key for info in backend.list("refs")}
    wanted = sorted(
        key for key in keys if key.endswith("/ref.json") and f"{key}.deleted" not in keys
    )
    if MAIN_KEY not in keys:
        found.append(Found(FindingKind.MISSING, MAIN_KEY, "there is no branch main"))
    tips = [read_file(backend, key, partial(decode_ref, where=key), found) for key in wanted]
    return sorted({tip for tip in tips if tip is not None})


def check_surroundings(catalog: Catalog, backend: Backend) -> list[Found]:
    """What is amiss with files that no snapshot leads to: the configuration of spec 1, and of
    spec 2 the backups that hold older operations, and whether the repo object is older than one.
    """
    found: list[Found] = []
    if not isinstance(catalog, CatalogV2):
        try:
            catalog.config_document()
        except FormatError as error:
            found.append(Found(FindingKind.UNREADABLE, CONFIG, error.message))
        return found
    info = catalog.info()
    now, name = int(info.updates.updated_at[0]), info.repo_before_updates
    seen: set[str] = set()
    while name is not None and name not in seen:
        seen.add(name)
        key = f"overwritten/{name}"
        older = read_file(backend, key, partial(decode_repo_info, where=key), found)
        name = None if older is None else older.repo_before_updates
    names = sorted(one.key for one in backend.list("overwritten") if "/repo." in one.key)
    for key in names[:BACKUPS]:
        if key.removeprefix("overwritten/") in seen:
            continue
        backup = read_file(backend, key, partial(decode_repo_info, where=key), found)
        if backup is not None and int(backup.updates.updated_at[0]) > now:
            text = f"its backup {key} knows of later updates"
            found.append(Found(FindingKind.OUTDATED, KEY, text))
            break
    return found


def ancestry(catalog: Catalog, tips: Sequence[SnapshotId], since: int) -> Iterator[Line]:
    """The snapshots that these lead to, each once, as far back as `since` (µs)."""
    seen: set[SnapshotId] = set()
    lookup = catalog.lookup() if tips else None
    for tip in tips:
        id_: SnapshotId | None = tip
        while lookup is not None and id_ is not None and id_ not in seen:
            seen.add(id_)
            try:
                record = lookup(id_)
            except IcechunkError as error:
                if not isinstance(error, FormatError) and error.kind not in (
                    ErrorKind.OBJECT_NOT_FOUND,
                    ErrorKind.INVALID_OBJECT_SIZE,
                    ErrorKind.SNAPSHOT_NOT_FOUND,
                ):
                    raise
                record = None  # the file is looked at all the same
            yield id_, () if record is None else record.pruned
            if record is None or record.flushed_at < since:
                break
            id_ = record.parent
