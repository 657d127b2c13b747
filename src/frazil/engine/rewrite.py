"""Cutting the manifests of a branch's tip anew, as a commit that changes nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any, Final

import numpy as np

from frazil.engine.census import Budget
from frazil.engine.manifests import ManifestWriter, Rewritten
from frazil.engine.repository_core import RepositoryCore
from frazil.errors import ConflictError, ErrorKind
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import ManifestTable, Node, NodeKind, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import SnapshotId
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.manifest_growth import volume
from frazil.model.manifest_sharing import PART_REFS, gather
from frazil.model.moments import Collected
from frazil.model.refs import check_amendable, next_time
from frazil.progress import task
from frazil.storage.pool import map_parallel

REFS_IN_MEMORY: Final = 20_000_000
"""References of the arrays that are rewritten at the same time."""
TRIES: Final = 20

Known = dict[tuple[object, ...], Rewritten]
"""What has been written, by arrays, their shapes, and the manifests that they had."""


def rewrite_manifests(
    core: RepositoryCore, branch: str, message: str, metadata: dict[str, Any], *, amend: bool
) -> SnapshotId:
    """Cut all manifests of the branch by the configuration that applies now, and commit.

    amend: put the result in the place of the tip. Where others commit meanwhile, only the
    arrays that they changed are done again. Raises `ConflictError` if they do not stop.
    """
    catalog, library = core.catalog, core.library
    known: Known = {}
    for attempt in range(TRIES):
        tip = catalog.writable_tip(branch)
        since = catalog.moment()
        replaced = catalog.record(tip)
        if amend:
            check_amendable(tip)
        base = library.snapshot(tip)
        rewritten = _rewrite(core, base, known)
        id_ = library.new_id(SnapshotId)
        record = SnapshotRecord(
            id=id_,
            parent=replaced.parent if amend else tip,
            flushed_at=next_time(library.now(), base.flushed_at),
            message=message,
            metadata=metadata,
            pruned=replaced.pruned if amend else (),
        )
        logs = [library.transaction_log(tip)] if amend else []
        library.write_log(TransactionLog.union(logs, id=id_))
        library.write_snapshot(_snapshot(library, base, rewritten, record))
        try:
            if amend:
                assert isinstance(catalog, CatalogV2)
                catalog.amend_commit(branch, tip, record, since=since)
            else:
                catalog.add_commit(branch, record, since=since)
            return id_
        except Collected:
            known.clear()  # what was written may be gone, too
            if attempt == TRIES - 1:
                raise
        except ConflictError as error:
            if error.kind != ErrorKind.COMMIT_CONFLICT or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _rewrite(core: RepositoryCore, base: Snapshot, known: Known) -> list[Rewritten]:
    writer = ManifestWriter(core.library, core.layout)
    budget = Budget(REFS_IN_MEMORY)
    rows = np.flatnonzero(base.nodes.kind == NodeKind.ARRAY).tolist()

    def rewrite(nodes: list[Node]) -> Rewritten:
        key = tuple((node.id, node.shape, node.manifests) for node in nodes)
        if key not in known:
            with budget.held(sum(refs_of(node) for node in nodes)):
                known[key] = writer.cut_anew(nodes)
        progress.step(len(nodes))
        # The metadata of an array may have changed since it was written.
        done = zip(nodes, known[key].nodes, strict=True)
        return replace(
            known[key], nodes=tuple(replace(now, manifests=cut.manifests) for now, cut in done)
        )

    def refs_of(node: Node) -> int:
        return sum(base.manifests.get(one.id).num_refs for one in node.manifests)

    with task("Rewriting manifests", len(rows)) as progress:
        nodes = list(map(base.nodes.node, rows))
        return map_parallel(rewrite, _batches(core, nodes, base.manifests))


def _batches(core: RepositoryCore, nodes: list[Node], manifests: ManifestTable) -> list[list[Node]]:
    """The arrays one by one, but those that may share a file together."""

    def refs(node: Node) -> int:
        if core.layout(node).exact:
            return PART_REFS + 1
        return sum(
            min(volume(one.extents), manifests.get(one.id).num_refs) for one in node.manifests
        )

    files = gather([(node.id, refs(node), 0) for node in nodes])
    return [[nodes[i] for i in file] for file in files]


def _snapshot(
    library: Library, base: Snapshot, rewritten: list[Rewritten], record: SnapshotRecord
) -> Snapshot:
    arrays = [node for one in rewritten for node in one.nodes]
    rows = np.array([base.nodes.find(node.path) for node in arrays], np.intp)
    nodes = base.nodes.replace(rows, arrays)
    new = chain.from_iterable(one.new for one in rewritten)
    manifests = base.manifests.select(nodes.manifest_ids(), new)
    return library.snapshot_of(record, nodes, manifests)
