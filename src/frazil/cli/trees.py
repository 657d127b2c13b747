"""Commands on the nodes of a version: ls, tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from frazil.cli.arguments import At, Json, Url, open_repository, open_version
from frazil.cli.commands import Group, command
from frazil.cli.output import note, one_line, print_json, say, shape, table

if TYPE_CHECKING:
    from frazil.nodes import NodeInfo

Path = Annotated[str, typer.Argument(metavar="PATH", help="A group or array.")]


@command("ls", Group.LOOK, "frazil ls weather", "frazil ls weather /rain --at main -l")
def ls(
    url: Url,
    path: Path = "/",
    at: At = "main",
    long: Annotated[bool, typer.Option("--long", "-l", help="Also shapes and types.")] = False,
    as_json: Json = False,
) -> None:
    """List what is in a group; an array is listed itself."""
    nodes = list(open_version(open_repository(url), at).nodes(path))
    if nodes and nodes[0].kind == "group":
        prefix = nodes[0].path.rstrip("/") + "/"
        nodes = [node for node in nodes[1:] if "/" not in node.path[len(prefix) :]]
    if as_json:
        print_json([_document(node) for node in nodes])
    elif long:
        table(
            ("NAME", "SHAPE", "CHUNKS", "TYPE", "DIMENSIONS"),
            [
                (_name(node), shape(node.shape), shape(node.chunks), node.dtype or "group",
                 _dimensions(node))
                for node in nodes
            ],
        )  # fmt: skip
    else:
        for node in nodes:
            say(one_line(_name(node)))


@command("tree", Group.LOOK, "frazil tree weather", "frazil tree weather /rain --at main --depth 1")
def tree(
    url: Url,
    path: Path = "/",
    at: At = "main",
    depth: Annotated[int | None, typer.Option(min=0, help="How deep.")] = None,
    as_json: Json = False,
) -> None:
    """Draw the groups and arrays of a version."""
    nodes = list(open_version(open_repository(url), at).nodes(path))
    level = _depth(path)
    if depth is not None:
        nodes = [node for node in nodes if _depth(node.path) - level <= depth]
    if as_json:
        print_json([_document(node) for node in nodes])
        return
    if not nodes:
        note("nothing was written yet")
        return
    say(one_line(nodes[0].path) + _label(nodes[0]))
    # A node is the last one of its group unless a later one has the same parent.
    last = {node.path.rpartition("/")[0]: node.path for node in nodes[1:]}
    for node in nodes[1:]:
        parts = node.path.strip("/").split("/")
        above = ["/" + "/".join(parts[:i]) for i in range(level + 1, len(parts))]
        lines = [_is_last(p, last) for p in above]
        stem = "".join("    " if ended else "│   " for ended in lines)
        turn = "└── " if _is_last(node.path, last) else "├── "
        say(stem + turn + one_line(_name(node)) + _label(node))


def _is_last(path: str, last: dict[str, str]) -> bool:
    return last[path.rpartition("/")[0]] == path


def _depth(path: str) -> int:
    return len([part for part in path.split("/") if part])


def _name(node: NodeInfo) -> str:
    name = node.path.rpartition("/")[2]
    return name + "/" if node.kind == "group" else name


def _dimensions(node: NodeInfo) -> str:
    return ", ".join(name or "-" for name in node.dimension_names or ())


def _label(node: NodeInfo) -> str:
    if node.kind == "group":
        return ""
    named = f" ({_dimensions(node)})" if node.dimension_names else ""
    return "  " + one_line(f"{shape(node.shape)} {node.dtype}{named}")


def _document(node: NodeInfo) -> dict[str, Any]:
    return {
        "path": node.path,
        "kind": node.kind,
        "shape": node.shape,
        "chunks": node.chunks,
        "shards": node.shards,
        "dtype": node.dtype,
        "dimension_names": node.dimension_names,
        "attributes": node.attributes,
    }
