"""Commands on stored hooks: hooks list, hooks add, hooks remove, hooks allow, hooks run."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from frazil.cli.arguments import At, DryRun, Json, Url, Yes, confirm, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import one_line, plural, print_json, record_document, say, table

if TYPE_CHECKING:
    from frazil import Repository
    from frazil.hooks import Hook

Name = Annotated[str, typer.Argument(metavar="HOOK", help="What it is called.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="HOOK...", help="All that are stored unless given.")
]
Texts = list[str] | None


@command(
    "hooks list",
    Group.OPERATE,
    "frazil hooks list observations",
    "frazil hooks list observations --json",
)
def hooks_list(url: Url, as_json: Json = False) -> None:
    """List the hooks that are stored with a repository, and which of them run for you."""
    repo = open_repository(url)
    hooks = repo.hooks.stored()
    if as_json:
        print_json([_document(repo, hook) for hook in hooks])
    elif not hooks:
        say("no hooks are stored")
    else:
        rows = [
            (
                *(hook.name, f"{hook.when} {', '.join(hook.on)}", ", ".join(hook.refs)),
                *("yes" if repo.hooks.is_allowed(hook) else "no", hook.does),
            )
            for hook in hooks
        ]
        table(("HOOK", "RUNS", "ON", "ALLOWED", "DOES"), rows)
        for hook in hooks:
            if hook.needs_consent:
                say(f"{hook.name}: {hook.digest}")


@command(
    "hooks add",
    Group.OPERATE,
    "frazil hooks add weather gaps --validator missing-values --option at_most=0.1",
    'frazil hooks add weather tests --command "python check.py" --on tag --ref "v*"',
    "frazil hooks add weather chat --webhook https://chat.example/hooks/data",
)
def hooks_add(
    url: Url,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it shall be called.")],
    validator: Annotated[
        str | None, typer.Option(metavar="NAME", help="cf, missing-values or schema.")
    ] = None,
    option: Annotated[
        Texts,
        typer.Option(
            "--option", metavar="NAME=VALUE", help="Of the validator, JSON or text; repeatable."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--command", metavar="LINE", help="A program and its arguments.")
    ] = None,
    webhook: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Told by POST.")] = None,
    when: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="before or after; after for webhooks unless given."),
    ] = None,
    on: Annotated[
        Texts,
        typer.Option(
            "--on",
            metavar="EVENT",
            help="commit, merge, tag or branch; repeatable; commits and merges unless given.",
        ),
    ] = None,
    ref: Annotated[
        Texts,
        typer.Option("--ref", metavar="PATTERN", help="Which branches or tags; repeatable."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="60 for commands, 10 for webhooks.")
    ] = None,
    retries: Annotated[int, typer.Option(metavar="NUMBER", help="Of a webhook.")] = 2,
    as_json: Json = False,
) -> None:
    """Store a hook with a repository, instead of one of the same name; it may run for you.

    Others have to allow commands and webhooks for themselves, see hooks allow.
    """
    from frazil.hooks import Hook

    try:
        hook = Hook(
            name=name,
            validator=validator,
            command=None if run is None else tuple(shlex.split(run)),
            webhook=webhook,
            options=dict(map(_option, option or [])),
            when=cast(Any, when),
            on=cast(Any, tuple(on or ("commit", "merge"))),
            refs=tuple(ref or ("*",)),
            timeout=timeout,
            retries=retries,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    repo = open_repository(url)
    repo.hooks.add(hook)
    if hook.needs_consent:
        repo.hooks.allow(hook)
    if as_json:
        print_json(_document(repo, hook))
    else:
        say(f"{name} runs {hook.when} {', '.join(hook.on)}: {hook.does}")


@command("hooks remove", Group.OPERATE, "frazil hooks remove observations units")
def hooks_remove(url: Url, name: Name, as_json: Json = False) -> None:
    """Remove a stored hook, for everybody."""
    open_repository(url).hooks.remove(name)
    if as_json:
        print_json({"removed": name})
    else:
        say(f"removed {name}")


@command(
    "hooks allow",
    Group.OPERATE,
    "frazil hooks allow observations --dry-run",
    "frazil hooks allow observations chat --yes",
)
def hooks_allow(
    url: Url,
    names: Names = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Let stored commands and webhooks run for you, as they are now.

    Look at them first: commands can do whatever you can. Your consent is for the repository at
    this place, and ends for a hook when that is changed. In the environment, FRAZIL_HOOKS=allow,
    skip, or digests separated by commas decide instead.
    """
    repo = open_repository(url)
    hooks = [h for h in repo.hooks if h.needs_consent and (not names or h.name in names)]
    for hook in hooks if not as_json else ():
        say(f"{hook.name}: {hook.does}")
    if not dry_run:
        if hooks:
            what = f"{plural(len(hooks), 'hook')} of {one_line(url)} may run on this machine"
            confirm(what, yes=yes)
        # Not by name: what was looked at, whatever is stored by now.
        hooks = repo.hooks.allow(*(hooks or names or ()))
    if as_json:
        print_json([_document(repo, hook) for hook in hooks])
    elif not hooks:
        say("none needs it")
    else:
        done = "would allow" if dry_run else "allowed"
        say(f"{done} {', '.join(hook.name for hook in hooks)}")


@command(
    "hooks run",
    Group.OPERATE,
    "frazil hooks run weather",
    "frazil hooks run observations units --at main --json",
)
def hooks_run(url: Url, names: Names = None, at: At = "main", as_json: Json = False) -> None:
    """Say what hooks find in a version as it is: those that run before commits, or these.

    Ends with 1 if they find anything.
    """
    repo = open_repository(url)
    found = repo.hooks.run(*(names or []), snapshot_id=repo.resolve(at))
    if as_json:
        print_json({"findings": [record_document(finding) for finding in found]})
    elif not found:
        say("nothing found")
    else:
        for finding in found:
            say(one_line(str(finding)))
    if found:
        raise typer.Exit(Exit.FINDING)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _document(repo: Repository, hook: Hook) -> dict[str, Any]:
    allowed = repo.hooks.is_allowed(hook)
    return {"name": hook.name, **hook.to_dict(), "digest": hook.digest, "allowed": allowed}
