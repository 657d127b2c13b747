"""What happens to branches and tags, for those who observe it: hooks, see `frazil.hooks`.

An observer is asked before, and may refuse with an error; it is told after. There is none unless
`RepositoryCore.observer` is set, and then a commit takes as many requests as without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, SessionStateError
from frazil.ids import SnapshotId

EventName = Literal["commit", "merge", "tag", "branch"]


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a commit is made for: the event that it is, and what is done in detail."""

    event: EventName = "commit"
    action: str = "commit"


COMMIT = Purpose()
MERGE = Purpose("merge", "merge")


@dataclass(frozen=True, slots=True)
class RefChange:
    """A branch or tag is about to change, or has changed.

    previous: where it was, None if it is new or that is not known. target: where it goes; None
    before that is known, and where it is deleted. shown: what it will show; None for what
    `previous` does.
    """

    purpose: Purpose
    ref: str
    previous: SnapshotId | None
    target: SnapshotId | None
    shown: Workspace | SnapshotId | None
    message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    store: Callable[[], SnapshotId] | None = None
    """Stores what is to be committed as a snapshot on no branch, and returns its id."""


class Observer(Protocol):
    """Somebody who is asked and told."""

    def cares(self, change: RefChange) -> bool:
        """Whether there is anybody to be asked before it."""

    def before(self, change: RefChange) -> None:
        """Raise an error if it must not happen."""

    def after(self, change: RefChange) -> None:
        """Take notice."""


@contextmanager
def observed(
    observer: Observer | None, change: RefChange
) -> Iterator[Callable[[SnapshotId], None]]:
    """Ask before the block; tell after it, unless it raises.

    Within, the function that is returned is given the target once it is known.
    """
    found = [change]

    def know(target: SnapshotId) -> None:
        found[0] = replace(change, target=target, shown=target)

    if observer is not None and observer.cares(change):
        observer.before(change)
    yield know
    if observer is not None:
        observer.after(found[0])


class Approval:
    """What an observer says to one commit of a session, which may take several tries.

    The observer is asked without the session's lock, so that it cannot wait for itself when it
    uses the session. If the session is another one after that, nothing is committed.
    """

    def __init__(
        self,
        observer: Observer,
        purpose: Purpose,
        ref: str,
        workspace: Workspace,
        message: str,
        metadata: Mapping[str, Any],
        store: Callable[[], SnapshotId],
    ) -> None:
        self._observer = observer
        self._workspace = workspace
        self._change = RefChange(
            purpose, ref, None, None, workspace, message, metadata, store=store
        )

    def ask(self) -> None:
        """Before a try: after a rebase the tree may be another one than before."""
        workspace = self._workspace
        self._change = replace(self._change, previous=workspace.snapshot_id)
        if not self._observer.cares(self._change):
            return
        mark = workspace.changes.mark()
        with workspace.lock.released():
            self._observer.before(self._change)
        if workspace.read_only or workspace.changes.mark() != mark:
            raise SessionStateError(
                "the session was changed while hooks looked at it: change it before the commit",
                ErrorKind.HOOK_REFUSED,
            )

    def tell(self, target: SnapshotId) -> None:
        """After the try that succeeded."""
        self._observer.after(replace(self._change, target=target, shown=target, store=None))
