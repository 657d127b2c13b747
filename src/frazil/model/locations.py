"""Locations of many virtual chunks, checked as columns."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.columns import ByteColumn, fixed_rows, row_starts
from frazil.model.virtual_urls import Containers
from frazil.urls import canonical

_PLAIN: Final = (string.ascii_letters + string.digits + "-._~/:=+,@!$&'()*\n").encode()
"""Characters that stand for themselves in every kind of location; and the end of one."""
_RELATIVE: Final = (b"/./", b"/../", b"/.\n", b"/..\n")
_BLOCK: Final = 65_536


@dataclass(frozen=True, slots=True)
class Locations:
    """Locations as they are stored, and which of them no container covers: bool[n]."""

    column: ByteColumn
    uncovered: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, texts: Sequence[str], containers: Containers, *, validate: bool, gaps: bool = False
    ) -> Locations:
        """Locations in any form.

        validate: whether a container must cover them; gaps: whether "" stands for none, as it
        then does in the column. `InvalidInputError` (`invalid-virtual-ref`) for what is none.
        """
        n = len(texts)
        if gaps and "" in texts:
            rows = np.fromiter(map(bool, texts), np.bool_, n)
            some = cls.of([text for text in texts if text], containers, validate=validate)
            start, size = np.zeros(n, np.int64), np.zeros(n, np.int64)
            uncovered = np.zeros(n, np.bool_)
            start[rows], size[rows] = some.column.start, some.column.size
            uncovered[rows] = some.uncovered
            return cls(ByteColumn(some.column.heap, start, size), uncovered)
        if not _is_repetitive(texts):
            return cls._checked(texts, containers, validate)
        distinct = dict.fromkeys(texts)
        place = {text: i for i, text in enumerate(distinct)}
        codes = np.fromiter(map(place.__getitem__, texts), np.intp, n)
        return cls._checked(list(distinct), containers, validate).take(codes)

    @classmethod
    def _checked(cls, texts: Sequence[str], containers: Containers, validate: bool) -> Locations:
        if not texts:
            return cls(ByteColumn.of([]), np.zeros(0, np.bool_))
        plain = _plain(texts, containers)
        if plain is not None:
            return cls(plain, np.zeros(len(texts), np.bool_))
        stored: list[bytes] = []
        uncovered = np.zeros(len(texts), np.bool_)
        for i, text in enumerate(texts):
            url = canonical(text)
            if validate:
                try:
                    url = containers.check(text)
                except InvalidInputError as error:
                    if error.kind != ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK:
                        raise
                    uncovered[i] = True
            stored.append(url.encode())
        return cls(ByteColumn.of(stored), uncovered)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Locations:
        """The rows at these positions, or under this mask."""
        return Locations(self.column.take(rows), self.uncovered[rows])


def _is_repetitive(texts: Sequence[str]) -> bool:
    """Whether it pays to look at each distinct text once: told from neighbours and a sample."""
    neighbours, sample = texts[:1024], texts[:: len(texts) // 1024 + 1]
    return any(2 * len(set(some)) <= len(some) for some in (neighbours, sample))


def _plain(texts: Sequence[str], containers: Containers) -> ByteColumn | None:
    """The locations, if all are plain URLs in a container, which are stored as they are.

    Plain are those in which nothing is escaped or relative: most are, and are told by looking
    at all of them as one text.
    """
    n = len(texts)
    text = "\n".join(texts) + "\n"
    if not text.isascii():
        return None
    raw = text.encode()
    if raw.count(b"\n") != n or raw.translate(None, _PLAIN):
        return None
    if raw.count(b"//") != n or b"/\n" in raw:
        return None
    if b"/." in raw and any(part in raw for part in _RELATIVE):
        return None
    size = np.fromiter(map(len, texts), np.int64, n)
    heap, start = np.frombuffer(raw, np.uint8), row_starts(size + 1)
    prefixes = [np.frombuffer(p.encode(), np.uint8) for p in containers.prefixes()]
    for first in range(0, n, _BLOCK):
        block = slice(first, first + _BLOCK)
        if not _covered(heap, start[block], size[block], prefixes):
            return None
    return ByteColumn(heap, start, size)


def _covered(
    heap: npt.NDArray[np.uint8],
    start: npt.NDArray[np.int64],
    size: npt.NDArray[np.int64],
    prefixes: Sequence[npt.NDArray[np.uint8]],
) -> bool:
    """Whether each row begins with one of the prefixes, which have a "://" each."""
    for prefix in prefixes:
        inside = size > len(prefix)
        inside[inside] = (fixed_rows(heap, start[inside], len(prefix)) == prefix).all(axis=1)
        start, size = start[~inside], size[~inside]
        if not len(start):
            return True
    return False
