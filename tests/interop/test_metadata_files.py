"""icechunk sees no difference when Frazil re-encodes every metadata file of a repository."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zarr

from frazil.format.header import peek
from frazil.format.repo_info import decode_repo_info, encode_repo_info
from frazil.format.snapshot import decode_snapshot, encode_snapshot
from frazil.format.transaction_log import decode_transaction_log, encode_transaction_log
from frazil.format.v1 import decode_ref, dump_config, encode_ref, load_config
from tests.interop.libraries import REAL, every_spec, icechunk, needs_spec_2

METADATA = {"b": [1, -1, 0.1, None, True, {"é": [[], {}]}], "a": "text", "z": 2**40}


def re_encode(folder: Path) -> int:
    """Read and write every metadata file but manifests, in place; how many there were."""
    codecs: dict[str, Callable[[bytes, str], bytes]] = {
        "snapshots/*": lambda data, name: encode_snapshot(
            decode_snapshot(data, where=name), spec=peek(data).spec
        ),
        "transactions/*": lambda data, name: encode_transaction_log(
            decode_transaction_log(data, where=name), spec=peek(data).spec
        ),
        "repo": lambda data, name: encode_repo_info(decode_repo_info(data, where=name)),
        "overwritten/repo.*": lambda data, name: encode_repo_info(
            decode_repo_info(data, where=name)
        ),
        "refs/*/ref.json": lambda data, name: encode_ref(decode_ref(data, where=name)),
        "config.yaml": lambda data, name: dump_config(load_config(data, where=name)),
    }
    count = 0
    for pattern, codec in codecs.items():
        for path in folder.glob(pattern):
            path.write_bytes(codec(path.read_bytes(), path.name))
            count += 1
    return count


def create(folder: Path, spec: int) -> Any:
    options: dict[str, Any] = {}
    if spec == 2:
        options["num_updates_per_repo_info_file"] = 20
    return REAL.create(folder, spec, icechunk.RepositoryConfig(**options))


def fill(repo: Any, *, nodes: int, commits: int) -> None:
    """Enough of everything that files are written as columns as well as one by one."""
    session = repo.writable_session("main")
    root = zarr.group(session.store)
    for i in range(nodes):
        group = root.create_group(f"g{i % 5}/é-{i}")
        rank = i % 4
        group.create_array(
            "x",
            shape=(i % 5,) * rank,
            chunks=(2,) * rank,
            dtype="i2",
            dimension_names=[None if k % 2 else f"d{k}" for k in range(rank)] if i % 3 else None,
            compressors=None,
        )[...] = i
    tip = session.commit("nodes", metadata=METADATA)
    repo.create_tag("first", tip)
    for i in range(commits):
        session = repo.writable_session("main")
        array = zarr.open_array(session.store, path=f"g{i % 5}/é-{i}/x")
        array.attrs["i"] = i
        array[...] = -i
        tip = session.commit(f"commit {i}", metadata={f"key {k}": i for k in range(i % 3)})
        if i % 3 == 0:
            repo.create_branch(f"branch-{i}", tip)
        if i % 4 == 0:
            repo.create_tag(f"tag-{i}", tip)
    repo.delete_tag("tag-0")


def seen(repo: Any) -> list[Any]:
    """What the real library tells about a repository."""
    session = repo.readonly_session("main")
    root = zarr.open_group(session.store, mode="r")
    names = sorted(repo.list_branches()), sorted(repo.list_tags())
    members = sorted(
        (path, dict(node.attrs), node[...].tolist() if isinstance(node, zarr.Array) else None)
        for path, node in root.members(max_depth=None)
    )
    history = [
        (info.id, info.parent_id, info.message, info.metadata, info.written_at)
        for branch in names[0]
        for info in repo.ancestry(branch=branch)
    ]
    tags = [repo.lookup_tag(tag) for tag in names[1]]
    diff = repo.diff(from_tag="first", to_branch="main")
    return [names, members, history, tags, str(diff), sorted(str(repo.config).splitlines())]


@every_spec
@pytest.mark.parametrize(("nodes", "commits"), [(6, 3), (40, 30)])
def test_nothing_changes(tmp_path: Path, spec: int, nodes: int, commits: int) -> None:
    repo = create(tmp_path, spec)
    fill(repo, nodes=nodes, commits=commits)
    repo.save_config()
    before = seen(REAL.open(tmp_path))
    assert re_encode(tmp_path) > 2 * commits
    assert seen(REAL.open(tmp_path)) == before

    # ... and the real library goes on from there.
    ours, theirs = (REAL.open(tmp_path).writable_session("main") for _ in range(2))
    zarr.open_group(ours.store)["g0"].attrs["more"] = 1
    ours.commit("on top")
    re_encode(tmp_path)
    zarr.open_group(theirs.store)["g1"].attrs["more"] = 2
    theirs.commit("rebased", rebase_with=icechunk.ConflictDetector())
    repo = REAL.open(tmp_path)
    messages = [info.message for info in repo.ancestry(branch="main")]
    assert messages[:2] == ["rebased", "on top"]
    root = zarr.open_group(repo.readonly_session("main").store, mode="r")
    assert (root["g0"].attrs["more"], root["g1"].attrs["more"]) == (1, 2)


@needs_spec_2
def test_operations_log_and_inspection(tmp_path: Path) -> None:
    repo = create(tmp_path, 2)
    fill(repo, nodes=30, commits=30)
    repo.set_metadata(METADATA)
    session = repo.rearrange_session("main")
    session.move("/g0", "/moved")
    session.commit("move")
    session = repo.writable_session("main")
    zarr.open_group(session.store).attrs["x"] = 1
    session.commit("to amend")
    session = repo.writable_session("main")
    zarr.open_group(session.store).attrs["x"] = 2
    session.amend("amended")
    repo.set_feature_flag("move_node", False)
    repo.set_status(icechunk.RepoStatus(icechunk.RepoAvailability.read_only))
    repo.set_status(icechunk.RepoStatus(icechunk.RepoAvailability.online))
    oldest_kept = [info.written_at for info in repo.ancestry(branch="main")][10]
    repo.expire_snapshots(oldest_kept)

    def told() -> list[Any]:
        repo = REAL.open(tmp_path)
        found: list[Any] = [without_header(repo.inspect_repo_info()), repo.get_metadata()]
        found.append([(str(u.kind), u.updated_at, u.backup_path) for u in repo.ops_log()])
        for info in repo.ancestry(branch="main"):
            found.append(without_header(repo.inspect_snapshot(info.id)))
            found.append(without_header(repo.inspect_transaction_log(info.id)))
        return found

    before = told()
    re_encode(tmp_path)
    assert told() == before
    REAL.open(tmp_path).garbage_collect(datetime(2000, 1, 1, tzinfo=UTC))
    after = told()
    assert after[2][1:] == [
        (kind, when, path or after[2][i + 1][2]) for i, (kind, when, path) in enumerate(before[2])
    ]


def without_header(told: dict[str, Any]) -> dict[str, Any]:
    """Without the part that names the writer."""
    assert told["header"]["compression"] == "zstd"
    return {key: value for key, value in told.items() if key != "header"}


@needs_spec_2
def test_migration_of_files_of_spec_1(tmp_path: Path) -> None:
    repo = create(tmp_path, 1)
    fill(repo, nodes=30, commits=10)
    before = seen(repo)
    re_encode(tmp_path)
    repo = icechunk.upgrade_icechunk_repository(REAL.open(tmp_path), dry_run=False)
    re_encode(tmp_path)
    assert {peek(path.read_bytes()).spec for path in (tmp_path / "snapshots").iterdir()} == {1}
    after = seen(REAL.open(tmp_path))
    assert after[:5] == before[:5]
