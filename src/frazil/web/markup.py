"""SVG as text: every value is escaped on its way in."""

from __future__ import annotations

import html


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element; content is markup, attributes are values."""
    given = "".join(f' {key}="{text_of(str(value))}"' for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text_of(words: str) -> str:
    """Any text as markup; characters that XML does not have are replaced."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return html.escape(plain)
