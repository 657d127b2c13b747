"""What a repository stores by array, snapshot, kind and age."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil.engine import statistics as engine
from frazil.format.chunk_refs import INLINE, NATIVE, ChunkRefs
from frazil.format.manifest import decode_manifest
from frazil.ids import SnapshotId
from frazil.statistics import StorageStatistics

CONFIG = frazil.RepositoryConfig(inline_chunk_threshold_bytes=20)


def grown(storage: frazil.Storage, spec: int = 2) -> frazil.Repository:
    """Two branches; arrays that are rewritten and deleted; chunks of all kinds."""
    repo = frazil.Repository.create(storage, CONFIG, spec_version=spec)
    rng = np.random.default_rng(1)
    with repo.edit("main", "begin") as tree:
        group = zarr.open_group(tree.store, mode="a")
        for name, chunk in (("large", 100), ("small", 2), ("gone", 50)):
            made = group.create_array(
                name, shape=(400,), chunks=(chunk,), dtype="i8", compressors=None
            )
            made[:] = rng.integers(0, 99, 400)
        group.create_array("virtual", shape=(40,), chunks=(10,), dtype="i8", compressors=None)
        tree.store.set_virtual_ref("virtual/c/0", "s3://bucket/one", offset=0, length=80,
                                   validate_container=False)  # fmt: skip
    repo.create_branch("dev", repo.lookup_branch("main"))
    for number in range(4):
        with repo.edit("main", f"main {number}") as tree:
            tree["large"][100 * number : 100 * number + 150] = number
            tree["small"][number * 3] = 1000 + number
            tree.store.set_virtual_ref(
                f"virtual/c/{number}", "s3://bucket/two", offset=80 * (number // 2), length=80,
                validate_container=False,
            )  # fmt: skip
        with repo.edit("dev", f"dev {number}") as tree:
            tree["large"][50 * number] = -number
    with repo.edit("main", "delete") as tree:
        del tree["gone"]
        tree["small"] = np.arange(100, 140)
        tree.files("/notes")["README.md"] = bytes(rng.integers(0, 255, 3000, "u1"))
    repo.create_tag("end", repo.lookup_branch("main"))
    return repo


def references(repo: frazil.Repository, snapshot: str) -> list[tuple[str, str, ChunkRefs]]:
    """The manifest, path and references of all arrays of a snapshot, one by one."""
    library = repo._core.library
    nodes = library.snapshot(SnapshotId.parse(snapshot)).nodes
    found = []
    for node in map(nodes.node, range(len(nodes))):
        for manifest in {str(ref.id) for ref in node.manifests}:
            key = f"manifests/{manifest}"
            arrays = decode_manifest(library.backend.get(key), where=key).arrays
            if node.id in arrays:
                found.append((manifest, node.path, arrays[node.id]))
    return found


def by_hand(repo: frazil.Repository, snapshots: list[str]) -> dict[str, Any]:
    """The sums as a person would make them."""
    ranges: set[Any] = set()
    parts: set[Any] = set()
    sums: dict[str, Any] = {"snapshots": {}, "arrays": {}, "totals": {}}
    for snapshot in snapshots:
        added, total = sums["snapshots"].setdefault(snapshot, [0, 0, 0, 0]), 0
        for manifest, path, refs in references(repo, snapshot):
            array = sums["arrays"].setdefault(path, [0, 0, 0, 0])
            seen: set[Any] = set()
            fresh = (manifest, path) not in parts
            parts.add((manifest, path))
            for i in range(len(refs)):
                kind, size = refs.kind[i], int(refs.length[i])
                where = refs.object[i].tobytes() if kind == NATIVE else refs.payload[i]  # type: ignore[index]
                one = (where, int(refs.offset[i]), size)
                if kind == INLINE:
                    total += size
                    for table in (added, array) if fresh else ():
                        table[1] += size
                    continue
                total += size * (one not in seen)
                seen.add(one)
                if one not in ranges:
                    ranges.add(one)
                    for table in (added, array):
                        table[0 if kind == NATIVE else 2] += size
                        table[3] += 1
        sums["totals"][snapshot] = total
    return sums


def check(repo: frazil.Repository, found: StorageStatistics) -> None:
    names = ("native", "inline", "virtual", "chunks")
    rows = found.by_snapshot.rows()
    expected = by_hand(repo, [row["snapshot"] for row in rows])
    assert {row["snapshot"]: [row[n] for n in names] for row in rows} == expected["snapshots"]
    assert {row["snapshot"]: row["total"] for row in rows} == expected["totals"]
    arrays = found.by_array.rows()
    assert {row["path"]: [row[n] for n in names] for row in arrays} == expected["arrays"]
    tip = repo.at(found.branch).snapshot_id
    alone = by_hand(repo, [tip])["arrays"]
    newest = {path: sum(sums[:3]) for path, sums in alone.items()}
    assert {row["path"]: row["newest"] for row in arrays if row["newest"]} == newest


def test_sums_are_those_that_one_gets_by_hand(storage: frazil.Storage, spec: int) -> None:
    repo = grown(storage, spec)
    found = repo.statistics()
    assert found.by_snapshot.num_rows == 11
    check(repo, found)
    check(repo, repo.statistics(branch="main"))
    check(repo, repo.statistics(branch="dev"))
    assert found.total == repo.chunk_storage_stats()
    assert found.total.virtual_bytes == 3 * 80
    messages = found.by_snapshot["message"].tolist()
    assert messages[:2] == ["Repository initialized", "begin"]
    assert messages[-1] == "delete"
    assert "/gone" in found.by_array["path"]
    times = found.by_snapshot["time"]
    assert bool((times[1:] >= times[:-1]).all())
    library = repo._core.library
    sizes = {info.key: info.size for info in library.backend.list("manifests")}
    assert int(found.by_snapshot["manifests"].sum()) == sum(sizes.values())


def test_with_limits_of_one(storage: frazil.Storage) -> None:
    repo = grown(storage)
    expected = repo.statistics().to_dict()
    once_more = frazil.Repository.open(storage).statistics(
        max_snapshots_in_memory=1,
        max_compressed_manifest_mem_bytes=1,
        max_decoded_manifest_mem_bytes=1,
        max_concurrent_manifest_fetches=1,
    )
    assert once_more.to_dict() | {"taken_at": ""} == expected | {"taken_at": ""}
    with pytest.raises(ValueError, match="at least 1"):
        repo.statistics(max_snapshots_in_memory=0)
    with pytest.raises(frazil.RefNotFoundError):
        repo.statistics(branch="nowhere")


def test_only_what_is_new_is_read_again(storage: frazil.Storage, spec: int) -> None:
    repo = frazil.Repository.open(grown(storage, spec).storage)
    files = sum(
        1 for kind in ("manifests", "snapshots") for _ in repo._core.library.backend.list(kind)
    )
    asked = repo.stats.requests.get("get", 0)
    repo.chunk_storage_stats()
    # In format 1, branches and tags are files that are read, too, and the history is in snapshots.
    history = 12 if spec == 1 else 0
    assert files <= repo.stats.requests["get"] - asked <= files + history // 4
    repo.statistics()  # which needs the names of arrays as well

    def requests(call: Callable[[], object]) -> int:
        before = repo.stats.requests.get("get", 0)
        call()
        return repo.stats.requests.get("get", 0) - before

    assert requests(repo.statistics) <= history
    with repo.edit("main", "more") as tree:
        tree["large"][0] = 77
    # One snapshot for its manifests and one for the names of arrays, one manifest.
    assert requests(repo.statistics) <= history + 3
    check(repo, repo.statistics())
    # Another history is none of the first: all is read anew, and it is right.
    repo.delete_branch("dev")
    check(repo, repo.statistics())
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    found = repo.statistics()
    assert found.by_snapshot.num_rows == 3
    check(repo, found)


def test_what_is_known_holds_no_repository() -> None:
    """Else it would never go: it is kept for as long as the repository is open."""
    repo = frazil.Repository.create(frazil.in_memory_storage())
    repo.statistics()
    library = repo._core.library
    assert not [one for one in vars(engine._KNOWN[library]).values() if one is library]


def test_large_sums_are_not_kept(storage: frazil.Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = grown(storage)
    monkeypatch.setattr(engine, "_KEEP", 0)
    repo.statistics()
    assert repo._core.library not in engine._KNOWN


def test_dead_space_in_packs(tmp_path: Path) -> None:
    place = frazil.local_filesystem_storage(str(tmp_path))
    repo = frazil.Repository.create(place, CONFIG)
    with repo.edit("main", "begin") as tree:
        group = zarr.open_group(tree.store, mode="a")
        made = group.create_array(
            "a", shape=(100_000,), chunks=(10_000,), dtype="i8", compressors=None
        )
        made[:] = 1
    use = repo.statistics(objects=True).objects
    assert use is not None
    assert (use.objects, use.live_bytes, use.dead_bytes, use.with_dead) == (1, 800_000, 0, 0)
    assert 0 < use.footer_bytes < 500
    with repo.edit("main", "half of it") as tree:
        tree["a"][:50_000] = 2
    # The old half is still needed by the first version.
    use = repo.statistics(objects=True).objects
    assert use is not None
    assert (use.objects, use.live_bytes, use.dead_bytes) == (2, 1_200_000, 0)
    repo.expire_snapshots(datetime.now(UTC) + timedelta(days=1))
    use = repo.statistics(objects=True).objects
    assert use is not None
    assert (use.objects, use.live_bytes, use.dead_bytes, use.with_dead) == (2, 800_000, 400_000, 1)
    assert use.unreferenced == use.missing == 0
    session = repo.writable_session("main")
    session["a"][:] = 3
    session.flush("for nobody")
    largest = max((tmp_path / "chunks").iterdir(), key=lambda file: file.stat().st_size)
    use = repo.statistics(objects=True).objects
    assert use is not None
    assert use.unreferenced == 1
    assert use.unreferenced_bytes > 800_000
    for file in (tmp_path / "chunks").iterdir():
        if file != largest:
            file.unlink()
    use = repo.statistics(objects=True).objects
    assert use is not None
    assert use.missing >= 1


def test_ages() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), CONFIG)
    library = repo._core.library
    start, days = library.now(), [0, 1, 200, 360, 365.5]
    for number, day in enumerate(days):
        library.now = lambda day=day: start + int(day * 86_400_000_000) + 1_000_000  # type: ignore[misc]
        with repo.edit("main", f"{number}") as tree:
            tree[f"a{number}"] = np.arange(10 * (number + 1))
    ages = repo.statistics().by_age
    found = {row["up to"]: row["snapshots"] for row in ages.rows()}
    assert found == {
        "a day": 1,
        "a week": 1,
        "a month": 0,
        "3 months": 0,
        "a year": 2,
        "older": 2,
    }
    assert int(ages["chunks"].sum() + 0) == int(repo.statistics().by_snapshot["chunks"].sum())


async def test_shown(storage: frazil.Storage, tmp_path: Path) -> None:
    repo = grown(storage)
    found = await repo.statistics_async(objects=True)
    document = json.loads(json.dumps(found.to_dict()))
    assert document["by_kind"][0] == {"kind": "native", "bytes": found.total.native_bytes}
    assert document["objects"]["live_bytes"] == found.total.native_bytes
    assert datetime.fromisoformat(document["by_snapshot"][0]["time"]).tzinfo is not None
    text = str(found)
    assert text.startswith("<frazil.statistics.StorageStatistics>")
    assert text.index("/large") < text.index("/gone")
    assert text.index("delete") < text.index("begin")
    page = found._repr_html_()
    assert "<svg" in page
    assert "/notes/README.md" in page
    assert dict(found.by_array).keys() == {
        *("path", "native", "inline", "virtual", "chunks", "newest")
    }
    assert len(found.by_array) == 6
    assert found.table("age") is found.by_age
    assert "and 1 more" in str(found.by_snapshot.take(np.arange(21) % 11))
    with pytest.raises(ValueError, match="by is 'array'"):
        found.table("colour")  # type: ignore[arg-type]
    assert found.plot(tmp_path / "growth.svg").read_text().startswith("<svg")
    assert "Snapshots, newest first" in found.plot(str(tmp_path / "g.html")).read_text()


def test_a_repository_with_nothing_in_it(repo: frazil.Repository) -> None:
    found = repo.statistics(objects=True)
    assert (found.by_snapshot.num_rows, found.by_array.num_rows) == (1, 0)
    assert found.total.total_bytes() == 0
    assert "no chunks yet" in found._repr_html_()


def test_messages_cannot_break_out() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with repo.edit("main", "<script>\x1b[31m" + "x" * 90) as tree:
        tree["a"] = np.arange(5)
    found = repo.statistics()
    assert "<script>" not in found._repr_html_()
    assert "\x1b" not in str(found)
    assert "x…" in str(found)


def test_moved_arrays_go_by_their_last_path() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage(), CONFIG)
    with repo.edit("main", "first") as tree:
        tree["old/a"] = np.arange(100)
    session = repo.rearrange_session("main")
    session.move("/old/a", "/b")
    session.commit("move")
    found = repo.statistics()
    assert found.by_array["path"].tolist() == ["/b"]
    assert found.by_array["native"].tolist() == found.by_array["newest"].tolist()
