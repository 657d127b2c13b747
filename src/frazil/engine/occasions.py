"""What happens to branches and tags, for those who watch it: hooks, see `frazil.hooks`.

A watcher is asked before, and may refuse with an error; it is told after. Nobody watches unless
`RepositoryCore.watch` is set, and then a commit takes as many requests as without.
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
class Occasion:
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


class Watch(Protocol):
    """Somebody who is asked and told."""

    def cares(self, occasion: Occasion) -> bool:
        """Whether there is anybody to be asked before it."""

    def before(self, occasion: Occasion) -> None:
        """Raise an error if it must not happen."""

    def after(self, occasion: Occasion) -> None:
        """Take notice."""


@contextmanager
def watched(watch: Watch | None, occasion: Occasion) -> Iterator[Callable[[SnapshotId], None]]:
    """Ask before the block; tell after it, unless it raises.

    Within, the function that is returned is given the target once it is known.
    """
    found = [occasion]

    def know(target: SnapshotId) -> None:
        found[0] = replace(occasion, target=target, shown=target)

    if watch is not None and watch.cares(occasion):
        watch.before(occasion)
    yield know
    if watch is not None:
        watch.after(found[0])


class Approval:
    """What a watcher says to one commit of a session, which may take several tries.

    The watcher is asked without the session's lock, so that it cannot wait for itself when it
    uses the session. If the session is another one after that, nothing is committed.
    """

    def __init__(
        self,
        watch: Watch,
        purpose: Purpose,
        ref: str,
        workspace: Workspace,
        message: str,
        metadata: Mapping[str, Any],
        store: Callable[[], SnapshotId],
    ) -> None:
        self._watch = watch
        self._workspace = workspace
        self._occasion = Occasion(
            purpose, ref, None, None, workspace, message, metadata, store=store
        )

    def ask(self) -> None:
        """Before a try: after a rebase the tree may be another one than before."""
        workspace = self._workspace
        self._occasion = replace(self._occasion, previous=workspace.snapshot_id)
        if not self._watch.cares(self._occasion):
            return
        mark = workspace.changes.mark()
        with workspace.lock.released():
            self._watch.before(self._occasion)
        if workspace.read_only or workspace.changes.mark() != mark:
            raise SessionStateError(
                "the session was changed while hooks looked at it: change it before the commit",
                ErrorKind.HOOK_REFUSED,
            )

    def tell(self, target: SnapshotId) -> None:
        """After the try that succeeded."""
        self._watch.after(replace(self._occasion, target=target, shown=target, store=None))
