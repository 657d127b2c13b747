"""A storage whose immutable objects are kept on local disk once they were read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from typing_extensions import override

from frazil.ids import INITIAL_SNAPSHOT
from frazil.storage.base import (
    OVERWRITE,
    Backend,
    Fetched,
    PutMode,
    Version,
    is_immutable,
    resolve_range,
)
from frazil.storage.pieces import Piece, PieceFolder, cover
from frazil.storage.wrapper import Wrapper

_OF_EACH = f"/{INITIAL_SNAPSHOT}"
"""What every repository begins with has this name in all of them, and says which one it is."""
_MARK = "repo"
"""Its presence tells format 2, in which what a snapshot file says never changes."""


class DiskCached(Wrapper):
    """`inner`, with what is read from it kept in `kept` under the name `place`.

    Objects that can change are always read from `inner`. Those are the mutable ones, and
    snapshots unless the repository is known to be of format 2: an expiration in format 1
    replaces some.
    """

    def __init__(self, inner: Backend, kept: PieceFolder, place: str) -> None:
        super().__init__(inner)
        self._kept = kept
        self._place = place
        self._snapshots_are_final = False

    def _is_kept(self, key: str) -> bool:
        if not is_immutable(key) or key.endswith(_OF_EACH):
            return False
        return self._snapshots_are_final or not key.startswith("snapshots/")

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        if not self._is_kept(key):
            return self.inner.get(key, start=start, end=end)
        pieces = self._kept.pieces(self._place, key)
        size = next((piece.end for piece in pieces if piece.last), None)
        if end is None and size is None:
            data = self.inner.get(key, start=start)
            self._kept.keep(self._place, key, start or 0, data, last=True)
            return data
        if size is not None:
            first, last = resolve_range(key, size, start, end)
        else:
            assert end is not None
            first, last = start or 0, end
        return self._put_together(key, pieces, [(first, last)])[0]

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if not self._is_kept(key):
            return self.inner.get_ranges(key, ranges)
        pieces = self._kept.pieces(self._place, key)
        size = next((piece.end for piece in pieces if piece.last), None)
        if size is not None:
            ranges = [resolve_range(key, size, first, last) for first, last in ranges]
        return self._put_together(key, pieces, ranges)

    def _put_together(
        self, key: str, pieces: list[Piece], ranges: Sequence[tuple[int, int]]
    ) -> list[bytes]:
        if any(first >= last or first < 0 for first, last in ranges):
            return self.inner.get_ranges(key, ranges)  # which knows what to say of them
        read: dict[Piece, bytes] = {}
        plans = []
        for first, last in ranges:
            while True:
                plan = cover(pieces, first, last)
                lost = [piece for _, _, piece in plan if piece and not self._load(key, piece, read)]
                if not lost:
                    break
                pieces = [piece for piece in pieces if piece not in lost]
            plans.append(plan)
        missing = _joined(part[:2] for plan in plans for part in plan if part[2] is None)
        fetched = self.inner.get_ranges(key, missing) if missing else []
        for (first, last), data in zip(missing, fetched, strict=True):
            piece = Piece(first, last)
            read[piece] = data
            self._kept.keep(self._place, key, first, data, last=False)
        sources = sorted(read)
        results = []
        for first, last in ranges:
            parts = []
            for at, until, source in cover(sources, first, last):
                assert source is not None
                parts.append(read[source][at - source.start : until - source.start])
            results.append(parts[0] if len(parts) == 1 else b"".join(parts))
        return results

    def _load(self, key: str, piece: Piece, read: dict[Piece, bytes]) -> bool:
        if piece not in read:
            data = self._kept.read(self._place, key, piece)
            if data is None:
                return False
            read[piece] = data
        return True

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        fetched = self.inner.fetch(key, unless=unless)
        if key == _MARK:
            self._snapshots_are_final = True
        elif fetched is not None:
            self._forget(key)  # whoever fetches doubts what is kept
        return fetched

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        version = self.inner.put(key, data, mode=mode, content_type=content_type)
        self._forget(key)
        return version

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        self.inner.copy(source, target, version=version)
        self._forget(target)

    @override
    def delete(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        self.inner.delete(keys)
        for key in keys:
            self._forget(key)

    def _forget(self, key: str) -> None:
        if is_immutable(key):
            self._kept.forget(self._place, key)


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that touch or overlap as one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined
