"""Making versions refer to chunks where they have been moved to.

The tip of a branch gets a commit that changes nothing else, so that sessions that began before
come after it as after any commit. Older snapshots, which nobody commits on top of, keep their
ids: their files are replaced by ones that name other manifests. Manifests and chunks are stored
before, and the old ones stay until they are collected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from frazil.engine.collection.incremental import KEY as COLLECTION
from frazil.engine.repacking.survey import Parts, parts_of
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.survival import going
from frazil.errors import ConflictError, ErrorKind, StorageError
from frazil.format.history import SnapshotRecord
from frazil.format.manifest import Manifest
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import ManifestInfo, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.library.files import Library
from frazil.model.moments import Collected, Moment
from frazil.model.refs import next_time
from frazil.model.relocation import Moved, refer_to
from frazil.progress import task
from frazil.storage.pool import map_parallel

TRIES: Final = 20
_SNAPSHOTS_AT_ONCE: Final = 32
_MANIFESTS_AT_ONCE: Final = 8

New = dict[ManifestId, ManifestInfo]
"""New manifests by those in the place of which they are."""


class Relocator:
    """Writes the manifests that speak of chunks that have moved, each once."""

    def __init__(
        self, core: RepositoryCore, moved: Moved, since: Moment, versions: Sequence[SnapshotId]
    ) -> None:
        """since: before it was looked what is stored; versions: what of it may be kept for."""
        self._core = core
        self._library = core.library
        self._moved = moved
        self._versions = versions
        self.since = since
        self._known: dict[ManifestId, tuple[frozenset[NodeId], ManifestInfo | None]] = {}

    def manifests(self, parts: Parts) -> New:
        """What is to be in the place of these manifests, of which these arrays are needed."""
        missing = [
            id_ for id_, nodes in parts.items() if not nodes <= self._known.get(id_, _NOTHING)[0]
        ]
        map_parallel(lambda id_: self._write(id_, parts[id_]), missing, limit=_MANIFESTS_AT_ONCE)
        found = {id_: self._known[id_][1] for id_ in parts}
        return {id_: info for id_, info in found.items() if info is not None}

    def look_again(self) -> None:
        """After a collection: see whether the new objects are there, and write manifests anew.

        Raises `Collected` if any is gone, or about to go.
        """
        core = self._core
        self.since = core.catalog.new_moment()
        objects = np.unique(sort_keys(self._moved.object))
        lost = going(core.library, core.catalog, objects, self._versions)
        if lost:
            raise Collected(
                f"a collection of garbage, which spared less than this took, has deleted {lost} of "
                f"{len(objects)} objects that chunks were moved to, or is about to; nothing that "
                "is needed is lost: repack again"
            )
        self._known.clear()

    def _write(self, id_: ManifestId, nodes: frozenset[NodeId]) -> None:
        nodes |= self._known.get(id_, _NOTHING)[0]
        arrays = self._library.manifest(id_).arrays
        moved = {
            node: new
            for node, refs in arrays.items()
            if node in nodes and (new := self._moved.apply(refs)) is not None
        }
        info = None
        if moved:
            # Of arrays that have left a shared file nothing is taken along.
            kept = {node: refs for node, refs in arrays.items() if node in nodes}
            manifest = Manifest(self._library.new_id(ManifestId), kept | moved)
            info = self._library.write_manifest(manifest)
        self._known[id_] = nodes, info


_NOTHING: tuple[frozenset[NodeId], None] = frozenset(), None


@dataclass(frozen=True, slots=True)
class Note:
    """What a commit says."""

    message: str
    metadata: dict[str, Any]


def commit(
    core: RepositoryCore,
    branch: str,
    relocator: Relocator,
    note: Note,
    at: frozenset[SnapshotId] = frozenset(),
) -> SnapshotId | None:
    """Put the tip of a branch on the new places, as a commit that changes nothing else.

    What others commit meanwhile is under it. None if the tip needs nothing that has moved, and is
    none of the snapshots `at`. Raises `ConflictError` if others do not stop.
    """
    catalog, library = core.catalog, core.library
    for attempt in range(TRIES):
        tip = catalog.writable_tip(branch)
        base = library.snapshot(tip)
        new = relocator.manifests(parts_of(base))
        if not new and tip not in at:
            return None
        id_ = library.new_id(SnapshotId)
        record = SnapshotRecord(
            id=id_,
            parent=tip,
            flushed_at=next_time(library.now(), base.flushed_at),
            message=note.message,
            metadata=note.metadata,
            pruned=(),
        )
        nodes, manifests = base.nodes, base.manifests
        if new:
            nodes, manifests = refer_to(nodes, manifests, new)
        library.write_log(TransactionLog.union([], id=id_))
        library.write_snapshot(library.snapshot_of(record, nodes, manifests))
        try:
            catalog.add_commit(branch, record, since=relocator.since)
            return id_
        except Collected:
            if attempt == TRIES - 1:
                raise
            relocator.look_again()
        except ConflictError as error:
            if error.kind != ErrorKind.COMMIT_CONFLICT or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def rewrite_older(
    core: RepositoryCore, ids: Sequence[SnapshotId], relocator: Relocator, note: Note
) -> tuple[int, dict[str, str]]:
    """Replace the files of those of these snapshots that need what has moved; returns how many.

    ids: the newest first. The oldest are done first: what is left after an interruption is
    surveyed in the order in which it was, and finds its new objects. A snapshot that a branch is
    at is left alone: somebody may commit on top of what it was. A branch that comes to be at one
    meanwhile gets a commit, as every tip does; these are returned as well.
    """
    library, count = core.library, 0
    commits: dict[str, str] = {}
    library.backend.sync()
    with task("Rewriting snapshots", len(ids)) as progress:
        for batch in _batches(list(reversed(ids))):
            tips = set(core.catalog.branches().values())
            try:
                core.catalog.check_kept(relocator.since)
            except Collected:
                relocator.look_again()
            wanted = [id_ for id_ in batch if id_ not in tips]
            old = map_parallel(lambda id_: _stored(library, id_), wanted)
            changed = [
                snapshot
                for snapshot in old
                if snapshot is not None and relocator.manifests(parts_of(snapshot))
            ]
            if changed:
                library.backend.sync()
                map_parallel(lambda one: _replace(relocator, library, one), changed)
                library.backend.sync()
                count += len(changed)
                done = frozenset(snapshot.id for snapshot in changed)
                for branch, tip in core.catalog.branches().items():
                    if tip in done:
                        library.forget_snapshots()
                        commits[branch] = str(commit(core, branch, relocator, note, done))
            progress.step(len(batch))
    if count:
        library.forget_snapshots()
        # What snapshots that no collection has counted needed before, only a full one finds.
        library.backend.delete([COLLECTION])
    return count, commits


def _stored(library: Library, id_: SnapshotId) -> Snapshot | None:
    try:
        return library.read_snapshot(id_)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None  # it has expired, and was collected in this moment


def _replace(relocator: Relocator, library: Library, snapshot: Snapshot) -> None:
    def moved(now: Snapshot) -> Snapshot | None:
        new = relocator.manifests(parts_of(now))
        if not new:
            return None  # another repack has just done it
        nodes, manifests = refer_to(now.nodes, now.manifests, new)
        return replace(now, nodes=nodes, manifests=manifests)

    if library.spec == 1:
        # An expiration may give it another parent in this moment.
        library.replace_snapshot(snapshot.id, moved)
    elif (after := moved(snapshot)) is not None:
        library.write_snapshot(after)


def _batches(ids: list[SnapshotId]) -> Iterator[list[SnapshotId]]:
    for start in range(0, len(ids), _SNAPSHOTS_AT_ONCE):
        yield ids[start : start + _SNAPSHOTS_AT_ONCE]
