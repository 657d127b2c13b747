"""Sessions of a repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from frazil.ids import SnapshotId
from frazil.repository.base import RepositoryBase
from frazil.session import Session
from frazil.store import IcechunkStore
from frazil.telemetry import span
from frazil.twins import in_pool, twin

if TYPE_CHECKING:
    from frazil.conflicts import ConflictSolver


class Edit:
    """What `Repository.edit` returns: opens a session at the start of a block and commits it."""

    def __init__(
        self, open_session: Callable[[], Session], message: str, options: dict[str, Any]
    ) -> None:
        self._open = open_session
        self._message = message
        self._options = options

    def __enter__(self) -> Session:
        self._session = self._open()
        return self._session

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._session.commit(self._message, **self._options)

    async def __aenter__(self) -> Session:
        return await in_pool(self.__enter__)

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        await in_pool(self.__exit__, error)


class Sessions(RepositoryBase):
    """Views of snapshots, and changes to branches."""

    def readonly_session(
        self,
        branch: str | None = None,
        *,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
    ) -> Session:
        """A view of the snapshot that a branch, tag or id (exactly one) names.

        as_of: of a branch, the newest snapshot that is not younger than this.
        """
        with span("frazil.session") as told:
            id_ = self._core.resolve(branch, tag, snapshot_id, as_of)
            told.note(snapshot=str(id_))
            return Session((self._core, self._core.session(id_)))

    readonly_session_async = twin(readonly_session)

    def at(
        self,
        branch: str | None = None,
        *,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
    ) -> Session:
        """As `readonly_session`, of `main` by default: `repo.at(tag="v1")["array"][:10]`."""
        if branch is None and tag is None and snapshot_id is None:
            branch = "main"
        return self.readonly_session(branch, tag=tag, snapshot_id=snapshot_id, as_of=as_of)

    at_async = twin(at)

    def writable_session(self, branch: str) -> Session:
        """A session whose changes can be committed to the branch."""
        with span("frazil.session", branch=branch):
            return Session((self._core, self._core.writable_session(branch)))

    writable_session_async = twin(writable_session)

    def rearrange_session(self, branch: str) -> Session:
        """A session in which nodes are moved, and nothing else; spec 2 only (`FormatError`).

        Raises `SessionStateError` (`feature-flag-disabled`) if the repository forbids moves.
        """
        return Session((self._core, self._core.rearrange_session(branch)))

    rearrange_session_async = twin(rearrange_session)

    def resume_session(self, branch: str, snapshot_id: str) -> Session:
        """A writable session with the changes of one that was flushed, perhaps elsewhere.

        snapshot_id: what `Session.flush` returned. The session starts from the snapshot that
        the other one started from, so it is rebased if the branch has moved on. Raises
        `SessionStateError` (`not-on-branch`) if the branch does not have that snapshot.
        """
        id_ = SnapshotId.parse(snapshot_id)
        return Session((self._core, self._core.resumed_session(branch, id_)))

    resume_session_async = twin(resume_session)

    def edit(
        self,
        branch: str,
        message: str,
        *,
        metadata: dict[str, Any] | None = None,
        rebase_with: ConflictSolver | None = None,
        rebase_tries: int = 1_000,
    ) -> Edit:
        """A session that is committed at the end of the `with` block, or `async with` block.

            with repo.edit("main", "Correct the first value") as tree:
                tree["group/array"][0] = 1.5

        An exception in the block is passed on and nothing is committed. The parameters are those of
        `Session.commit`, and so are the errors.
        """
        options = {"metadata": metadata, "rebase_with": rebase_with, "rebase_tries": rebase_tries}
        return Edit(lambda: self.writable_session(branch), message, options)

    @contextmanager
    def transaction(
        self,
        branch: str,
        *,
        message: str,
        metadata: dict[str, Any] | None = None,
        rebase_with: ConflictSolver | None = None,
        rebase_tries: int = 1_000,
    ) -> Iterator[IcechunkStore]:
        """A store whose changes are committed at the end of the `with` block.

        An exception in the block is passed on and nothing is committed.
        """
        session = self.writable_session(branch)
        yield session.store
        session.commit(message, metadata, rebase_with=rebase_with, rebase_tries=rebase_tries)
