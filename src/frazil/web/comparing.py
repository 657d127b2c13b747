"""What is different between any two versions, whatever led from one to the other."""

from __future__ import annotations

import numpy as np

from frazil.engine.difference import changes_between, edits_between
from frazil.format.ragged import sort_keys
from frazil.format.snapshot import Node, NodeKind, Snapshot
from frazil.library.files import Library
from frazil.model.snapshot_diff import NodeChanges, compare_nodes
from frazil.web.changes import Entry, Section, section

REFERENCES = 500_000
"""Chunks are counted if the manifests that differ have at most so many references."""


def compare(library: Library, before: Snapshot, after: Snapshot) -> tuple[list[Section], bool]:
    """The differences by kind, and whether the chunks have been counted.

    Names are compared in columns; of the arrays that have other manifests the chunks are
    compared if that is quick.
    """
    found = compare_nodes(before.nodes, after.nodes)
    counted = _references(before, after) <= REFERENCES
    chunks: dict[bytes, int] = {}
    if counted and found.rewritten:
        changes, _ = changes_between(library, before, after)
        chunks = {id_: len(edits.columns()) for id_, edits in changes.chunks.items()}
    return _sections(found, chunks if counted else None), counted


def first_change(
    library: Library, before: Snapshot, after: Snapshot, node: Node
) -> tuple[int, ...] | None:
    """The coordinates of a chunk of an array that is not what it was; None if not quickly found."""
    if _references(before, after) > REFERENCES:
        return None
    row = before.nodes.find_id(node.id)
    index = edits_between(library, before.nodes.node(row) if row >= 0 else None, node).index
    if not len(index):
        return None
    return tuple(index[len(index) // 2].tolist())


def _sections(found: NodeChanges, chunks: dict[bytes, int] | None) -> list[Section]:
    sections = []
    for nodes, tone, verb in (
        (found.created, "added", "created"),
        (found.deleted, "removed", "deleted"),
    ):
        for kind, name in ((NodeKind.GROUP, "Groups"), (NodeKind.ARRAY, "Arrays")):
            paths = [Entry(node.path) for node in nodes if node.kind is kind]
            sections.append(section(f"{name} {verb}", tone, paths))
    moved = [Entry(new.path, f"from {old.path}") for old, new in found.moved]
    sections.append(section("Moved", "changed", moved))
    updated = [
        Entry(new.path, _shapes(old.shape, new.shape), new.kind is NodeKind.ARRAY)
        for old, new in found.updated
    ]
    sections.append(section("Other metadata", "changed", updated))
    rewritten = []
    for _, new in found.rewritten:
        count = None if chunks is None else chunks.get(new.id, 0)
        if count != 0:  # 0: only the manifests are cut differently
            note = "" if count is None else f"{count:,} chunk{'s' * (count != 1)}"
            rewritten.append(Entry(new.path, note, True))
    sections.append(section("Other chunks", "changed", rewritten))
    return [one for one in sections if one.total]


def _shapes(old: tuple[tuple[int, int], ...], new: tuple[tuple[int, int], ...]) -> str:
    if old == new:
        return ""
    texts = [" × ".join(str(length) for length, _ in shape) for shape in (old, new)]
    return f"{texts[0]} → {texts[1]}"


def _references(before: Snapshot, after: Snapshot) -> int:
    """References in the manifests that only one of the snapshots has."""
    total = 0
    for one, other in ((before, after), (after, before)):
        mine, theirs = (sort_keys(s.manifests.rows["id"]) for s in (one, other))
        total += int(one.manifests.num_refs[~np.isin(mine, theirs)].sum(dtype=np.int64))
    return total
