"""As many of the objects of a folder as fit into memory: those of a range of ids.

Ids are random, so a range of them is a share of the objects. How many there are is not known before
they have been listed: the range is halved whenever it has become too many.
"""

from __future__ import annotations

import numpy as np

from frazil.model.listed import Found, Listed, heads


class Window:
    """Ids whose first 8 bytes, as a number, are `low` or more; at most `most` of them."""

    def __init__(self, low: int, most: int) -> None:
        self.low = low
        self.high: int | None = None
        """Where the next window begins; None if this one goes to the end."""
        self._most = most
        self._pages: list[Found] = []
        self._count = 0

    def add(self, page: Found) -> None:
        """Take what is in the range of a page of a listing."""
        page = self._inside(page)
        self._pages.append(page)
        self._count += len(page.ids)
        while self._count > self._most and self._halve():
            pass

    def listed(self) -> Listed:
        """What was taken."""
        return Listed(self._pages)

    def _halve(self) -> bool:
        found = np.concatenate([heads(page.ids) for page in self._pages])
        middle = int(np.partition(found, len(found) // 2)[len(found) // 2])
        if middle == int(found.min()):
            return False  # many with the same beginning: there is no smaller range
        self.high = middle
        self._pages = [self._inside(page) for page in self._pages]
        self._count = sum(len(page.ids) for page in self._pages)
        return True

    def _inside(self, page: Found) -> Found:
        head = heads(page.ids)
        rows = head >= np.uint64(self.low)
        if self.high is not None:
            rows &= head < np.uint64(self.high)
        return page if rows.all() else page.take(rows)
