"""The port to the place where the bytes of a repository live.

A backend holds objects: a key (segments joined by `/`, see `frazil.storage.keys`) and
bytes. Objects are written and replaced as a whole: a reader sees the old bytes or the new
ones (but see `Fresh`). Two conditions of `put` are all that concurrent writers need:

    CREATE            store only if nothing is there
    Update(version)   store only if what is there is still what was read

Every backend and every wrapper around one passes tests/contract/test_storage.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import numpy.typing as npt

from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.storage.keys import folder_prefix
from frazil.storage.pool import WORKERS, map_parallel

Numbers = npt.NDArray[np.int64]
"""int64[n]"""

IMMUTABLE_FOLDERS = frozenset({"chunks", "manifests", "overwritten", "snapshots", "transactions"})
"""Objects under these folders are stored without conditions and get no version."""


PAGE = 65_536
"""Objects on a page of a listing, at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def is_immutable(key: str) -> bool:
    """Whether the object of this key is written once, under a name used for nothing else."""
    return key.partition("/")[0] in IMMUTABLE_FOLDERS


@dataclass(frozen=True, slots=True)
class Version:
    """What an object was when it was read; only for comparing and for `Update`."""

    token: str


UNVERSIONED = Version("")
"""The version that `put` may return for an immutable object; no object ever matches it."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole object with the version that belongs to exactly these bytes."""

    data: bytes
    version: Version
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing tells of an object: size in bytes, time of the last write (aware, UTC)."""

    key: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Some objects of a folder: the last segments of their keys, all as text or all as bytes.

    sizes: bytes; times: of the last write, microseconds since the epoch (UTC). None where the
    storage would have to look at each object to tell, and was not asked to.
    """

    names: Sequence[str] | Sequence[bytes]
    sizes: Numbers | None = None
    times: Numbers | None = None


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Store whatever is there."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Store under a name that has just been drawn at random: nobody looks for it until told.

    As `Overwrite`, but who lists the folder may see a part of the object before `put` returns,
    and a process that dies in between may leave one.
    """


@dataclass(frozen=True, slots=True)
class Create:
    """Store only if there is no such object."""


@dataclass(frozen=True, slots=True)
class Update:
    """Store only if the object has still this version."""

    version: Version


PutMode = Overwrite | Fresh | Create | Update
OVERWRITE = Overwrite()
FRESH = Fresh()
CREATE = Create()


class PreconditionFailed(StorageError):
    """A conditional request met an object that is not as the condition says; nothing changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorKind.OBJECT_STORE)


class AccessDenied(StorageError):
    """The storage does not let this user do that."""


class Backend(ABC):
    """Objects by key, safe for any number of threads, and to be used after a fork.

    Every method raises `StorageError` for what goes wrong in the storage, kind
    `object-not-found` where the object is missing, and `InvalidInputError` for a key or a
    range that cannot be.
    """

    @abstractmethod
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """The object's bytes from `start` up to but not including `end`.

        `StorageError` of kind `invalid-object-size` if the range goes beyond the end.
        """

    @abstractmethod
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several ranges (start, end) of one object, in the given order, as `get`."""

    @abstractmethod
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        """The whole object and its version; None if its version is still `unless`."""

    @abstractmethod
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        """Store the object; `PreconditionFailed` if the condition of `mode` does not hold.

        A mutable object (see `is_immutable`) is durable when this returns; an immutable one
        is after the next `sync`, and its version may be `UNVERSIONED`. A put that fails
        leaves the object as it was.
        """

    @abstractmethod
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        """Store the bytes of `source` as `target`, in the storage itself where possible.

        `PreconditionFailed` if `version` is given and is not that of `source`. As durable
        as a put of `target`.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def info(self, key: str) -> ObjectInfo:
        """Size and time of the object, without its bytes."""

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects; those that are missing are fine."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """The objects below the folder `prefix` (whole segments; "" for all), in any order."""

    def pages(self, folder: str, *, details: bool = False) -> Iterator[Page]:
        """The objects directly in a folder, in any order, in columns.

        details: sizes and times, whatever it takes. Names are as the storage spells them, and may
        be such that no object has.
        """
        start = len(folder_prefix(folder))
        infos = (info for info in self.list(folder) if "/" not in info.key[start:])
        while page := list(islice(infos, PAGE)):
            sizes = np.array([info.size for info in page], np.int64)
            times = np.array([_microseconds(info) for info in page], np.int64)
            yield Page([info.key[start:] for info in page], sizes, times)

    def look_at(self, folder: str, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Sizes and times, as in a `Page`, of objects directly in a folder.

        names: the last segments of their keys. A size of -1 says that there is no such object.
        """

        def one(name: str) -> tuple[int, int]:
            try:
                info = self.info(f"{folder}/{name}")
            except StorageError as error:
                if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                    raise
                return -1, 0
            return info.size, _microseconds(info)

        found = map_parallel(one, names, limit=1 if self.local else WORKERS + 1)
        table = np.array(found, np.int64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    @abstractmethod
    def sync(self) -> None:
        """Make durable what this process has put before, from any thread.

        To be called before anything that refers to those objects becomes visible. Another
        process's objects are that process's to sync.
        """

    def remove_unfinished(self, before: datetime) -> int:
        """Remove what is no object: files of writers that died before then. Returns how many."""
        return 0

    def check_conditions(self, key: str) -> None:
        """Raise `StorageError` (`storage-config`) if conditions are not obeyed by the storage.

        key: an object that is there. It is stored again if conditions are not obeyed.
        """
        return

    def turn(self) -> AbstractContextManager[object]:
        """Wait in line with other writers who have lost a race, and hold the turn.

        A courtesy, where the backend can offer it: whoever has lost competes only with
        newcomers. Nothing may depend on it.
        """
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files; the backend opens them again when used."""

    @property
    @abstractmethod
    def read_only(self) -> bool:
        """Whether the storage cannot be written at all."""

    @property
    @abstractmethod
    def local(self) -> bool:
        """Whether a read costs microseconds, not a round trip."""

    @property
    @abstractmethod
    def conditional(self) -> bool:
        """Whether the conditions of `put` hold against every writer that sets conditions."""


def _microseconds(info: ObjectInfo) -> int:
    return (info.last_modified - _EPOCH) // _MICROSECOND


def resolve_range(key: str, size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """The range (first, last exclusive) that `Backend.get` returns of an object of `size` bytes."""
    first, last = start or 0, size if end is None else end
    if first < 0 or (end is not None and first > end):
        raise InvalidInputError(
            f"invalid byte range {first}..{last} of {key!r}: it must start at 0 or later "
            "and not after its end",
            ErrorKind.INVALID_BYTE_RANGE,
        )
    if first > size or last > size:
        raise too_short(key, first, end, size)
    return first, last


def too_short(key: str, start: int, end: int | None, size: int) -> StorageError:
    """The error for an object with fewer bytes than a reader was promised."""
    wanted = f"bytes from {start}" if end is None else f"bytes {start} to {end}"
    return StorageError(
        f"object {key!r} is too short: wanted {wanted}, found {size} bytes; "
        "the object is damaged or is not what its reference says",
        ErrorKind.INVALID_OBJECT_SIZE,
    )


def not_found(key: str, where: str) -> StorageError:
    """The error for an object that is not there."""
    return StorageError(f"object {key!r} not found in {where}", ErrorKind.OBJECT_NOT_FOUND)
