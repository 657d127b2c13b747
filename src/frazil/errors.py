"""Every exception that Frazil raises.

    IcechunkError (Exception)
    ├── ConflictError                    somebody else was first
    │   └── RebaseFailedError            ... and the changes do not go together
    ├── NotFoundError (KeyError)
    │   ├── NodeNotFoundError
    │   ├── SnapshotNotFoundError
    │   ├── RefNotFoundError
    │   └── RepositoryNotFoundError
    ├── AlreadyExistsError
    ├── ReadOnlyError                    session, store, storage or repository
    ├── InvalidInputError (ValueError)   the caller's argument is wrong
    ├── HookError                        a hook refused it
    ├── SessionStateError                the call does not fit the session's state
    ├── StorageError                     the place where the bytes live failed
    ├── FormatError                      a file is not what it should be
    └── InternalError                    a defect of Frazil

One class per decision that a caller can take. `kind` tells the cases of a class apart; the
codes are those of `ErrorKind` and are stable.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frazil.conflicts import Conflict
    from frazil.findings import HookFinding


class ErrorKind(StrEnum):
    """The stable code of each error case, comparable with plain strings."""

    COMMIT_CONFLICT = "commit-conflict"
    BRANCH_UPDATE_CONFLICT = "branch-update-conflict"
    CONFIG_UPDATED = "config-updated"
    REPO_INFO_UPDATED = "repo-info-updated"
    ANOTHER_REPOSITORY = "another-repository"
    UPDATE_ATTEMPTS_EXHAUSTED = "update-attempts-exhausted"
    GC_DELETES_FAILING = "gc-deletes-failing"
    REBASE_FAILED = "rebase-failed"
    NODE_NOT_FOUND = "node-not-found"
    ANCESTOR_NODE_NOT_FOUND = "ancestor-node-not-found"
    CHUNK_NOT_FOUND = "chunk-not-found"
    CHUNK_CORRUPTED = "chunk-corrupted"
    KEY_NOT_FOUND = "key-not-found"
    SNAPSHOT_NOT_FOUND = "snapshot-not-found"
    NO_SNAPSHOT_AT_TIME = "no-snapshot-at-time"
    REF_NOT_FOUND = "ref-not-found"
    BRANCH_NOT_FOUND = "branch-not-found"
    TAG_NOT_FOUND = "tag-not-found"
    REPOSITORY_NOT_FOUND = "repository-not-found"
    NODE_ALREADY_EXISTS = "node-already-exists"
    BRANCH_ALREADY_EXISTS = "branch-already-exists"
    TAG_ALREADY_EXISTS = "tag-already-exists"
    TAG_PREVIOUSLY_DELETED = "tag-previously-deleted"
    MOVE_WONT_OVERWRITE = "move-wont-overwrite"
    READ_ONLY_SESSION = "read-only-session"
    READ_ONLY_STORE = "read-only-store"
    READ_ONLY_STORAGE = "read-only-storage"
    READ_ONLY_REPOSITORY = "read-only-repository"
    INVALID_KEY = "invalid-key"
    INVALID_CHUNK_INDEX = "invalid-chunk-index"
    ZERO_LENGTH_CHUNK = "zero-length-chunk"
    INVALID_MANIFEST_SPLIT_INDEX = "invalid-manifest-split-index"
    INVALID_REF_TYPE = "invalid-ref-type"
    INVALID_REF_NAME = "invalid-ref-name"
    INVALID_SNAPSHOT_ID = "invalid-snapshot-id"
    INVALID_PATH = "invalid-path"
    BAD_KEY_PREFIX = "bad-key-prefix"
    BAD_METADATA = "bad-metadata"
    BAD_PREFIX = "bad-prefix"
    NOT_AN_ARRAY = "not-an-array"
    NOT_A_GROUP = "not-a-group"
    INVALID_BYTE_RANGE = "invalid-byte-range"
    INVALID_COMMIT_CONFIGURATION = "invalid-commit-configuration"
    INVALID_ARRAY_METADATA = "invalid-array-metadata"
    INVALID_FEATURE_FLAG = "invalid-feature-flag"
    INVALID_RETENTION_POLICY = "invalid-retention-policy"
    NO_RETENTION_POLICY = "no-retention-policy"
    INVALID_VIRTUAL_REF = "invalid-virtual-ref"
    INVALID_CREDENTIALS = "invalid-credentials"
    NO_CONTAINER_FOR_VIRTUAL_CHUNK = "no-container-for-virtual-chunk"
    UNAUTHORIZED_VIRTUAL_CHUNK_CONTAINER = "unauthorized-virtual-chunk-container"
    EMPTY_PREFIX_CREATION = "empty-prefix-creation"
    PARENT_DIRECTORY_NOT_CLEAN = "parent-directory-not-clean"
    BAD_SNAPSHOT_CHAIN_FOR_DIFF = "bad-snapshot-chain-for-diff"
    COMMIT_NOT_ALLOWED = "commit-not-allowed"
    MERGE_NOT_ALLOWED = "merge-not-allowed"
    CANNOT_FORK_READ_ONLY_SESSION = "cannot-fork-read-only-session"
    REARRANGE_SESSION_ONLY = "rearrange-session-only"
    NON_REARRANGE_SESSION = "non-rearrange-session"
    MOVE_INTO_SELF_OR_DESCENDANT = "move-into-self-or-descendant"
    MOVE_DESTINATION_PARENT_MISSING = "move-destination-parent-missing"
    MOVE_DESTINATION_PARENT_NOT_GROUP = "move-destination-parent-not-group"
    NO_CHANGES_TO_COMMIT = "no-changes-to-commit"
    NO_AMEND_FOR_INITIAL_COMMIT = "no-amend-for-initial-commit"
    NOT_ON_BRANCH = "not-on-branch"
    NO_SNAPSHOT = "no-snapshot"
    CANNOT_DELETE_MAIN = "cannot-delete-main"
    UNCOMMITTED_CHANGES = "uncommitted-changes"
    MERGE_FAILED = "merge-failed"
    NOT_ALLOWED = "not-allowed"
    UNIMPLEMENTED = "unimplemented"
    REBASE_TX_LOG_PRUNED = "rebase-tx-log-pruned"
    FEATURE_FLAG_DISABLED = "feature-flag-disabled"
    TAG_ERROR = "tag-error"
    INVALID_REPOSITORY_MIGRATION = "invalid-repository-migration"
    OBJECT_NOT_FOUND = "object-not-found"
    OBJECT_STORE = "object-store"
    IO = "io"
    STORAGE_CONFIG = "storage-config"
    CANNOT_PARSE_URL = "cannot-parse-url"
    BAD_REDIRECT = "bad-redirect"
    SEMAPHORE_ACQUIRE = "semaphore-acquire"
    THROTTLED = "throttled"
    STORAGE_OTHER = "storage-other"
    VIRTUAL_CHUNK_FETCH = "virtual-chunk-fetch"
    VIRTUAL_CHUNK_MODIFIED = "virtual-chunk-modified"
    INVALID_OBJECT_SIZE = "invalid-object-size"
    SERIALIZATION = "serialization"
    DESERIALIZATION = "deserialization"
    CONFIG_DESERIALIZATION = "config-deserialization"
    INVALID_FILE_FORMAT = "invalid-file-format"
    UNSUPPORTED_SPEC_VERSION = "unsupported-spec-version"
    UNSUPPORTED_OPERATION_FOR_VERSION = "unsupported-operation-for-version"
    SNAPSHOT_TIMESTAMP = "snapshot-timestamp"
    DUPLICATE_SNAPSHOT_ID = "duplicate-snapshot-id"
    MANIFEST_INFO_NOT_FOUND = "manifest-info-not-found"
    CONCURRENCY = "concurrency"
    FLUSH = "flush"
    PARTIAL_VALUES_PANIC = "partial-values-panic"
    CONFLICTING_PATH_NOT_FOUND = "conflicting-path-not-found"
    INCONSISTENT_MANIFESTS = "inconsistent-manifests"
    POISON_LOCK = "poison-lock"
    PICKLE = "pickle"
    HOOK_REFUSED = "hook-refused"
    INVALID_HOOK = "invalid-hook"
    UNKNOWN = "unknown"


class IcechunkError(Exception):
    """Base of all errors of this package.

    `message` is the text, `kind` one of the codes of `ErrorKind`.
    """

    def __init__(self, message: str, kind: str | None = None) -> None:
        super().__init__(message)
        self._message = message
        self._kind = str(kind) if kind is not None else ErrorKind.UNKNOWN.value

    @property
    def message(self) -> str:
        """The text."""
        return self._message

    @property
    def kind(self) -> str:
        """The code of the case, one of `ErrorKind`."""
        return self._kind

    def __str__(self) -> str:
        # KeyError, a base of some subclasses, would show the repr of the text.
        return self._message

    def __repr__(self) -> str:
        return f"frazil.{type(self).__name__}(message={self._message!r}, kind={self._kind!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__.copy())


def _rebuild(cls: type[IcechunkError], state: dict[str, Any]) -> IcechunkError:
    error = cls.__new__(cls, state["_message"])
    error.args = (state["_message"],)
    error.__dict__.update(state)
    return error


class ConflictError(IcechunkError):
    """A reference moved between reading it and writing it.

    `expected_parent` and `actual_parent` are snapshot ids, or None where unknown.
    """

    def __init__(
        self,
        expected_parent: str | None = None,
        actual_parent: str | None = None,
        message: str | None = None,
        kind: str | None = None,
    ) -> None:
        if message is None:
            message = (
                f"Failed to commit, expected parent: {_option(expected_parent)}, "
                f"actual parent: {_option(actual_parent)}"
            )
        super().__init__(message, kind or ErrorKind.COMMIT_CONFLICT)
        self._expected_parent = expected_parent
        self._actual_parent = actual_parent

    @property
    def expected_parent(self) -> str | None:
        """The snapshot that the reference was expected to point to."""
        return self._expected_parent

    @property
    def actual_parent(self) -> str | None:
        """The snapshot that it points to."""
        return self._actual_parent


def _option(value: str | None) -> str:
    return "None" if value is None else f'Some("{value}")'


class RebaseFailedError(ConflictError):
    """The changes of a session, merge, cherry-pick or revert do not go with those of `snapshot`.

    See `conflicts`.
    """

    def __init__(self, snapshot: str, conflicts: list[Conflict]) -> None:
        self._snapshot = snapshot
        self._conflicts = conflicts
        super().__init__(message=self._text("Rebase"), kind=ErrorKind.REBASE_FAILED)

    @classmethod
    def of(cls, what: str, snapshot: str, conflicts: list[Conflict]) -> RebaseFailedError:
        """The error of something else than a rebase, such as "Merge"."""
        error = cls(snapshot, conflicts)
        error._message = error._text(what)
        error.args = (error._message,)
        return error

    def _text(self, what: str) -> str:
        count = len(self._conflicts)
        return f"{what} failed on snapshot {self._snapshot}: {count} conflicts found"

    @property
    def snapshot(self) -> str:
        """The commit that cannot be brought together with the changes."""
        return self._snapshot

    @property
    def conflicts(self) -> list[Conflict]:
        """What stands against it."""
        return self._conflicts


class HookError(IcechunkError):
    """Hooks refused what was to be done, and nothing was: see `findings`."""

    def __init__(self, what: str, findings: list[HookFinding]) -> None:
        shown = "; ".join(map(str, findings[:3]))
        more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
        super().__init__(f"{what} was refused: {shown}{more}", ErrorKind.HOOK_REFUSED)
        self._what = what
        self._findings = findings

    @property
    def what(self) -> str:
        """What was to be done, such as `commit to branch 'main'`."""
        return self._what

    @property
    def findings(self) -> list[HookFinding]:
        """What each hook says is wrong, and where."""
        return self._findings


class NotFoundError(IcechunkError, KeyError):
    """Something that was asked for by name does not exist."""


class NodeNotFoundError(NotFoundError):
    """No such group, array, chunk or store key."""


class SnapshotNotFoundError(NotFoundError):
    """No such snapshot in this repository, or none at the given time."""


class RefNotFoundError(NotFoundError):
    """No such branch or tag."""


class RepositoryNotFoundError(NotFoundError):
    """The storage holds no repository."""


class AlreadyExistsError(IcechunkError):
    """The name is taken."""


class ReadOnlyError(IcechunkError):
    """The session, store, storage or repository does not take writes."""


class InvalidInputError(IcechunkError, ValueError):
    """An argument cannot be used as it is."""


class SessionStateError(IcechunkError):
    """The operation does not fit the state or mode of the session."""


class StorageError(IcechunkError):
    """Reading from or writing to the storage failed."""


class FormatError(IcechunkError):
    """A file of the repository is damaged, or of a version that is not understood."""


class InternalError(IcechunkError):
    """Frazil broke one of its own rules; please report it."""
