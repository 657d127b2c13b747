"""What a repository of spec 2 says of itself: kept by both, and both act by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, Library, both_orders, needs_spec_2, on_every_store
from tests.interop.place import Place
from tests.interop.test_interop_history import JSON_VALUES, edit
from tests.interop.view import operations, plain_diff

pytestmark = needs_spec_2


def every_kind_of_update(repo: Any, library: Library, prefix: str) -> None:
    """One update of each kind that both libraries make."""
    tip = edit(repo, f"{prefix}a")
    repo.create_tag(f"{prefix}tag", tip)
    repo.delete_tag(f"{prefix}tag")
    repo.create_branch(f"{prefix}branch", tip)
    edit(repo, f"{prefix}b", f"{prefix}branch")
    repo.reset_branch(f"{prefix}branch", tip)
    repo.delete_branch(f"{prefix}branch")
    repo.save_config()
    session = repo.writable_session("main")
    zarr.create_group(session.store, path=f"{prefix}g")
    session.amend("amended")
    session = repo.writable_session("main")
    zarr.create_group(session.store, path=f"{prefix}h")
    session.flush("detached")
    repo.set_metadata({"by": prefix})
    repo.set_feature_flag("create_tag", False)
    repo.set_feature_flag("create_tag", None)
    status, availability = library.module.RepoStatus, library.module.RepoAvailability
    repo.set_status(status(availability.read_only, limited_availability_reason="a rest é"))
    repo.set_status(status(availability.online))


KINDS = [
    *("NewCommit", "TagCreated", "TagDeleted", "BranchCreated", "NewCommit", "BranchReset"),
    *("BranchDeleted", "ConfigChanged", "CommitAmended", "NewDetachedSnapshot"),
    *("MetadataChanged", "FeatureFlagChanged", "FeatureFlagChanged"),
    *("RepoStatusChanged", "RepoStatusChanged"),
]


@on_every_store
@both_orders
def test_either_reads_the_operations_log(place: Place, first: Library, second: Library) -> None:
    every_kind_of_update(place.create(first, 2), first, "1")
    every_kind_of_update(place.open(second), second, "2")
    logs = [operations(place.open(library).ops_log()) for library in (REAL, FRAZIL)]
    assert logs[0] == logs[1]
    assert [entry[0] for entry in logs[0]] == [*KINDS[::-1], *KINDS[::-1], "RepoInitialized"]
    place.check()


@both_orders
@pytest.mark.parametrize("kept", [1, 3, 10])
def test_the_operations_log_in_many_files(
    place: Place, first: Library, second: Library, kept: int
) -> None:
    config = first.module.RepositoryConfig(num_updates_per_repo_info_file=kept)
    tip = edit(place.create(first, 2, config), "one")
    for i in range(12):
        place.open((second, first)[i // 2 % 2]).create_tag(f"tag {i}", tip)
        logs = [operations(place.open(library).ops_log()) for library in (REAL, FRAZIL)]
        assert logs[0] == logs[1]
        assert len(logs[0]) == i + 3
    assert len(list((place.path / "overwritten").iterdir())) == 13
    place.check()


@both_orders
def test_metadata_of_the_repository(place: Place, first: Library, second: Library) -> None:
    place.create(first, 2).set_metadata(JSON_VALUES)
    edit(place.open(second), "one")
    for library in (first, second):
        assert place.open(library).get_metadata() == JSON_VALUES
    place.open(second).update_metadata({"null": 1, "added": [None]})
    edit(place.open(first), "two")
    for library in (first, second):
        assert place.open(library).get_metadata() == JSON_VALUES | {"null": 1, "added": [None]}
    place.check()


def configuration(module: Any) -> Any:
    """A configuration with something in every part of it."""
    m = module
    condition = m.ManifestPreloadCondition
    split = m.ManifestSplitCondition
    dim = m.ManifestSplitDimCondition
    sizes = {
        split.or_conditions([split.path_matches("^/x"), split.name_matches("y")]): {
            dim.Axis(0): 3,
            dim.DimensionName("t.*"): 4,
        },
        split.AnyArray(): {dim.Any(): 7},
    }
    config = m.RepositoryConfig(
        inline_chunk_threshold_bytes=100,
        get_partial_values_concurrency=3,
        compression=m.CompressionConfig(level=7, algorithm=m.CompressionAlgorithm.Zstd),
        max_concurrent_requests=9,
        caching=m.CachingConfig(num_chunk_refs=1, num_bytes_chunks=2),
        storage=m.StorageSettings(
            concurrency=m.StorageConcurrencySettings(
                max_concurrent_requests_for_object=2, ideal_concurrent_request_size=1000
            ),
            retries=m.StorageRetriesSettings(max_tries=2),
            storage_class="STANDARD",
        ),
        manifest=m.ManifestConfig(
            preload=m.ManifestPreloadConfig(
                max_total_refs=5,
                preload_if=condition.path_matches("^/x") & condition.num_refs(1, 9),
            ),
            splitting=m.ManifestSplittingConfig.from_dict(sizes),
        ),
    )
    store = m.ObjectStoreConfig.S3(m.S3Options(region="us-east-1", anonymous=True))
    config.set_virtual_chunk_container(
        m.VirtualChunkContainer("s3://bucket/prefix/", store, "a name")
    )
    return config


@both_orders
def test_the_configuration(place: Place, first: Library, second: Library) -> None:
    """Either shows the same of what either has stored, and keeps all of it."""

    def shown(at: Place) -> dict[str, str]:
        return {
            library.name: repr(library.module.Repository.fetch_config(library.storage(at.path)))
            for library in (first, second)
        }

    place.create(first, 2, configuration(first.module))
    other = Place(place.path.with_name("other"))
    other.create(second, 2, configuration(second.module))
    before = shown(place)
    assert shown(other) == before
    edit(place.open(second), "one")
    place.open(second).create_tag("tag", place.open(second).lookup_branch("main"))
    assert shown(place) == before
    place.open(second).save_config()
    assert shown(place) == before
    place.check()


@both_orders
def test_feature_flags(place: Place, first: Library, second: Library) -> None:
    repo = place.create(first, 2)
    tip = edit(repo, "one")
    repo.create_tag("old", tip)
    for name in ("create_tag", "delete_tag", "move_node"):
        repo.set_feature_flag(name, False)
    edit(place.open(second), "two")
    for library in (first, second):
        repo = place.open(library)
        flags = {flag.name: (flag.id, flag.setting) for flag in repo.disabled_feature_flags()}
        assert flags == {
            "move_node": (3, False),
            "create_tag": (4, False),
            "delete_tag": (5, False),
        }
        for act in (lambda: repo.create_tag("new", tip), lambda: repo.delete_tag("old")):  # noqa: B023
            with pytest.raises(library.module.SessionStateError) as caught:
                act()
            assert caught.value.kind == "feature-flag-disabled"
    place.open(second).set_feature_flag("create_tag", True)
    place.open(first).create_tag("new", tip)
    place.open(first).set_feature_flag("delete_tag", None)
    place.open(second).delete_tag("old")
    place.check()


@both_orders
def test_a_read_only_repository(place: Place, first: Library, second: Library) -> None:
    repo = place.create(first, 2)
    tip = edit(repo, "one")
    session = place.open(second).writable_session("main")
    zarr.create_group(session.store, path="g")
    status, availability = first.module.RepoStatus, first.module.RepoAvailability
    repo.set_status(status(availability.read_only, limited_availability_reason="for ever é"))

    readonly = second.module.ReadOnlyError
    there = place.open(second)
    assert str(there.status.availability).rpartition(".")[2].lower() == "read_only"
    assert there.status.limited_availability_reason == "for ever é"
    data = zarr.open_array(there.readonly_session("main").store, path="one", mode="r")
    np.testing.assert_array_equal(data[...], np.arange(12))
    for act in (
        lambda: there.writable_session("main"),
        lambda: there.create_tag("t", tip),
        lambda: there.create_branch("b", tip),
        lambda: there.save_config(),
        lambda: there.set_metadata({}),
        lambda: session.commit("too late"),
    ):
        with pytest.raises(readonly) as caught:
            act()
        assert caught.value.kind == "read-only-repository"
    repo.set_status(status(availability.online))
    session.commit("in time")
    place.check()


def _move(place: Place, library: Library, message: str, **moves: str) -> str:
    session = place.open(library).rearrange_session("main")
    for source, target in moves.items():
        session.move("/" + source.replace("__", "/"), target)
    return session.commit(message)


@both_orders
def test_moved_nodes(place: Place, first: Library, second: Library) -> None:
    session = place.create(first, 2).writable_session("main")
    root = zarr.create_group(session.store)
    for path in ("a", "a/b", "a-b", "z"):
        root.create_group(path).create_array("data", data=np.arange(20), chunks=6)
    base = session.commit("base")
    moved = _move(place, first, "moved", a__b="/z/b é", a="/a.moved")
    repo = place.open(second)
    diff = plain_diff(repo.diff(from_snapshot_id=base, to_snapshot_id=moved))
    assert diff == {
        "moved_nodes": [
            ("/a", "/a.moved"),
            ("/a/b", "/z/b é"),
            ("/a/b/data", "/z/b é/data"),
            ("/a/data", "/a.moved/data"),
        ]
    }
    session = repo.writable_session("main")
    root = zarr.open_group(session.store)
    assert set(root) == {"a.moved", "a-b", "z"}
    root["z/b é/data"][3:9] = -1
    root.create_group("a")
    session.commit("after the move")
    _move(place, second, "back", z="/a/z")
    root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
    expected = [0, 1, 2, *[-1] * 6, *range(9, 20)]
    np.testing.assert_array_equal(root["a/z/b é/data"][...], expected)
    place.check()


@both_orders
def test_amending_after_a_move(place: Place, first: Library, second: Library) -> None:
    edit(place.create(first, 2), "one")
    _move(place, first, "moved", one="/two")
    session = place.open(second).writable_session("main")
    zarr.create_group(session.store, path="g")
    with pytest.raises(second.module.SessionStateError) as caught:
        session.amend("not on top of a move")
    assert caught.value.kind == "rearrange-session-only"
    place.check()
