"""Commands on the stored configuration: config get, config set, config history."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import Json, Url, open_repository
from frazil.cli.commands import Group, command
from frazil.cli.exits import Exit
from frazil.cli.output import note, print_json, say, table, when

if TYPE_CHECKING:
    from frazil import RepositoryConfig

Key = Annotated[str, typer.Argument(metavar="KEY", help="Such as manifest.preload.max_total_refs.")]


@command(
    "config get",
    Group.OPERATE,
    "frazil config get weather",
    "frazil config get weather inline_chunk_threshold_bytes",
)
def config_get(
    url: Url,
    key: Annotated[
        str | None, typer.Argument(metavar="KEY", help="One setting, or one group of them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the settings that apply.

    Those that are stored, and those that the storage sets.
    """
    found = _flat(open_repository(url).config.to_document())
    if key is not None:
        inside = {k: v for k, v in found.items() if k == key or k.startswith(f"{key}.")}
        if not inside:
            note(f"frazil: there is no setting {key}")
            raise typer.Exit(Exit.NOT_FOUND)
        found = inside
    else:
        found = {k: v for k, v in found.items() if v is not None}
    if as_json:
        print_json(found)
    elif key in found:
        say("not set" if found[key] is None else json.dumps(found[key]))
    else:
        for name, value in found.items():
            say(f"{name} = {'not set' if value is None else json.dumps(value)}")
        if not found:
            say("nothing is set, so defaults apply")


@command(
    "config set",
    Group.OPERATE,
    "frazil config set weather inline_chunk_threshold_bytes 1024",
    "frazil config set weather manifest.preload.max_total_refs 5000",
)
def config_set(
    url: Url,
    key: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="JSON, or text without quotes.")],
    as_json: Json = False,
) -> None:
    """Store one setting with the repository.

    What else applies now is stored with it, as Icechunk does.
    """
    repo = open_repository(url)
    before = _flat(repo.config.to_document()).get(key)
    config = _config(key, value)
    repo.save_config(config)
    after = _flat(config.to_document())[key]
    if as_json:
        print_json({"key": key, "before": before, "after": after})
    else:
        was = "not set" if before is None else json.dumps(before)
        say(f"{key} = {json.dumps(after)}; before: {was}")


def _config(key: str, text: str) -> RepositoryConfig:
    """A configuration with nothing but this setting."""
    from frazil import FormatError, RepositoryConfig

    try:
        value = json.loads(text)
    except ValueError:
        value = text
    document: dict[str, Any] = {}
    inner = document
    *groups, name = key.split(".")
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[name] = value
    try:
        config = RepositoryConfig.from_document(document)
    except FormatError as error:
        raise typer.BadParameter(str(error)) from None
    if _flat(config.to_document()).get(key) is None:
        raise typer.BadParameter(f"there is no setting {key!r}, or not one with a single value")
    return config


@command(
    "config history",
    Group.OPERATE,
    "frazil config history weather",
)
def config_history(url: Url, as_json: Json = False) -> None:
    """Show when which settings changed, newest first."""
    changes = [
        (change.updated_at, key, before, after, change.written_by)
        for change in open_repository(url).config_history()
        for key, (before, after) in change.changes.items()
    ]
    if as_json:
        names = ("at", "key", "before", "after", "written_by")
        print_json([dict(zip(names, change, strict=True)) for change in changes])
    elif changes:
        table(
            ("WHEN (UTC)", "SETTING", "BEFORE", "AFTER", "BY"),
            [(when(t), k, json.dumps(b), json.dumps(a), by) for t, k, b, a, by in changes],
        )
    else:
        say("the configuration never changed")


def _flat(document: dict[str, Any], above: str = "") -> dict[str, Any]:
    """All settings by dotted names."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[above + name] = value
    return found
