"""What a hook is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from frazil.display import Displayed, Shown, record
from frazil.engine.difference import difference
from frazil.engine.history import diff_between, status
from frazil.engine.ref_changes import EventName, RefChange
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.workspace import Workspace
from frazil.errors import InvalidInputError
from frazil.findings import HookFinding
from frazil.ids import SnapshotId
from frazil.session import Session
from frazil.snapshots import Diff
from frazil.storage.api import place_of

if TYPE_CHECKING:
    import zarr

When = Literal["before", "after"]
PATHS_TOLD = 1_000
"""Of each kind of change, as many paths are told to commands and webhooks."""


Findings: TypeAlias = "Iterable[HookFinding | str] | HookFinding | str | None"
"""What a hook returns: nothing, or what is wrong."""


class HookEvent(Displayed):
    """A change of a branch or tag that is about to happen, or has happened.

    event: "commit", "merge", "tag" or "branch". action: what exactly: for commits "commit",
    "amend", "cherry-pick", "revert" or "squash"; for merges "merge" or "fast-forward"; for tags
    "create" or "delete"; for branches "create", "delete" or "reset"; "check" where a hook runs on
    request. ref: the branch or tag. previous_id: the snapshot it was at, None if there was none or
    it is not known. snapshot_id: the snapshot it is at then; None before a commit, whose id is not
    known yet, and for deletions. message, metadata: of the commit.

    What is before a commit is gone after it: take what you need of `tree` and `changes` before the
    hook returns.
    """

    _public_name = "frazil.hooks.HookEvent"

    def __init__(self, core: RepositoryCore, change: RefChange, when: When) -> None:
        self._core = core
        self._change = change
        self.when: When = when
        self.event: EventName = change.purpose.event
        self.action = change.purpose.action
        self.ref = change.ref
        self.previous_id = None if change.previous is None else str(change.previous)
        self.snapshot_id = None if change.target is None else str(change.target)
        self.message = change.message
        self.metadata: dict[str, Any] = dict(change.metadata)

    @property
    def repository(self) -> str:
        """The place of the repository: a folder's path, or a description without secrets."""
        return place_of(self._core.storage)

    @cached_property
    def tree(self) -> Session:
        """What the branch or tag shows after the event, or, if it is deleted, shows until then.

        Read-only. Before a commit it shows the session with its changes, as they would be
        committed.
        """
        core, shown = self._core, self._shown_then
        if isinstance(shown, Workspace):
            return Session((core, core.preview(shown)))
        return Session((core, core.session(shown)))

    @property
    def _shown_then(self) -> Workspace | SnapshotId:
        change, catalog = self._change, self._core.catalog
        if change.shown is not None:
            return change.shown
        if change.previous is not None:
            return change.previous
        return (catalog.tag if self.event == "tag" else catalog.branch)(self.ref)

    @cached_property
    def changes(self) -> Diff | None:
        """What is different from what the branch showed before; None for tags, new and deleted
        branches, and where a hook runs on request.
        """
        change = self._change
        if change.previous is None or change.shown is None:
            return None
        if isinstance(change.shown, Workspace):
            return status(change.shown)
        if change.shown == change.previous:
            return Diff()
        core = self._core
        try:
            return diff_between(core.library, core.catalog, change.previous, change.shown)
        except InvalidInputError:  # one is not after the other
            library = core.library
            shown = library.snapshot(change.shown)
            return difference(library, library.snapshot(change.previous), shown)

    def arrays(self) -> Iterator[tuple[str, zarr.Array[Any]]]:
        """The arrays, by path, that the event makes or changes; all if `changes` is None."""
        for path in self.changed_arrays():
            yield path, self.tree[path]  # type: ignore[misc]

    def changed_arrays(self) -> list[str]:
        """The paths of `arrays`, in order."""
        there = [node.path for node in self.tree.nodes() if node.kind == "array"]
        if self.changes is None:
            return there
        changed = self.changes.new_arrays | self.changes.updated_arrays
        changed |= self.changes._chunks.keys()
        moved = [target for _, target in self.changes.moved_nodes]
        return [p for p in there if p in changed or any(_is_under(p, m) for m in moved)]

    def stored(self) -> str:
        """The id of a snapshot that shows `tree`, which other processes can open.

        Before a commit, the changes are stored for that as a snapshot on no branch.
        """
        if self._change.store is not None:
            return str(self._change.store())
        return str(self._shown_then)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what commands and webhooks are told. Of many paths, the first ones."""
        return {
            "repository": self.repository,
            "when": self.when,
            "event": self.event,
            "action": self.action,
            "ref": self.ref,
            "snapshot_id": self.snapshot_id,
            "previous_id": self.previous_id,
            "message": self.message,
            "metadata": self.metadata,
            "changes": None if self.changes is None else _document(self.changes),
        }

    def _shown(self) -> Iterable[Shown]:
        names = ["when", "event", "action", "ref", "previous_id", "snapshot_id", "message"]
        return record(names, self)


Callback: TypeAlias = Callable[[HookEvent], Findings]
"""A hook that is a function: see `RepositoryHooks.before_commit`."""


def _is_under(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _document(changes: Diff) -> dict[str, Any]:
    chunks = {path: len(coords) for path, coords in changes._chunks.items()}
    found: dict[str, Any] = {
        name: sorted(getattr(changes, name))[:PATHS_TOLD]
        for name in (
            "new_groups",
            "new_arrays",
            "updated_groups",
            "updated_arrays",
            "deleted_groups",
            "deleted_arrays",
        )
    }
    found["moved_nodes"] = [list(move) for move in changes.moved_nodes[:PATHS_TOLD]]
    found["updated_chunks"] = dict(sorted(chunks.items())[:PATHS_TOLD])
    return found
