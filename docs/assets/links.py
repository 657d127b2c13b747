"""Pages are read in the repository too, where they link to files that the site does not have.

For the site, such a link becomes its text.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)[^)]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    folder = posixpath.dirname(page.file.src_uri)

    def inside(link: re.Match[str]) -> str:
        text, target = link.groups()
        leaves = posixpath.normpath(posixpath.join(folder, target)).startswith("..")
        return text if leaves else link.group()

    return LINK.sub(inside, markdown)
