"""What an import or export did."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import ClassVar

from typing_extensions import override

from frazil.display import Displayed, Shown, record


@dataclass(frozen=True, repr=False, slots=True)
class TransferSummary(Displayed):
    """Counts of what was transferred.

    chunks, bytes: encoded chunks, and their size (0 for references); present: chunks that were
    there before and were left alone; recoded: paths of arrays whose values had to be encoded
    anew, because the other format has no way to say how they were.
    """

    groups: int = 0
    arrays: int = 0
    chunks: int = 0
    bytes: int = 0
    present: int = 0
    recoded: tuple[str, ...] = ()

    _public_name: ClassVar[str] = "frazil.interchange.TransferSummary"

    @override
    def _shown(self) -> Iterable[Shown]:
        return record([f.name for f in fields(self)], self)


class Tally:
    """Counts while it happens; any thread may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups = self._arrays = self._chunks = self._bytes = self._present = 0
        self._recoded: list[str] = []

    def group(self) -> None:
        """One more group."""
        with self._lock:
            self._groups += 1

    def array(self, path: str, *, recoded: bool) -> None:
        """One more array."""
        with self._lock:
            self._arrays += 1
            if recoded:
                self._recoded.append(path)

    def chunks(self, count: int, size: int = 0, *, present: int = 0) -> None:
        """So many more chunks, of `size` bytes together."""
        with self._lock:
            self._chunks += count
            self._bytes += size
            self._present += present

    def summary(self) -> TransferSummary:
        """What has been counted."""
        with self._lock:
            return TransferSummary(
                self._groups,
                self._arrays,
                self._chunks,
                self._bytes,
                self._present,
                tuple(sorted(self._recoded)),
            )
