"""Reading a file of a repository in parts, as Python reads files."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import zarr
    from typing_extensions import Buffer

KEPT = 4
"""Chunks that an open file keeps: programs read headers and tables again and again."""
_BUFFER = 64 * 1024


def buffered(array: zarr.Array[Any], name: str) -> io.BufferedReader:
    """A file to be read in any steps, the smallest too."""
    return io.BufferedReader(FileReader(array, name), min(_BUFFER, int(array.chunks[0])))


class FileReader(io.RawIOBase):
    """A file of a repository, open for reading bytes at any place.

    Only the chunks that are asked for are read, whole, and their checksums compared. The last
    few stay in memory. It shows what the session shows: do not change the file meanwhile.
    """

    def __init__(self, array: zarr.Array[Any], name: str) -> None:
        self._array = array
        self._size = int(array.shape[0])
        self._chunk = int(array.chunks[0])
        self._at = 0
        self._kept: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()
        self.name = name

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place at which the next read begins."""
        self._check_open()
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, counted from the beginning, from here, or from the end."""
        self._check_open()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
        if whence not in start or start[whence] + offset < 0:
            raise ValueError(f"there is no place {offset} (whence {whence}) in a file")
        self._at = start[whence] + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer as far as the file goes; returns how many bytes there were."""
        self._check_open()
        target = memoryview(buffer).cast("B")
        stop = min(self._at + len(target), self._size)
        if len(target) <= self._chunk:
            # Little at a time, and not the beginning of a chunk that is needed again at once.
            stop = min(stop, (self._at // self._chunk + 1) * self._chunk)
        count = max(0, stop - self._at)
        if count:
            target[:count] = self._values(self._at, stop).data
            self._at = stop
        return count

    def readall(self) -> bytes:
        """Everything from here to the end."""
        self._check_open()
        start, self._at = self._at, max(self._at, self._size)
        return self._values(start, self._size).tobytes() if start < self._size else b""

    def _values(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        first, last = start // self._chunk, (stop - 1) // self._chunk
        if first < last:
            # Much at once is read in one go, and is not needed again soon.
            return np.ascontiguousarray(self._array[start:stop], np.uint8)
        begin = first * self._chunk
        return self._kept_chunk(first)[start - begin : stop - begin]

    def _kept_chunk(self, number: int) -> npt.NDArray[np.uint8]:
        chunk = self._kept.pop(number, None)
        if chunk is None:
            begin = number * self._chunk
            values = self._array[begin : min(begin + self._chunk, self._size)]
            chunk = np.ascontiguousarray(values, np.uint8)
        self._kept[number] = chunk
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return chunk

    def close(self) -> None:
        """Let go of what is in memory."""
        self._kept.clear()
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file has been closed")
