"""What users write about how long versions are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from frazil.errors import ErrorKind, InvalidInputError
from frazil.retention import Judged, RetentionPlan, RetentionPolicy, RetentionRule

DAY = timedelta(days=1)
POLICY = RetentionPolicy(
    (
        ("main", RetentionRule(last=10, daily=14 * DAY, monthly=730 * DAY)),
        ("dev/*", RetentionRule(within=timedelta(hours=36))),
        ("*", RetentionRule(everything=True)),
    ),
    (("nightly-*", RetentionRule(last=5, weekly=56 * DAY)),),
)
TEXT = """
main: keep last 10, daily 14d, monthly 2y   # and tagged ones
dev/*: within 36h; *: all
tags nightly-*: last 5, weekly 8w, tagged
"""


def test_a_text_says_it() -> None:
    assert RetentionPolicy.parse(TEXT) == POLICY
    assert RetentionPolicy.parse(str(POLICY)) == POLICY
    assert str(POLICY) == (
        "main: last 10, daily 2w, monthly 2y; dev/*: within 36h; *: all; "
        "tag nightly-*: last 5, weekly 8w"
    )


def test_so_does_a_file() -> None:
    assert RetentionPolicy.from_dict(POLICY.to_dict()) == POLICY
    document = yaml.safe_load(
        "branches:\n  main: last 10, daily 14d, monthly 2y\n  dev/*: {within: 36h}\n  '*': all\n"
        "tags:\n  nightly-*: {last: 5, weekly: 8w}\n"
    )
    assert RetentionPolicy.from_dict(document) == POLICY


def test_a_rule_for_all_leaves_the_other_rules_their_names() -> None:
    policy = RetentionPolicy.parse(
        "keep last 10\ndev/*: last 3\ntag *: last 2; tag nightly-*: last 5"
    )
    assert policy.rule_for("dev/x") == RetentionRule(last=3)
    assert policy.rule_for("main") == RetentionRule(last=10)
    assert [names for _, _, names in policy.series(["v1", "nightly-1"])] == [["nightly-1"], ["v1"]]
    assert str(policy) == "dev/*: last 3; *: last 10; tag nightly-*: last 5; tag *: last 2"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("keep last 3", "*: last 3"),
        ("last 3, tagged", "*: last 3"),
        ("tags: last 3", "tag *: last 3"),
        ("branch tags: last 3", "branch tags: last 3"),
        ("within 6mo", "*: within 180d"),
        ("hourly 48h", "*: hourly 2d"),
        ("yearly 10y", "*: yearly 10y"),
    ],
)
def test_ways_to_say_it(text: str, same: str) -> None:
    policy = RetentionPolicy.parse(text)
    assert str(policy) == same
    assert RetentionPolicy.parse(same) == policy


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "says nothing"),
        ("# nothing", "says nothing"),
        ("tagged", "none of"),
        ("last", "followed by a number"),
        ("last ten", "followed by a number"),
        ("last 0", "says what to keep"),
        ("daily 14", "no duration"),
        ("daily 14m", "no duration"),
        ("daily 0d", "above zero"),
        ("daily 99999999999y", "too long"),
        ("dayly 14d", "none of"),
        ("last 3, last 4", "there twice"),
        ("last 3; *: last 4", "two rules"),
        ("tag a-*: last 3; tag a-*: last 4", "two rules"),
        ("all, last 3", "stands alone"),
    ],
)
def test_what_is_not_understood(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        RetentionPolicy.parse(text)
    assert caught.value.kind == ErrorKind.INVALID_RETENTION_POLICY


@pytest.mark.parametrize(
    "document", [{"branch": {}}, {"branches": {"*": {"lats": 3}}}, {"branches": {"a b": "all"}}]
)
def test_documents_that_are_not_understood(document: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        RetentionPolicy.from_dict(document)


def test_odd_durations_cannot_be_said() -> None:
    with pytest.raises(InvalidInputError, match="whole hours"):
        RetentionRule(within=timedelta(minutes=90))


def test_the_first_rule_that_fits_counts() -> None:
    assert POLICY.rule_for("dev/x") == POLICY.branches[1][1]
    assert POLICY.rule_for("other") == RetentionRule(everything=True)
    assert RetentionPolicy.parse("main: last 1").rule_for("other") is None
    ((_, _, names),) = POLICY.series(["nightly-1", "v1", "nightly-2"])
    assert names == ["nightly-1", "nightly-2"]


def test_a_plan_shows_what_stays_and_what_goes() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    plan = RetentionPlan(
        POLICY,
        at,
        (Judged("A" * 20, at, "two\nlines", ("tip of main", "main: daily")),),
        tuple(Judged("B" * 20, at, "gone") for _ in range(30)),
        ("nightly-1",),
        applied=False,
    )
    text = str(plan)
    assert "AAAAAAAA 2026-01-02 00:00 two (tip of main, main: daily)" in text
    assert "gone (30)" in text
    assert "and 10 more" in text
    assert plan.to_dict()["kept"][0]["reasons"] == ["tip of main", "main: daily"]
    assert RetentionPolicy.parse(plan.to_dict()["policy"]) == POLICY
