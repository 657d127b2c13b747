"""What a place with the files of virtual chunks has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a file from a changed one.

    etag: its ETag without quotes; modified: seconds since the epoch; None where unknown.
    """

    etag: str | None
    modified: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes of a file, its size in bytes, and its stamp at the moment at which they were read."""

    data: bytes
    size: int
    stamp: Stamp


class Source(ABC):
    """Files by their key (see `frazil.model.virtual_urls`); any number of threads may read.

    gap: ranges of one file that are at most so many bytes apart are read together; piece: a
    request is for about so many bytes at most; local: whether a read costs microseconds.
    """

    __slots__ = ()

    gap: ClassVar[int] = 512 * 1024
    piece: ClassVar[int] = 12 * 1024 * 1024
    local: ClassVar[bool] = False

    @abstractmethod
    def read(self, key: str, start: int, end: int) -> Found:
        """Bytes `start` to `end` (exclusive), fewer where the file ends.

        `StorageError` of kind `object-not-found` if there is no such file.
        """

    @abstractmethod
    def stat(self, key: str) -> Found:
        """Size and stamp of a file, without its bytes; errors as `read`."""


def bare_etag(etag: str | None) -> str | None:
    """An ETag as checksums hold it: without quotes, and without the mark of a weak one."""
    return None if etag is None else etag.removeprefix("W/").strip('"')
