"""Many locations at once are what each of them is alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frazil.errors import ErrorKind, InvalidInputError
from frazil.model import locations
from frazil.model.locations import Locations
from frazil.model.virtual_urls import Containers
from frazil.storage.object_stores import http_store, local_filesystem_store, s3_store
from frazil.urls import canonical
from frazil.virtual import VirtualChunkContainer

CONTAINERS = Containers(
    [
        VirtualChunkContainer("s3://bucket/", s3_store()),
        VirtualChunkContainer("s3://bucket/deep/", s3_store(), "deep"),
        VirtualChunkContainer("http://h/d/", http_store()),
        VirtualChunkContainer("file:///src/", local_filesystem_store("/src")),
    ]
)
STARTS = ["s3://bucket/", "s3://bucket/deep/", "http://h/d/", "file:///src/", "vcc://deep/"]
STARTS += ["s3://other/", "S3://bucket/", "file:/src/", "file:///srcs/", "s3:///", ""]
PARTS = ["a", "b.nc", "..", ".", "", "...", ".x", "%2e%2e", "é", "a b", "c%20d", "x?y", "\n", "//"]
URLS = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PARTS), max_size=3),
)


def one_by_one(texts: Sequence[str], validate: bool) -> tuple[list[bytes], list[bool]]:
    stored, uncovered = [], []
    for text in texts:
        url, missing = canonical(text), False
        try:
            url = CONTAINERS.check(text) if validate else url
        except InvalidInputError as error:
            if error.kind != ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK:
                raise
            missing = True
        stored.append(url.encode())
        uncovered.append(missing)
    return stored, uncovered


@given(st.lists(URLS, max_size=6), st.booleans(), st.integers(1, 5))
def test_as_one_by_one(texts: list[str], validate: bool, times: int) -> None:
    texts = texts * times
    try:
        stored, uncovered = one_by_one(texts, validate)
    except InvalidInputError:
        with pytest.raises(InvalidInputError):
            Locations.of(texts, CONTAINERS, validate=validate)
        return
    found = Locations.of(texts, CONTAINERS, validate=validate)
    assert [found.column[i] for i in range(len(texts))] == stored
    assert found.uncovered.tolist() == uncovered


def test_plain_ones_need_no_single_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> str:
        raise AssertionError(text)

    texts = [f"{STARTS[i % 4]}year=2020/file-{i}.nc" for i in range(5000)]
    monkeypatch.setattr(locations, "canonical", fail)
    for validate in (True, False):
        found = Locations.of(texts, CONTAINERS, validate=validate)
        assert found.column[4711] == texts[4711].encode()
        assert not found.uncovered.any()


def test_repeated_ones_share_their_bytes() -> None:
    texts = [f"s3://bucket/{i // 1000}" for i in range(10_000)]
    found = Locations.of(texts, CONTAINERS, validate=True)
    assert len(found.column.heap) < 200
    assert found.column[9_999] == b"s3://bucket/9"


def test_gaps() -> None:
    texts = ["", "s3://bucket/a", "", "s3://other/a", ""]
    found = Locations.of(texts, CONTAINERS, validate=True, gaps=True)
    assert [found.column[i] for i in (0, 1, 2, 4)] == [b"", b"s3://bucket/a", b"", b""]
    assert found.uncovered.tolist() == [False, False, False, True, False]
    with pytest.raises(InvalidInputError):
        Locations.of(texts, CONTAINERS, validate=True)
    assert len(Locations.of([""] * 3, CONTAINERS, validate=True, gaps=True).column) == 3
