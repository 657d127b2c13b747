"""Times: microseconds since the epoch in files, datetimes with users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from frazil.arguments import instance_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(name: str, value: datetime) -> int:
    """Microseconds since the epoch; `TypeError` for a `name` that is none, or has no timezone."""
    if instance_of(datetime, name, value).tzinfo is None:
        raise TypeError(f"{name} takes a datetime with a timezone")
    return (value - EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The time that a file holds; aware, UTC."""
    return EPOCH + timedelta(microseconds=microseconds)
