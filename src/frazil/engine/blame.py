"""Reading history backwards: who wrote the chunks of an array, where something went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from frazil.engine.history import commits_between, log_if_any
from frazil.engine.regions import Region, chunk_box
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.history import SnapshotRecord
from frazil.format.snapshot import Node
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.bisection import Search
from frazil.model.blame import Coords, Ledger
from frazil.model.overlay import inside
from frazil.progress import task
from frazil.storage.pool import map_parallel

_AT_ONCE = 32
"""Commits whose logs are read together."""


def blame(
    library: Library, catalog: Catalog, workspace: Workspace, node: Node, region: Region | None
) -> tuple[Coords, list[SnapshotRecord], Ledger]:
    """The initialised chunks, sorted, the commits that were looked at, and who wrote which.

    Logs of expired commits speak for the commit that took them over.
    """
    box = chunk_box(node, region)
    parts = [index[inside(index, box)] for index in workspace.chunk_batches(node)]
    chunks = np.concatenate([np.empty((0, len(node.shape)), np.uint32), *parts])
    chunks = chunks[np.lexsort(chunks.T[::-1])] if chunks.shape[1] else chunks
    ledger = Ledger(node.id, chunks, [count for _, count in node.shape])
    seen: list[SnapshotRecord] = []
    with task(f"Blaming {node.path}") as progress:
        for batch in _batches(catalog.ancestry(workspace.snapshot_id)):
            if ledger.is_complete:
                break
            logs = map_parallel(
                lambda record: [log_if_any(library, id_) for id_ in (record.id, *record.pruned)],
                batch,
            )
            for record, found in zip(batch, logs, strict=True):
                seen.append(record)
                for log in found:
                    if log is not None:
                        ledger.enter(len(seen) - 1, log)
                progress.step()
    return chunks, seen, ledger


def _batches(records: Iterator[SnapshotRecord]) -> Iterator[list[SnapshotRecord]]:
    while batch := list(islice(records, _AT_ONCE)):
        yield batch


def bisect(
    catalog: Catalog,
    good: SnapshotId,
    bad: SnapshotId,
    is_good: Callable[[SnapshotRecord], bool | None],
) -> list[SnapshotRecord]:
    """The commits after `good` up to `bad` of which one is the first bad one, oldest first.

    One, unless `is_good` answered None to others. Raises `InvalidInputError`
    (`bad-snapshot-chain-for-diff`) unless `good` is an ancestor of `bad`.
    """
    commits = commits_between(catalog, good, bad)
    if not commits:
        raise InvalidInputError(
            f"snapshot {good} is not in the history of {bad}: give as good what came before",
            ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF,
        )
    search = Search(-1, len(commits) - 1)
    while (number := search.next()) is not None:
        search = search.judged(number, is_good(commits[number]))
    return [commits[number] for number in search.suspects]
