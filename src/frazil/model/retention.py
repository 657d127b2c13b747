"""Which snapshots a retention policy keeps, and what they are attached to then: pure.

A snapshot stays if it is the first one, the newest of a branch, what a kept tag points to, chosen
by the rule of a branch on whose line it is, or on no line at all: then nobody has said anything
of it, and a collection will judge by its age. A kept snapshot whose parent goes is attached to
its nearest kept ancestor; in spec 2 it takes over the transaction logs of those in between, so that
differences stay known, as after a collection.

Each choice is made such that thinning often leads to the same as thinning once: a snapshot that a
rule keeps later is one that it keeps now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from frazil.format.history import SnapshotTable
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.ids import SnapshotId
from frazil.model.expiration import Expired, PlanV1, Ref, attached, thinned
from frazil.model.flags import DELETE_TAG, check_enabled
from frazil.retention import PERIODS, RetentionPolicy, RetentionRule

Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_US = timedelta(microseconds=1)
_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_MONDAY = 3
"""Days from the Monday before the epoch to the epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """A history.

    made: int64[n], us since the epoch; parent: the row of the parent, or -1; branches, tags: the
    rows that they point to.
    """

    made: Times
    parent: npt.NDArray[np.int64]
    branches: Mapping[str, int]
    tags: Mapping[str, int]

    def line(self, row: int) -> list[int]:
        """A row, its parent's, and so on."""
        parents, found = self.parent, []
        for _ in range(len(parents)):
            found.append(row)
            row = int(parents[row])
            if row < 0:
                break
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """reasons: why each snapshot stays, empty where it goes; deleted_tags: those that go."""

    reasons: list[list[str]]
    deleted_tags: frozenset[str]

    @property
    def kept(self) -> Mask:
        """bool[n]"""
        return np.array([bool(reasons) for reasons in self.reasons], np.bool_)


def chosen(rule: RetentionRule, made: Times, now: int) -> dict[str, Mask]:
    """Which of the commits of a line, newest first, each part of a rule keeps; all in us."""
    if rule.everything:
        return {"all": np.ones(len(made), np.bool_)}
    found = {}
    if rule.last:
        found[f"last {rule.last}"] = np.arange(len(made)) < rule.last
    if rule.within is not None:
        found["within"] = made >= now - rule.within // _US
    for period, age in rule.ages().items():
        if age is not None:
            _, newest = np.unique(_periods(period, made), return_index=True)
            mask = np.zeros(len(made), np.bool_)
            mask[newest] = True
            found[period] = mask & (made >= now - age // _US)
    return found


def _periods(period: str, made: Times) -> Times:
    """The number of the hour, day, week, month or year in which each time is."""
    days = made // _DAY
    if period == "hourly":
        return made // _HOUR
    if period == "daily":
        return days
    if period == "weekly":
        return (days + _MONDAY) // 7
    unit = "M" if period == PERIODS[3] else "Y"
    return days.astype("datetime64[D]").astype(f"datetime64[{unit}]").astype(np.int64)


def judge(policy: RetentionPolicy, lines: Lines, now: int) -> Judgement:
    """Judge each snapshot; now: us since the epoch."""
    reasons: list[list[str]] = [[] for _ in range(len(lines.made))]
    reached = np.zeros(len(lines.made), np.bool_)
    for row in np.flatnonzero(lines.parent < 0).tolist():
        reasons[row].append("the first one")
    for name, tip in sorted(lines.branches.items()):
        line = lines.line(tip)
        reached[line] = True
        reasons[tip].append(f"tip of {name}")
        rule = policy.rule_for(name)
        if rule is None:
            rule = RetentionRule(everything=True)
        for why, mask in chosen(rule, lines.made[line], now).items():
            text = f"{name}: {why}"
            for at in np.flatnonzero(mask).tolist():
                reasons[line[at]].append(text)
    deleted = _deleted_tags(policy, lines, now)
    for name, row in sorted(lines.tags.items()):
        reached[lines.line(row)] = True
        if name not in deleted:
            reasons[row].append(f"tag {name}")
    for row in np.flatnonzero(~reached).tolist():
        reasons[row].append("on no branch")
    return Judgement(reasons, deleted)


def _deleted_tags(policy: RetentionPolicy, lines: Lines, now: int) -> frozenset[str]:
    deleted: set[str] = set()
    for _, rule, names in policy.series(lines.tags):
        ordered = sorted(names, key=lambda name: (-lines.made[lines.tags[name]], name))
        made = lines.made[[lines.tags[name] for name in ordered]]
        kept = np.logical_or.reduce([*chosen(rule, made, now).values()])
        deleted.update(np.array(ordered, object)[~kept].tolist())
    return frozenset(deleted)


def lines_of(info: RepoInfo) -> Lines:
    """The history of a spec 2 repository."""
    table = info.snapshots
    return Lines(
        table.flushed_at.astype(np.int64),
        table.parent.astype(np.int64),
        {name: table.find(tip) for name, tip in info.branches.items()},
        {name: table.find(tip) for name, tip in info.tags.items()},
    )


def retain(info: RepoInfo, policy: RetentionPolicy, now: int) -> tuple[Expired, Judgement]:
    """The spec 2 repository after the policy was applied, and why."""
    judgement = judge(policy, lines_of(info), now)
    if judgement.deleted_tags:
        check_enabled(info, DELETE_TAG)
    going = ~judgement.kept
    table: SnapshotTable = info.snapshots
    after = replace(
        info,
        tags={n: tip for n, tip in info.tags.items() if n not in judgement.deleted_tags},
        deleted_tags=info.deleted_tags | judgement.deleted_tags,
        snapshots=thinned(table, going),
    )
    return Expired(after, sort_keys(table.rows["id"][going])), judgement


def retain_v1(
    ids: list[SnapshotId], lines: Lines, judgement: Judgement, tags: Mapping[str, SnapshotId]
) -> PlanV1:
    """What to do in a spec 1 repository; `ids`: of the rows."""
    kept = judgement.kept
    return PlanV1(
        {ids[row]: ids[parent] for row, parent in attached(lines.parent, ~kept).items()},
        frozenset(ids[row] for row in np.flatnonzero(~kept).tolist()),
        tuple(Ref(name, True, tags[name]) for name in sorted(judgement.deleted_tags)),
    )
