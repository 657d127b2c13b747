"""Which forks of a session this process knows, and which of them nobody took over yet.

All forks that stem from one session, those that came back from other processes included, are one
family. A fork is taken over when it is merged, pickled or saved: whoever has got it then is in
charge. What was unpickled twice is taken over once: every pickle has a stamp.
"""

from __future__ import annotations

import secrets
import weakref
from typing import Protocol

from frazil.storage.fork import ForksafeLock


class Member(Protocol):
    """A fork."""

    def has_unseen_changes(self) -> bool:
        """Whether it has changes that nobody took over."""


class ForkFamily:
    """The forks that stem from one session, as far as this process knows."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_hex(8)
        self._members: weakref.WeakSet[Member] = weakref.WeakSet()
        self._taken: set[str] = set()
        self._lock = ForksafeLock()

    @staticmethod
    def of(token: str) -> ForkFamily:
        """The family of a fork that was unpickled."""
        with _families_lock:
            family = _families.get(token)
            if family is None:
                family = _families[token] = ForkFamily(token)
            return family

    def make_known(self) -> None:
        """Let forks that come back find this family."""
        with _families_lock:
            _families[self.token] = self

    def add(self, member: Member) -> None:
        """Count this fork among the family."""
        with self._lock:
            self._members.add(member)

    def take(self, stamp: str) -> None:
        """All copies of this pickle are taken over."""
        with self._lock:
            self._taken.add(stamp)

    def has_taken(self, stamp: str) -> bool:
        """Whether one of the copies of this pickle was taken over."""
        return stamp in self._taken

    def left_out(self) -> int:
        """The number of forks that are alive and have changes that nobody took over."""
        with self._lock:
            members = list(self._members)
        return sum(member.has_unseen_changes() for member in members)


_families: weakref.WeakValueDictionary[str, ForkFamily] = weakref.WeakValueDictionary()
_families_lock = ForksafeLock()
