"""The catalog of spec 1 repositories: a file for each branch and tag, history in snapshots.

refs/branch.<name>/ref.json           changed by compare-and-swap
refs/tag.<name>/ref.json              written once
refs/tag.<name>/ref.json.deleted      hides the tag for ever
config.yaml
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any
from uuid import UUID

from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    IcechunkError,
    InvalidInputError,
    RefNotFoundError,
    StorageError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import decode_snapshot, encode_snapshot
from frazil.format.v1 import decode_ref, dump_config, encode_ref, load_config
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.library.catalog import Catalog, already_there
from frazil.library.catalog_v2 import backup_name
from frazil.library.files import Library
from frazil.library.uploads import Uploads
from frazil.model import notes as noted
from frazil.model.moments import Collected, Moment
from frazil.model.refs import check_deletable, check_tip, no_ref
from frazil.storage.base import (
    CREATE,
    Backend,
    Fetched,
    PreconditionFailed,
    PutMode,
    Update,
    Version,
)
from frazil.storage.pool import map_parallel

CONFIG = "config.yaml"
FIRST_KEY = f"snapshots/{INITIAL_SNAPSHOT}"
MAIN_KEY = "refs/branch.main/ref.json"
JSON = "application/json"
KEPT_FOR = 3600 * 1_000_000
"""Nothing tells of a collection here: us for which what was read is taken to be there still."""


class CatalogV1(Catalog):
    """Each reference is an object of its own."""

    spec = 1

    def __init__(self, library: Library) -> None:
        self._library = library
        self._config: Version | None = None
        self._config_is_known = False
        self._known: dict[str, SnapshotId] = {}
        self._read_since = library.now()

    @property
    def _backend(self) -> Backend:
        return self._library.backend

    def identity(self) -> UUID:
        if self._told is None:
            self._told = noted.identity(self.record(INITIAL_SNAPSHOT))
        return self._told

    def notes(self) -> dict[str, Any]:
        return noted.notes_of(self._library.read_snapshot(INITIAL_SNAPSHOT).metadata)

    def change_notes(self, change: noted.Change) -> None:
        """As an expiration does, this replaces a snapshot file, the first one."""
        while True:
            fetched = self._backend.fetch(FIRST_KEY)
            assert fetched is not None
            first = decode_snapshot(fetched.data, where=FIRST_KEY)
            after = noted.with_notes(first.metadata, change(noted.notes_of(first.metadata)))
            data = encode_snapshot(
                replace(first, metadata=after), spec=1, level=self._library.level
            )
            try:
                self._backend.sync()
                self._put(FIRST_KEY, data, Update(fetched.version), None)
            except PreconditionFailed:
                continue  # somebody else has just changed them
            self._backend.sync()
            return

    def branches(self) -> dict[str, SnapshotId]:
        names = [name for name, _ in self._listed("branch.")]
        return dict(zip(names, map_parallel(self.branch, names), strict=True))

    def tags(self) -> dict[str, SnapshotId]:
        names = [name for name, files in self._listed("tag.") if "ref.json.deleted" not in files]
        targets = map_parallel(lambda name: self._target(f"refs/tag.{name}/ref.json"), names)
        return dict(zip(names, targets, strict=True))

    def _listed(self, prefix: str) -> list[tuple[str, set[str]]]:
        """The references of a kind by their names, sorted, with the names of their files."""
        found: dict[str, set[str]] = {}
        for info in self._backend.list("refs"):
            _, folder, *rest = info.key.split("/")
            if folder.startswith(prefix):
                found.setdefault(folder.removeprefix(prefix), set()).add("/".join(rest))
        return [(name, files) for name, files in sorted(found.items()) if "ref.json" in files]

    def _target(self, key: str) -> SnapshotId:
        return decode_ref(self._backend.get(key), where=key)

    def branch(self, name: str) -> SnapshotId:
        return self._branch(name)[0]

    def _branch(self, name: str) -> tuple[SnapshotId, Fetched]:
        key = _branch_key(name)
        fetched = self._fetch(key)
        if fetched is None:
            raise no_ref("branch", name)
        tip = self._known[name] = decode_ref(fetched.data, where=key)
        return tip, fetched

    def known_tip(self, name: str) -> SnapshotId | None:
        return self._known.get(name)

    def writable_tip(self, name: str) -> SnapshotId:
        return self.branch(name)

    def tag(self, name: str) -> SnapshotId:
        key = _tag_key(name)
        fetched = self._fetch(key)
        if fetched is None or self._backend.exists(key + ".deleted"):
            raise no_ref("tag", name)
        return decode_ref(fetched.data, where=key)

    def _fetch(self, key: str) -> Fetched | None:
        try:
            return self._backend.fetch(key)
        except StorageError as error:
            if error.kind == ErrorKind.OBJECT_NOT_FOUND:
                return None
            raise

    def record(self, id_: SnapshotId) -> SnapshotRecord:
        snapshot = self._library.snapshot(id_)
        return SnapshotRecord(
            id=id_,
            parent=snapshot.parent_id,
            flushed_at=snapshot.flushed_at,
            message=snapshot.message,
            metadata=deepcopy(snapshot.metadata),  # the snapshot is shared
            pruned=(),
        )

    def ancestry(self, id_: SnapshotId) -> Iterator[SnapshotRecord]:
        self.record(id_)
        return self._walk(id_)

    def _walk(self, id_: SnapshotId | None) -> Iterator[SnapshotRecord]:
        seen: set[SnapshotId] = set()
        child: SnapshotId | None = None
        while id_ is not None:
            if id_ in seen:
                raise StorageError(
                    f"snapshot {id_} is its own ancestor: the repository is damaged",
                    ErrorKind.STORAGE_OTHER,
                )
            seen.add(id_)
            try:
                record = self.record(id_)
            except StorageError as error:
                # After its child was read, an expiration may have given that another parent.
                fresh = None if child is None else self._library.read_snapshot(child).parent_id
                if error.kind != ErrorKind.OBJECT_NOT_FOUND or fresh in (None, id_):
                    raise
                child, id_ = None, fresh
                continue
            yield record
            child, id_ = id_, record.parent

    def lookup(self) -> Callable[[SnapshotId], SnapshotRecord | None]:
        def record(id_: SnapshotId) -> SnapshotRecord | None:
            try:
                return self.record(id_)
            except StorageError as error:
                if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                    raise
                return None

        return record

    def _check_stored(self, id_: SnapshotId) -> None:
        """Whether a snapshot can be referred to: one that was collected may still be cached."""
        self._library.read_snapshot(id_)

    def create_branch(self, name: str, target: SnapshotId) -> None:
        self._check_stored(target)
        try:
            self._put_ref(_branch_key(name), target, CREATE)
        except PreconditionFailed as error:
            raise ConflictError(
                None,
                str(self.branch(name)),
                f"branch {name!r} already exists",
                ErrorKind.BRANCH_UPDATE_CONFLICT,
            ) from error

    def delete_branch(self, name: str) -> None:
        check_deletable(name)
        self.branch(name)
        key = _branch_key(name)
        try:
            self._backend.delete([key])
        except StorageError:
            with suppress(IcechunkError):
                if not self._backend.exists(key):
                    return  # only the answer was lost
            raise

    def reset_branch(self, name: str, target: SnapshotId, expected: SnapshotId | None) -> None:
        self._check_stored(target)
        while True:
            tip, fetched = self._branch(name)
            check_tip(name, tip, expected)
            try:
                self._put_ref(_branch_key(name), target, Update(fetched.version))
                return
            except PreconditionFailed:
                continue  # somebody else moved it: look again

    def create_tag(self, name: str, target: SnapshotId) -> None:
        self._check_stored(target)
        try:
            self._put_ref(_tag_key(name), target, CREATE)
        except PreconditionFailed as error:
            raise AlreadyExistsError(
                f"tag {name!r} exists already, or did before it was deleted",
                ErrorKind.TAG_ALREADY_EXISTS,
            ) from error

    def delete_tag(self, name: str) -> None:
        self.tag(name)
        try:
            self._put(_tag_key(name) + ".deleted", b"", CREATE, None)
        except PreconditionFailed as error:
            raise no_ref("tag", name) from error

    def commit_tip(self, branch: str) -> SnapshotId:
        return self._commit_tip(branch)[0]

    def _commit_tip(self, branch: str) -> tuple[SnapshotId, Fetched]:
        try:
            return self._branch(branch)
        except RefNotFoundError as error:
            raise RefNotFoundError(error.message, ErrorKind.BRANCH_NOT_FOUND) from None

    def moment(self) -> Moment:
        if self._library.now() - self._read_since > KEPT_FOR:
            return self.new_moment()
        return Moment(self._read_since)

    def new_moment(self) -> Moment:
        """Since when the snapshots in memory have been read."""
        self._read_since = self._library.now()
        self._library.forget_snapshots()
        return Moment(self._read_since)

    def check_kept(self, since: Moment) -> None:
        if self._library.now() - since.made_at > KEPT_FOR:
            raise Collected

    def collected_before(self) -> int:
        return 0

    def add_commit(
        self,
        branch: str,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        self._move(branch, record.parent, record.id, uploads, since)

    def amend_commit(
        self,
        branch: str,
        replaced: SnapshotId,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        self._move(branch, replaced, record.id, uploads, since)

    def _move(
        self,
        branch: str,
        expected: SnapshotId | None,
        target: SnapshotId,
        uploads: Uploads | None,
        since: Moment | None,
    ) -> None:
        # First the wait for the disk, so that others have little time between look and put.
        self._backend.sync()
        tip, fetched = self._commit_tip(branch)
        if tip != expected:
            raise ConflictError(str(expected), str(tip))
        if uploads is not None:
            uploads.wait()
        if since is not None:
            self.check_kept(since)
        try:
            self._put_ref(_branch_key(branch), target, Update(fetched.version))
        except StorageError as error:
            # The answer to a put can be lost: look whether it was made.
            if self._has(branch, target, until=expected):
                return
            if not isinstance(error, PreconditionFailed):
                raise
            raise ConflictError(str(expected), str(self.commit_tip(branch))) from error

    def _has(self, branch: str, target: SnapshotId, *, until: SnapshotId | None) -> bool:
        """Whether the newest snapshots of a branch, from the tip to `until`, include this one."""
        try:
            for record in self.ancestry(self.branch(branch)):
                if record.id in (target, until):
                    return record.id == target
        except IcechunkError:
            pass  # the caller raises what went wrong first
        return False

    def add_detached(
        self,
        record: SnapshotRecord,
        uploads: Uploads | None = None,
        since: Moment | None = None,
    ) -> None:
        """The snapshot file alone makes it known; this only makes it durable."""
        if since is not None:
            self.check_kept(since)
        if uploads is not None:
            uploads.wait()
        self._backend.sync()

    def _put_ref(self, key: str, target: SnapshotId, mode: PutMode) -> None:
        self._backend.sync()
        self._put(key, encode_ref(target), mode, JSON)

    def _put(self, key: str, data: bytes, mode: PutMode, content_type: str | None) -> Version:
        """Put on a condition; if the answer is lost, it was made if these bytes are there."""
        try:
            return self._backend.put(key, data, mode=mode, content_type=content_type)
        except PreconditionFailed:
            raise
        except StorageError:
            with suppress(IcechunkError):
                found = self._fetch(key)
                if found is not None and found.data == data:
                    return found.version
            raise

    def config_document(self) -> dict[str, Any] | None:
        fetched = self._fetch(CONFIG)
        self._config = None if fetched is None else fetched.version
        self._config_is_known = True
        return None if fetched is None else load_config(fetched.data, where=CONFIG)

    def save_config(self, document: dict[str, Any]) -> None:
        """Store a configuration unless it changed since it was last read or stored here."""
        if not self._config_is_known:
            self.config_document()
        known, library = self._config, self._library
        try:
            if known is not None:
                backup = backup_name(CONFIG, library.now(), library.new_id(SnapshotId))
                self._backend.copy(CONFIG, f"overwritten/{backup}", version=known)
                self._backend.sync()
            mode = CREATE if known is None else Update(known)
            self._config = self._put(CONFIG, dump_config(document), mode, "application/yaml")
        except PreconditionFailed as error:
            raise ConflictError(
                message="the stored configuration has changed since the repository was opened: "
                "open it again and repeat the change",
                kind=ErrorKind.CONFIG_UPDATED,
            ) from error


def create(library: Library) -> None:
    """Point `main` of a new repository at the initial snapshot."""
    library.backend.sync()
    try:
        library.backend.put(MAIN_KEY, encode_ref(INITIAL_SNAPSHOT), mode=CREATE, content_type=JSON)
    except PreconditionFailed as error:
        raise already_there(1) from error


def _branch_key(name: str) -> str:
    return f"refs/branch.{_checked(name)}/ref.json"


def _tag_key(name: str) -> str:
    return f"refs/tag.{_checked(name)}/ref.json"


def _checked(name: str) -> str:
    if "/" in name:
        raise InvalidInputError(
            f"the name {name!r} has a '/', which spec 1 repositories cannot store",
            ErrorKind.INVALID_REF_NAME,
        )
    return name
