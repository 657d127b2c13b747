"""The status of a repository."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

from frazil.status import RepoStatus
from frazil.types import RepoAvailability

AT = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)


def test_values_compare_by_what_they_say() -> None:
    one = RepoStatus(RepoAvailability.read_only, AT, "moving")
    assert one == RepoStatus(RepoAvailability.read_only, AT, "moving")
    assert one == RepoStatus(
        RepoAvailability.read_only, AT.astimezone(timezone(timedelta(hours=5))), "moving"
    )
    assert one != RepoStatus(RepoAvailability.online, AT, "moving")
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))


def test_the_time_is_now_unless_given() -> None:
    before = datetime.now(UTC)
    assert before <= RepoStatus(RepoAvailability.online).set_at <= datetime.now(UTC)


def test_a_time_without_timezone_is_refused() -> None:
    with pytest.raises(TypeError, match="timezone"):
        RepoStatus(RepoAvailability.online, datetime(2024, 1, 1))


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RepoStatus(RepoAvailability.online).availability = RepoAvailability.read_only  # type: ignore[misc]


def test_it_shows_its_fields() -> None:
    assert str(RepoStatus(RepoAvailability.read_only, AT, "moving")) == (
        "<frazil.repository.RepoStatus>\n"
        "availability: ReadOnly\n"
        "set_at: 2024-05-06T07:08:09.000010+00:00\n"
        "limited_availability_reason: moving\n"
    )
