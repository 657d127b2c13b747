"""What repositories and sessions show in notebooks."""

from __future__ import annotations

import html.parser

import numpy as np
import zarr

import frazil
from frazil.notebook import COMMITS, NODES, readable


class Text(html.parser.HTMLParser):
    """The text of a page, and whether each tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.opened: list[str] = []
        self.feed(page)
        assert self.opened == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if not self.opened or self.opened[-1] != "style" else ""


def shown(value: frazil.Repository | frazil.Session) -> str:
    return Text(value._repr_html_()).text


def test_tree_sizes_and_history(repo: frazil.Repository) -> None:
    assert "0 arrays, 0 B uncompressed" in shown(repo)
    with repo.edit("main", "depths <of> the sea\n\nat length") as tree:
        zarr.create_array(
            tree.store,
            name="ocean/depth",
            shape=(30, 100),
            chunks=(10, 100),
            dtype="f8",
            dimension_names=("y", None),
        )
        tree["names"] = np.array(["a", "bc"])
        tree["ocean/depth"][:10] = 1
    repo.create_tag("v1", repo.lookup_branch("main"))
    text = shown(repo)
    assert "depths <of> the sea" in text
    assert "at length" not in text
    assert "history of main" in text
    assert repo.lookup_branch("main")[:8] in text
    assert "v1" in text
    for page in (text, shown(repo.at())):
        assert "depth (y: 30, 100) float64, 3 chunks, 23.4 KiB" in page
        assert "names (2) fixed_length_utf32, 1 chunk" in page
        assert "2 arrays, 23.4 KiB uncompressed" in page
    assert "2 chunks stored" in shown(repo.at())


def test_long_ones_are_cut_off(repo: frazil.Repository) -> None:
    with repo.edit("main", "many") as tree:
        for number in range(NODES + 5):
            zarr.create_group(tree.store, path=f"g{number:03}")
    for number in range(COMMITS + 2):
        with repo.edit("main", f"change {number}") as tree:
            tree["g000"].attrs["number"] = number
    text = shown(repo)
    assert "… and 6 more" in text  # the root is one as well
    assert f"change {COMMITS + 1}" in text
    assert "change 0" not in text


def test_sizes_are_readable() -> None:
    assert [readable(size) for size in (0, 1023, 1536, 3 * 2**40, 2**60)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "3.0 TiB",
        "1024.0 PiB",
    ]
