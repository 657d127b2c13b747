"""Frazil removes something from a history that both wrote; the real icechunk goes on with it."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, Library, both_orders, needs_spec_2
from tests.interop.place import Place
from tests.interop.test_interop_maintenance import collect


def commit(place: Place, library: Library, message: str, value: int) -> str:
    session = place.open(library).writable_session("main")
    root = zarr.open_group(session.store)
    for name in ("secret", "open"):
        if name not in root:
            root.create_array(name, shape=(1000,), chunks=(100,), dtype="f8", fill_value=-1.0)
            root[name].attrs.update(who="somebody", units="K")
        root[name][:500] = np.random.default_rng(value).normal(size=500)
    root.attrs["step"] = value
    return session.commit(message)


@needs_spec_2
@both_orders
@pytest.mark.parametrize(
    "what",
    [{}, {"attribute": "who"}, {"region": slice(0, 300)}, {"region": slice(110, 330)}],
    ids=["array", "attribute", "region", "elements"],
)
def test_purged_history(
    place: Place, first: Library, second: Library, what: dict[str, object]
) -> None:
    place.create(first, 2)
    for i in range(4):
        commit(place, (first, second)[i % 2], f"commit {i}", i)
        if i == 1:
            place.open(first).create_tag("kept", place.open(first).lookup_branch("main"))
    ours = place.open(FRAZIL)
    expected = ours.at()["open"][:]
    report = ours.purge("secret", dry_run=False, **what)
    assert report.is_clean, report
    assert len(report.snapshots) == 4
    for library in (REAL, FRAZIL):
        repo = place.open(library)
        messages = [info.message for info in repo.ancestry(branch="main")]
        assert messages[:-1] == [f"commit {i}" for i in (3, 2, 1, 0)]
        for version in ({"branch": "main"}, {"tag": "kept"}):
            root = zarr.open_group(repo.readonly_session(**version).store, mode="r")
            assert ("secret" in root) == bool(what)
            if "attribute" in what:
                assert dict(root["secret"].attrs) == {"units": "K"}
            if "region" in what:
                gone = what["region"]
                values = root["secret"][:500]
                assert (values[gone] == -1).all()
                assert (np.delete(values, gone) != -1).all()
        np.testing.assert_array_equal(
            zarr.open_array(repo.readonly_session("main").store, path="open", mode="r")[:], expected
        )
    place.check()
    commit(place, second, "after", 9)
    collect(place)
    place.check()
    assert place.open(FRAZIL).verify("data").is_healthy


@needs_spec_2
def test_elements_of_chunks_of_all_kinds(place: Place) -> None:
    """Inline, in shards, and of text, as the real library wrote them and reads them."""
    region = slice(13, 57)
    place.create(REAL, 2)
    for value in (1, 2):
        session = place.open(REAL).writable_session("main")
        root = zarr.open_group(session.store)
        if value == 1:
            root.create_array("inline", shape=(100,), chunks=(10,), dtype="i4")
            root.create_array("shards", shape=(100, 9), chunks=(4, 3), shards=(32, 9), dtype="f8")
            root.create_array("text", shape=(100,), chunks=(30,), dtype=str)
        root["inline"][value - 1 :] = np.arange(1, 102 - value)
        root["shards"][value - 1 :] = np.arange(1.0, 10.0) + np.zeros((101 - value, 1))
        root["text"][value - 1 :] = np.array([f"name {i}" for i in range(101 - value)], object)
        session.commit(str(value))
    expected = versions(place, REAL)
    for arrays in expected.values():
        for name, values in arrays.items():
            report = place.open(FRAZIL).purge(name, region=region, dry_run=False)
            assert report.is_clean, report
            values[region] = "" if name == "text" else 0
    for library in (REAL, FRAZIL):
        for message, arrays in versions(place, library).items():
            for name, values in arrays.items():
                np.testing.assert_array_equal(values, expected[message][name])
    place.check()
    assert place.open(FRAZIL).verify("data").is_healthy


def versions(place: Place, library: Library) -> dict[str, dict[str, np.ndarray]]:
    repo, found = place.open(library), {}
    for commit in list(repo.ancestry(branch="main"))[:2]:
        root = zarr.open_group(repo.readonly_session(snapshot_id=commit.id).store, mode="r")
        found[commit.message] = {
            name: np.asarray(root[name][...]) for name in ("inline", "shards", "text")
        }
    return found
