"""How values show themselves: text, HTML for notebooks, and the constructor form.

    text                          HTML                    constructor form
    <frazil.ops.GCSummary>        the same fields,        frazil.ops.GCSummary(
    bytes_deleted: 0              groups folded               bytes_deleted=0,
    ...                                                       ...
                                                          )

A value joins by naming its fields (`Displayed._shown`); groups inside groups are indented.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import ClassVar

INDENT = "    "


@dataclass(frozen=True, slots=True)
class Shown:
    """One field as displayed: `fallback` stands in, marked as default, where value is None.

    brief: the text form names the value's class instead of listing its fields.
    """

    name: str
    value: object
    fallback: object = None
    brief: bool = False

    def effective(self) -> tuple[object, bool]:
        """The value that applies, and whether it is the default."""
        if self.value is None and self.fallback is not None:
            return self.fallback, True
        return self.value, False


class Displayed:
    """Text and HTML forms made from `_public_name` and `_shown()`; repr is the text."""

    __slots__ = ()
    _public_name: ClassVar[str]

    def _title(self) -> str:
        """What the text and HTML forms are headed by."""
        return self._public_name

    def _shown(self) -> Iterable[Shown]:
        raise NotImplementedError

    def __str__(self) -> str:
        return text(self)

    def __repr__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return _STYLE + _html(self)


class DisplayedAsCall(Displayed):
    """As `Displayed`, but repr is the constructor form: for values that users write."""

    __slots__ = ()

    def __repr__(self) -> str:
        return call(self)


def text(value: Displayed) -> str:
    """`<name>`, then a `key: value` line for each field."""
    return "\n".join(_lines(value)) + "\n"


def brief(value: Displayed) -> str:
    """The fields that are texts, in one line, for messages: `type: memory, path: weather`."""
    return ", ".join(f"{s.name}: {s.value}" for s in value._shown() if isinstance(s.value, str))


def call(value: Displayed) -> str:
    """`name(`, then a `key=value,` line for each field, then `)`."""
    lines = [f"{value._public_name}("]
    for shown in value._shown():
        body = literal(shown.value).split("\n")
        lines.append(f"{INDENT}{shown.name}={body[0]}" + ("," if len(body) == 1 else ""))
        lines += [f"{INDENT}{line}" for line in body[1:-1]]
        if len(body) > 1:
            lines.append(f"{INDENT}{body[-1]},")
    return "\n".join([*lines, ")"])


def literal(value: object) -> str:
    """A value as it would be written in Python, strings with double quotes."""
    if isinstance(value, Mapping):
        pairs = value.items()
        if not pairs:
            return "{}"
        items = [
            f"{literal(k)}: {literal(v)},".replace("\n", f"\n{INDENT}") for k, v in value.items()
        ]
        return "\n".join(["{", *(INDENT + item for item in items), "}"])
    if isinstance(value, (list, tuple)):
        inside = ", ".join(literal(v) for v in value)
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, Enum):
        return f"frazil.{type(value).__name__}.{value.name}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return repr(value)


def _plain(value: object) -> str:
    """A value on the right of `key:`; strings without quotes, `ReadOnly` for `X.read_only`."""
    if isinstance(value, Enum):
        return "".join(word[:1].upper() + word[1:] for word in value.name.split("_"))
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(literal(v) for v in sorted(value)) + "}"
    return literal(value) if isinstance(value, (list, tuple)) else repr(value)


def _lines(value: Displayed) -> list[str]:
    lines = [f"<{value._title()}>"]
    for shown in value._shown():
        lines += _field_lines(shown)
    return lines


def _field_lines(shown: Shown) -> list[str]:
    value, is_default = shown.effective()
    if isinstance(value, Displayed) and shown.brief:
        return [f"{shown.name}: <{value._title()} ...>"]
    if isinstance(value, Displayed):
        return [f"{shown.name}:", *(INDENT + line for line in _lines(value))]
    if isinstance(value, Mapping) and any(isinstance(v, Displayed) for v in value.values()):
        nested = [line for k, v in value.items() for line in _field_lines(Shown(str(k), v))]
        return [f"{shown.name}:", *(INDENT + line for line in nested)]
    body = (_plain(value) + (" (default)" if is_default else "")).split("\n")
    if len(body) > 1:
        return [f"{shown.name}:", *(INDENT + line for line in body)]
    return [f"{shown.name}: {body[0]}"]


def _html(value: Displayed) -> str:
    rows = "".join(_html_field(shown) for shown in value._shown())
    head = html.escape(value._title())
    return f'<div class="frazil-repr"><div class="frazil-name">{head}</div>{rows}</div>'


def _html_field(shown: Shown) -> str:
    value, is_default = shown.effective()
    name = html.escape(shown.name)
    if isinstance(value, Displayed):
        return f"<details><summary>{name}</summary>{_html(value)}</details>"
    if isinstance(value, Mapping) and any(isinstance(v, Displayed) for v in value.values()):
        inner = "".join(_html_field(Shown(str(k), v)) for k, v in value.items())
        return f'<details><summary>{name}</summary><div class="frazil-repr">{inner}</div></details>'
    shown_value = html.escape(_plain(value))
    if "\n" in shown_value:
        shown_value = f"\n{shown_value}"  # lines up with those that follow
    note = ' <span class="frazil-default">default</span>' if is_default else ""
    return (
        f'<div class="frazil-field"><span class="frazil-key">{name}</span> '
        f"<span>{shown_value}</span>{note}</div>"
    )


# Colours come from the notebook's theme, so that dark and light both read well.
_STYLE = """<style>
.frazil-repr { max-width: 60em; line-height: 1.5; padding-left: .8em;
  border-left: 2px solid var(--jp-border-color2, #9ab); margin: .2em 0; }
.frazil-repr .frazil-name { font-weight: 600; }
.frazil-repr .frazil-field span { white-space: pre-wrap; overflow-wrap: anywhere; }
.frazil-repr .frazil-key, .frazil-repr summary { opacity: .7; }
.frazil-repr .frazil-key::after { content: ":"; }
.frazil-repr .frazil-default { opacity: .55; font-style: italic; }
.frazil-repr summary { cursor: pointer; }
.frazil-repr table { font-size: inherit; border-spacing: 0; margin: 0; }
.frazil-repr td { padding: .05em 1em .05em 0; vertical-align: top; }
.frazil-repr mark { background: none; color: inherit; border: 1px solid; border-radius: 1em;
  padding: 0 .5em; font-size: .85em; opacity: .75; }
</style>"""


def record(names: Iterable[str], value: object) -> tuple[Shown, ...]:
    """The named attributes of a value, as fields to show."""
    return tuple(Shown(name, getattr(value, name)) for name in names)
