"""Commands that look after a repository: doctor, gc, expire, migrate, ops."""

from __future__ import annotations

import shlex
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import (
    DryRun,
    Json,
    Url,
    Virtual,
    Yes,
    age_or_moment,
    confirm,
    moment,
    open_repository,
)
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import (
    facts,
    headline,
    plural,
    print_json,
    record_document,
    say,
    size,
    table,
    when,
)
from frazil.cli.retention import apply_policy, left

if TYPE_CHECKING:
    from frazil.checkup import Checkup

_SHOWN = 10
"""Files that `doctor` names."""
OlderThan = Annotated[
    str,
    typer.Option("--older-than", metavar="TIME", help="30d, 12h, 2w, a date or a time (UTC)."),
]


@command("doctor", Group.OPERATE, "frazil doctor weather", "frazil doctor weather v1 --all --json")
def doctor(
    url: Url,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Which version.")] = "main",
    every: Annotated[
        bool, typer.Option("--all", help="Look at every file, not at a hundred of a container.")
    ] = False,
    virtual: Virtual = None,
    as_json: Json = False,
) -> None:
    """Say whether the files of virtual chunks can be read.

    Ends with 1 if not.
    """
    repo = open_repository(url, virtual)
    found = repo.doctor(snapshot_id=repo.resolve(version), sample=None if every else 100)
    if as_json:
        print_json(
            {
                "healthy": found.is_healthy,
                "snapshot": found.snapshot_id,
                "containers": {
                    prefix: {
                        "authorized": c.authorized,
                        "references": c.references,
                        "files": c.files,
                        "checked": c.checked,
                        "missing": dict(c.missing),
                        "changed": dict(c.changed),
                        "unreachable": dict(c.unreachable),
                    }
                    for prefix, c in found.containers.items()
                },
                "uncovered": dict(found.uncovered),
                "advice": found.advice,
            }
        )
    else:
        _say_checkup(found)
    if not found.is_healthy:
        raise typer.Exit(Exit.FINDING)


def _say_checkup(found: Checkup) -> None:
    if not found.containers and not found.uncovered:
        say("there are no virtual chunks")
        return
    say("healthy" if found.is_healthy else "not healthy")
    say()
    containers = found.containers.items()
    table(
        ("CONTAINER", "ALLOWED", "CHUNKS", "FILES", "LOOKED AT", "MISSING", "CHANGED", "NO ANSWER"),
        [
            (
                prefix,
                "yes" if c.authorized else "no",
                *(f"{n:,}" for n in (c.references, c.files, c.checked)),
                *(f"{len(files):,}" for files in (c.missing, c.changed, c.unreachable)),
            )
            for prefix, c in containers
        ],
        right=range(2, 8),
    )
    wrong = [
        (kind, url, why)
        for _, c in containers
        for kind, files in (
            ("missing", c.missing), ("changed", c.changed), ("no answer", c.unreachable)
        )
        for url, why in files.items()
    ]  # fmt: skip
    wrong += [("in no container", url, f"{n} chunks") for url, n in found.uncovered.items()]
    for kind, url, why in wrong[:_SHOWN]:
        say(f"{kind}: {url}: {why}")
    if len(wrong) > _SHOWN:
        say(f"and {len(wrong) - _SHOWN} more: see --json")
    for prefix, c in containers:
        if c.references and not c.authorized:
            say(f"to look into {prefix}, add --virtual {shlex.quote(prefix)}")


@command(
    "expire",
    Group.OPERATE,
    "frazil expire weather --older-than 90d --dry-run",
    "frazil expire weather --older-than 2024-01-31 --yes",
    'frazil expire weather --policy "keep last 10, daily 14d" --dry-run',
)
def expire(
    url: Url,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="TIME", help="30d, 12h, 2w, a date or a time (UTC)."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option("--policy", help="What to keep, instead of what is stored: see retention."),
    ] = None,
    branches: Annotated[
        bool, typer.Option("--branches", help="Also delete branches that are as old.")
    ] = False,
    tags: Annotated[bool, typer.Option("--tags", help="Also delete tags that are as old.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take old commits out of the history; gc deletes their files.

    The tips of branches and tags stay. Without a time, the retention policy of the repository says
    what else does.
    """
    if older_than is None:
        if branches or tags:
            raise typer.BadParameter("--branches and --tags go with --older-than")
        apply_policy(url, policy, yes=yes, dry_run=dry_run, as_json=as_json)
        return
    if policy is not None:
        raise typer.BadParameter("give --older-than or --policy, not both")
    repo, cutoff = open_repository(url), moment(older_than)

    def run(only_look: bool) -> set[str]:
        return repo.expire_snapshots(
            cutoff,
            delete_expired_branches=branches,
            delete_expired_tags=tags,
            dry_run=only_look,
        )

    gone = run(True)
    what = f"{plural(len(gone), 'commit')} from before {when(cutoff)} UTC will leave the history"
    if gone and not dry_run:
        confirm(what, yes=yes)
    if not dry_run:
        gone = run(False)
    if as_json:
        print_json({"snapshots": sorted(gone), "older_than": cutoff, "dry_run": dry_run})
    else:
        say(what if dry_run else f"{plural(len(gone), 'commit')} left the history")
        left(url, bool(gone) and not dry_run)


@command(
    "gc",
    Group.OPERATE,
    "frazil gc weather --dry-run",
    "frazil gc weather --older-than 2d --incremental --yes",
)
def gc(
    url: Url,
    older_than: OlderThan = "7d",
    incremental: Annotated[
        bool, typer.Option("--incremental", help="Read only what has changed since the last time.")
    ] = False,
    keep_backups: Annotated[
        int | None,
        typer.Option(
            "--keep-backups",
            metavar="N",
            min=1,
            help="Also delete old copies of the repo object, but for the newest N.",
        ),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Delete files that no branch or tag leads to.

    What was stored since the time given stays: it must be before the start of the longest session
    that somebody may still commit without holding a lease. 7d and the like count back by the clock
    of the storage.
    """
    repo, cutoff = open_repository(url), age_or_moment(older_than)

    def run(only_look: bool) -> Any:
        return repo.garbage_collect(
            cutoff, dry_run=only_look, incremental=incremental, keep_backups=keep_backups
        )

    if dry_run:
        report = repo.garbage_report(cutoff, incremental=incremental, keep_backups=keep_backups)
        if as_json:
            print_json(report.to_dict() | record_document(report.summary) | {"dry_run": True})
        else:
            _say_garbage(report, older_than)
        return
    found = run(True)
    number = _objects(found)
    what = f"{plural(number, 'file')} will be deleted, {size(found.bytes_deleted)}"
    if number:
        confirm(what, yes=yes)
    found = run(False)
    if as_json:
        print_json(record_document(found) | {"dry_run": False})
    else:
        say(f"{plural(_objects(found), 'file')} deleted, {size(found.bytes_deleted)}")
        facts(
            {
                f"  {kind}": getattr(found, f"{kind.replace(' ', '_')}_deleted") or None
                for kind in ("chunks", "manifests", "snapshots", "transaction logs", "backups")
            }
        )
        for text in found.delete_errors:
            say(f"  not deleted: {text}")
    if found.objects_failed_to_delete:
        raise typer.Exit(Exit.FINDING)


def _say_garbage(report: Any, older_than: str) -> None:
    total = report.total
    say(
        f"{plural(total.objects, 'file')} older than {older_than} would be deleted, "
        f"{size(total.bytes)}"
        if total.objects
        else f"nothing older than {older_than} to delete"
    )
    shares = (("KIND", report.by_kind), ("ARRAY", report.by_array), ("MONTH", report.by_month))
    for head, found in shares:
        if found:
            say()
            rows = [
                (key.replace("_", " ") if head == "KIND" else key or "(of no known array)", share)
                for key, share in found.items()
            ]
            table(
                (head, "FILES", "SIZE"),
                [(key, f"{share.objects:,}", size(share.bytes)) for key, share in rows],
                right=(1, 2),
            )


def _objects(found: Any) -> int:
    kinds = ("chunks", "manifests", "snapshots", "attributes", "transaction_logs", "backups")
    return sum(getattr(found, f"{kind}_deleted") for kind in kinds)


@command("migrate", Group.OPERATE, "frazil migrate old --dry-run", "frazil migrate old --yes")
def migrate(url: Url, yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Bring a repository of format 1 to format 2.

    Nobody may write to it meanwhile. Programs that know only format 1 cannot use it any more, and
    commits that are on no branch and no tag are not carried over.
    """
    from frazil import upgrade_icechunk_repository

    repo = open_repository(url)
    if not dry_run:
        confirm("the repository will be of format 2, for good", yes=yes)
    upgrade_icechunk_repository(repo, dry_run=dry_run)
    if as_json:
        print_json({"spec_version": 1 if dry_run else 2, "dry_run": dry_run})
    else:
        say("the repository can be migrated" if dry_run else "the repository is of format 2 now")


@command("ops", Group.HISTORY, "frazil ops weather", "frazil ops weather -n 5 --json")
def ops(
    url: Url,
    number: Annotated[
        int | None, typer.Option("-n", min=1, metavar="N", help="Only so many.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what was done to the repository, newest first."""
    entries = [
        (entry.updated_at, type(entry.kind).__name__, _details(entry.kind))
        for entry in islice(open_repository(url).ops_log(), number)
    ]
    if as_json:
        print_json([{"at": at, "kind": kind} | details for at, kind, details in entries])
        return
    table(
        ("WHEN (UTC)", "WHAT", "DETAILS"),
        [
            (when(at), kind, " ".join(f"{k}={headline(str(v))}" for k, v in details.items()))
            for at, kind, details in entries
        ],
    )


def _details(kind: Any) -> dict[str, Any]:
    found = record_document(kind)
    if "status" in found:
        status = found.pop("status")
        found["availability"] = status.availability.name
        if status.limited_availability_reason:
            found["reason"] = status.limited_availability_reason
    return found
