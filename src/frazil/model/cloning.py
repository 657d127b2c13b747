"""Which part of a spec 2 repository a copy of it holds, and how that is added to another one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from frazil.errors import ConflictError, ErrorKind
from frazil.format.history import SnapshotTable
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.ids import INITIAL_SNAPSHOT, SnapshotId
from frazil.model.expiration import without
from frazil.model.refs import MAIN, UNSTAMPED, Edit, branch_tip, tag_target


@dataclass(frozen=True, slots=True)
class Selection:
    """The branches and tags to copy; None for all of a kind."""

    branches: frozenset[str] | None
    tags: frozenset[str] | None

    @classmethod
    def of(
        cls, branches: str | Collection[str] | None, tags: str | Collection[str] | None
    ) -> Selection:
        """If only one kind is named, none of the other is meant."""
        if branches is None and tags is None:
            return cls(None, None)
        return cls(_names(branches), _names(tags))


def _names(names: str | Collection[str] | None) -> frozenset[str]:
    if names is None:
        return frozenset()
    return frozenset([names] if isinstance(names, str) else names)


def selected(info: RepoInfo, selection: Selection) -> RepoInfo:
    """The repository with only these references; `RefNotFoundError` for one that is not there."""
    branches, tags = info.branches, info.tags
    if selection.branches is not None:
        branches = {name: branch_tip(info, name) for name in selection.branches}
    if selection.tags is not None:
        tags = {name: tag_target(info, name) for name in selection.tags}
    return replace(info, branches=branches, tags=tags)


def reach(info: RepoInfo, depth: int | None) -> npt.NDArray[np.bool_]:
    """The snapshots up to `depth` from each tip, the tip being the first, and the root."""
    table = info.snapshots
    kept = np.zeros(len(table), np.bool_)
    for tip in {*info.branches.values(), *info.tags.values()}:
        for steps, row in enumerate(table.ancestry(table.find(tip))):
            if steps == depth or (depth is None and kept[row]):
                break
            kept[row] = True
    root = table.find(INITIAL_SNAPSHOT)
    if root >= 0:
        kept[root] = True
    return kept


def history(info: RepoInfo, depth: int | None) -> SnapshotTable:
    """The history that goes with the references.

    Where `depth` cuts it off, a snapshot gets the root as its parent, and stands for the
    transaction logs of all that were in between, as after an expiration.
    """
    return without(info.snapshots, ~reach(info, depth))


def cut(whole: SnapshotTable, part: SnapshotTable) -> dict[SnapshotId, tuple[SnapshotId, ...]]:
    """The snapshots whose parent is another one in `part`, with the logs they took over."""
    rows = whole.find_many(part.ids)
    parents = whole.parent[rows]
    before = np.where(parents[:, None] >= 0, whole.ids[parents], 0)
    after = np.where(part.parent[:, None] >= 0, part.ids[part.parent], 0)
    changed = np.flatnonzero((before != after).any(axis=1))
    return {part.id_of(row): part.record(row).pruned for row in changed.tolist()}


def put_ref(name: str, *, is_tag: bool, source: RepoInfo, force: bool) -> Edit:
    """Make a branch or tag what it is in `source`, with the history that belongs to it.

    Raises `ConflictError` where that would lose something and `force` is not given.
    """
    tip = (source.tags if is_tag else source.branches)[name]

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        known = info.snapshots
        table = source.snapshots
        missing = []
        for row in table.ancestry(table.find(tip)):
            if known.find(table.id_of(row)) >= 0:
                break
            missing.append(table.record(row))
        info = replace(info, snapshots=known.add(missing[::-1]))
        if is_tag:
            current = info.tags.get(name)
            check_tag(name, current, tip, deleted=name in info.deleted_tags, force=force)
            info = replace(
                info,
                tags=info.tags | {name: tip},
                deleted_tags=info.deleted_tags - {name},
            )
            return info, Update(UpdateKind.TAG_CREATED, UNSTAMPED, name=name)
        current = info.branches.get(name)
        info = replace(info, branches=info.branches | {name: tip})
        if current is None:
            return info, Update(UpdateKind.BRANCH_CREATED, UNSTAMPED, name=name)
        if not force:
            ahead = table.find(current) >= 0 and any(
                table.id_of(row) == current for row in table.ancestry(table.find(tip))
            )
            check_ahead(name, current, tip, ahead=ahead)
        return info, Update(UpdateKind.BRANCH_RESET, UNSTAMPED, name=name, previous=current)

    return edit


def check_ahead(name: str, current: SnapshotId, tip: SnapshotId, *, ahead: bool) -> None:
    """Raise `ConflictError` unless the branch there can simply advance to `tip`."""
    if not ahead:
        raise ConflictError(
            str(tip),
            str(current),
            f"branch {name!r} at the target has commits that the source does not have: its tip "
            f"{current} is not in the history of {tip}; pass force=True to move it all the same",
            ErrorKind.BRANCH_UPDATE_CONFLICT,
        )


def check_tag(
    name: str, current: SnapshotId | None, tip: SnapshotId, *, deleted: bool, force: bool
) -> None:
    """Raise `ConflictError` if a tag of the target says something else."""
    if force or (current in (None, tip) and not deleted):
        return
    what = "was deleted" if deleted else f"is {current}"
    raise ConflictError(
        str(tip),
        None if current is None else str(current),
        f"tag {name!r} {what} at the target, and {tip} in the source; "
        "pass force=True to make it as in the source",
        ErrorKind.TAG_ALREADY_EXISTS,
    )


def new_repository(portion: RepoInfo, template: RepoInfo) -> RepoInfo:
    """The first state of a copy: `portion` over the `template` of a new repository.

    `main`, which every repository has, is empty if it is not among the branches. How the
    source's storage is used is not how the target's is, so that is left out.
    """
    config = {key: value for key, value in (portion.config or {}).items() if key != "storage"}
    return replace(
        template,
        branches={MAIN: INITIAL_SNAPSHOT} | portion.branches,
        tags=portion.tags,
        deleted_tags=portion.deleted_tags,
        snapshots=portion.snapshots,
        metadata=portion.metadata,
        config=config or None,
        enabled_flags=portion.enabled_flags,
        disabled_flags=portion.disabled_flags,
    )
