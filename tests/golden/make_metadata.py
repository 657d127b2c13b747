"""Make the golden metadata files: repositories written by the real icechunk, and what it says.

    python tests/golden/make_metadata.py

writes `metadata/<name>/` next to this script: the metadata files of small repositories of
spec 1 and 2 as they were on disk (no chunks), and `expected.json` with what icechunk's own
functions tell about them. Made with icechunk 2.3.0 for Python 3.13. Identifiers are random,
so each run makes other files; run it only to cover more.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icechunk as ic
import numpy as np
import zarr

HERE = Path(__file__).parent / "metadata"
UPDATES_PER_FILE = 6
METADATA = {
    "null": None,
    "true": True,
    "integer": 300,
    "negative": -1,
    "wide": 2**40,
    "unsigned": 2**64 - 1,
    "exact": 1.5,
    "float": 0.1,
    "text": "é",
    "empty": [],
    "numbers": [1, 2, 3, 4, 5],
    "mixed": [1, "a", None, {"b": [True, False]}],
    "map": {"z": {"a": 1}, "a": {}, "é": [[1.5, 2.5]]},
}


def full_config() -> ic.RepositoryConfig:
    """A configuration with every field set."""
    preload = ic.ManifestPreloadCondition
    split = ic.ManifestSplitCondition
    dim = ic.ManifestSplitDimCondition
    retries = ic.StorageRetriesSettings(max_tries=3, initial_backoff_ms=7, max_backoff_ms=8)
    config = ic.RepositoryConfig(
        inline_chunk_threshold_bytes=12,
        get_partial_values_concurrency=9,
        compression=ic.CompressionConfig(algorithm=ic.CompressionAlgorithm.Zstd, level=4),
        max_concurrent_requests=100,
        max_concurrent_decodes=11,
        caching=ic.CachingConfig(
            num_snapshot_nodes=1,
            num_chunk_refs=2,
            num_transaction_changes=3,
            num_bytes_attributes=4,
            num_bytes_chunks=2**40,
        ),
        storage=ic.StorageSettings(
            concurrency=ic.StorageConcurrencySettings(
                max_concurrent_requests_for_object=5, ideal_concurrent_request_size=6
            ),
            retries=retries,
            unsafe_use_conditional_create=True,
            unsafe_use_conditional_update=False,
            unsafe_use_metadata=False,
            storage_class="a",
            metadata_storage_class="b: c",
            chunks_storage_class="true",
            minimum_size_for_multipart_upload=9,
            timeouts=ic.StorageTimeoutSettings(
                connect_timeout_ms=1,
                read_timeout_ms=2,
                operation_timeout_ms=3,
                operation_attempt_timeout_ms=4,
            ),
        ),
        manifest=ic.ManifestConfig(
            preload=ic.ManifestPreloadConfig(
                max_total_refs=10,
                preload_if=preload.and_conditions(
                    [
                        preload.or_conditions(
                            [preload.path_matches("a.*"), preload.name_matches("b: #.*")]
                        ),
                        preload.num_refs(1, 5),
                        preload.num_refs(None, None),
                        preload.true(),
                        preload.false(),
                    ]
                ),
                max_arrays_to_scan=9,
            ),
            splitting=ic.ManifestSplittingConfig.from_dict(
                {
                    split.name_matches("split"): {dim.Axis(0): 3, dim.Any(): 5},
                    split.or_conditions([split.path_matches("p"), split.name_matches("")]): {
                        dim.DimensionName("1"): 4
                    },
                }
            ),
            virtual_chunk_location_compression=ic.ManifestVirtualChunkLocationCompressionConfig(
                min_num_chunks=1000,
                dictionary_max_training_samples=2,
                dictionary_max_size_bytes=3,
                compression_level=4,
            ),
        ),
        repo_update_retries=ic._icechunk_python.RepoUpdateRetryConfig(default=retries),
        num_updates_per_repo_info_file=UPDATES_PER_FILE,
    )
    for prefix, store, name in (
        ("s3://bucket/pre/", ic.s3_store(region="us-east-1", anonymous=True), None),
        ("file:///data/", ic.local_filesystem_store("/data"), "local"),
        ("gs://x/", ic.gcs_store({"k": "v"}), None),
        ("http://h/", ic.http_store({"timeout": "5s"}), None),
    ):
        config.set_virtual_chunk_container(ic.VirtualChunkContainer(prefix, store, name=name))
    return config


def add_nodes(store: Any) -> None:
    """Groups and arrays of all shapes that a snapshot distinguishes."""
    root = zarr.group(store, attributes={"title": "golden"})
    for path in ("a", "a-b", "a/b", "é", "A/deep/er"):
        root.create_group(path)
    plain: dict[str, Any] = {"compressors": None, "filters": None}
    named = root.create_array(
        "a/named", shape=(4, 6), chunks=(2, 3), dtype="i2", dimension_names=("x", None), **plain
    )
    named[:] = np.arange(24).reshape(4, 6)
    split = root.create_array("split", shape=(9, 2), chunks=(1, 2), dtype="u1", **plain)
    split[:7] = 1
    root.create_array("scalar", shape=(), dtype="f8", **plain)[...] = 3.5
    root.create_array("empty", shape=(0, 5), chunks=(1, 5), dtype="f4", **plain)
    root.create_array("unwritten", shape=(9,), chunks=(4,), dtype="f4", dimension_names=("",))
    virtual = root.create_array("virtual", shape=(20,), chunks=(10,), dtype="u1", **plain)
    virtual[:] = 0
    when = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    for i, checksum in enumerate((None, when)):
        store.set_virtual_ref(
            f"virtual/c/{i}",
            "file:///data/x",
            offset=10 * i,
            length=10,
            checksum=checksum,
            validate_container=False,
        )


def history(repo: ic.Repository, spec: int) -> None:
    """Commits, branches and tags."""
    session = repo.writable_session("main")
    add_nodes(session.store)
    first = session.commit("nodes", metadata=METADATA)
    session = repo.writable_session("main")
    root = zarr.open_group(session.store)
    root["a/named"][0, 0] = 100
    root["scalar"].attrs["unit"] = "K"
    del root["A/deep/er"]
    second = session.commit("changes é")
    repo.create_tag("v1", first)
    repo.create_tag("gone", first)
    repo.delete_tag("gone")
    repo.create_branch("dev", first)
    repo.create_branch("old", second)
    repo.delete_branch("old")
    session = repo.writable_session("dev")
    zarr.open_group(session.store).attrs["dev"] = 1
    session.commit("on a branch", metadata={"a": 1})
    repo.reset_branch("dev", second)


def only_in_spec_2(repo: ic.Repository) -> None:
    """What the operations log of spec 2 knows, and pruned history."""
    session = repo.writable_session("main")
    zarr.open_group(session.store).attrs["amended"] = True
    session.amend("amended")
    session = repo.rearrange_session("main")
    session.move("/a/b", "/moved")
    session.move("/a-b", "/moved/below")
    session.commit("moves")
    session = repo.writable_session("main")
    zarr.open_group(session.store).attrs["detached"] = True
    session.flush("detached")
    repo.set_metadata(METADATA)
    repo.save_config()
    repo.set_feature_flag("move_node", True)
    repo.set_feature_flag("create_tag", False)
    repo.set_feature_flag("create_tag", None)
    repo.set_feature_flag("delete_tag", False)
    status = ic.RepoStatus(ic.RepoAvailability.read_only, limited_availability_reason="why é")
    repo.set_status(status)
    repo.set_status(ic.RepoStatus(ic.RepoAvailability.online))
    for i in range(2):
        session = repo.writable_session("main")
        zarr.open_group(session.store).attrs["i"] = i
        last = session.commit(f"old {i}")
    repo.reset_branch("dev", last)
    future = datetime.now(UTC) + timedelta(days=1)
    repo.expire_snapshots(future)
    repo.garbage_collect(datetime(2000, 1, 1, tzinfo=UTC))


def told(repo: ic.Repository, spec: int) -> dict[str, Any]:
    """What icechunk tells about a repository, as JSON."""
    branches = {name: repo.lookup_branch(name) for name in repo.list_branches()}
    tags = {name: repo.lookup_tag(name) for name in repo.list_tags()}
    snapshots = {}
    for tip in (*branches.values(), *tags.values()):
        for info in repo.ancestry(snapshot_id=tip):
            snapshots[info.id] = {
                "parent": info.parent_id,
                "message": info.message,
                "metadata": info.metadata,
                "written_at": info.written_at.isoformat(),
                "inspect": repo.inspect_snapshot(info.id),
                "log": transaction_log(repo, info.id),
            }
    result: dict[str, Any] = {"branches": branches, "tags": tags, "snapshots": snapshots}
    if spec == 2:
        result["repo"] = repo.inspect_repo_info()
        result["ops_log"] = [
            [str(u.kind), u.updated_at.isoformat(), u.backup_path] for u in repo.ops_log()
        ]
        result["feature_flags"] = {
            "enabled": sorted(flag.name for flag in repo.enabled_feature_flags()),
            "disabled": sorted(flag.name for flag in repo.disabled_feature_flags()),
        }
        result["metadata"] = repo.metadata
    return result


def transaction_log(repo: ic.Repository, snapshot: str) -> dict[str, Any] | None:
    """What icechunk tells about a log; the initial snapshot has none in spec 1."""
    try:
        return repo.inspect_transaction_log(snapshot)
    except ic.StorageError:
        return None


def keep(source: Path, name: str, expected: dict[str, Any]) -> None:
    """Store the metadata files of a repository."""
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("chunks"))
    # Of the copies of `repo` only those that hold the rest of the operations log.
    log = expected.get("ops_log", [])
    rest = {path for _, _, path in log[UPDATES_PER_FILE::UPDATES_PER_FILE]}
    for copy in (target / "overwritten").glob("repo.*"):
        if copy.name not in rest:
            copy.unlink()
    text = json.dumps(expected, indent=1, sort_keys=True, ensure_ascii=False)
    (target / "expected.json").write_text(text + "\n")


def main() -> None:
    """Make all of them."""
    ic.set_logs_filter("error")
    with tempfile.TemporaryDirectory() as folder:
        for spec in (1, 2):
            root = Path(folder, str(spec))
            storage = ic.local_filesystem_storage(str(root))
            repo = ic.Repository.create(storage, full_config(), spec_version=spec)
            history(repo, spec)
            if spec == 2:
                only_in_spec_2(repo)
            keep(root, f"spec{spec}", told(repo, spec))
        # The first one once more, now brought to spec 2.
        old = ic.Repository.open(ic.local_filesystem_storage(str(Path(folder, "1"))))
        repo = ic.upgrade_icechunk_repository(old, dry_run=False)
        session = repo.writable_session("main")
        zarr.open_group(session.store).attrs["migrated"] = True
        session.commit("after the migration")
        keep(Path(folder, "1"), "migrated", told(repo, 2))


if __name__ == "__main__":
    main()
