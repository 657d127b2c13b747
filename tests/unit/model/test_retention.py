"""Which snapshots a policy keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.model.retention import Lines, chosen, judge
from frazil.retention import RetentionPolicy, RetentionRule

HOUR = 3_600_000_000
DAY = 24 * HOUR


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def newest(text: str, times: list[str], now: str = "2026-06-01") -> list[str]:
    """Which of the times, newest first, a rule keeps."""
    made = np.array([us(time) for time in times], np.int64)
    masks = chosen(RetentionRule.parse(text), made, us(now)).values()
    return [time for time, kept in zip(times, np.any([*masks], axis=0), strict=True) if kept]


@pytest.mark.parametrize(
    ("text", "times", "kept"),
    [
        ("last 2", ["2026-05-03", "2026-05-02", "2026-05-01"], [0, 1]),
        ("within 30d", ["2026-05-31", "2026-05-02", "2026-05-01T23:59:59"], [0, 1]),
        ("hourly 99y", ["2026-05-01T01:00", "2026-05-01T00:59", "2026-05-01T00:00"], [0, 1]),
        ("daily 99y", ["2026-05-02T00:00", "2026-05-01T23:59", "2026-05-01T00:00"], [0, 1]),
        # a Monday, and the Sunday and Monday before
        ("weekly 99y", ["2026-05-11", "2026-05-10T23:59", "2026-05-04"], [0, 1]),
        ("monthly 99y", ["2026-05-01", "2026-04-30", "2026-04-01", "2024-02-29"], [0, 1, 3]),
        ("yearly 99y", ["2026-01-01", "2025-12-31", "2025-01-01", "1969-12-31"], [0, 1, 3]),
        ("daily 2d", ["2026-05-31", "2026-05-30", "2026-05-29"], [0, 1]),
        ("all", ["2026-05-31", "1999-05-30"], [0, 1]),
        ("last 1, yearly 2y", ["2026-05-31", "2026-05-30", "2025-05-30"], [0, 2]),
    ],
)
def test_rules(text: str, times: list[str], kept: list[int]) -> None:
    assert newest(text, times) == [times[i] for i in kept]


# 0 <- 1 <- 2 <- 3 (main) <- 4 (old tip, no name)
#           2 <- 5 <- 6 (dev); 1 <- 7 (tag)
TREE = Lines(
    np.array([0, 1, 2, 3, 4, 5, 6, 7], np.int64) * DAY,
    np.array([-1, 0, 1, 2, 3, 2, 5, 1], np.int64),
    {"main": 3, "dev": 6},
    {"t": 7},
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("last 1", {0, 3, 6, 7, 4}),
        ("main: last 1", {0, 1, 2, 3, 4, 5, 6, 7}),
        ("dev: last 2; *: last 1", {0, 3, 5, 6, 7, 4}),
        ("last 1; tag t: within 2d", {0, 3, 6, 4}),
    ],
)
def test_branches_and_tags(text: str, kept: set[int]) -> None:
    judgement = judge(RetentionPolicy.parse(text), TREE, 10 * DAY)
    assert set(np.flatnonzero(judgement.kept).tolist()) == kept
    assert judgement.deleted_tags == ({"t"} - {"t" if 7 in kept else ""})


def test_reasons() -> None:
    reasons = judge(RetentionPolicy.parse("last 1, yearly 9y"), TREE, 10 * DAY).reasons
    assert reasons[0] == ["the first one"]
    assert reasons[3] == ["tip of main", "main: last 1", "main: yearly"]
    assert reasons[4] == ["on no branch"]
    assert reasons[7] == ["tag t"]
    assert reasons[1] == []


ages = st.integers(1, 60).map(lambda n: f"{n * 12}h")
rules = st.one_of(
    st.just("all"),
    st.fixed_dictionaries(
        {},
        optional={
            "last": st.integers(1, 5).map(str),
            **dict.fromkeys(("within", "hourly", "daily", "weekly", "monthly", "yearly"), ages),
        },
    )
    .filter(bool)
    .map(lambda terms: ", ".join(f"{name} {value}" for name, value in terms.items())),
)
policies = st.tuples(rules, rules, rules).map(
    lambda r: RetentionPolicy.parse(f"main: {r[0]}; dev: {r[1]}; tag a*: {r[2]}")
)


@st.composite
def histories(draw: st.DrawFn) -> Lines:
    """A tree in which each snapshot is younger than its parent, with names."""
    n = draw(st.integers(1, 25))
    steps = draw(st.lists(st.integers(1, 60 * HOUR), min_size=n, max_size=n))
    parents = [-1, *(draw(st.integers(max(0, i - 3), i - 1)) for i in range(1, n))]
    rows = st.integers(0, n - 1)
    return Lines(
        np.cumsum(np.array(steps, np.int64)),
        np.array(parents, np.int64),
        {"main": draw(rows), "dev": draw(rows), "other": draw(rows)},
        draw(st.dictionaries(st.sampled_from(["a1", "a2", "b"]), rows)),
    )


def without(lines: Lines, kept: np.ndarray, deleted: frozenset[str]) -> Lines:
    """What is left, as it is after the policy was applied."""
    place = np.cumsum(kept) - 1
    parents = []
    for row in np.flatnonzero(kept).tolist():
        step = int(lines.parent[row])
        while step >= 0 and not kept[step]:
            step = int(lines.parent[step])
        parents.append(-1 if step < 0 else int(place[step]))
    return Lines(
        lines.made[kept],
        np.array(parents, np.int64),
        {name: int(place[row]) for name, row in lines.branches.items()},
        {name: int(place[row]) for name, row in lines.tags.items() if name not in deleted},
    )


@given(histories(), policies, st.integers(0, 400 * HOUR), st.integers(0, 2000 * HOUR))
def test_often_is_as_good_as_once(
    lines: Lines, policy: RetentionPolicy, later: int, much_later: int
) -> None:
    now = int(lines.made[-1]) + later
    first = judge(policy, lines, now)
    named = [row for name, row in lines.tags.items() if name not in first.deleted_tags]
    assert first.kept[[0, *lines.branches.values(), *named]].all()
    left = without(lines, first.kept, first.deleted_tags)
    again = judge(policy, left, now)
    assert again.kept.all()
    assert not again.deleted_tags
    # some time later: what is kept of what was left is what is kept of all
    reached = _on_lines(lines)
    once = judge(policy, lines, now + much_later)
    twice = judge(policy, left, now + much_later)
    times = set(lines.made[once.kept & reached].tolist())
    assert times == set(left.made[twice.kept & _on_lines(left)].tolist()) & set(
        lines.made[reached].tolist()
    )
    assert once.deleted_tags == first.deleted_tags | twice.deleted_tags


def _on_lines(lines: Lines) -> np.ndarray:
    reached = np.zeros(len(lines.made), np.bool_)
    for row in (*lines.branches.values(), *lines.tags.values()):
        reached[lines.line(row)] = True
    return reached
