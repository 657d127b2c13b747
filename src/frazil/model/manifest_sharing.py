"""Which small manifests share a file, and which old files are gathered into new ones.

A manifest file can hold the references of many arrays. Where the user says nothing about
splitting, small ones are gathered: a commit of 2,000 arrays of a chunk each writes one file. An
array that is changed later leaves its file, in which its references stay behind, dead. Files of
which little is alive, and those of small commits, are many after a while; then some of them are
gathered into one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from frazil.format.ragged import run_items, sort_keys
from frazil.format.snapshot import ManifestTable, NodeTable

PART_REFS = 1_024
"""References of an array up to which they share a file."""
FILE_REFS = 4_096
FILE_BYTES = 1_048_576
"""A shared file has up to so many references, and bytes of inline chunks and locations."""

MANY_FILES = 32
"""So many small files of a snapshot are left alone."""
FILES_AT_ONCE = 32
"""A commit gathers up to so many old files."""
FEWEST_FILES = 8
"""Fewer are not worth it."""


def gather(parts: Sequence[tuple[bytes, int, int]]) -> list[list[int]]:
    """The parts that go into each file, by number, in their order.

    parts: (node id, number of references, bytes of payload). A file holds an array once.
    """
    files: list[list[int]] = []
    held: set[bytes] = set()
    room_refs = room_bytes = 0
    current: list[int] | None = None
    for i, (node, refs, size) in enumerate(parts):
        if refs > PART_REFS or size > FILE_BYTES // 4:
            files.append([i])
            continue
        if current is None or node in held or refs > room_refs or size > room_bytes:
            current, held = [], set()
            room_refs, room_bytes = FILE_REFS, FILE_BYTES
            files.append(current)
        current.append(i)
        held.add(node)
        room_refs -= refs
        room_bytes -= size
    return files


def scattered(
    nodes: NodeTable, manifests: ManifestTable, changed: Collection[bytes]
) -> list[tuple[bytes, list[int]]]:
    """Small files to be gathered with what a commit writes, each with the rows of its arrays.

    nodes, manifests: of the snapshot that the commit is based on; changed: the ids of nodes
    whose references are written anyway. Empty as long as there are few small files. No array
    is in two of the files.
    """
    if len(manifests) <= MANY_FILES:
        return []
    rows = nodes.rows
    used = run_items(rows["ref_start"], rows["ref_count"])
    if not len(used):
        return []
    refs = nodes.refs[used]
    owners = np.repeat(np.arange(len(rows)), np.maximum(rows["ref_count"], 0))
    sides = nodes.extents[run_items(refs["start"], refs["count"])].astype(np.float64)
    # Without extents, as of rank 0, the length is taken from the file.
    sizes = np.full(len(refs), np.inf)
    boxed = np.flatnonzero(refs["count"] > 0)
    if len(boxed):
        starts = np.cumsum(refs["count"][boxed]) - refs["count"][boxed]
        sizes[boxed] = np.multiply.reduceat(sides[:, 1] - sides[:, 0], starts)
    files, inverse = np.unique(sort_keys(refs["id"]), return_inverse=True)
    at = np.searchsorted(sort_keys(manifests.rows["id"]), files)
    at = np.minimum(at, len(manifests) - 1)
    sizes = np.minimum(sizes, manifests.num_refs[at].astype(np.float64)[inverse])
    alive = np.bincount(inverse, weights=sizes, minlength=len(files))
    largest = np.zeros(len(files))
    np.maximum.at(largest, inverse, sizes)
    small = np.flatnonzero((alive < FILE_REFS / 2) & (largest <= PART_REFS))
    if len(small) <= MANY_FILES:
        return []
    by_file = np.argsort(inverse, kind="stable")
    edges = np.searchsorted(inverse[by_file], np.arange(len(files) + 1))
    seen = set(changed)
    found: list[tuple[bytes, list[int]]] = []
    for file in small[np.argsort(alive[small], kind="stable")].tolist():
        own = owners[by_file[edges[file] : edges[file + 1]]].tolist()
        ids = {rows["id"][row].tobytes() for row in own}
        if len(ids) == len(own) and not ids & seen:
            seen |= ids
            found.append((refs["id"][by_file[edges[file]]].tobytes(), own))
            if len(found) == FILES_AT_ONCE:
                break
    return found if len(found) >= FEWEST_FILES else []
