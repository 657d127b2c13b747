"""The status of a repository: whether it takes writes, since when and why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from frazil.display import Displayed, Shown, record
from frazil.types import RepoAvailability


class RepoStatus(Displayed):
    """Whether a repository takes writes; `set_at` is now unless given, and timezone-aware."""

    __slots__ = ("_availability", "_reason", "_set_at")
    _public_name: ClassVar[str] = "frazil.repository.RepoStatus"

    def __init__(
        self,
        availability: RepoAvailability,
        set_at: datetime | None = None,
        limited_availability_reason: str | None = None,
    ) -> None:
        if set_at is not None and set_at.tzinfo is None:
            raise TypeError("RepoStatus.set_at takes a datetime with a timezone")
        self._availability = RepoAvailability(availability)
        self._set_at = datetime.now(UTC) if set_at is None else set_at
        self._reason = limited_availability_reason

    @property
    def availability(self) -> RepoAvailability:
        """Online, read-only or archived."""
        return self._availability

    @property
    def set_at(self) -> datetime:
        """When it was set."""
        return self._set_at

    @property
    def limited_availability_reason(self) -> str | None:
        """Why, in the words of whoever set it."""
        return self._reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RepoStatus) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[RepoAvailability, datetime, str | None]:
        return self._availability, self._set_at, self._reason

    def _shown(self) -> Iterable[Shown]:
        return record(("availability", "set_at", "limited_availability_reason"), self)
