"""Names for versions, as people write them: `main`, `v1`, `7B331Z08`, `main~2`.

A branch goes before a tag of the same name, both before ids. An id may be cut to its first
characters, at least four. `~n` goes n commits back, along first parents; `~` is `~1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from frazil.errors import ErrorKind, InvalidInputError, RefNotFoundError
from frazil.ids import SnapshotId

_STEPS = re.compile(r"^(.+?)((?:~\d*)+)$", re.DOTALL)
SHORTEST = 4
"""Characters of an id that are taken for one."""


def split_steps(text: str) -> tuple[str, int]:
    """`main~2~` is `main` and 3 steps back."""
    found = _STEPS.match(text)
    if found is None:
        return text, 0
    return found[1], sum(int(step or 1) for step in found[2].split("~")[1:])


def named(
    text: str, branches: Mapping[str, SnapshotId], tags: Mapping[str, SnapshotId]
) -> SnapshotId | None:
    """What a branch or tag of this name points to."""
    return branches.get(text) or tags.get(text)


def by_id(text: str, ids: Iterable[SnapshotId]) -> SnapshotId | None:
    """The one id that begins so, None if there is none.

    `InvalidInputError` (`invalid-snapshot-id`) if there are several.
    """
    wanted = text.upper()
    if len(wanted) < SHORTEST:
        return None
    found = sorted(id_ for id_ in map(str, ids) if id_.startswith(wanted))
    if len(found) > 1:
        raise InvalidInputError(
            f"{text!r} is the beginning of {len(found)} snapshots: {', '.join(found[:3])}"
            f"{', ...' if len(found) > 3 else ''}: write more of it",
            ErrorKind.INVALID_SNAPSHOT_ID,
        )
    return SnapshotId.parse(found[0]) if found else None


def unknown(text: str, names: Iterable[str]) -> RefNotFoundError:
    """The error for what names nothing."""
    there = sorted(names)
    some = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")
    return RefNotFoundError(
        f"there is no branch, tag or snapshot {text!r}; branches and tags are {some}",
        ErrorKind.REF_NOT_FOUND,
    )
