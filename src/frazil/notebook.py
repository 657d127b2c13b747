"""What a repository or session shows in a notebook, beside its fields: tree, sizes, history.

Only what is at hand anyway is shown: no chunk and no manifest is read for it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import prod

import numpy as np

from frazil.format.snapshot import Node, NodeKind

NODES = 200
"""More nodes are not listed."""
COMMITS = 20
"""More commits are not listed."""


def tree(nodes: Iterable[Node], snapshot_bytes: str) -> str:
    """Groups and arrays with dimensions, type and chunks, and what they would take uncompressed.

    snapshot_bytes: what is known of the stored size, as text.
    """
    listed = list(nodes)
    rows, total, arrays = [], 0, 0
    for number, node in enumerate(listed):
        name, depth = node.path.rpartition("/")[2] or "/", max(0, node.path.count("/"))
        details, size = _details(node)
        total += size
        arrays += node.kind is NodeKind.ARRAY
        if number < NODES:
            indent = 1.2 * depth if node.path != "/" else 0
            rows.append(
                f'<div style="padding-left:{indent:.1f}em"><b>{html.escape(name)}</b> '
                f"{html.escape(details)}</div>"
            )
    if len(listed) > NODES:
        rows.append(f"<div>… and {len(listed) - NODES:,} more</div>")
    title = f"{arrays:,} array{'s' * (arrays != 1)}, {readable(total)} uncompressed{snapshot_bytes}"
    return _folded(title, "".join(rows), is_open=len(listed) <= 20)


def history(
    commits: Sequence[tuple[str, datetime, str]], names: dict[str, list[str]], branch: str
) -> str:
    """The newest commits of a branch: (id, time, message), with the branches and tags there."""
    rows = []
    for id_, when, message in commits[:COMMITS]:
        labels = "".join(f" <mark>{html.escape(name)}</mark>" for name in names.get(id_, []))
        rows.append(
            f"<tr><td><code>{id_[:8]}</code></td><td>{when:%Y-%m-%d %H:%M}</td>"
            f'<td style="text-align:left">{html.escape(_headline(message))}{labels}</td></tr>'
        )
    more = "" if len(commits) <= COMMITS else "<tr><td></td><td></td><td>…</td></tr>"
    title = f"history of {branch}, times in UTC"
    return _folded(title, f"<table>{''.join(rows)}{more}</table>", is_open=len(commits) <= 8)


def file_table(files: Iterable[tuple[str, int, str]]) -> str:
    """Files: (name, size, media type)."""
    rows = [
        f'<tr><td style="text-align:left">{html.escape(name)}</td><td>{readable(size)}</td>'
        f'<td style="text-align:left">{html.escape(kind)}</td></tr>'
        for name, size, kind in files
    ]
    more = "" if len(rows) <= NODES else "<tr><td>…</td><td></td><td></td></tr>"
    title = f"{len(rows)} file{'s' * (len(rows) != 1)}"
    return _folded(title, f"<table>{''.join(rows[:NODES])}{more}</table>", is_open=len(rows) <= 20)


def _headline(message: str) -> str:
    return message.strip().partition("\n")[0]


def readable(size: float) -> str:
    """A number of bytes with a unit."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} PiB"


def _details(node: Node) -> tuple[str, int]:
    """What to say of a node, and its bytes without compression as far as they are known."""
    if node.kind is NodeKind.GROUP:
        return "", 0
    lengths = [length for length, _ in node.shape]
    names = node.dimension_names or (None,) * len(lengths)
    sizes = [
        str(n) if name is None else f"{name}: {n}" for name, n in zip(names, lengths, strict=True)
    ]
    kind, itemsize = _data_type(json.loads(node.user_data).get("data_type"))
    size = prod(lengths) * itemsize
    counts = prod(count for _, count in node.shape)
    text = f"({', '.join(sizes)}) {kind}, {counts:,} chunk{'s' * (counts != 1)}"
    return (f"{text}, {readable(size)}" if itemsize else text), size


def _data_type(value: object) -> tuple[str, int]:
    """The name of a Zarr data type and the bytes of an item, 0 if that is not known."""
    name = str(value["name"] if isinstance(value, dict) and "name" in value else value)
    try:
        return name, np.dtype(name).itemsize
    except (TypeError, ValueError, SyntaxError):  # it tries to understand many a text
        return name, 0


def _folded(title: str, content: str, *, is_open: bool) -> str:
    shown = " open" if is_open else ""
    return (
        f'<details{shown}><summary>{html.escape(title)}</summary><div class="frazil-repr">'
        f"{content}</div></details>"
    )
