"""Commands on which versions are kept: retention show, set, preview."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import headline, plural, print_json, say, table, when

Policy = Annotated[
    str,
    typer.Argument(
        metavar="POLICY",
        help="'keep last 10, daily 14d, monthly 2y', @FILE with rules, YAML or JSON, or none.",
    ),
]


@command("retention show", Group.OPERATE, "frazil retention show weather")
def retention_show(url: Url, as_json: Json = False) -> None:
    """Show which versions are to be kept, and what was said of that before."""
    changes = open_repository(url).retention_history()
    if as_json:
        found = [{"set_at": c.set_at, "policy": c.policy and str(c.policy)} for c in changes]
        print_json({"policy": found[0]["policy"] if found else None, "history": found})
    elif changes:
        table(
            ("SET (UTC)", "POLICY"),
            [(when(change.set_at), str(change.policy or "none")) for change in changes],
        )
    else:
        say("no policy: everything is kept")


@command(
    "retention set",
    Group.OPERATE,
    'frazil retention set weather "keep last 10, daily 14d, monthly 2y; tag nightly-*: last 5"',
    "frazil retention set weather none",
)
def retention_set(url: Url, policy: Policy, as_json: Json = False) -> None:
    """Store with a repository which versions are to be kept.

    It takes effect with expire. A rule for each part between semicolons: which branches, dev/*, or
    tags, tag nightly-*; then what is kept of them. The first that fits counts, that for all
    names last; where none fits, everything is kept. In each hour, day, week, month or year the
    newest commit stays.
    """
    given = None if policy == "none" else read_policy(policy)
    open_repository(url).set_retention(given)
    if as_json:
        print_json({"policy": given and str(given)})
    else:
        say(f"policy: {given or 'none, everything is kept'}")
        if given is not None:
            say(f"expire obeys it; see what would go: frazil expire {shlex.quote(url)} --dry-run")


@command(
    "retention preview",
    Group.OPERATE,
    'frazil retention preview weather "keep last 2, monthly 2y"',
)
def retention_preview(
    url: Url,
    policy: Annotated[
        str | None,
        typer.Argument(metavar="POLICY", help="Instead of what is stored: as for set."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which commits would stay, and why, and which would go."""
    given = None if policy is None else read_policy(policy)
    plan = open_repository(url).apply_retention(given, dry_run=True)
    if as_json:
        print_json(plan.to_dict())
        return
    rows = sorted((*plan.kept, *plan.gone), key=lambda one: one.written_at, reverse=True)
    table(
        ("", "SNAPSHOT", "WRITTEN (UTC)", "MESSAGE", "WHY"),
        [
            (
                "keep" if one.reasons else "go",
                one.id[:8],
                when(one.written_at),
                headline(one.message),
                ", ".join(one.reasons),
            )
            for one in rows
        ],
    )
    say(_total(plan))


def apply_policy(url: str, policy: str | None, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """What `expire` does where no time is given."""
    repo = open_repository(url)
    given = None if policy is None else read_policy(policy)
    if given is None and repo.get_retention() is None:
        raise typer.BadParameter(
            "the repository has no retention policy: add --older-than or --policy, "
            "or store one with frazil retention set"
        )
    plan = repo.apply_retention(given, dry_run=True)
    if not dry_run:
        if plan.gone or plan.deleted_tags:
            confirm(_total(plan), yes=yes)
        plan = repo.apply_retention(plan.policy)
    if as_json:
        print_json(plan.to_dict())
    else:
        say(_total(plan))
        left(url, plan.applied and bool(plan.gone))


def left(url: str, anything: bool) -> None:
    """Say what comes after commits have left the history."""
    if anything:
        say(f"their files stay until they are collected: frazil gc {shlex.quote(url)} --dry-run")


def read_policy(text: str) -> Any:
    """A policy from a text, or from a file after an @."""
    from frazil.retention import RetentionPolicy

    if not text.startswith("@"):
        return RetentionPolicy.parse(text)
    file = Path(text[1:])
    try:
        content = file.read_text("utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from None
    if file.suffix in (".yaml", ".yml"):
        import yaml

        return RetentionPolicy.from_dict(yaml.safe_load(content))
    if file.suffix == ".json":
        return RetentionPolicy.from_dict(json.loads(content))
    return RetentionPolicy.parse(content)


def _total(plan: Any) -> str:
    gone, tags = plural(len(plan.gone), "commit"), plural(len(plan.deleted_tags), "tag")
    verb = "left the history" if plan.applied else "will leave the history"
    also = f", {tags} {'were' if plan.applied else 'will be'} deleted" * bool(plan.deleted_tags)
    return f"{gone} {verb}, {len(plan.kept)} stay{also}"
