"""Changes of history: several commits made one, undone, or brought to another branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frazil.ids import SnapshotId
from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.conflicts import ConflictSolver
    from frazil.engine import merging


class Merging(RepositoryBase):
    """Merging, picking, undoing and squashing commits."""

    def squash(
        self,
        branch: str,
        from_snapshot_id: str,
        message: str,
        *,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Make one commit of those after `from_snapshot_id` up to the tip of a branch.

        Returns its id. It takes their place, with all that they changed; they stay reachable by
        their ids and tags until they are collected. Sessions based on one of them can be rebased
        (spec 2). Raises `InvalidInputError` unless the snapshot is in the history of the branch
        and not its tip, `ConflictError` if the branch moves meanwhile.
        """
        from frazil.engine import squash

        after = SnapshotId.parse(from_snapshot_id)
        return str(squash.squash(self._core, branch, after, message, metadata or {}))

    squash_async = twin(squash)

    def revert(
        self,
        snapshot_id: str,
        branch: str,
        *,
        message: str | None = None,
        solver: ConflictSolver | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Undo one commit of a branch in a new one; returns the new commit's id.

        Nodes, metadata and chunks become what they were before the commit, as far as they still
        are as it left them; the rest is in conflict. Solvers see what undoes the commit as
        "ours", the branch as "theirs". Raises as `merge`.
        """
        from frazil.engine import merging

        commit = self._core.catalog.record(SnapshotId.parse(snapshot_id))
        if message is None:
            message = f'Revert "{_headline(commit.message)}"'
        return str(merging.revert(self._task("Revert", branch, message, solver, metadata), commit))

    revert_async = twin(revert)

    def merge(
        self,
        source: str,
        into: str,
        *,
        message: str | None = None,
        solver: ConflictSolver | None = None,
        metadata: dict[str, Any] | None = None,
        fast_forward: bool = False,
    ) -> str:
        """Merge the branch `source` into the branch `into`; returns the id of the new tip.

        What `source` changed since the common ancestor (nodes, metadata by key, chunks) is put
        on top of what `into` changed, as one commit, which names the tip of `source` in its
        metadata. Chunks are not copied. If `into` has all of `source`, nothing happens.

        solver: settles conflicts; it sees the changes of `source` as "ours", those of `into` as
        "theirs". Without one, a `MetadataMergeSolver` that settles nothing but metadata.
        fast_forward: just move `into` if it has no commits of its own. Raises
        `RebaseFailedError` with all conflicts that are left, and their values, or `HookError` if
        a hook refuses it; nothing is written then.
        """
        from frazil.engine import merging

        tip = self._core.catalog.branch(source)
        if message is None:
            message = f"Merge {source!r} into {into!r}"
        task = self._task("Merge", into, message, solver, metadata)
        return str(merging.merge(task, tip, fast_forward=fast_forward))

    merge_async = twin(merge)

    def cherry_pick(
        self,
        snapshot_id: str,
        branch: str,
        *,
        message: str | None = None,
        solver: ConflictSolver | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Repeat one commit on a branch; returns the new commit's id.

        message: that of the commit unless given. Solvers see the commit as "ours", the branch
        as "theirs". Raises as `merge`, and `SessionStateError` (`no-changes-to-commit`) if the
        branch has all of it.
        """
        from frazil.engine import merging

        commit = self._core.catalog.record(SnapshotId.parse(snapshot_id))
        message = commit.message if message is None else message
        task = self._task("Cherry-pick", branch, message, solver, metadata)
        return str(merging.cherry_pick(task, commit))

    cherry_pick_async = twin(cherry_pick)

    def _task(
        self,
        what: str,
        branch: str,
        message: str,
        solver: ConflictSolver | None,
        metadata: dict[str, Any] | None,
    ) -> merging.Task:
        from frazil.engine import merging

        solver = merging.DEFAULT_SOLVER if solver is None else solver
        return merging.Task(self._core, branch, message, metadata or {}, solver, what)


def _headline(message: str) -> str:
    return message.split("\n", 1)[0]
