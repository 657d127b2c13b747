"""What is to be removed from all of history: nodes, elements of arrays, an attribute. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import NodeId
from frazil.model.zarr_metadata import chunk_shape, has_regular_grid

Box = tuple[tuple[int, int], ...]
"""Of chunks or elements: (from, to exclusive) in each dimension."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """The elements of an array that go, and the chunks that they are in.

    elements: the box of them; size: the shape of a chunk; touched: the chunks that have some;
    whole: those that have no others.
    """

    elements: Box
    size: tuple[int, ...]
    touched: Box
    whole: Box

    @classmethod
    def of(
        cls, elements: Box, size: Sequence[int], longest: Sequence[int], *, whole_chunks: bool
    ) -> Cells:
        """longest: of each dimension, in all versions; what goes up to there has no end.

        whole_chunks: chunks that are touched go as a whole.
        """
        touched, whole, parts = [], [], []
        for (start, stop), step, length in zip(elements, size, longest, strict=True):
            step = max(step, 1)
            first, last = start // step, -(-stop // step)
            if whole_chunks or stop >= length:
                # The last chunk of an array may be longer than what there is of it.
                stop = last * step
            touched.append((first, last))
            whole.append((first if whole_chunks else -(-start // step), stop // step))
            parts.append((start, stop))
        return cls(tuple(parts), tuple(size), tuple(touched), tuple(whole))

    def part(self, coords: Sequence[int]) -> Box:
        """The elements of a chunk that go, counted from its first one."""
        return tuple(
            (max(start - i * step, 0), min(stop - i * step, step))
            for (start, stop), step, i in zip(self.elements, self.size, coords, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """What is removed: nodes as a whole, or of arrays some elements, or an attribute."""

    nodes: frozenset[NodeId]
    cells: Mapping[NodeId, Cells] | None = None
    attribute: str | None = None

    @property
    def whole(self) -> bool:
        """Whether the nodes go themselves."""
        return self.cells is None and self.attribute is None

    def chunks_of(self, node: NodeId, index: npt.NDArray[np.uint32]) -> Mask:
        """Which chunks of an array, `index[n, ndim]`, go as a whole."""
        if node not in self.nodes or self.attribute is not None:
            return np.zeros(len(index), np.bool_)
        if self.cells is None:
            return np.ones(len(index), np.bool_)
        return _inside(index, self.cells[node].whole)

    def cut(self, node: NodeId, index: npt.NDArray[np.uint32]) -> Mask:
        """Which chunks of an array, `index[n, ndim]`, have elements that go, and others."""
        if node not in self.nodes or self.cells is None:
            return np.zeros(len(index), np.bool_)
        cells = self.cells[node]
        cut: Mask = _inside(index, cells.touched) & ~_inside(index, cells.whole)
        return cut


def _inside(index: npt.NDArray[np.uint32], box: Box) -> Mask:
    if index.shape[1] != len(box):
        return np.zeros(len(index), np.bool_)
    sides = np.array(box, np.int64).reshape(-1, 2)
    inside: Mask = np.all((index >= sides[:, 0]) & (index < sides[:, 1]), axis=1)
    return inside


def region_of(
    path: str, versions: Collection[Node], region: Sequence[slice], *, whole_chunks: bool
) -> tuple[Box, dict[NodeId, Cells]]:
    """The elements that a region means in all versions of the arrays at a path.

    Slices count from the first element, as far as the longest version goes. Raises
    `InvalidInputError` for what is no region of all of them.
    """
    rank = max(len(region), *(len(node.shape) for node in versions))
    for node in versions:
        _check_array(node, path, len(region), rank)
    lengths = [[node.shape[axis][0] for node in versions] for axis in range(rank)]
    parts = [*region, *[slice(None)] * (rank - len(region))]
    elements = tuple(_elements(part, lengths[axis], axis, path) for axis, part in enumerate(parts))
    cells: dict[NodeId, Cells] = {}
    for id_ in {node.id for node in versions}:
        own = [node for node in versions if node.id == id_]
        if len({chunk_shape(node.user_data) for node in own}) > 1:
            raise InvalidInputError(
                f"the chunks of {path} had different sizes: purge all of it",
                ErrorKind.INVALID_CHUNK_INDEX,
            )
        longest = [max(node.shape[axis][0] for node in own) for axis in range(rank)]
        size = chunk_shape(own[0].user_data)
        cells[id_] = Cells.of(elements, size, longest, whole_chunks=whole_chunks)
    return elements, cells


def _check_array(node: Node, path: str, given: int, rank: int) -> None:
    if node.kind is not NodeKind.ARRAY:
        raise InvalidInputError(f"{path} is a group: it has no regions", ErrorKind.NOT_AN_ARRAY)
    if not has_regular_grid(node.user_data):
        raise InvalidInputError(
            f"the chunks of {path} differ in size: purge all of it", ErrorKind.INVALID_CHUNK_INDEX
        )
    if len(node.shape) != rank:
        raise InvalidInputError(
            f"{path} has {len(node.shape)} dimensions, the region {given}"
            if given == rank
            else f"{path} had {len(node.shape)} dimensions in one version, {rank} in another: "
            "purge all of it",
            ErrorKind.INVALID_CHUNK_INDEX,
        )


def _elements(part: slice, lengths: Sequence[int], axis: int, path: str) -> tuple[int, int]:
    counted = [bound for bound in (part.start, part.stop) if bound is not None and bound < 0]
    if counted and len(set(lengths)) > 1:
        raise InvalidInputError(
            f"dimension {axis} of {path} was {min(lengths)} to {max(lengths)} long: {counted[0]}, "
            "from its end, is at different places; count from the first element",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    start, stop, step = part.indices(max(lengths))
    if step != 1 or stop <= start:
        raise InvalidInputError(
            f"dimension {axis} of the region is empty or has a step: {path} is at most "
            f"{max(lengths)} long there",
            ErrorKind.INVALID_CHUNK_INDEX,
        )
    return start, stop
