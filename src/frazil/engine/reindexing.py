"""Giving chunks other places in their array, without touching their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import index
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, IcechunkError, InvalidInputError
from frazil.format.chunk_refs import VIRTUAL, ChunkRefs
from frazil.format.snapshot import Node, NodeKind
from frazil.model.overlay import overlay, stack
from frazil.model.zarr_metadata import has_regular_grid

Indices: TypeAlias = npt.NDArray[np.int64]
Place: TypeAlias = Sequence[int]
Forward: TypeAlias = Callable[[list[int]], Iterable[int] | None]
"""From the coordinates of a chunk to others, or None."""

_FAR = 1 << 33
"""Further than any grid is wide: offsets beyond that make no difference."""


def all_refs(workspace: Workspace, node: Node) -> ChunkRefs:
    """The references of all initialised chunks of an array, own changes included, sorted."""
    with workspace.lock:
        stored, edits = workspace.stored_refs(node)
        refs = stack(stored, len(node.shape))
        return refs if edits is None else overlay(refs, edits)


def virtual_locations(workspace: Workspace) -> list[str]:
    """The absolute URLs of all virtual chunks, one for each chunk."""
    absolute = workspace.virtual.table.containers.absolute
    found: list[str] = []
    for node in workspace.nodes_under("/"):
        if node.kind is NodeKind.ARRAY:
            refs = all_refs(workspace, node)
            if refs.payload is not None:
                urls = refs.payload.take(refs.kind == VIRTUAL)
                found += [absolute((urls[i] or b"").decode()) for i in range(len(urls))]
    return found


def shift(workspace: Workspace, node: Node, offset: Iterable[int]) -> None:
    """Move each chunk by `offset` chunks; those that leave the grid are gone.

    Raises `InvalidInputError` with fewer offsets than the array has dimensions; more are
    ignored.
    """
    ndim = len(node.shape)
    steps = [index(step) for step in offset]
    with workspace.lock:
        _check(workspace, node)
        if len(steps) < ndim:
            raise InvalidInputError(
                f"cannot shift {node.path}: {len(steps)} offsets for {ndim} dimensions",
                ErrorKind.INVALID_CHUNK_INDEX,
            )
        refs = all_refs(workspace, node)
        by = np.array([max(-_FAR, min(step, _FAR)) for step in steps[:ndim]], np.int64)
        places = refs.index.astype(np.int64) + by
        stay = _in_grid(node, places)
        moved = _placed(refs.take(stay), places[stay])
        # Whatever was somewhere and is not written again is erased.
        workspace.edit_chunks(node, ChunkRefs.absent(refs.index), moved)


def reindex(workspace: Workspace, node: Node, forward: Forward, backward: Forward | None) -> None:
    """Move each chunk from `place` to `forward(place)`; None leaves it where it is.

    Where several go to one place, the one with the last coordinates wins. Nothing is erased
    without `backward`, which says for a place where its chunk comes from: then a place that has
    a chunk, and into which none was moved, is emptied if its chunk comes from nowhere or from a
    place without one.

    Raises `InvalidInputError` (`invalid-chunk-index`) for places outside of the grid, and
    `IcechunkError` with the text of whatever a callback raises; nothing has changed then.
    """
    with workspace.lock:
        _check(workspace, node)
        refs = all_refs(workspace, node)
        known = [tuple(place) for place in refs.index.tolist()]
        targets: dict[tuple[int, ...], int] = {}
        for row, place in enumerate(known):
            target = _ask(forward, place, node)
            if target is not None:
                if not _is_in_grid(node, target):
                    raise InvalidInputError(
                        f"cannot reindex {node.path}: chunk {place} would go to {target}, outside "
                        f"of the grid of {[count for _, count in node.shape]} chunks",
                        ErrorKind.INVALID_CHUNK_INDEX,
                    )
                targets[target] = row
        edits = []
        if backward is not None:
            existing = set(known)
            emptied = [
                place
                for place in known
                if place not in targets and _ask(backward, place, node) not in existing
            ]
            edits.append(ChunkRefs.absent(_index_of(emptied, node)))
        places = _index_of(list(targets), node)
        rows = np.array(list(targets.values()), np.intp)
        workspace.edit_chunks(node, *edits, _placed(refs.take(rows), places).sorted())


def take_along(workspace: Workspace, node: Node, axis: int, sources: Indices) -> int:
    """Give each place q along an axis the chunks that were at `sources[q]`; none for -1.

    sources: int64, one for each chunk along the axis as the array is now. A chunk may go to several
    places, which then refer to the same bytes. Returns how many went to another place.
    """
    with workspace.lock:
        _check(workspace, node)
        refs = all_refs(workspace, node)
        places = np.flatnonzero(sources != np.arange(len(sources)))
        along = refs.index[:, axis].astype(np.int64)
        gone = np.isin(along, places) | (along >= len(sources))
        # All chunks at a source, for each place that it goes to.
        wanted = places[sources[places] >= 0]
        by_source = np.argsort(along, kind="stable")
        first = np.searchsorted(along[by_source], sources[wanted], "left")
        last = np.searchsorted(along[by_source], sources[wanted], "right")
        lengths = last - first
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = by_source[np.repeat(first, lengths) + within]
        index = refs.index[rows]
        index[:, axis] = np.repeat(wanted, lengths)
        workspace.edit_chunks(
            node, ChunkRefs.absent(refs.index[gone]), _placed(refs.take(rows), index).sorted()
        )
        return len(rows)


def _check(workspace: Workspace, node: Node) -> None:
    workspace.check_editable()
    if not has_regular_grid(node.user_data):
        raise IcechunkError(
            f"cannot shift or reindex the chunks of {node.path}: its chunks are of different "
            "sizes, and only those of a regular grid fit anywhere",
            ErrorKind.UNKNOWN,
        )


def _ask(callback: Forward, place: tuple[int, ...], node: Node) -> tuple[int, ...] | None:
    try:
        answer = callback(list(place))
        return None if answer is None else tuple(index(i) for i in answer)
    except Exception as error:
        raise IcechunkError(
            f"cannot reindex {node.path}: asked about chunk {list(place)}, the callback failed "
            f"with {type(error).__name__}: {error}",
            ErrorKind.UNKNOWN,
        ) from error


def _is_in_grid(node: Node, place: tuple[int, ...]) -> bool:
    return len(place) == len(node.shape) and all(
        0 <= i < count for i, (_, count) in zip(place, node.shape, strict=True)
    )


def _in_grid(node: Node, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    mask = np.ones(len(places), np.bool_)
    for axis, (_, count) in enumerate(node.shape):
        mask &= (places[:, axis] >= 0) & (places[:, axis] < count)
    return mask


def _index_of(places: Sequence[Place], node: Node) -> npt.NDArray[np.uint32]:
    return np.array(places, np.uint32).reshape(len(places), len(node.shape))


def _placed(refs: ChunkRefs, places: npt.NDArray[np.integer]) -> ChunkRefs:
    """The same references for other chunks."""
    return replace(refs, index=places.astype(np.uint32))
