"""Names and documents of files that are arrays."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from frazil.errors import InvalidInputError
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import NodeId
from frazil.model.file_arrays import (
    CHUNK_BYTES,
    MARK,
    FileRecord,
    check_name,
    media_type_of,
    read_record,
    write_document,
)
from frazil.model.zarr_metadata import read_layout

WHEN = datetime(2024, 5, 1, 12, tzinfo=UTC)


def node_of(document: bytes) -> Node:
    layout = read_layout(document, path="/f", spec=2)
    return Node(NodeId(bytes(8)), "/f", document, layout.kind, layout.shape, None, ())


def changed(**changes: Any) -> Node:
    """A file whose document says something else here and there."""
    document = json.loads(write_document("f", FileRecord(5, "text/plain", "ab", WHEN, {})))
    mark = document["attributes"][MARK]
    for key, value in changes.items():
        (mark if key in ("version", "modified", "media_type", "sha256") else document)[key] = value
    return node_of(json.dumps(document).encode())


@pytest.mark.parametrize("name", ["README.md", "a b", "héllo.txt", "C", "c1", "x.zarr.json", "_a"])
def test_usual_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "...",
        "c",
        "zarr.json",
        ".zattrs",
        "__x",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "\ud800",
    ],
)
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be called") as caught:
        check_name(name)
    assert caught.value.kind == "invalid-path"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.json", "application/json"),
        ("a.PNG", "image/png"),
        ("a.csv", "text/csv"),
        ("a.log", "text/plain"),
        ("a.nc4", "application/x-netcdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.xz", "application/x-xz"),
        ("a.Z", "application/octet-stream"),
        ("weights", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_media_types_by_ending(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_documents_come_back(size: int) -> None:
    zone = timezone(timedelta(hours=2))
    record = FileRecord(size, "text/plain", "ab", WHEN.astimezone(zone), {"by": ["me", 1]})
    document = write_document("f", record)
    assert read_record(node_of(document)) == record
    assert json.loads(document)["attributes"][MARK]["modified"] == "2024-05-01T12:00:00+00:00"
    counts = [count for _, count in read_layout(document, path="/f", spec=2).shape]
    assert counts == [-(-size // CHUNK_BYTES)]


def test_the_document_is_as_described() -> None:
    page = (Path(__file__).parents[3] / "docs/format/files.md").read_text("utf-8")
    described = page.partition("```json\n")[2].partition("```")[0]
    content = b"# Read me"
    digest = hashlib.sha256(content).hexdigest()
    record = FileRecord(len(content), "text/markdown", digest, None, {})
    assert json.loads(write_document("README.md", record)) == json.loads(described)


def test_attributes_that_cannot_be_written() -> None:
    for attributes in ({MARK: 1}, {"a": {1, 2}}, {"a": float("nan")}):
        with pytest.raises(InvalidInputError, match="cannot store the file 'f'"):
            write_document("f", FileRecord(0, "a/b", None, None, attributes))


def test_what_is_no_file() -> None:
    assert read_record(changed()) is not None
    assert read_record(changed(version=2)) is None
    assert read_record(changed(attributes=[MARK])) is None
    assert read_record(changed(attributes={MARK: "yes"})) is None
    assert read_record(changed(data_type="int16")) is None
    group = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {MARK: {}}}).encode()
    assert read_record(Node(NodeId(bytes(8)), "/f", group, NodeKind.GROUP, (), None, ())) is None


def test_a_mark_with_nonsense_is_still_a_file() -> None:
    record = read_record(changed(modified="today", media_type=7, sha256=[]))
    assert record == FileRecord(5, "application/octet-stream", None, None, {})
    naive = read_record(changed(modified="2024-05-01T12:00:00"))
    assert naive is not None
    assert naive.modified == WHEN
