"""Manifests that released versions of icechunk wrote (by make.py) read as what was put in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frazil.format.chunk_refs import InlineRef, NativeRef, Ref, VirtualRef
from frazil.format.manifest import Manifest, decode_manifest, encode_manifest
from frazil.ids import ChunkId, ManifestId, NodeId

HERE = Path(__file__).parent / "manifests"
CASES = [
    pytest.param(folder / name, case, id=f"{folder.name}-{name}")
    for folder in sorted(HERE.iterdir())
    for name, case in json.loads((folder / "expected.json").read_text("utf-8")).items()
]


def as_ref(entry: dict[str, Any]) -> Ref:
    if "data" in entry:
        return InlineRef(bytes.fromhex(entry["data"]))
    if "object" in entry:
        return NativeRef(ChunkId.parse(entry["object"]), entry["offset"], entry["length"])
    return VirtualRef(
        entry["location"],
        entry["offset"],
        entry["length"],
        entry.get("etag"),
        entry.get("modified"),
    )


@pytest.mark.parametrize(("path", "case"), CASES)
def test_golden_manifest(path: Path, case: dict[str, Any]) -> None:
    manifest = decode_manifest(path.read_bytes(), where=path.name)

    assert manifest.id == ManifestId.parse(case["id"])
    assert manifest.header is not None
    assert manifest.header.spec == case["spec"]
    assert manifest.header.written_by.startswith("ic-")
    ((node, refs),) = manifest.arrays.items()
    if case["node"] is not None:
        assert node == NodeId.parse(case["node"])
    assert len(refs) == case["count"]
    for entry in case["refs"]:
        row = refs.find(entry["index"])
        assert row >= 0, entry["index"]
        assert refs.row(row) == as_ref(entry)


@pytest.mark.parametrize(("path", "case"), CASES)
def test_golden_manifest_survives_rewriting(path: Path, case: dict[str, Any]) -> None:
    manifest = decode_manifest(path.read_bytes(), where=path.name)
    again = decode_manifest(encode_manifest(manifest, spec=case["spec"]), where="rewritten")
    assert again.id == manifest.id
    assert same_arrays(again, manifest)


def test_locations_are_compressed_from_1000_references_on_in_version_2_only() -> None:
    counts = {
        path.name: decode_manifest(path.read_bytes(), where=path.name).compressed_locations
        for path in (HERE / "icechunk-2.3.0").glob("virtual*")
    }
    assert {name for name, count in counts.items() if count} == {"virtual-many-v2"}
    assert counts["virtual-many-v2"] == 1000


def same_arrays(one: Manifest, other: Manifest) -> bool:
    return one.arrays.keys() == other.arrays.keys() and all(
        refs.equals(other.arrays[node]) for node, refs in one.arrays.items()
    )
