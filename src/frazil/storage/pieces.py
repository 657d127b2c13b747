"""Pieces of objects, kept as files that several processes share.

    FOLDER/<place>/<2 hex>/<30 hex>/<start>-<end>[e]
           the storage it came from, the key of the object, bytes of the object in decimal;
           "e" if the object ends where the piece ends

    header  8 s magic | u64 length | u64 XXH3-64 of the bytes, seeded with that of their name
    bytes

The hash covers where a file belongs as well, so one that was moved or swapped is noticed. A
piece that fails its check is removed, and is a miss.

Nothing here raises because of the disk: what cannot be kept or read is not there.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import xxhash
from filelock import FileLock, Timeout

from frazil.storage import osfiles
from frazil.storage.fork import ForksafeLock

MAX_PIECE = 1024 * 1024
"""Bytes of a piece: it is read and checked as a whole, however little of it is needed."""
_HEADER = struct.Struct("<8sQQ")
_MAGIC = b"FZPIECE1"
_SHARE = 16
"""The budget is looked after each time that a process has written this part of it."""
_LOW_WATER = 0.9
_RECENT = 60.0
"""A piece used again within so many seconds is not marked as used once more."""
_ABANDONED = 3600.0
"""Unfinished files older than this, in seconds, belong to processes that have died."""

_logger = logging.getLogger("frazil.storage")


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """Bytes `start` to `end` (exclusive) of an object; `last` if the object ends there."""

    start: int
    end: int
    last: bool = False

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.start}-{self.end}{'e' if self.last else ''}"

    @classmethod
    def named(cls, name: str) -> Piece | None:
        """The piece of a file name; None for the files of others."""
        start, _, end = name.partition("-")
        last = end.endswith("e")
        digits = end[:-1] if last else end
        if not (start.isascii() and start.isdigit() and digits.isascii() and digits.isdigit()):
            return None
        piece = cls(int(start), int(digits), last)
        return piece if piece.start <= piece.end and piece.name == name else None


class PieceFolder:
    """The pieces under one folder, of at most `budget` bytes in all.

    The bound is kept after every sixteenth of it that a process writes, so what is there can
    exceed it by that much for each process. What was used longest ago goes first. What the disk
    refuses is no error: a piece that cannot be read, kept or removed is one that is not there.
    """

    def __init__(self, folder: str, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self._lock = ForksafeLock()
        self._unchecked = budget  # other processes may have left more than this budget
        self._broken = False

    def pieces(self, place: str, key: str) -> list[Piece]:
        """What is kept of an object, in order."""
        try:
            with os.scandir(self._folder_of(place, key)) as entries:
                found = [Piece.named(entry.name) for entry in entries]
        except OSError:
            return []
        return sorted(piece for piece in found if piece is not None)

    def read(self, place: str, key: str, piece: Piece) -> bytes | None:
        """The bytes of a piece, checked; None if it is gone or damaged."""
        path = os.path.join(self._folder_of(place, key), piece.name)
        size = piece.end - piece.start
        try:
            fd = osfiles.open_read(path)
            try:
                status = os.fstat(fd)
                data = osfiles.read_at(fd, _HEADER.size + size + 1, 0)
            finally:
                os.close(fd)
        except OSError:
            return None
        if not _is_whole(data, place, key, piece):
            _logger.warning("%s is damaged: it is removed from the cache", path)
            with suppress(OSError):
                osfiles.remove(path)
            return None
        now = time.time()
        if now - status.st_mtime > _RECENT:
            with suppress(OSError):
                os.utime(path, (now, now))
        return data[_HEADER.size :]

    def keep(self, place: str, key: str, start: int, data: bytes, *, last: bool) -> None:
        """Keep these bytes of an object, which begin at `start` of it."""
        if len(data) > self.budget // 2:
            return
        for first in range(0, max(len(data), 1), MAX_PIECE):
            part = data[first : first + MAX_PIECE]
            at = start + first
            end = at + len(part)
            self._write(place, key, Piece(at, end, last and end == start + len(data)), part)

    def forget(self, place: str, key: str) -> None:
        """Remove all that is kept of an object."""
        folder = self._folder_of(place, key)
        for piece in self.pieces(place, key):
            with suppress(OSError):
                osfiles.remove(os.path.join(folder, piece.name))

    def _folder_of(self, place: str, key: str) -> str:
        name = xxhash.xxh3_128_hexdigest(_encoded(key))
        return os.path.join(self.folder, place, name[:2], name[2:])

    def _write(self, place: str, key: str, piece: Piece, data: bytes) -> None:
        folder = self._folder_of(place, key)
        scratch = os.path.join(folder, osfiles.scratch_name())
        header = _HEADER.pack(_MAGIC, len(data), _checksum(data, place, key, piece))
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            osfiles.write_new(scratch, header + data, durable=False)
            osfiles.replace(scratch, os.path.join(folder, piece.name))
        except OSError as error:
            with suppress(OSError):
                osfiles.remove(scratch)
            if not self._broken:
                self._broken = True
                _logger.warning("the cache in %s cannot be written: %s", self.folder, error)
            return
        with self._lock:
            self._unchecked += len(data)
            due = self._unchecked > self.budget // _SHARE
            if due:
                self._unchecked = 0
        if due:
            self.trim()

    def trim(self) -> None:
        """Remove what was used longest ago, if there is more than the budget allows.

        Does nothing while another process is at it.
        """
        try:
            with FileLock(os.path.join(self.folder, "lock"), timeout=0):
                self._trim()
        except (Timeout, OSError):
            return

    def _trim(self) -> None:
        found = sorted(self._files())
        total = sum(size for _, size, _ in found)
        if total <= self.budget:
            return
        for _, size, path in found:
            if total <= self.budget * _LOW_WATER:
                break
            with suppress(OSError):
                osfiles.remove(path)
                total -= size
                os.rmdir(os.path.dirname(path))  # fails unless that was the last piece

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Time of last use, size in bytes and path of every piece; abandoned files go."""
        abandoned = time.time() - _ABANDONED
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                    if Piece.named(name) is not None:
                        yield status.st_mtime, status.st_size, path
                    elif osfiles.UNLISTED in name and status.st_mtime < abandoned:
                        osfiles.remove(path)
                except OSError:  # another process was faster
                    continue


def _checksum(data: bytes, place: str, key: str, piece: Piece) -> int:
    seed = xxhash.xxh3_64_intdigest(_encoded(f"{place}\n{key}\n{piece.name}"))
    return xxhash.xxh3_64_intdigest(data, seed=seed)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _is_whole(data: bytes, place: str, key: str, piece: Piece) -> bool:
    size = piece.end - piece.start
    if len(data) != _HEADER.size + size:
        return False
    magic, length, checksum = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    return bool(
        magic == _MAGIC and length == size and checksum == _checksum(body, place, key, piece)
    )


def cover(pieces: list[Piece], start: int, end: int) -> list[tuple[int, int, Piece | None]]:
    """How bytes `start` to `end` are put together: (first, last exclusive, piece or None).

    `pieces` in order; None stands for bytes that no piece has.
    """
    plan: list[tuple[int, int, Piece | None]] = []
    at = start
    while at < end:
        fits = [piece for piece in pieces if piece.start <= at < piece.end]
        if fits:
            best = max(fits, key=lambda piece: piece.end)
            last = min(best.end, end)
            plan.append((at, last, best))
        else:
            last = min((piece.start for piece in pieces if piece.start > at), default=end)
            last = min(last, end)
            plan.append((at, last, None))
        at = last
    return plan


def folder_path(folder: str | os.PathLike[str]) -> str:
    """The absolute path of a cache folder; `~` is the user's home."""
    return str(Path(folder).expanduser().absolute())
