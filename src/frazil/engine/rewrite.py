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
from frazil.format.snapshot import Node, NodeKind, Snapshot
from frazil.format.transaction_log import TransactionLog
from frazil.ids import SnapshotId
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.refs import check_amendable, next_time
from frazil.progress import task
from frazil.storage.pool import map_parallel

REFS_IN_MEMORY: Final = 20_000_000
"""References of the arrays that are rewritten at the same time."""
TRIES: Final = 20

Known = dict[tuple[object, ...], Rewritten]
"""What has been written, by array, shape, and the manifests that it had."""


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
        library.write_snapshot(_snapshot(base, rewritten, record, library.spec))
        try:
            if amend:
                assert isinstance(catalog, CatalogV2)
                catalog.amend_commit(branch, tip, record)
            else:
                catalog.add_commit(branch, record)
            return id_
        except ConflictError as error:
            if error.kind != ErrorKind.COMMIT_CONFLICT or attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _rewrite(core: RepositoryCore, base: Snapshot, known: Known) -> list[Rewritten]:
    writer = ManifestWriter(core.library, core.split_sizes)
    budget = Budget(REFS_IN_MEMORY)
    rows = np.flatnonzero(base.nodes.kind == NodeKind.ARRAY).tolist()

    def rewrite(node: Node) -> Rewritten:
        key = node.id, node.shape, node.manifests
        if key not in known:
            refs = sum(base.manifests.get(one.id).num_refs for one in node.manifests)
            with budget.held(refs):
                known[key] = writer.cut_anew(node)
        progress.step()
        # The metadata of the array may have changed since it was written.
        return replace(known[key], node=replace(node, manifests=known[key].node.manifests))

    with task("Rewriting manifests", len(rows)) as progress:
        return map_parallel(rewrite, map(base.nodes.node, rows))


def _snapshot(
    base: Snapshot, rewritten: list[Rewritten], record: SnapshotRecord, spec: int
) -> Snapshot:
    rows = np.array([base.nodes.find(one.node.path) for one in rewritten], np.intp)
    nodes = base.nodes.replace(rows, [one.node for one in rewritten])
    new = chain.from_iterable(one.new for one in rewritten)
    return Snapshot(
        id=record.id,
        parent_id=record.parent if spec == 1 else None,
        flushed_at=record.flushed_at,
        message=record.message,
        metadata=record.metadata,
        nodes=nodes,
        manifests=base.manifests.select(nodes.manifest_ids(), new),
    )
