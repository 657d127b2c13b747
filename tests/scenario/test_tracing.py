"""Which commit wrote what, and which broke something."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

import frazil


def history(repo: frazil.Repository) -> list[str]:
    """Six commits to an array of 10 chunks; their ids."""
    ids = []
    with repo.transaction("main", message="make") as store:
        array = zarr.create_array(store, name="g/t", shape=(100,), chunks=(10,), dtype="i4")
        array[:80] = 1
    ids.append(repo.lookup_branch("main"))
    for number, part in enumerate((slice(0, 20), slice(15, 30), slice(50, 60)), start=2):
        with repo.transaction("main", message=f"write {number}") as store:
            zarr.open_array(store, path="g/t")[part] = number
        ids.append(repo.lookup_branch("main"))
    with repo.transaction("main", message="attributes") as store:
        zarr.open_array(store, path="g/t").attrs["units"] = "K"
    ids.append(repo.lookup_branch("main"))
    return ids


def test_blame(repo: frazil.Repository) -> None:
    ids = history(repo)
    found = repo.blame("g/t")
    writers = [found.commit_of((i,)) for i in range(10)]
    expected = [1, 2, 2, 0, 0, 3, 0, 0]
    assert [w and w.id for w in writers] == [*(ids[i] for i in expected), None, None]
    assert [commit.id for commit in found.commits] == [ids[i] for i in (3, 2, 1, 0)]
    assert found.chunks_of(1).tolist() == [[1], [2]]
    assert "write 3" in str(found)
    older = repo.blame("/g/t", snapshot_id=ids[1], region=[slice(5, 31)])
    assert older.chunks.tolist() == [[0], [1], [2], [3]]
    assert [older.commits[i].id for i in older.written_by] == [ids[i] for i in (1, 1, 0, 0)]


def test_blame_after_a_move_and_an_expiration() -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    ids = history(repo)
    session = repo.rearrange_session("main")
    session.move("/g/t", "/u")
    moved = session.commit("move")
    assert repo.blame("u").commits[0].id == ids[3]
    cutoff = repo.lookup_snapshot(moved).written_at
    repo.expire_snapshots(cutoff)
    assert [commit.id for commit in repo.blame("u").commits] == [moved], "which took over the logs"


def test_blame_of_what_is_none(repo: frazil.Repository) -> None:
    history(repo)
    with pytest.raises(frazil.NodeNotFoundError):
        repo.blame("nope")
    with pytest.raises(frazil.InvalidInputError):
        repo.blame("g")
    with pytest.raises(frazil.InvalidInputError):
        repo.blame("g/t", region=[slice(None), slice(None)])


def test_bisect(repo: frazil.Repository) -> None:
    ids = history(repo)

    def small(session: frazil.Session) -> bool:
        return int(np.max(zarr.open_array(session.store, path="g/t", mode="r")[:])) < 3

    found = repo.bisect(small, good=ids[0], bad=ids[-1])
    assert [commit.id for commit in found.suspects] == [ids[2]]
    assert len(found.judged) == 2
    assert {commit.id: good for commit, good in found.judged}[ids[1]] is True
    doubt = repo.bisect(lambda _: None, good=ids[0], bad=ids[-1])
    assert [commit.id for commit in doubt.suspects] == ids[1:]
    with pytest.raises(frazil.InvalidInputError, match="not in the history"):
        repo.bisect(small, good=ids[-1], bad=ids[0])
    with pytest.raises(ZeroDivisionError):
        repo.bisect(lambda _: bool(1 / 0), good=ids[0], bad=ids[-1])


def test_compare(repo: frazil.Repository) -> None:
    ids = history(repo)
    repo.create_branch("side", ids[0])
    with repo.transaction("side", message="other") as store:
        zarr.open_array(store, path="g/t")[95] = 7
        zarr.create_array(store, name="new", shape=(4,), chunks=(2,), dtype="i4")[:3] = 1
    found = repo.compare(ids[-1], repo.lookup_branch("side"))
    assert (found.new_arrays, found.updated_arrays) == ({"/new"}, {"/g/t"})
    assert found.updated_chunks == {
        "/g/t": [[0], [1], [2], [5], [9]],
        "/new": [[0], [1]],
    }
    assert repo.compare(repo.lookup_branch("side"), ids[-1]).deleted_arrays == {"/new"}
    assert repo.compare(ids[1], ids[1]).is_empty()
