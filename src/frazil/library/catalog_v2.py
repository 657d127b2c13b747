"""The catalog of spec 2 repositories: one object, `repo`, changed by compare-and-swap."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from uuid import UUID

from frazil.errors import (
    ConflictError,
    ErrorKind,
    IcechunkError,
    RepositoryNotFoundError,
    StorageError,
)
from frazil.format.history import Described, SnapshotRecord, SnapshotTable
from frazil.format.repo_info import (
    RepoInfo,
    decode_repo_info,
    encode_repo_info,
    initial_repo_info,
)
from frazil.format.snapshot import Snapshot
from frazil.format.updates import Update, UpdateKind
from frazil.ids import ObjectId, SnapshotId
from frazil.library.catalog import Catalog, already_there
from frazil.library.files import Library
from frazil.library.uploads import Uploads
from frazil.model import notes as noted
from frazil.model import refs
from frazil.model.moments import (
    Collected,
    Moment,
    collected_since,
    moment_of,
    unless_collected,
)
from frazil.storage.base import CREATE, PreconditionFailed, Version
from frazil.storage.base import Update as IfVersion
from frazil.storage.fork import ForksafeLock

KEY = "repo"
YEAR_3000_MS = 32_503_680_000_000
IMMEDIATE_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a lost race for the repo object is run again."""

    max_tries: int = 100
    initial_backoff_ms: int = 50
    max_backoff_ms: int = 30_000

    def pause(self, failures: int) -> float:
        """Seconds to wait after this many lost races: random, growing, bounded."""
        if failures <= IMMEDIATE_RETRIES:
            return 0.0
        ceiling = self.initial_backoff_ms * 2.0 ** min(failures - IMMEDIATE_RETRIES, 20)
        return random.uniform(0.0, min(ceiling, self.max_backoff_ms)) / 1000


@dataclass(frozen=True)
class _State:
    info: RepoInfo
    version: Version

    @cached_property
    def identity(self) -> UUID:
        return noted.identity(refs.first_snapshot(self.info))


class CatalogV2(Catalog):
    """Reads are revalidated at each call; each change is one edit of the repo object."""

    spec = 2

    def __init__(self, library: Library) -> None:
        self._library = library
        self.retries = Retries()
        self.updates_per_file = 1000
        """Entries of the operations log that are kept in the object itself."""
        self.level = -3
        """Of the object's compression: low, because every change writes all of it anew, and
        most of it are ids and times, which get no smaller."""
        self._state: _State | None = None
        self._as_read = False
        self._lock = ForksafeLock()

    def info(self) -> RepoInfo:
        """The repository information as it is now."""
        return self._load().info

    def _load(self) -> _State:
        with self._lock:
            known = self._state
        if self._as_read and known is not None:
            return known
        try:
            fetched = self._library.backend.fetch(KEY, unless=known.version if known else None)
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            raise RepositoryNotFoundError(
                "the repository is gone: its object 'repo' does not exist",
                ErrorKind.REPOSITORY_NOT_FOUND,
            ) from error
        if fetched is None:
            assert known is not None
            return known
        state = _State(decode_repo_info(fetched.data, where=KEY), fetched.version)
        seen = self._library.seen
        if seen is None or collected_since(state.info, seen):
            self._library.forget_snapshots()
        with self._lock:
            self._state = state
            self._library.seen = moment_of(state.info)
        return state

    def update(
        self, edit: refs.Edit, *, even_if_read_only: bool = False, uploads: Uploads | None = None
    ) -> RepoInfo:
        """Apply an edit to the repo object: the one place where a repository changes.

        What is in `uploads`, and what this process has stored before, is durable before the
        edit is visible. The edit is first tried on what this process knows, and applied anew
        to what is there if somebody else has changed that.
        """
        failures = 0
        with self._lock:
            state = self._state
        seen_now = state is None
        while True:
            if state is None:
                state = self._load()
            try:
                if not even_if_read_only:
                    refs.check_online(state.info)
                info, update = edit(state.info)
            except Exception:
                if seen_now:
                    raise
                known, state, seen_now = state, self._load(), True
                if state is known:
                    raise
                continue
            try:
                return self._swap(state, info, update, uploads or Uploads(self._library.backend))
            except PreconditionFailed as error:
                failures += 1
                if failures >= self.retries.max_tries:
                    raise ConflictError(
                        message=f"the repository was changed by others at each of {failures} "
                        "tries: try again, or raise repo_update_retries",
                        kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
                    ) from error
                time.sleep(self.retries.pause(failures))
                state, seen_now = None, True

    def _swap(self, state: _State, info: RepoInfo, update: Update, uploads: Uploads) -> RepoInfo:
        backend, library = self._library.backend, self._library
        now = library.now()
        newest = int(state.info.updates.updated_at[:1].max(initial=0))
        stamped = replace(update, updated_at=refs.next_time(now, newest))
        backup = backup_name(KEY, now, library.new_id(SnapshotId))
        updates, older = info.updates.push(stamped, backup, self.updates_per_file)
        info = replace(
            info,
            updates=updates,
            repo_before_updates=older if older is not None else info.repo_before_updates,
        )
        # Whatever is copied here: if it is not `state`, the put fails and the copy is for nothing.
        uploads.copy(KEY, f"overwritten/{backup}")
        data = encode_repo_info(info, level=self.level)
        uploads.wait()
        backend.sync()
        try:
            version = backend.put(KEY, data, mode=IfVersion(state.version))
        except StorageError as error:
            made = self._made_it(backup, error)
            if made is not None:
                return made
            if isinstance(error, PreconditionFailed):
                backend.delete([f"overwritten/{backup}"])  # nothing will ever refer to it
            raise
        if update.kind is UpdateKind.GC_RAN:
            library.forget_snapshots()
        with self._lock:
            self._state = _State(info, version)
            library.seen = moment_of(info)
        return info

    def _made_it(self, backup: str, error: StorageError) -> RepoInfo | None:
        """The repository information if a put that seems to have failed is in it.

        The answer to a put can be lost, and others may have changed the object since; the name
        of its backup is in nobody else's. Raises an error if that cannot be found out, and not
        the one that says that nothing was stored.
        """
        try:
            info = self.info()
        except IcechunkError as unknown:
            raise (unknown if isinstance(error, PreconditionFailed) else error) from unknown
        return info if info.updates.has_backup(backup) else None

    # Catalog

    @contextmanager
    def as_read(self) -> Iterator[None]:
        self._as_read = True
        try:
            yield
        finally:
            self._as_read = False

    def at_once(self) -> Catalog:
        other = CatalogV2(self._library)
        other._state, other._as_read = self._load(), True
        return other

    def identity(self) -> UUID:
        return self.known_identity() or self._load().identity

    def known_identity(self) -> UUID | None:
        with self._lock:
            known = self._state
        return self._told if known is None else known.identity

    def notes(self) -> dict[str, Any]:
        return noted.notes_of(refs.first_snapshot(self.info()).metadata)

    def change_notes(self, change: noted.Change) -> None:
        self.update(refs.change_notes(change))

    def branches(self) -> dict[str, SnapshotId]:
        return dict(self.info().branches)

    def tags(self) -> dict[str, SnapshotId]:
        return dict(self.info().tags)

    def branch(self, name: str) -> SnapshotId:
        return refs.branch_tip(self.info(), name)

    def known_tip(self, name: str) -> SnapshotId | None:
        with self._lock:
            known = self._state
        return None if known is None else known.info.branches.get(name)

    def known_metadata(self) -> dict[str, Any]:
        with self._lock:
            known = self._state
        return {} if known is None else known.info.metadata

    def writable_tip(self, name: str) -> SnapshotId:
        info = self.info()
        refs.check_online(info)
        return refs.branch_tip(info, name)

    def tag(self, name: str) -> SnapshotId:
        return refs.tag_target(self.info(), name)

    def record(self, id_: SnapshotId) -> SnapshotRecord:
        snapshots = self.info().snapshots
        row = snapshots.find(id_)
        if row < 0:
            raise refs.no_snapshot(id_)
        return snapshots.record(row)

    def ancestry(self, id_: SnapshotId) -> Iterator[SnapshotRecord]:
        snapshots, start = self._start(id_)
        return (snapshots.record(row) for row in snapshots.ancestry(start))

    def lineage(self, id_: SnapshotId) -> Iterator[Described]:
        snapshots, start = self._start(id_)
        return snapshots.lineage(start)

    def _start(self, id_: SnapshotId) -> tuple[SnapshotTable, int]:
        snapshots = self.info().snapshots
        start = snapshots.find(id_)
        if start < 0:
            raise refs.no_snapshot(id_)
        return snapshots, start

    def lookup(self) -> Callable[[SnapshotId], SnapshotRecord | None]:
        snapshots = self.info().snapshots

        def record(id_: SnapshotId) -> SnapshotRecord | None:
            row = snapshots.find(id_)
            return snapshots.record(row) if row >= 0 else None

        return record

    def create_branch(self, name: str, target: SnapshotId) -> None:
        self.update(refs.create_branch(name, target))

    def delete_branch(self, name: str) -> None:
        self.update(refs.delete_branch(name))

    def reset_branch(self, name: str, target: SnapshotId, expected: SnapshotId | None) -> None:
        self.update(refs.reset_branch(name, target, expected))

    def create_tag(self, name: str, target: SnapshotId) -> None:
        self.update(refs.create_tag(name, target))

    def delete_tag(self, name: str) -> None:
        self.update(refs.delete_tag(name))

    def commit_tip(self, branch: str) -> SnapshotId:
        info = self.info()
        refs.check_online(info)
        return refs.commit_tip(info, branch)

    def moment(self) -> Moment:
        with self._lock:
            known = self._state
        return moment_of((known or self._load()).info)

    def new_moment(self) -> Moment:
        return moment_of(self.info())

    def check_kept(self, since: Moment) -> None:
        with self._lock:
            known = self._state
        if known is not None and collected_since(known.info, since):
            raise Collected

    def collected_before(self) -> int:
        with self._lock:
            known = self._state
        return 0 if known is None else refs.collected_before(known.info)

    def add_commit(
        self,
        branch: str,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        self.update(unless_collected(refs.add_commit(branch, record), since), uploads=uploads)

    def amend_commit(
        self,
        branch: str,
        replaced: SnapshotId,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        edit = refs.amend_commit(branch, replaced, record)
        self.update(unless_collected(edit, since), uploads=uploads)

    def add_detached(
        self,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        self.update(unless_collected(refs.add_detached(record), since), uploads=uploads)

    def config_document(self) -> dict[str, Any] | None:
        return self.info().config

    def save_config(self, document: dict[str, Any]) -> None:
        self.update(refs.change_config(document))

    def ops_log(self, info: RepoInfo | None = None) -> Iterator[Update]:
        """All operations on the repository, newest first, read file by file.

        It ends where a collection has removed what is older.

        info: the state to begin with, instead of the present one.
        """
        info, name = info or self.info(), None
        while True:
            for row in range(len(info.updates)):
                update = info.updates.update(row)
                if row == 0 and name is not None:
                    update = replace(update, backup_path=name)
                yield update
            name = info.repo_before_updates
            if name is None:
                return
            key = f"overwritten/{name}"
            try:
                data = self._library.backend.get(key)
            except StorageError as error:
                if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                    raise
                return  # a collection has removed what is older
            info = decode_repo_info(data, where=key)


def create(library: Library, first: Snapshot, config: dict[str, Any] | None) -> None:
    """Store the repo object of a new repository; `ConflictError` if there is one.

    first: the snapshot it begins with.
    """
    made_at = refs.next_time(library.now(), first.flushed_at)
    store_new(library, initial_repo_info(first.flushed_at, made_at, config, first.metadata))


def store_new(library: Library, info: RepoInfo) -> None:
    """Store the first repo object of a repository; `ConflictError` if there is one."""
    library.backend.sync()
    library.seen = moment_of(info)
    try:
        library.backend.put(KEY, encode_repo_info(info, level=library.level), mode=CREATE)
    except PreconditionFailed as error:
        raise already_there(2) from error


def backup_name(stem: str, now: int, id_: ObjectId) -> str:
    """The name in `overwritten/` of an object replaced at `now` (us); newer ones sort first."""
    return f"{stem}.{YEAR_3000_MS - now // 1000:014d}.{id_}"
