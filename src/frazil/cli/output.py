"""What commands print: lines, tables, JSON.

Tables fit a terminal; in a pipe nothing is cut and nothing is coloured. What comes out of a
repository never steers the terminal.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_SHORT = 20
"""Columns that are not wider are not broken into lines: ids, times, sizes."""


def print_what_can_be_encoded() -> None:
    """Have characters that the encoding of the output lacks replaced, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def printable(text: str) -> str:
    """The text without characters that could steer a terminal; lines stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """The text in one line, without characters that could steer a terminal."""
    return printable(" ".join(text.split()))


def on_terminal() -> bool:
    """Whether a person is reading."""
    return sys.stdout.isatty()


def say(text: str = "") -> None:
    """Print text that may come from a repository."""
    print(printable(text))


def note(text: str) -> None:
    """Print what is for people only, to standard error."""
    print(printable(text), file=sys.stderr)


def print_json(value: object) -> None:
    """Print a document; times in ISO 8601, enumerations by name, sets sorted."""
    escape = not sys.stdout.encoding.lower().startswith("utf")
    print(json.dumps(value, indent=2, ensure_ascii=escape, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def record_document(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def in_colour() -> bool:
    """Whether to paint what is printed: on terminals, unless NO_COLOR is set."""
    return on_terminal() and not os.environ.get("NO_COLOR")


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[int] = ()
) -> None:
    """Print columns, those in `right` to the right."""
    texts = [[one_line(str(cell)) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(head, texts, right)
        return
    lines = [list(head), *texts]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _rich_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    whole = _unbroken([list(head), *rows], console.width)
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for i, name in enumerate(head):
        justify: Literal["left", "right"] = "right" if i in right else "left"
        shown.add_column(name, justify=justify, overflow="fold", no_wrap=i in whole)
    for row in rows:
        shown.add_row(*map(Text, row))
    console.print(shown)


def _unbroken(lines: Sequence[Sequence[str]], width: int) -> set[int]:
    """The columns whose cells stay in one line, if that leaves room for the others."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    short = {i for i, one in enumerate(widths) if one <= _SHORT}
    needed = sum(widths[i] if i in short else _SHORT // 2 for i in range(len(widths)))
    return short if needed + 2 * (len(widths) - 1) <= width else set()


def facts(values: Mapping[str, object]) -> None:
    """Print names and values, a line each, more for values that have more; None is left out."""
    shown = {name: str(value) for name, value in values.items() if value is not None}
    width = max(map(len, shown), default=0) + 2
    for name, value in shown.items():
        first, *others = value.split("\n")
        say(name.ljust(width) + first)
        for line in others:
            say(" " * width + line)


def size(count: int) -> str:
    """Bytes as people say it: 1.5 MiB."""
    value, unit = float(count), "B"
    for larger in UNITS:
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 commit`, `2 commits`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shape(sizes: Sequence[int] | None) -> str:
    """`365 x 20`; `-` for none."""
    return "-" if sizes is None else " x ".join(map(str, sizes)) or "scalar"


def when(time: datetime) -> str:
    """A time, in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def headline(message: str) -> str:
    """The first line of a message."""
    return printable(message.split("\n", 1)[0])
