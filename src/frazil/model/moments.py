"""Whether garbage was collected since a moment, as the log of operations tells.

A collection, by Frazil or by Icechunk, adds its entry to the log before it deletes anything, also
if it finds nothing. So whoever has read files of a version that is listed, and finds no such entry
when the result becomes visible, refers to nothing that is gone or about to go: a collection that
comes later finds the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from frazil.errors import ConflictError, ErrorKind
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind

HARMLESS: Final = tuple(kind for kind in UpdateKind if kind is not UpdateKind.GC_RAN)
"""Kinds of operations that delete nothing; of one that only a newer release knows, who can tell."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The newest operation that was known: when it was made (us since the epoch), and its kind."""

    made_at: int
    kind: int = 0


NEVER: Final = Moment(-1)
"""Of sessions that are not committed."""


class Collected(ConflictError):
    """Somebody has collected garbage meanwhile, maybe what was about to be referred to."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message=message
            or "somebody has collected garbage meanwhile, and what was read before may be gone: "
            "do it again",
            kind=ErrorKind.REPO_INFO_UPDATED,
        )


def moment_of(info: RepoInfo) -> Moment:
    """The newest operation on a repository."""
    rows = info.updates.rows
    return Moment(int(rows["updated_at"][0]), int(rows["kind"][0])) if len(rows) else Moment(0)


def collected_since(info: RepoInfo, since: Moment) -> bool:
    """Whether garbage may have been collected.

    So it may where the object does not tell: its log does not reach back so far, or is another one.
    """
    rows = info.updates.rows
    known = np.flatnonzero((rows["updated_at"] == since.made_at) & (rows["kind"] == since.kind))
    if not len(known):
        return True
    return not np.isin(rows["kind"][: known[0]], HARMLESS).all()


def last_collection(info: RepoInfo) -> int:
    """When the last collection may have been (us since the epoch); 0 if there was none."""
    rows = info.updates.rows
    found = np.flatnonzero(~np.isin(rows["kind"], HARMLESS))
    if len(found):
        return int(rows["updated_at"][found[0]])
    return 0 if info.repo_before_updates is None else int(rows["updated_at"][-1])


def unless_collected(
    edit: Callable[[RepoInfo], tuple[RepoInfo, Update]], since: Moment | None
) -> Callable[[RepoInfo], tuple[RepoInfo, Update]]:
    """The edit, which raises `Collected` where garbage may have been collected since then."""

    def checked(info: RepoInfo) -> tuple[RepoInfo, Update]:
        after = edit(info)  # first, as what it raises says more
        if since is not None and collected_since(info, since):
            raise Collected
        return after

    return checked
