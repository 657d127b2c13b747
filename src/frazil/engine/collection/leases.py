"""Leases: a writer's word that what it stores is going to be needed.

    frazil/leases/<id> = {"started": us or null, "seconds": for how long, "holder": who,
                          "repository": id or null}

Each lease is a small object. It holds for so many seconds after the object was last written, and
what was stored since it started is not collected. All times are those of the storage: whose clock
differs, writer or collector, does no harm. A writer that dies stops renewing, and the lease lapses.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ClassVar

from frazil.display import Displayed, Shown
from frazil.engine.store_clock import OWN_FOLDER, storage_now
from frazil.engine.times import microseconds, moment
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.ids import ObjectId
from frazil.library.files import Library
from frazil.storage.base import ObjectInfo

FOLDER = f"{OWN_FOLDER}/leases"
_SLACK = 1_000_000
"""Us by which a time of whole seconds can be early."""
_LOGGER = logging.getLogger("frazil.leases")


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What the object of a lease says: us since the epoch, seconds; `key` is its own.

    repository: the id of the one that it is about, None if its holder did not know.
    """

    key: str
    started: int
    seconds: float
    renewed: int
    holder: str
    repository: str | None = None

    def holds(self, now: int) -> bool:
        """Whether it does at `now` (us) by the clock of the storage."""
        return now <= self.renewed + int(self.seconds * 1e6) + _SLACK


def read_leases(library: Library) -> list[LeaseRecord]:
    """All that are there, also those that have lapsed; `FormatError` for one that is damaged."""
    found = (_read(library, info) for info in list(library.backend.list(FOLDER)))
    return [lease for lease in found if lease is not None]


def _read(library: Library, info: ObjectInfo) -> LeaseRecord | None:
    try:
        data = library.backend.get(info.key)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None  # let go of in this moment
    renewed = microseconds("last_modified", info.last_modified)
    try:
        found = json.loads(data)
        started, seconds, holder = found["started"], float(found["seconds"]), str(found["holder"])
        started = renewed if started is None else int(started)
        return LeaseRecord(info.key, started, seconds, renewed, holder, found.get("repository"))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{info.key} is not a lease that can be read ({error}): if no long writer is at work, "
            "delete it",
            ErrorKind.INVALID_FILE_FORMAT,
        ) from None


def holding(library: Library, leases: Sequence[LeaseRecord], now: int) -> list[LeaseRecord]:
    """Those that hold at `now` (us); one about another repository, which was here before, does not.

    A lease that names no repository is about this one.
    """
    own = library.identity()
    known = {None, None if own is None else str(own)}
    return [
        lease for lease in leases if lease.holds(now) and (own is None or lease.repository in known)
    ]


def held_since(library: Library, *, look_only: bool = False) -> tuple[int | None, list[str]]:
    """When the oldest lease that holds was started (us), and the keys of those that have lapsed.

    look_only: go by the clock of this computer, because to ask for that of the storage is to write.
    """
    leases = read_leases(library)
    if not leases:
        return None, []
    held = holding(library, leases, library.now() if look_only else storage_now(library))
    lapsed = [lease.key for lease in leases if lease not in held]
    return min((lease.started for lease in held), default=None), lapsed


class Lease(Displayed):
    """A lease that is held, to be used in a `with` statement; made by `Repository.lease`.

    While the block runs, a thread renews it three times in each period, and leaving the block lets
    go of it.
    """

    _public_name: ClassVar[str] = "frazil.engine.collection.leases.Lease"

    def __init__(
        self,
        library: Library,
        seconds: float,
        holder: str | None = None,
        *,
        reach: timedelta = timedelta(0),
    ) -> None:
        """Take a lease that holds for `seconds` after each renewal.

        reach: how long before now what it keeps may have been stored.
        """
        if not seconds > 0:
            raise ValueError(f"a lease holds for a time above 0, not {seconds} seconds")
        self._library = library
        self._seconds = seconds
        self._holder = _whoever() if holder is None else holder
        self._key = f"{FOLDER}/{library.new_id(ObjectId)}"
        self._started: int | None = None
        self._ended = threading.Event()
        self._renewed = 0
        self._store()
        # The storage says when that was; a lease that says nothing yet starts when it was stored.
        self._started = self._written() - reach // timedelta(microseconds=1)
        self._store()
        library.leases.add(self)

    @property
    def id(self) -> str:
        """Its name among the leases of the repository."""
        return self._key.rpartition("/")[2]

    @property
    def started(self) -> datetime:
        """What was stored since then is safe: a time by the clock of the storage."""
        return moment(self._started or 0)

    @property
    def lasts(self) -> timedelta:
        """How long it holds after it was last renewed."""
        return timedelta(seconds=self._seconds)

    def renew(self) -> None:
        """Let it hold for as long again, from now on.

        `StorageError` (`object-not-found`) if it had lapsed and a collection has removed it: what
        was stored under it may be gone.
        """
        try:
            self._written()
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            raise StorageError(
                f"lease {self.id} has lapsed, as it was not renewed within {self.lasts}, and a "
                "collection has removed it: what was stored under it may be gone, so write again",
                ErrorKind.OBJECT_NOT_FOUND,
            ) from error
        self._store()

    def keep_up(self) -> None:
        """Renew it if a third of its time has gone, by the clock of this process.

        If it had lapsed, as that of a computer that was asleep does, it is taken again, as of when
        it was taken first, and `Library.lapses` says that there was a gap.
        """
        if self._library.now() - self._renewed > self._seconds / 3 * 1e6:
            self._prolong()

    def _prolong(self) -> None:
        lapsed = self._library.now() - self._renewed > self._seconds * 1e6
        try:
            self.renew()
        except StorageError as error:
            if error.kind != ErrorKind.OBJECT_NOT_FOUND:
                raise
            self._store()
            lapsed = True
        if lapsed:
            self._library.lapses += 1
            _LOGGER.warning("lease %s had lapsed, and was taken again", self.id)

    def release(self) -> None:
        """Let go of it: what is stored is protected by its age alone again."""
        self._ended.set()
        self._library.leases.discard(self)
        self._library.backend.delete([self._key])

    def __enter__(self) -> Lease:
        threading.Thread(target=self._keep, name="frazil-lease", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                self._prolong()
            except StorageError as error:
                _LOGGER.warning("lease %s could not be renewed: %s", self.id, error.message)

    def _written(self) -> int:
        return microseconds("last_modified", self._library.backend.info(self._key).last_modified)

    def _store(self) -> None:
        identity = self._library.identity()
        document: dict[str, Any] = {
            "started": self._started,
            "seconds": self._seconds,
            "holder": self._holder,
            "repository": None if identity is None else str(identity),
        }
        begun = self._library.now()
        self._library.backend.put(self._key, json.dumps(document).encode())
        self._renewed = begun

    def _shown(self) -> list[Shown]:
        return [
            Shown("id", self.id),
            Shown("started", self.started),
            Shown("lasts", self.lasts),
            Shown("holder", self._holder),
        ]


def _whoever() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for the number, as in a container
        user = "?"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
