"""The search for the first commit at which something is wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Search:
    """Commits are numbered from the oldest; that of number `good` is good, `bad` is bad.

    skipped: those that cannot be judged.
    """

    good: int
    bad: int
    skipped: frozenset[int] = frozenset()

    @property
    def suspects(self) -> list[int]:
        """The commits of which one is the first bad one."""
        return list(range(self.good + 1, self.bad + 1))

    def next(self) -> int | None:
        """The commit to look at: the nearest to the middle that was not skipped.

        None if only one is left, or only skipped ones before the first that is known as bad.
        """
        left = [i for i in range(self.good + 1, self.bad) if i not in self.skipped]
        middle = (self.good + self.bad) // 2
        return min(left, key=lambda i: (abs(i - middle), i), default=None)

    def judged(self, commit: int, good: bool | None) -> Search:
        """The search after a commit turned out good, bad, or (None) impossible to judge."""
        if good is None:
            return replace(self, skipped=self.skipped | {commit})
        return replace(self, good=commit) if good else replace(self, bad=commit)
