"""What both libraries say of each file of a repository, key by key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop.libraries import FRAZIL, REAL, SPECS, Library, every_spec, needs_spec_2
from tests.interop.place import Place, _json
from tests.interop.test_interop_collect import build, commit, writers
from tests.interop.view import history

ROOT = "1CECHNKREP0F1RSTCMT0"


def same(place: Place, method: str, *arguments: str) -> Any:
    """What both say; they also list the keys in the same order."""
    repo = place.open(REAL)
    if not hasattr(repo, method):
        pytest.skip(reason=f"this icechunk has no {method}")
    theirs = _json(getattr(repo, method)(*arguments))
    if "header" not in theirs:
        pytest.skip(reason="this icechunk says less")
    ours = getattr(place.open(FRAZIL), method)(*arguments)
    assert ours == theirs
    assert list(ours) == list(theirs)
    return ours


@every_spec
@writers
def test_every_file(place: Place, spec: int, writer: Library) -> None:
    build(place, writer, spec)
    session = place.open(writer).writable_session("main")
    root = zarr.open_group(session.store)
    root.create_array("scalar", shape=(), dtype="f4")[...] = 1
    root.create_array(
        "named", shape=(3, 4, 5), chunks=(2, 2, 2), dtype="i2", dimension_names=["x", None, "z"]
    )[:2] = 1
    root["small"].attrs["unit"] = "K"
    del root["main0"]
    session.commit("more", {"a": [1, 2.5, None, {"b": "ü"}]})
    for id_ in history(place.open(FRAZIL)):
        same(place, "inspect_snapshot", id_)
        if id_ != ROOT or spec == 2:
            same(place, "inspect_transaction_log", id_)
    for name in place.files("manifests"):
        shown = same(place, "inspect_manifest", name)
        assert shown["total_chunk_refs"] > 0


@needs_spec_2
def test_the_repo_file(place: Place) -> None:
    repo = place.create(FRAZIL, 2)
    ids = [commit(place, REAL, i) for i in range(3)]
    repo.create_branch("b", ids[0])
    repo.reset_branch("b", ids[1])
    repo.create_tag("t", ids[1])
    repo.create_tag("u", ids[1])
    repo.delete_branch("b")
    repo.delete_tag("u")
    repo.set_metadata({"m": [1, {"n": None}]})
    repo.save_config()
    for setting in (True, False, None):
        repo.set_feature_flag("create_tag", setting)
    module = FRAZIL.module
    repo.set_status(module.RepoStatus(module.RepoAvailability.read_only, None, "moving"))
    repo.set_status(module.RepoStatus(module.RepoAvailability.online))
    session = repo.writable_session("main")
    zarr.open_group(session.store).create_group("detached")
    session.flush("detached")
    session = repo.writable_session("main")
    zarr.open_group(session.store).create_group("amended")
    tip = session.amend("amended")
    shown = same(place, "inspect_repo_info")
    assert len(shown["latest_updates"]) == 19
    # Of expired history the logs are merged.
    released = place.open(REAL).expire_snapshots(
        repo.lookup_snapshot(tip).written_at, delete_expired_tags=True
    )
    assert released
    shown = same(place, "inspect_transaction_log", tip)
    assert shown["synthetic_composite"]["merged_pruned_ancestor_tx_logs"]
    (place.path / "transactions" / ids[0]).unlink()
    shown = same(place, "inspect_transaction_log", tip)
    assert shown["synthetic_composite"]["missing_tx_logs"] == [ids[0]]
    place.open(REAL).garbage_collect(repo.lookup_snapshot(tip).written_at)
    same(place, "inspect_repo_info")


def test_virtual_references_with_compressed_locations(place: Place) -> None:
    icechunk = REAL.module
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        icechunk.VirtualChunkContainer("s3://b/", icechunk.s3_store(region="us-east-1"))
    )
    session = place.create(REAL, SPECS[-1], config).writable_session("main")
    zarr.create_array(session.store, name="a", shape=(2000,), chunks=(1,), dtype="u1")
    for i in range(1500):
        session.store.set_virtual_ref(f"a/c/{i}", f"s3://b/dir/file{i}", offset=0, length=1)
    zarr.create_array(session.store, name="b", data=np.arange(10), chunks=1)
    session.commit("virtual")
    for name in place.files("manifests"):
        same(place, "inspect_manifest", name)


@every_spec
def test_files_that_are_not_there(place: Place, spec: int) -> None:
    repo = place.create(FRAZIL, spec)
    for method in ("inspect_snapshot", "inspect_manifest", "inspect_transaction_log"):
        with pytest.raises((FRAZIL.module.StorageError, FRAZIL.module.SnapshotNotFoundError)) as e:
            getattr(repo, method)("0" * 20)
        assert e.value.kind == "object-not-found"
        with pytest.raises(FRAZIL.module.IcechunkError):
            getattr(repo, method)("x")
    if spec == 1:
        with pytest.raises(FRAZIL.module.FormatError) as error:
            repo.inspect_repo_info()
        assert error.value.kind == "unsupported-spec-version"
