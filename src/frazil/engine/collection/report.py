"""What a collection would delete, and of which arrays and months it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from frazil.engine.census import tips_of
from frazil.engine.collection.collect import Options, find
from frazil.engine.collection.deleting import NAMES
from frazil.engine.times import moment
from frazil.errors import FormatError, StorageError
from frazil.format.manifest import decode_owned_objects
from frazil.format.ragged import sort_keys
from frazil.garbage import GarbageReport, Share
from frazil.ids import NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.keys import Keys, format_ids, raw_ids
from frazil.model.sweep import Objects
from frazil.storage.pool import map_parallel

Positions = npt.NDArray[np.int64]


def report(library: Library, catalog: Catalog, options: Options) -> GarbageReport:
    """Look at what a collection with these options would delete."""
    doomed, _ = find(library, catalog, replace(options, dry_run=True))
    kinds = {
        NAMES[folder]: Share(len(objects), int(objects.size.sum()))
        for folder, objects in doomed.objects.items()
    }
    kinds["backups"] = Share(len(doomed.backups), sum(doomed.backups.values()))
    return GarbageReport(
        moment(doomed.cutoff),
        {kind: share for kind, share in kinds.items() if share.objects},
        _by_array(library, catalog, doomed.objects),
        _by_month(doomed.objects.values()),
    )


def _by_month(folders: Iterable[Objects]) -> dict[str, Share]:
    objects = list(folders)
    created = np.concatenate([one.created for one in objects])
    sizes = np.concatenate([one.size for one in objects])
    months, row = np.unique(created.astype("M8[us]").astype("M8[M]"), return_inverse=True)
    return dict(zip(months.astype(str).tolist(), _shares(row, sizes, len(months)), strict=True))


def _shares(row: Positions, sizes: npt.NDArray[np.int64], count: int) -> list[Share]:
    """How many objects and bytes each row has."""
    totals = np.zeros(count, np.int64)
    np.add.at(totals, row, sizes)
    objects = np.bincount(row, minlength=count)
    return [Share(*both) for both in zip(objects.tolist(), totals.tolist(), strict=True)]


def _by_array(library: Library, catalog: Catalog, doomed: dict[str, Objects]) -> dict[str, Share]:
    chunks = doomed["chunks"]
    nodes, owner = _owners(library, chunks.ids, format_ids(doomed["manifests"].ids))
    paths = _paths(library, catalog, doomed["snapshots"].ids, set(nodes))
    shares: defaultdict[str, Share] = defaultdict(lambda: Share(0, 0))
    # Several arrays, one after the other, can have had a path.
    totals = _shares(owner + 1, chunks.size, len(nodes) + 1)
    for node, share in zip([None, *nodes], totals, strict=True):
        path = "" if node is None else paths.get(node, "")
        known = shares[path]
        shares[path] = Share(known.objects + share.objects, known.bytes + share.bytes)
    largest = sorted(shares.items(), key=lambda item: (-item[1].bytes, item[0]))
    return {path: share for path, share in largest if share.objects}


def _owners(library: Library, ids: Keys, manifests: list[str]) -> tuple[list[NodeId], Positions]:
    """The arrays that manifests which nobody needs tell of, and the one of each object, or -1."""
    order = np.argsort(ids)
    known = ids[order]
    nodes: dict[NodeId, int] = {}
    owner, most = np.full(len(ids), -1), np.zeros(len(ids), np.int64)

    def read(name: str) -> tuple[npt.NDArray[np.uint8], Positions, npt.NDArray[np.uint8]] | None:
        key = f"manifests/{name}"
        try:
            return decode_owned_objects(library.backend.get(key), where=key)
        except (FormatError, StorageError):
            return None  # garbage may be damaged

    few = 1 if library.backend.local else 16
    for start in range(0, len(manifests) if len(ids) else 0, few):
        for found in map_parallel(read, manifests[start : start + few]):
            if found is None:
                continue
            arrays, which, named = found
            numbers = np.array(
                [nodes.setdefault(NodeId(raw.tobytes()), len(nodes)) for raw in arrays], np.int64
            )
            at = np.minimum(np.searchsorted(known, sort_keys(named)), len(known) - 1)
            here = known[at] == sort_keys(named)
            pairs, count = np.unique(
                order[at[here]] * len(nodes) + numbers[which[here]], return_counts=True
            )
            rows, by = np.divmod(pairs, max(len(nodes), 1))
            ranked = np.lexsort((count, rows))
            best = ranked[np.append(rows[ranked[1:]] != rows[ranked[:-1]], True)[: len(ranked)]]
            best = best[count[best] > most[rows[best]]]
            owner[rows[best]], most[rows[best]] = by[best], count[best]
    return list(nodes), owner


def _paths(
    library: Library, catalog: Catalog, lost: Keys, wanted: set[NodeId]
) -> dict[NodeId, str]:
    """The paths of arrays, as snapshots that nobody needs or the newest ones tell them."""
    paths: dict[NodeId, str] = {}
    for raw in (*raw_ids(lost), *tips_of(catalog)):
        if len(paths) == len(wanted):
            break
        try:
            table = library.read_snapshot(SnapshotId(raw)).nodes
        except (FormatError, StorageError):
            continue
        for node in wanted - paths.keys():
            row = table.find_id(node)
            if row >= 0:
                paths[node] = table.path_of(row)
    return paths
