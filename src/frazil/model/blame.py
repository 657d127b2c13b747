"""Which commit last wrote each chunk: transaction logs, newest first, until all are explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frazil.format.transaction_log import TransactionLog
from frazil.ids import NodeId
from frazil.model.overlay import inside

Coords = npt.NDArray[np.uint32]


class Ledger:
    """The chunks of one array, and which commit wrote each, as far as is known.

    chunks: uint32[n, ndim], each once; grid: the number of chunks along each dimension.
    written_by: int32[n], what `enter` was given for the commit; -1 while it is not known.
    """

    def __init__(self, node: NodeId, chunks: Coords, grid: Sequence[int]) -> None:
        self._node = node
        self._grid = tuple(grid)
        self._codes = self._coded(chunks)
        self._open = np.arange(len(chunks))
        self.written_by = np.full(len(chunks), -1, np.int32)

    @property
    def is_complete(self) -> bool:
        """Whether all chunks are explained."""
        return not len(self._open)

    def enter(self, commit: int, log: TransactionLog) -> None:
        """Explain what this commit wrote and no later one did.

        What is left when the array was created belongs to the commit that created it.
        """
        if self._node in log.new_arrays:
            mine = np.ones(len(self._open), np.bool_)
        else:
            index = log.updated_chunks.get(self._node)
            if index is None or index.shape[1] != len(self._grid):
                return
            index = index[inside(index, tuple((0, count) for count in self._grid))]
            mine = np.isin(self._codes[self._open], self._coded(index))
        self.written_by[self._open[mine]] = commit
        self._open = self._open[~mine]

    def _coded(self, index: Coords) -> npt.NDArray[np.int64]:
        """The number of each chunk in the grid."""
        codes = np.zeros(len(index), np.int64)
        for axis, count in enumerate(self._grid):
            codes = codes * count + index[:, axis]
        return codes
