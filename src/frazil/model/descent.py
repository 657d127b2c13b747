"""Lines of descent where merges join them: from parents, and from what was merged.

The file format knows one parent of a snapshot. The other parents of a merge are in the
commit's metadata, `{"frazil": {"merge_parents": [id, ...]}}`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

from frazil.errors import InvalidInputError
from frazil.format.history import SnapshotRecord
from frazil.ids import SnapshotId

OWN_KEY = "frazil"
"""The key of a commit's metadata with what Frazil says of it."""
MERGE_PARENTS = "merge_parents"

Lookup = Callable[[SnapshotId], SnapshotRecord | None]
"""A snapshot's record, None if it is not known any more."""


def merge_parents(metadata: dict[str, Any]) -> tuple[SnapshotId, ...]:
    """The snapshots that a commit with this metadata has merged; whatever is none is skipped."""
    own = metadata.get(OWN_KEY)
    ids = own.get(MERGE_PARENTS) if isinstance(own, dict) else None
    found = []
    for text in ids if isinstance(ids, list) else []:
        try:
            found.append(SnapshotId.parse(str(text)))
        except InvalidInputError:
            continue
    return tuple(found)


def with_own(metadata: dict[str, Any] | None, **values: Any) -> dict[str, Any]:
    """Commit metadata with values of Frazil's own beside those that the caller has there."""
    return joined(metadata or {}, OWN_KEY, values)


def joined(metadata: dict[str, Any], key: str, values: dict[str, Any]) -> dict[str, Any]:
    """The metadata with these values under a key, beside those that are there."""
    there = metadata.get(key)
    return metadata | {key: (there if isinstance(there, dict) else {}) | values}


def parents(record: SnapshotRecord) -> Iterator[SnapshotId]:
    """All parents, the one of the format first."""
    if record.parent is not None:
        yield record.parent
    yield from merge_parents(record.metadata)


def common_ancestor(lookup: Lookup, one: SnapshotId, other: SnapshotId) -> SnapshotId | None:
    """The newest snapshot from which both descend, or which they are; None if there is none."""
    reached: dict[SnapshotId, int] = {}
    queue: list[tuple[int, SnapshotId]] = []

    def reach(id_: SnapshotId, sides: int) -> None:
        known = reached.get(id_, 0)
        if known | sides != known:
            reached[id_] = known | sides
            record = lookup(id_)
            if record is not None:
                heapq.heappush(queue, (-record.flushed_at, id_))

    reach(one, 1)
    reach(other, 2)
    # A snapshot is newer than its parents, so nothing that is reached later is a descendant.
    while queue:
        _, id_ = heapq.heappop(queue)
        if reached[id_] == 3:
            return id_
        record = lookup(id_)
        assert record is not None
        for parent in parents(record):
            reach(parent, reached[id_])
    return None
