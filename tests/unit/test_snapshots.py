"""Snapshot values and differences."""

import pickle
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
import pytest

from frazil.graph import GraphRow
from frazil.snapshots import AncestryGraph, Diff, ManifestFileInfo, SnapshotInfo

INFO = SnapshotInfo("B", "A", datetime(2024, 1, 1, tzinfo=UTC), "two\nlines", {"n": 1})


def test_a_snapshot_shows_its_fields() -> None:
    assert str(INFO) == (
        "<frazil.snapshots.SnapshotInfo>\n"
        "id: B\n"
        "parent_id: A\n"
        "written_at: 2024-01-01T00:00:00+00:00\n"
        "message:\n"
        "    two\n"
        "    lines\n"
        "metadata: {'n': 1}\n"
    )
    assert pickle.loads(pickle.dumps(INFO)) == INFO
    assert {INFO: 1}[pickle.loads(pickle.dumps(INFO))] == 1
    assert SnapshotInfo("B", "A", INFO.written_at, INFO.message) != INFO
    assert INFO != "B"
    assert SnapshotInfo("B", "A", INFO.written_at, INFO.message).metadata == {}
    with pytest.raises(AttributeError):
        INFO.message = "x"  # type: ignore[misc]


def test_a_manifest_file_is_a_value() -> None:
    assert ManifestFileInfo("M", 330, 20) == ManifestFileInfo("M", 330, 20)
    assert "num_chunk_refs: 20" in str(ManifestFileInfo("M", 330, 20))


def test_a_diff_reads_in_sections() -> None:
    diff = Diff(
        new_groups={"/g2", "/g1"},
        new_arrays={"/g2/y"},
        deleted_groups={"/old"},
        deleted_arrays={"/g1/x"},
        updated_groups={"/g3"},
        updated_arrays={"/a"},
        updated_chunks={
            "/a": np.arange(24, dtype=np.uint32).reshape(12, 2),
            "/s": np.zeros((1, 0), np.uint32),
        },
        moved_nodes=[("/m", "/n")],
    )
    chunks = "".join(f"        [{2 * i}, {2 * i + 1}]\n" for i in range(10))
    assert str(diff) == (
        "Groups created:\n    /g1\n    /g2\n\n"
        "Arrays created:\n    /g2/y\n\n"
        "Group definitions updated:\n    /g3\n\n"
        "Array definitions updated:\n    /a\n\n"
        "Groups deleted:\n    /old\n\n"
        "Arrays deleted:\n    /g1/x\n\n"
        "Nodes moved/renamed:\n    /m -> /n\n\n"
        f"Chunks updated:\n    /a:\n{chunks}        ... 2 more\n    /s:\n        []\n"
    )
    assert diff.updated_chunks["/s"] == [[]]
    assert diff.updated_chunks["/a"][0] == [0, 1]
    assert pickle.loads(pickle.dumps(diff)) == diff
    assert diff != Diff(new_groups={"/g1"})
    assert "/g2/y" in diff._repr_html_()


def test_an_empty_diff() -> None:
    assert Diff().is_empty()
    assert str(Diff()) == ""
    assert not Diff(moved_nodes=[("/a", "/b")]).is_empty()
    assert not Diff(updated_chunks={"/a": [[0]]}).is_empty()


def test_a_graph_is_text_and_svg() -> None:
    rows = (GraphRow("B", "A", ("main",), (), "two"), GraphRow("A", None, (), (), "one"))
    assert str(AncestryGraph(rows, plain=True)) == "● B (main) two\n│\n● A one\n"
    assert "\x1b[" in str(AncestryGraph(rows))
    root = ElementTree.fromstring(AncestryGraph(rows)._repr_svg_())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert pickle.loads(pickle.dumps(AncestryGraph(rows))) == AncestryGraph(rows)
