"""How long which versions are kept: what users write, and what is shown of it.

    keep last 10, daily 14d, weekly 8w, monthly 2y
    dev/*: last 3
    tag nightly-*: last 5

A rule for each line or part between semicolons: which branches (or tags), then what is kept of
them. The first rule that fits a name counts, but one for all names, as the first one here, only
where no other fits, wherever it stands; where none fits, all is kept. In each hour, day, week,
month or year the newest commit stands for all of it. Times are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Self

from frazil.display import Displayed, Shown
from frazil.errors import ErrorKind, InvalidInputError

PERIODS = ("hourly", "daily", "weekly", "monthly", "yearly")
_UNITS = {"h": 1, "d": 24, "w": 7 * 24, "mo": 30 * 24, "y": 365 * 24}
_DURATION = re.compile(r"(\d+)\s*(mo|[hdwy])")
_RULE = re.compile(r"(?:(branch|branches|tag|tags)\s+)?(\S+)\s*:\s*(.*)")
_PATTERN = re.compile(r"[^\s;#]+")
_KINDS = ("branch", "branches", "tag", "tags")
_TERMS = "'all', 'last 10', 'within 30d', 'daily 14d'"
_ALL = "*"
_SHOWN, _EOL = 20, "\n"


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """What is kept of a branch, or of a series of tags.

    everything: all of it; last: so many, the newest; within: all that is not older; hourly to
    yearly: the newest of each hour, day, week from Monday, month and year, if not older than that.
    `InvalidInputError` for a rule that keeps nothing, and for what is below zero.
    """

    last: int = 0
    within: timedelta | None = None
    hourly: timedelta | None = None
    daily: timedelta | None = None
    weekly: timedelta | None = None
    monthly: timedelta | None = None
    yearly: timedelta | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        periods = [age for age in (self.within, *self.ages().values()) if age is not None]
        if self.last < 0 or any(age <= timedelta(0) for age in periods):
            raise _invalid("numbers and durations are above zero")
        if any(age % timedelta(hours=1) for age in periods):
            raise _invalid("durations are whole hours")
        if self.everything and (self.last or periods):
            raise _invalid("'all' stands alone")
        if not (self.everything or self.last or periods):
            raise _invalid(f"a rule says what to keep: {_TERMS}")

    def ages(self) -> dict[str, timedelta | None]:
        """How long the newest of each hour, day, week, month and year is kept."""
        return {period: getattr(self, period) for period in PERIODS}

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a text: `last 10, within 2d, daily 14d, monthly 2y`, or `all`."""
        found: dict[str, Any] = {}
        for term in text.removeprefix("keep ").split(","):
            name, _, value = term.strip().partition(" ")
            if name in found:
                raise _invalid(f"{name!r} is there twice")
            if name == "all" and not value:
                found["everything"] = True
            elif name == "last":
                found[name] = _number(value)
            elif name in ("within", *PERIODS):
                found[name] = _duration(value)
            else:
                raise _invalid(f"{term.strip()!r} is none of {_TERMS}")
        return cls(**found)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any] | str) -> Self:
        """From `{"last": 10, "daily": "14d"}`, or from a text."""
        if isinstance(document, str):
            return cls.parse(document)
        unknown = set(document) - {field.name for field in fields(cls)}
        if unknown:
            raise _invalid(f"{min(unknown)!r} is nothing that a rule says")
        values: dict[str, Any] = {
            name: _duration(value) if isinstance(value, str) else value
            for name, value in document.items()
        }
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """What is set, as `from_dict` takes it."""
        set_ = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        return {k: _text(v) if isinstance(v, timedelta) else v for k, v in set_.items()}

    def __str__(self) -> str:
        if self.everything:
            return "all"
        return ", ".join(f"{name} {value}" for name, value in self.to_dict().items())


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Which versions of a repository are kept.

    branches, tags: rules by patterns such as `dev/*`; of a branch or tag the first that fits
    counts, that for `*` last. Where none fits, everything is kept. The rule for tags goes over all
    that fit its pattern, as over a branch: tags that are not kept are deleted. The newest commit of
    each branch, what tags point to, and the first snapshot always stay.

        RetentionPolicy.parse("keep last 10, daily 14d, monthly 2y; tag nightly-*: last 5")
    """

    branches: tuple[tuple[str, RetentionRule], ...] = ()
    tags: tuple[tuple[str, RetentionRule], ...] = ()

    def __post_init__(self) -> None:
        for kind in ("branches", "tags"):
            rules = getattr(self, kind)
            patterns = [pattern for pattern, _ in rules]
            for pattern in patterns:
                if not _PATTERN.fullmatch(pattern):
                    raise _invalid(f"{pattern!r} is no pattern: it has no spaces, ';' or '#'")
                if patterns.count(pattern) > 1:
                    raise _invalid(f"of {kind}, {pattern!r} has two rules: make it one")
            # A rule that fits all would leave nothing to those behind it.
            last = tuple(sorted(rules, key=lambda rule: rule[0] == _ALL))
            object.__setattr__(self, kind, last)

    def rule_for(self, branch: str) -> RetentionRule | None:
        """The rule for a branch; None where everything is kept."""
        return next((rule for pattern, rule in self.branches if fnmatchcase(branch, pattern)), None)

    def series(self, tags: Iterable[str]) -> list[tuple[str, RetentionRule, list[str]]]:
        """Pattern and rule with the tags for which they count."""
        groups: list[tuple[str, RetentionRule, list[str]]] = [(p, r, []) for p, r in self.tags]
        for tag in tags:
            fitting = (names for pattern, _, names in groups if fnmatchcase(tag, pattern))
            next(fitting, []).append(tag)
        return groups

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a text, see above; `#` begins a comment. `tagged` may be said: it is so anyway.

        `InvalidInputError` (`invalid-retention-policy`) says what is not understood.
        """
        branches: list[tuple[str, RetentionRule]] = []
        tags: list[tuple[str, RetentionRule]] = []
        for line in text.splitlines():
            for part in line.partition("#")[0].split(";"):
                if not part.strip():
                    continue
                kind, pattern, rest = None, _ALL, part.strip()
                if found := _RULE.fullmatch(rest):
                    kind, pattern, rest = found.groups()
                    if kind is None and pattern in _KINDS:
                        kind, pattern = pattern, _ALL
                terms = [term.strip() for term in rest.removeprefix("keep ").split(",")]
                rule = RetentionRule.parse(", ".join(t for t in terms if t != "tagged"))
                (tags if (kind or "").startswith("tag") else branches).append((pattern, rule))
        if not branches and not tags:
            raise _invalid("it says nothing: write 'keep last 10, daily 14d'")
        return cls(tuple(branches), tuple(tags))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """From `{"branches": {"*": "last 10, daily 14d"}, "tags": {"nightly-*": {"last": 5}}}`.

        So a file in YAML or JSON may say it.
        """
        unknown = set(document) - {"branches", "tags"}
        if unknown:
            raise _invalid(f"{min(unknown)!r} is neither 'branches' nor 'tags'")

        def rules(kind: str) -> tuple[tuple[str, RetentionRule], ...]:
            items = (document.get(kind) or {}).items()
            return tuple((pattern, RetentionRule.from_dict(rule)) for pattern, rule in items)

        return cls(rules("branches"), rules("tags"))

    def to_dict(self) -> dict[str, Any]:
        """As `from_dict` takes it."""
        return {
            "branches": {pattern: rule.to_dict() for pattern, rule in self.branches},
            "tags": {pattern: rule.to_dict() for pattern, rule in self.tags},
        }

    def __str__(self) -> str:
        texts = [f"{'branch ' * (p in _KINDS)}{p}: {rule}" for p, rule in self.branches]
        return "; ".join([*texts, *(f"tag {pattern}: {rule}" for pattern, rule in self.tags)])


@dataclass(frozen=True, slots=True)
class Judged:
    """A snapshot and why it stays; no reasons where it goes."""

    id: str
    written_at: datetime
    message: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        why = f" ({', '.join(self.reasons)})" if self.reasons else ""
        headline = self.message.partition(_EOL)[0][:50]
        return f"{self.id[:8]} {self.written_at:%Y-%m-%d %H:%M} {headline}{why}"


@dataclass(frozen=True, repr=False, slots=True)
class RetentionPlan(Displayed):
    """What a policy keeps and what it lets go, newest first; `at`: the time that it was told.

    deleted_tags: those that go; applied: whether it was done.
    """

    policy: RetentionPolicy
    at: datetime
    kept: tuple[Judged, ...]
    gone: tuple[Judged, ...]
    deleted_tags: tuple[str, ...]
    applied: bool

    _public_name: ClassVar[str] = "frazil.retention.RetentionPlan"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""

        def plain(one: Judged) -> dict[str, Any]:
            return {
                "id": one.id,
                "written_at": one.written_at.isoformat(),
                "message": one.message,
                "reasons": list(one.reasons),
            }

        return {
            "policy": str(self.policy),
            "at": self.at.isoformat(),
            "kept": list(map(plain, self.kept)),
            "gone": list(map(plain, self.gone)),
            "deleted_tags": list(self.deleted_tags),
            "applied": self.applied,
        }

    def _shown(self) -> Iterable[Shown]:
        yield Shown("policy", str(self.policy))
        yield Shown("at", f"{self.at:%Y-%m-%d %H:%M:%S} UTC")
        for name, part in (("kept", self.kept), ("gone", self.gone)):
            lines = list(map(str, part[:_SHOWN]))
            lines += [f"and {len(part) - _SHOWN} more"] * (len(part) > _SHOWN)
            yield Shown(f"{name} ({len(part)})", "\n".join([*lines, ""]) if lines else "none")
        yield Shown("deleted_tags", list(self.deleted_tags))
        yield Shown("applied", self.applied)


@dataclass(frozen=True, slots=True)
class RetentionChange:
    """Since when a policy is that of a repository; None where there was none any more."""

    set_at: datetime
    policy: RetentionPolicy | None


def _number(text: str) -> int:
    if not text.strip().isdecimal():
        raise _invalid(f"'last' is followed by a number, not by {text!r}")
    return int(text)


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise _invalid(f"{text!r} is no duration: write 12h, 14d, 8w, 6mo (30 days each) or 2y")
    try:
        return timedelta(hours=int(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise _invalid(f"{text!r} is too long") from None


def _text(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    for unit in ("y", "w", "d", "h"):
        if hours % _UNITS[unit] == 0:
            return f"{int(hours // _UNITS[unit])}{unit}"
    raise _invalid(f"{age} is not a number of hours")


def _invalid(what: str) -> InvalidInputError:
    return InvalidInputError(f"retention policy: {what}", ErrorKind.INVALID_RETENTION_POLICY)
