"""Bringing the changes between two snapshots to a branch that went on elsewhere.

    merge        base: the common ancestor      target: the tip of the source
    cherry_pick  base: the commit's parent      target: the commit
    revert       base: the commit               target: its parent

In each case what leads from base to target is put on top of what leads from base to the tip
of the branch, as a rebase puts a session's changes on top of commits, and committed. Nothing
is written before all conflicts are settled, and chunks never are: their references are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from frazil.conflicts import (
    Conflict,
    ConflictSolver,
    ConflictType,
    MetadataMergeSolver,
    ThreeWay,
    VersionSelection,
)
from frazil.engine.commit import pause
from frazil.engine.difference import changes_between
from frazil.engine.rebase import step, three_chunks
from frazil.engine.ref_changes import MERGE, Purpose, RefChange, observed
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.squash import add_on_top
from frazil.engine.workspace import Workspace
from frazil.errors import ConflictError, ErrorKind, InvalidInputError, RebaseFailedError
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.library.files import Library
from frazil.model.conflicts import Found
from frazil.model.descent import MERGE_PARENTS, common_ancestor, with_own
from frazil.model.moments import Moment
from frazil.model.refs import no_snapshot
from frazil.model.snapshot_diff import leave_out_agreed
from frazil.model.solving import Sides, Unsettled, orders_appends
from frazil.storage.pool import map_parallel

DEFAULT_SOLVER = MetadataMergeSolver(
    on_chunk_conflict=VersionSelection.Fail,
    fail_on_delete_of_updated_array=True,
    fail_on_delete_of_updated_group=True,
)
VALUES_SHOWN = 100
"""Chunks of one conflict of which the values are read."""
TRIES = 100
LOST_RACES = (
    ErrorKind.COMMIT_CONFLICT,
    ErrorKind.BRANCH_UPDATE_CONFLICT,
    ErrorKind.REPO_INFO_UPDATED,
)
"""Also one against a collection of garbage."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be committed to a branch, and how."""

    core: RepositoryCore
    branch: str
    message: str
    metadata: dict[str, Any]
    solver: ConflictSolver
    what: str
    purpose: Purpose = MERGE

    def run(self, attempt: Callable[[SnapshotId, Moment], SnapshotId]) -> SnapshotId:
        """The result of `attempt`, given the branch's tip and when it was that, once nobody is
        faster.
        """
        self.core.check_writable()
        for failures in range(TRIES):
            try:
                tip = self.core.catalog.commit_tip(self.branch)
                return attempt(tip, self.core.catalog.moment())
            except ConflictError as error:
                if error.kind not in LOST_RACES or failures + 1 == TRIES:
                    raise
                time.sleep(pause(failures))
        raise AssertionError

    def apply(
        self,
        base: SnapshotId,
        target: SnapshotId,
        tip: SnapshotId,
        since: Moment,
        *,
        allow_empty: bool,
    ) -> SnapshotId:
        """Commit what leads from `base` to `target` on top of the tip of the branch.

        Raises `RebaseFailedError` with all conflicts that the solver leaves, and
        `SnapshotNotFoundError` for a snapshot that is not listed any more.
        """
        library, listed = self.core.library, self.core.catalog.lookup()
        for id_ in (base, target):
            if listed(id_) is None:
                raise no_snapshot(id_)
        before, after, latest = map_parallel(library.snapshot, [base, target, tip])
        mine, my_moves = changes_between(library, before, after)
        theirs, their_moves = changes_between(library, before, latest)
        leave_out_agreed(mine, theirs, before.nodes, ordered=orders_appends(self.solver))
        session = self.core.session_with(mine, base, self.branch, since, [base, target])
        workspace = session.workspace
        if my_moves:
            kind = ConflictType.MoveOperationCannotBeRebased
            left = [Unsettled(Found(Conflict(kind, move.from_path))) for move in my_moves]
        elif mine.is_empty():
            workspace.rebase_onto(latest)
            left = []
        else:
            log = theirs.log(tip, their_moves)
            left = step(workspace, latest, [log], self.solver, strict=True)
        if left:
            conflicts = [_described(workspace, latest, item) for item in left]
            raise RebaseFailedError.of(self.what, str(tip), conflicts)
        return session.commit(
            self.message,
            self.metadata,
            rebase_with=None,
            rebase_tries=0,
            allow_empty=allow_empty,
            purpose=self.purpose,
        )


def merge(task: Task, source: SnapshotId, *, fast_forward: bool) -> SnapshotId:
    """Merge a snapshot into a branch; returns the branch's new tip, or its old one.

    Nothing happens if the branch has the snapshot in its history already. fast_forward: only
    move the branch if it has nothing that the snapshot does not have.
    """
    core, catalog = task.core, task.core.catalog
    merged = replace(task, metadata=with_own(task.metadata, **{MERGE_PARENTS: [str(source)]}))

    def attempt(tip: SnapshotId, since: Moment) -> SnapshotId:
        listed = catalog.lookup()
        if listed(source) is None:
            raise no_snapshot(source)
        base = common_ancestor(listed, tip, source)
        if base is None:
            raise InvalidInputError(
                f"{source} and the branch {task.branch!r} have no common ancestor",
                ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
            )
        if base == source:
            return tip
        if base == tip and fast_forward:
            forward = Purpose("merge", "fast-forward")
            change = RefChange(forward, task.branch, tip, source, source, task.message)
            with observed(core.observer, change):
                catalog.reset_branch(task.branch, source, tip)
            return source
        if base == tip:
            return add_on_top(core, task.branch, tip, source, since, task.message, merged.metadata)
        return merged.apply(base, source, tip, since, allow_empty=True)

    return merged.run(attempt)


def cherry_pick(task: Task, commit: SnapshotRecord) -> SnapshotId:
    """Commit to a branch what one commit changed of its parent."""
    parent = _parent(task.core, commit)
    purpose = Purpose("commit", "cherry-pick")
    metadata = with_own(task.metadata, cherry_picked=str(commit.id))
    own = replace(task, metadata=metadata, purpose=purpose)
    return own.run(lambda tip, since: own.apply(parent, commit.id, tip, since, allow_empty=False))


def revert(task: Task, commit: SnapshotRecord) -> SnapshotId:
    """Commit to a branch what undoes one of its commits."""
    parent = _parent(task.core, commit)
    metadata = with_own(task.metadata, reverted=str(commit.id))
    own = replace(task, metadata=metadata, purpose=Purpose("commit", "revert"))

    def attempt(tip: SnapshotId, since: Moment) -> SnapshotId:
        if all(record.id != commit.id for record in task.core.catalog.ancestry(tip)):
            raise InvalidInputError(
                f"cannot revert {commit.id}: it is not in the history of {task.branch!r}",
                ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
            )
        return own.apply(commit.id, parent, tip, since, allow_empty=False)

    return own.run(attempt)


def _parent(core: RepositoryCore, commit: SnapshotRecord) -> SnapshotId:
    """The snapshot that the commit was made on."""
    if commit.parent is None:
        why = "does not exist"
    elif commit.pruned or (core.spec == 1 and _is_cut_off(core.library, commit)):
        why = "has expired"
    else:
        return commit.parent
    raise InvalidInputError(
        f"what commit {commit.id} changed cannot be told: the snapshot before it {why}",
        ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
    )


def _is_cut_off(library: Library, commit: SnapshotRecord) -> bool:
    """Whether a commit differs from its parent in more nodes than its log tells of.

    In spec 1 nothing else says that the parent is not the one it was made on.
    """
    assert commit.parent is not None
    before, after = map_parallel(library.snapshot, [commit.parent, commit.id])
    changes, _ = changes_between(library, before, after)
    found, log = changes.log(commit.id), library.transaction_log(commit.id)
    return not _nodes_of(found) <= _nodes_of(log)


def _nodes_of(log: TransactionLog) -> frozenset[NodeId]:
    groups = log.new_groups | log.deleted_groups | log.updated_groups
    arrays = log.new_arrays | log.deleted_arrays | log.updated_arrays
    return groups | arrays | log.updated_chunks.keys()


def _described(workspace: Workspace, theirs: Snapshot, item: Unsettled) -> Conflict:
    """A conflict with the values that both sides have."""
    conflict = item.found.conflict
    return replace(conflict, values=tuple(_values(workspace, theirs, item)))


def _values(workspace: Workspace, theirs: Snapshot, item: Unsettled) -> Iterator[ThreeWay]:
    path, id_ = item.found.conflict.path, item.found.node
    mine, nodes = workspace.changes, theirs.nodes
    if item.keys:
        for key in item.keys:
            yield ThreeWay(path, key.base, key.ours, key.theirs, key=key.key)
    elif item.found.chunks is not None:
        assert id_ is not None
        values = three_chunks(workspace, theirs, id_, item.found.chunks)
        yield from (replace(value, path=path) for value in islice(values, VALUES_SHOWN))
    elif id_ is not None:
        sides = Sides(mine, workspace.base.nodes, nodes, workspace.spec)
        yield ThreeWay(path, *map(_parsed, sides.documents(id_)))
    elif path in mine.created:
        other = nodes.node(nodes.find(path)).user_data
        yield ThreeWay(path, None, _parsed(mine.created[path].user_data), _parsed(other))


def _parsed(data: bytes | None) -> Any:
    return None if data is None else json.loads(data)
