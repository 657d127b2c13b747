"""A storage that keeps what was read of chunk objects in memory."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from frazil.library.cache import Cache
from frazil.storage.base import Backend
from frazil.storage.wrapper import Wrapper

Range = tuple[str, int | None, int | None]


class ChunkCached(Wrapper):
    """`inner`, with ranges of chunk objects kept in `kept`, as they were asked for."""

    def __init__(self, inner: Backend, kept: Cache[Range, bytes]) -> None:
        super().__init__(inner)
        self._kept = kept

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if not key.startswith("chunks/"):
            return self.inner.get(key, start=start, end=end)
        return self._kept.load((key, start, end), lambda: self.inner.get(key, start=start, end=end))

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if not key.startswith("chunks/"):
            return self.inner.get_ranges(key, ranges)
        found = {one: self._kept.get((key, *one)) for one in ranges}
        missing = [one for one, data in found.items() if data is None]
        if missing:
            for one, data in zip(missing, self.inner.get_ranges(key, missing), strict=True):
                self._kept.put((key, *one), data)
                found[one] = data
        return [found[one] or b"" for one in ranges]
