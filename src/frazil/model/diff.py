"""What changed, in paths: from transaction logs, which speak of node ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId
from frazil.snapshots import Diff

PathOf = Callable[[NodeId], str | None]


def diff(logs: Sequence[TransactionLog], path_of: PathOf) -> Diff:
    """The union of what the logs tell, oldest first.

    path_of: the path of a node, None if it exists neither before nor after; such nodes were
    created and deleted in between and are left out.
    """
    chunks: dict[str, list[npt.NDArray[np.uint32]]] = {}
    for log in logs:
        for id_, index in log.updated_chunks.items():
            path = path_of(id_)
            if path is not None and len(index):
                chunks.setdefault(path, []).append(index)

    def paths(ids: Iterable[Iterable[NodeId]]) -> set[str]:
        found = (path_of(id_) for group in ids for id_ in group)
        return {path for path in found if path is not None}

    return Diff(
        new_groups=paths(log.new_groups for log in logs),
        new_arrays=paths(log.new_arrays for log in logs),
        deleted_groups=paths(log.deleted_groups for log in logs),
        deleted_arrays=paths(log.deleted_arrays for log in logs),
        updated_groups=paths(log.updated_groups for log in logs),
        updated_arrays=paths(log.updated_arrays for log in logs),
        updated_chunks={path: _union(parts) for path, parts in sorted(chunks.items())},
        # As Icechunk lists them: newest commit first.
        moved_nodes=[(m.from_path, m.to_path) for log in reversed(logs) for m in log.moves],
    )


def _union(parts: list[npt.NDArray[np.uint32]]) -> npt.NDArray[np.uint32]:
    """All rows once, sorted; the rank is that of the newest part."""
    rank = parts[-1].shape[1]
    rows = np.concatenate([part for part in parts if part.shape[1] == rank])
    return rows if len(parts) == 1 else np.unique(rows, axis=0)
