"""The spelling of keys; names on disk as Icechunk 1.1.21 and 2.3.0 choose them for branches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import InvalidInputError
from frazil.storage.keys import decode_key, encode_key, folder_prefix

# Each was given to `create_branch` of Icechunk, and read off the disk.
BRANCHES = {
    "main": "main",
    "ü": "%C3%BC",
    "e\u0301": "e%CC%81",
    "a b": "a b",
    ".": ".",
    "..": "..",
    "%": "%25",
    "%41": "%2541",
    "a%20b": "a%2520b",
    "nul\0x": "nul%00x",
    "tab\tx": "tab%09x",
    "back\\slash": "back%5Cslash",
    "q?*": "q%3F%2A",
    "x#1": "x%231",
    "a~b": "a%7Eb",
    "a:b": "a:b",
    "-._!$&'()+,;=@": "-._!$&'()+,;=@",
    '{^}`|"<>[]': "%7B%5E%7D%60%7C%22%3C%3E%5B%5D",
}


@pytest.mark.parametrize(("name", "spelling"), BRANCHES.items())
def test_branches_have_the_names_that_icechunk_gives_them(name: str, spelling: str) -> None:
    assert encode_key(f"refs/branch.{name}/ref.json") == f"refs/branch.{spelling}/ref.json"
    assert decode_key(f"refs/branch.{spelling}/ref.json") == f"refs/branch.{name}/ref.json"


@given(
    st.lists(
        st.text(min_size=1).filter(lambda s: s not in (".", "..") and "/" not in s), min_size=1
    )
)
def test_every_key_has_one_spelling_without_what_marks_other_files(segments: list[str]) -> None:
    key = "/".join(segments)
    spelling = encode_key(key)
    assert decode_key(spelling) == key
    assert spelling.isascii()
    assert "#" not in spelling
    assert "\\" not in spelling
    assert len(spelling.split("/")) == len(segments)
    assert not {"", ".", ".."} & set(spelling.split("/"))


@pytest.mark.parametrize("key", ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(InvalidInputError, match="invalid object key"):
        encode_key(key)
    assert decode_key(key) is None


@pytest.mark.parametrize(
    "spelling", ["ü", "%c3%bc", "%C3", "%zz", "x#1", ".frazil-lock#0", "%41", "a\nb"]
)
def test_names_that_no_key_is_spelled_as(spelling: str) -> None:
    assert decode_key(spelling) is None


def test_prefixes_are_whole_segments() -> None:
    assert folder_prefix("") == ""
    assert folder_prefix("chunks") == folder_prefix("chunks/") == "chunks/"
    with pytest.raises(InvalidInputError):
        folder_prefix("../chunks")
