"""Which parts of manifests each snapshot of a history has: what comes and goes, in columns.

A part is what a manifest says of one array. Snapshots are given one after the other, the parent
before its children; most have nearly all parts of the one before, so only differences are kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from frazil.model.keys import Keys

PART = 12 + 8
"""Bytes of a part: the id of its manifest, and that of its array."""
Numbers = npt.NDArray[np.int64]


def parents_first(parent: npt.NDArray[np.integer], when: npt.NDArray[np.integer]) -> list[int]:
    """The rows of a history by time, but none before its parent.

    parent: row of each parent, -1 for none.
    """
    order: list[int] = []
    done = bytearray(len(parent))
    parents = parent.tolist()
    for row in np.argsort(when, kind="stable").tolist():
        line = []
        while row >= 0 and not done[row]:
            done[row] = 1
            line.append(row)
            row = parents[row]
        order += reversed(line)
    return order


class Holdings:
    """Parts, numbered as they come, and the snapshots that they come and go with."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._held = np.empty(0, f"S{PART}")
        self._rank: list[int] = []
        self._part: list[int] = []
        self._sign: list[int] = []
        self.snapshots = 0
        """How many have been given."""

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, parts: Keys) -> list[bytes]:
        """The parts of the next snapshot, sorted, each once; returns those never seen before.

        They are numbered in the order in which they are returned.
        """
        new: list[bytes] = []
        if not np.array_equal(parts, self._held):
            for key in _raw(np.setdiff1d(self._held, parts, assume_unique=True)):
                self._note(self._numbers[key], -1)
            for key in _raw(np.setdiff1d(parts, self._held, assume_unique=True)):
                if key not in self._numbers:
                    self._numbers[key] = len(self._numbers)
                    new.append(key)
                self._note(self._numbers[key], 1)
            self._held = parts
        self.snapshots += 1
        return new

    def _note(self, part: int, sign: int) -> None:
        self._rank.append(self.snapshots)
        self._part.append(part)
        self._sign.append(sign)

    def nodes(self) -> npt.NDArray[np.uint8]:
        """uint8[p, 8]: the id of the array of each part."""
        raw = np.frombuffer(b"".join(self._numbers), np.uint8).reshape(-1, PART)
        return np.ascontiguousarray(raw[:, 12:])

    def first(self) -> Numbers:
        """int64[p]: the snapshot that each part came with first."""
        rank, part, sign = self._events()
        found = np.full(len(self), self.snapshots, np.int64)
        np.minimum.at(found, part[sign > 0], rank[sign > 0])
        return found

    def last(self) -> Numbers:
        """int64[p]: the last snapshot that has each part."""
        rank, part, sign = self._events()
        found = np.zeros(len(self), np.int64)
        # A part that goes with a snapshot was in the one before.
        np.maximum.at(found, part, np.where(sign > 0, rank, rank - 1))
        found[self.of(self.snapshots - 1)] = self.snapshots - 1
        return found

    def of(self, rank: int) -> Numbers:
        """The parts of a snapshot."""
        ranks, part, sign = self._events()
        held = np.zeros(len(self), np.int64)
        until = ranks <= rank
        np.add.at(held, part[until], sign[until])
        return np.flatnonzero(held)

    def totals(self, sums: Numbers) -> Numbers:
        """int64[snapshots, k]: what the parts of each snapshot come to; sums: int64[p, k]."""
        rank, part, sign = self._events()
        change = np.zeros((self.snapshots, sums.shape[1]), np.int64)
        np.add.at(change, rank, sums[part] * sign[:, None])
        return np.cumsum(change, axis=0)

    def _events(self) -> tuple[Numbers, Numbers, Numbers]:
        return (
            np.array(self._rank, np.int64),
            np.array(self._part, np.int64),
            np.array(self._sign, np.int64),
        )


def _raw(keys: Keys) -> list[bytes]:
    data = keys.tobytes()
    return [data[start : start + PART] for start in range(0, len(data), PART)]
