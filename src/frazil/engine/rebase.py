"""Moving a session's changes onto commits that were there first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.conflicts import UNSOLVED, CallbackSolver, ConflictSolver, ThreeWay
from frazil.engine.difference import changes_between
from frazil.engine.lineage import line_since
from frazil.engine.reader import ChunkReader, ref_length
from frazil.engine.sources.reading import Chunk
from frazil.engine.workspace import Workspace
from frazil.errors import (
    ErrorKind,
    InvalidInputError,
    RebaseFailedError,
    SessionStateError,
    StorageError,
)
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Node, NodeTable, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.changes import UNEDITED
from frazil.model.conflicts import Found, detect
from frazil.model.solving import (
    Resolution,
    Sides,
    Unsettled,
    is_strict,
    of_chunks,
    put_onto,
    resolve,
)
from frazil.storage.pool import map_parallel
from frazil.telemetry import span

Coords = tuple[int, ...]


def rebase(workspace: Workspace, catalog: Catalog, branch: str, solver: ConflictSolver) -> None:
    """Make the tip of the branch the base of the workspace's changes.

    The commits in between are checked oldest first; a commit that was put in the place of the
    base, by amending or squashing, counts as what it changed of it. Raises `RebaseFailedError`
    at the first with a conflict that the solver leaves; the workspace stays on the last one
    that fits.
    """
    with span("frazil.rebase", branch=branch):
        _rebase(workspace, catalog, branch, solver)


def _rebase(workspace: Workspace, catalog: Catalog, branch: str, solver: ConflictSolver) -> None:
    library = workspace.library
    tip = catalog.commit_tip(branch)
    if tip == workspace.snapshot_id:
        return
    asked: list[Callable[[], Any]] = [
        lambda: _steps(workspace, catalog, branch, tip),
        lambda: library.snapshot(tip),
    ]
    limit = 1 if library.backend.local else len(asked)
    steps, latest = map_parallel(lambda ask: ask(), asked, limit=limit)
    workspace.changes.rebased |= not workspace.changes.is_empty()
    strict = is_strict(solver)
    if not any(_detect(workspace, log, latest, strict) for _, logs in steps for log in logs):
        # The usual case: one step, without reading the snapshots in between.
        _move(workspace, latest, Resolution())
        return
    for id_, logs in steps:
        unsolved = step(workspace, library.snapshot(id_), logs, solver)
        if unsolved:
            raise RebaseFailedError(str(id_), [item.found.conflict for item in unsolved])


def step(
    workspace: Workspace,
    theirs: Snapshot,
    logs: list[TransactionLog],
    solver: ConflictSolver,
    *,
    strict: bool = False,
) -> list[Unsettled]:
    """Move the changes of a workspace onto another snapshot, unless there are conflicts.

    logs: what led from the workspace's base to that snapshot. Returns the conflicts that the
    solver leaves; if there are any, the workspace stays where it is.
    """
    strict = strict or is_strict(solver)
    found = [item for log in logs for item in _detect(workspace, log, theirs, strict)]
    asked = _Asked(workspace, theirs)
    resolution = resolve(found, solver, _sides(workspace, theirs), asked.ask)
    if not resolution.unsolved:
        asked.apply()
        _move(workspace, theirs, resolution)
    return resolution.unsolved


class _Asked:
    """What a callback says about chunks, to be done if no conflict is left at the end."""

    def __init__(self, workspace: Workspace, theirs: Snapshot) -> None:
        self._workspace = workspace
        self._theirs = theirs
        self._answers: list[tuple[NodeId, Coords, bytes | None]] = []

    def ask(self, item: Found, solver: CallbackSolver) -> Found | None:
        """Ask about each chunk of a conflict; returns those about which there is no answer."""
        assert item.node is not None
        assert item.chunks is not None
        left = np.zeros(len(item.chunks), np.bool_)
        values = three_chunks(self._workspace, self._theirs, item.node, item.chunks)
        for i, value in enumerate(values):
            answer = solver.callback(replace(value, path=item.conflict.path))
            if answer is UNSOLVED:
                left[i] = True
            elif answer is not None and not (isinstance(answer, bytes) and answer):
                raise InvalidInputError(
                    f"the callback returned {answer!r} for chunk {value.chunk} of "
                    f"{item.conflict.path}: expected its encoded bytes, None or UNSOLVED",
                    ErrorKind.ZERO_LENGTH_CHUNK,
                )
            else:
                assert value.chunk is not None
                self._answers.append((item.node, value.chunk, answer))
        return of_chunks(item, item.chunks[left]) if left.any() else None

    def apply(self) -> None:
        """Make the answers edits of the workspace."""
        for node, coords, data in self._answers:
            ref = None if data is None else self._workspace.store_chunk(node, coords, data)
            self._workspace.changes.chunks[node].set(coords, ref)


def three_chunks(
    workspace: Workspace, theirs: Snapshot, id_: NodeId, chunks: npt.NDArray[np.uint32]
) -> Iterator[ThreeWay]:
    """The three values of chunks of one array, read one after the other."""
    reader = ChunkReader(workspace.library, workspace.writer)
    nodes = [_node(table, id_) for table in (workspace.base.nodes, theirs.nodes)]
    edits = workspace.changes.chunks[id_]

    def stored(node: Node | None, coords: Coords) -> bytes | None:
        ref = None if node is None else reader.locate(node, coords)
        if node is None or ref is None:
            return None
        return reader.read(ref, 0, ref_length(ref), Chunk(node.path, coords))

    for row in chunks.tolist():
        coords = tuple(row)
        base, other = (stored(node, coords) for node in nodes)
        edit = edits.get(coords)
        assert edit is not UNEDITED
        mine = None if edit is None else reader.read(edit, 0, ref_length(edit))
        yield ThreeWay("", base, mine, other, chunk=coords)


def _node(table: NodeTable, id_: NodeId) -> Node | None:
    row = table.find_id(id_)
    return table.node(row) if row >= 0 else None


def _sides(workspace: Workspace, theirs: Snapshot) -> Sides:
    return Sides(workspace.changes, workspace.base.nodes, theirs.nodes, workspace.spec)


def _detect(
    workspace: Workspace, log: TransactionLog, theirs: Snapshot, strict: bool
) -> list[Found]:
    return detect(workspace.changes, workspace.base.nodes, log, theirs.nodes, strict=strict)


def _steps(
    workspace: Workspace, catalog: Catalog, branch: str, tip: SnapshotId
) -> list[tuple[SnapshotId, list[TransactionLog]]]:
    """The snapshots to go over with the logs of what led to them, oldest first."""
    library = workspace.library
    line = line_since(catalog, branch, workspace.base, tip)
    steps = []
    if line.substitute is not None:
        steps.append((line.substitute.id, _replaced(workspace, line.substitute)))
    logs = map_parallel(lambda record: _logs(library, record), line.commits)
    return [*steps, *zip([record.id for record in line.commits], logs, strict=True)]


def _replaced(workspace: Workspace, substitute: SnapshotRecord) -> list[TransactionLog]:
    """What the commit in the place of the base has made different.

    Its own log also tells what was in the base already, which would be in conflict with
    whatever goes on from there. Once the base has been collected that has to do.
    """
    library = workspace.library
    try:
        changes, moves = changes_between(library, workspace.base, library.snapshot(substitute.id))
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return _logs(library, substitute)
    return [replace(changes.log(substitute.id), moves=moves)]


def _logs(library: Library, record: SnapshotRecord) -> list[TransactionLog]:
    try:
        return map_parallel(library.transaction_log, [*record.pruned, record.id])
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        raise SessionStateError(
            f"the changes of commit {record.id} or of one before it are not recorded any more, "
            "so nobody can tell whether they conflict: write the changes again in a new session",
            ErrorKind.REBASE_TX_LOG_PRUNED,
        ) from error


def _move(workspace: Workspace, theirs: Snapshot, resolution: Resolution) -> None:
    """Put the changes on another base, in which their nodes may have other manifests."""
    with workspace.lock:
        put_onto(_sides(workspace, theirs), resolution)
        workspace.rebase_onto(theirs)
