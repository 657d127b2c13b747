"""Commands on a repository as a whole: init, info, status, demo."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.output import facts, headline, plural, print_json, say, table, when

if TYPE_CHECKING:
    from frazil.verification import LastVerification


@command("init", Group.CHANGE, "frazil init new", "frazil init new --spec 1")
def init(
    url: Url,
    spec: Annotated[
        int, typer.Option(min=1, max=2, metavar="1|2", help="Version of the format.")
    ] = 2,
    as_json: Json = False,
) -> None:
    """Make a new, empty repository."""
    import frazil

    place = frazil.storage_from_url(url)
    if frazil.Repository.exists(place):
        raise frazil.AlreadyExistsError(f"there is a repository at {url} already")
    repo = frazil.Repository.create(place, spec_version=spec)
    if as_json:
        main = repo.lookup_branch("main")
        print_json({"url": url, "id": str(repo.id), "spec_version": spec, "main": main})
    else:
        say(f"made a repository (format {spec}) with the branch main at {url}")


@command("info", Group.LOOK, "frazil info weather", "frazil info weather --json")
def info(url: Url, as_json: Json = False) -> None:
    """Say what a repository is.

    Its format, branches, tags, the length of its history, what is in main, its settings.
    """
    from frazil.hooks.runner import KEY

    repo = open_repository(url)
    spec = int(repo.spec_version)
    branches, tags = sorted(repo.list_branches()), sorted(repo.list_tags())
    commits = len(repo.ancestry_graph(plain=True).rows)
    tip = repo.lookup_snapshot(repo.lookup_branch("main"))
    nodes = list(repo.readonly_session("main").nodes())
    arrays = sum(node.kind == "array" for node in nodes)
    stored = type(repo).fetch_config(repo.storage)
    settings = {} if stored is None else _set(stored.to_document())
    verified = repo.last_verification()
    document: dict[str, Any] = {
        "url": url,
        "id": str(repo.id),
        "spec_version": spec,
        "commits": commits,
        "branches": branches,
        "tags": tags,
        "main": {"snapshot": tip.id, "written_at": tip.written_at, "message": tip.message},
        "arrays": arrays,
        "groups": len(nodes) - arrays,
        "config": settings,
        "verified": None if verified is None else verified.to_dict(),
        "availability": repo.get_status().availability.name if spec > 1 else None,
        "hooks": [hook.name for hook in repo.hooks],
        "metadata": repo.get_metadata() if spec > 1 else None,
    }
    if as_json:
        print_json(document)
        return
    status = document["availability"]
    facts(
        {
            "repository": url,
            "id": str(repo.id),
            "format": spec,
            "status": None if status is None else status.replace("_", "-"),
            "branches": _some(branches),
            "tags": _some(tags) or "none",
            "history": plural(commits, "commit"),
            "main": f"{tip.id[:8]} {when(tip.written_at)} UTC {headline(tip.message)}",
            "in main": f"{plural(arrays, 'array')}, {plural(len(nodes) - arrays, 'group')}",
            "hooks": _some(document["hooks"]) or None,
            "metadata": "\n".join(
                f"{name}: {value}"
                for name, value in (document["metadata"] or {}).items()
                if name != KEY
            )
            or None,
            "settings": _some(sorted(settings)) or "defaults",
            "verified": _verified(verified),
        }
    )


def _verified(last: LastVerification | None) -> str | None:
    if last is None:
        return None
    wrong = "whole" if last.is_healthy else plural(last.findings, "finding")
    return f"{when(last.ended_at)} UTC, level {last.level}: {wrong}"


def _set(document: dict[str, Any]) -> dict[str, Any]:
    """What of a configuration is set."""
    inner = {k: _set(v) if isinstance(v, dict) else v for k, v in document.items()}
    return {name: value for name, value in inner.items() if value not in (None, {})}


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@command(
    "status",
    Group.LOOK,
    "frazil status weather",
    'frazil status weather --set read-only --reason "moving to the new bucket"',
)
def status(
    url: Url,
    set_to: Annotated[
        str | None,
        typer.Option("--set", help="Change it: online, read-only or archived."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who come by.")] = None,
    as_json: Json = False,
) -> None:
    """Say whether a repository takes changes; or set that.

    Also where its branches are. Archived repositories are opened by no other command.
    """
    import frazil

    known = {kind.name.replace("_", "-"): kind for kind in frazil.RepoAvailability}
    repo = frazil.Repository.open_archived(frazil.storage_from_url(url))
    if set_to is not None:
        if set_to not in known:
            raise typer.BadParameter(f"{set_to!r} is none of {', '.join(known)}")
        repo.set_status(frazil.RepoStatus(known[set_to], limited_availability_reason=reason))
    elif reason is not None:
        raise typer.BadParameter("--reason goes with --set")
    now = repo.get_status() if int(repo.spec_version) > 1 else None
    tips = [
        (name, repo.lookup_snapshot(repo.lookup_branch(name)))
        for name in sorted(repo.list_branches())
    ]
    if as_json:
        print_json(
            {
                "availability": "online" if now is None else now.availability.name,
                "set_at": now and now.set_at,
                "reason": now and now.limited_availability_reason,
                "branches": {n: {"snapshot": s.id, "written_at": s.written_at} for n, s in tips},
            }
        )
        return
    availability = "online" if now is None else now.availability.name.replace("_", "-")
    why = now.limited_availability_reason if now is not None else None
    say(availability + (f": {why}" if why else ""))
    say()
    table(
        ("BRANCH", "SNAPSHOT", "WRITTEN (UTC)", "MESSAGE"),
        [(n, s.id[:8], when(s.written_at), headline(s.message)) for n, s in tips],
    )


@command("demo", Group.LOOK, "frazil demo playground")
def demo(url: Url, as_json: Json = False) -> None:
    """Make a small repository to try the commands on.

    It holds a year of made-up weather.
    """
    from frazil.cli.demo import make_demo

    repo = make_demo(url)
    if as_json:
        print_json({"url": url, "main": repo.lookup_branch("main")})
        return
    say(f"made a repository at {url}; now try")
    place = shlex.quote(url)
    for line in (
        f"frazil log {place} --graph",
        f"frazil tree {place}",
        f"frazil diff {place} v1 main --values",
        f"frazil blame {place} /t2m",
    ):
        say(f"  {line}")
