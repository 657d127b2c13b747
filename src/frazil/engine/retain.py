"""Applying a retention policy to the history of a repository."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from frazil.engine.expire import apply_v1, check_writable, read_history
from frazil.engine.times import moment
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.history import SnapshotRecord
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.notes import Notes
from frazil.model.retention import Judgement, Lines, judge, retain, retain_v1
from frazil.retention import Judged, RetentionChange, RetentionPlan, RetentionPolicy

NOTE = "retention"
"""Where policies are among the notes about a repository, newest first."""
_REMEMBERED = 20


def policies(notes: Notes) -> list[RetentionChange]:
    """The policy of a repository and those before, newest first."""
    return [
        RetentionChange(
            datetime.fromisoformat(one["set_at"]),
            None if one["policy"] is None else RetentionPolicy.parse(one["policy"]),
        )
        for one in notes.get(NOTE, [])
    ]


def stored_policy(catalog: Catalog) -> RetentionPolicy | None:
    """The policy that a repository has."""
    return next((change.policy for change in policies(catalog.notes())), None)


def store_policy(catalog: Catalog, policy: RetentionPolicy | None, now: int) -> None:
    """Make this the policy of a repository; now: us since the epoch."""
    entry = {"set_at": moment(now).isoformat(), "policy": policy and str(policy)}

    def change(notes: Notes) -> dict[str, Any]:
        return {**notes, NOTE: [entry, *notes.get(NOTE, [])][:_REMEMBERED]}

    catalog.change_notes(change)


def apply_policy(
    library: Library, catalog: Catalog, policy: RetentionPolicy | None, *, dry_run: bool
) -> RetentionPlan:
    """Let go what the policy, or else the stored one, does not keep; a dry run only says what.

    Raises `InvalidInputError` (`no-retention-policy`) if there is none.
    """
    if policy is None:
        policy = stored_policy(catalog)
    if policy is None:
        raise InvalidInputError(
            "the repository has no retention policy: set one, or give one",
            ErrorKind.NO_RETENTION_POLICY,
        )
    if not dry_run:
        check_writable(library)
    now = library.now()
    if isinstance(catalog, CatalogV2):
        return _apply_v2(catalog, policy, now, dry_run=dry_run)
    return _apply_v1(library, catalog, policy, now, dry_run=dry_run)


def _apply_v2(
    catalog: CatalogV2, policy: RetentionPolicy, now: int, *, dry_run: bool
) -> RetentionPlan:
    plan: RetentionPlan

    def edit(info: RepoInfo) -> tuple[RepoInfo, Update]:
        nonlocal plan
        after, judgement = retain(info, policy, now)
        table = info.snapshots
        plan = _plan(policy, now, judgement, table.flushed_at, table.record, applied=not dry_run)
        return after.edit()

    if dry_run:
        edit(catalog.info())
    else:
        catalog.update(edit)
    return plan


def _apply_v1(
    library: Library, catalog: Catalog, policy: RetentionPolicy, now: int, *, dry_run: bool
) -> RetentionPlan:
    branches, tags = catalog.branches(), catalog.tags()
    known = read_history(library, [*branches.values(), *tags.values()])
    ids = sorted(known)
    row_of: dict[SnapshotId | None, int] = {id_: row for row, id_ in enumerate(ids)} | {None: -1}
    lines = Lines(
        np.array([known[id_][1] for id_ in ids], np.int64),
        np.array([row_of[known[id_][0]] for id_ in ids], np.int64),
        {name: row_of[tip] for name, tip in branches.items()},
        {name: row_of[tip] for name, tip in tags.items()},
    )
    judgement = judge(policy, lines, now)
    plan = _plan(
        policy,
        now,
        judgement,
        lines.made,
        lambda row: catalog.record(ids[row]),
        applied=not dry_run,
    )
    if not dry_run:
        apply_v1(library, catalog, retain_v1(ids, lines, judgement, tags))
    return plan


def _plan(
    policy: RetentionPolicy,
    now: int,
    judgement: Judgement,
    made: Any,
    record: Callable[[int], SnapshotRecord],
    *,
    applied: bool,
) -> RetentionPlan:
    kept: list[Judged] = []
    gone: list[Judged] = []
    for row in np.argsort(made, kind="stable")[::-1].tolist():
        known, reasons = record(row), tuple(judgement.reasons[row])
        one = Judged(str(known.id), moment(known.flushed_at), known.message, reasons)
        (kept if reasons else gone).append(one)
    return RetentionPlan(
        policy,
        moment(now).astimezone(UTC),
        tuple(kept),
        tuple(gone),
        tuple(sorted(judgement.deleted_tags)),
        applied,
    )
