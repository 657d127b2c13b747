"""Whatever the history of an array, a purge leaves fill value in the region and all else alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import frazil

LONGEST = 7


@st.composite
def histories(draw: Any) -> tuple[dict[str, Any], list[tuple[str, Any]], tuple[slice, ...]]:
    """How an array is made; what each commit does; a region."""
    rank = draw(st.integers(1, 2))
    inner = draw(st.tuples(*[st.integers(1, 3)] * rank))
    sharded = draw(st.booleans())
    made = {
        "shape": draw(st.tuples(*[st.integers(3, LONGEST)] * rank)),
        "chunks": inner,
        "shards": tuple(2 * n for n in inner) if sharded else None,
        "compressors": draw(st.sampled_from([None, "auto"])),
        "fill_value": draw(st.sampled_from([0, 5])),
    }
    places = st.tuples(*[st.tuples(st.integers(0, LONGEST), st.integers(1, LONGEST))] * rank)
    steps = st.one_of(
        st.tuples(st.just("write"), places),
        st.tuples(st.just("resize"), st.tuples(*[st.integers(1, LONGEST)] * rank)),
        st.tuples(st.just("move"), st.just(None)),
    )
    region = draw(places)
    return (
        made,
        draw(st.lists(steps, min_size=1, max_size=4)),
        tuple(slice(min(a, 2), min(a, 2) + b) for a, b in region),
    )


def write(repo: frazil.Repository, path: str, step: tuple[str, Any], number: int) -> str:
    """Commit one step; where the array is then."""
    what, how = step
    if what == "move":
        session = repo.rearrange_session("main")
        session.move(f"/{path}", f"/a{number}")
        session.commit(str(number))
        return f"a{number}"
    session = repo.writable_session("main")
    array = session[path]
    if what == "resize":
        array.resize(how)
    else:
        array[tuple(slice(a, a + b) for a, b in how)] = number
    session.commit(str(number), allow_empty=True)
    return path


def versions(repo: frazil.Repository) -> dict[str, np.ndarray[Any, Any]]:
    found = {}
    for commit in repo.ancestry(branch="main"):
        tree = repo.at(snapshot_id=commit.id)
        for path in set(tree) - {"other"}:
            found[commit.message] = tree[path][...]
    return found


@settings(max_examples=12)
@given(histories())
def test_elements_of_any_history(
    history: tuple[dict[str, Any], list[tuple[str, Any]], tuple[slice, ...]],
) -> None:
    made, steps, region = history
    config = frazil.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 20  # some of them
    repo = frazil.Repository.create(frazil.in_memory_storage(), config)
    with repo.edit("main", "0") as tree:
        array = zarr.create_array(tree.store, name="a", dtype="u2", **made)
        array[...] = np.arange(10, 10 + array.size).reshape(array.shape)
        tree["other"] = np.arange(300)
    path = "a"
    for number, step in enumerate(steps, 1):
        path = write(repo, path, step, number)
    expected = versions(repo)
    for values in expected.values():
        values[region] = made["fill_value"]
    plan = repo.purge(path, region=region)
    report = repo.purge(path, region=region, dry_run=False)
    assert report.is_clean, report
    assert (plan.chunks, plan.chunks_rewritten) == (report.chunks, report.chunks_rewritten)
    again = frazil.Repository.open(repo.storage)
    found = versions(again)
    assert found.keys() == expected.keys()
    for message, values in expected.items():
        np.testing.assert_array_equal(found[message], values, err_msg=message)
    assert again.at()["other"][:].tolist() == [*range(300)]
    assert again.verify("data").is_healthy
    assert again.purge(path, region=region).chunks_rewritten == 0
