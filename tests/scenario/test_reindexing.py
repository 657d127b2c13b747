"""Shifting and reindexing arrays: chunks get other places without being read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil import IcechunkError, InvalidInputError, NodeNotFoundError, ReadOnlyError
from frazil.session import Session
from tests.scenario.trees import array, change, commit, get, group, put, tip

Callback = Callable[[Iterable[int]], Iterable[int] | None]

LARGE = b"native" * 200


@pytest.fixture
def session(repo: frazil.Repository) -> Session:
    """An array with chunks 0 to 3 of 8: 0 and 1 stored, 2 written anew, 3 new, 7 erased."""
    before = {"": group(), "a": array([8]), "a/c/0": b"0", "a/c/1": LARGE, "a/c/2": b"old"}
    commit(repo, {**before, "a/c/7": b"7"}, "base")
    session = repo.writable_session("main")
    return change(session, {"a/c/2": b"2", "a/c/3": LARGE[::-1], "a/c/7": None})


VALUES = {0: b"0", 1: LARGE, 2: b"2", 3: LARGE[::-1]}


def values(session: Session) -> dict[int, bytes]:
    found = {i: get(session, f"a/c/{i}") for i in range(8)}
    return {i: value for i, value in found.items() if value is not None}


@pytest.mark.parametrize("offset", [1, -1, 3, 6, 0, 8, -8, 2**40, -(2**70)])
def test_shifting(repo: frazil.Repository, session: Session, offset: int) -> None:
    session.shift_array("/a", iter([offset]))
    expected = {i + offset: value for i, value in VALUES.items() if 0 <= i + offset < 8}
    assert values(session) == expected
    session.commit("shifted")
    assert values(tip(repo)) == expected


def test_the_log_tells_sources_and_targets(session: Session) -> None:
    session.shift_array("/a", [2])
    assert session.status().updated_chunks == {"/a": [[i] for i in (0, 1, 2, 3, 4, 5, 7)]}


def test_shifting_in_two_dimensions_through_zarr(repo: frazil.Repository) -> None:
    data = np.arange(48).reshape(6, 8) + 1
    with repo.transaction("main", message="base") as store:
        zarr.create_array(store, name="a", data=data, chunks=(2, 2))
    session = repo.writable_session("main")
    session.shift_array("/a", [1, -2])
    expected = np.zeros_like(data)
    expected[2:, :4] = data[:-2, 4:]
    np.testing.assert_array_equal(zarr.open_array(session.store, path="a")[...], expected)
    session.commit("shifted")
    np.testing.assert_array_equal(zarr.open_array(tip(repo).store, path="a")[...], expected)


def test_resizing_first_keeps_everything(repo: frazil.Repository) -> None:
    with repo.transaction("main", message="base") as store:
        zarr.create_array(store, name="a", data=np.arange(6) + 1, chunks=(2,))
    session = repo.writable_session("main")
    grown = zarr.open_array(session.store, path="a")
    grown.resize((10,))
    session.shift_array("/a", [2])
    assert grown[:].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    session.commit("made room in front")
    assert zarr.open_array(tip(repo).store, path="a")[4:].tolist() == [1, 2, 3, 4, 5, 6]


def test_what_a_smaller_grid_has_hidden_does_not_come_back(session: Session) -> None:
    change(session, {"a": array([2])})
    change(session, {"a": array([8], x=1)})
    session.shift_array("/a", [1])
    assert values(session) == {1: b"0", 2: LARGE}


def test_offsets_are_one_for_each_dimension(session: Session) -> None:
    with pytest.raises(InvalidInputError, match="0 offsets for 1 dimensions"):
        session.shift_array("/a", [])
    for wrong in ([1.5], ["x"], 5):
        with pytest.raises(TypeError):
            session.shift_array("/a", wrong)  # type: ignore[arg-type]
    assert values(session) == VALUES
    session.shift_array("/a", [1, 99])
    assert values(session) == {i + 1: value for i, value in VALUES.items()}


def test_an_array_without_dimensions(repo: frazil.Repository) -> None:
    session = change(repo.writable_session("main"), {"": array([]), "c": b"x"})
    session.shift_array("/", [1])
    session.reindex_array("/", lambda i: i)
    assert get(session, "c") == b"x"


def test_an_empty_array(session: Session) -> None:
    put(session, "e", array([4]))
    session.shift_array("/e", [1])
    session.reindex_array("/e", lambda i: i, lambda i: i)
    assert session.status().updated_chunks.keys() == {"/a"}


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        (lambda i: [i[0] + 1], None, {0: 0, 1: 0, 2: 1, 3: 2, 4: 3}),
        (lambda i: (i[0] + 1,), lambda i: [i[0] - 1] if i[0] else None, {1: 0, 2: 1, 3: 2, 4: 3}),
        (lambda i: [i[0] + 1], lambda i: [i[0] - 1], {1: 0, 2: 1, 3: 2, 4: 3}),
        (lambda i: [3 - i[0]], None, {0: 3, 1: 2, 2: 1, 3: 0}),
        (lambda i: [i[0] + 6] if i[0] < 2 else None, None, {0: 0, 1: 1, 2: 2, 3: 3, 6: 0, 7: 1}),
        (lambda i: [5], None, {0: 0, 1: 1, 2: 2, 3: 3, 5: 3}),
        (lambda i: None, None, {0: 0, 1: 1, 2: 2, 3: 3}),
        (lambda i: None, lambda i: None, {}),
        (lambda i: None, lambda i: [6], {}),
        (lambda i: None, lambda i: [0], {0: 0, 1: 1, 2: 2, 3: 3}),
    ],
)
def test_reindexing(
    repo: frazil.Repository,
    session: Session,
    forward: Any,
    backward: Any,
    expected: dict[int, int],
) -> None:
    session.reindex_array("/a", forward, backward)
    wanted = {place: VALUES[source] for place, source in expected.items()}
    assert values(session) == wanted
    session.commit("reindexed")
    assert values(tip(repo)) == wanted


def test_callbacks_get_lists_of_numbers(session: Session) -> None:
    seen: list[Any] = []
    back: list[Any] = []
    session.reindex_array(
        "/a", lambda i: (seen.append(i), [0])[1], lambda i: (back.append(i), None)[1]
    )
    assert seen == [[0], [1], [2], [3]]
    assert back == [[1], [2], [3]]
    assert all(type(i) is int for place in seen for i in place)


def _fails(_: Iterable[int]) -> Iterable[int]:
    raise KeyError("boom")


@pytest.mark.parametrize(
    ("forward", "backward", "error", "kind", "text"),
    [
        (_fails, None, IcechunkError, "unknown", "KeyError: 'boom'"),
        (lambda i: i, _fails, IcechunkError, "unknown", None),
        (lambda i: [i[0] + 1], _fails, IcechunkError, "unknown", "boom"),
        (lambda i: 1, None, IcechunkError, "unknown", "TypeError"),
        (lambda i: ["x"], None, IcechunkError, "unknown", "TypeError"),
        (lambda i: [1.0], None, IcechunkError, "unknown", "TypeError"),
        (lambda i: [i[0] + 6], None, InvalidInputError, "invalid-chunk-index", r"\(8,\)"),
        (lambda i: [-1], None, InvalidInputError, "invalid-chunk-index", "outside"),
        (lambda i: [2**40], None, InvalidInputError, "invalid-chunk-index", "outside"),
        (lambda i: [0, 0], None, InvalidInputError, "invalid-chunk-index", "outside"),
        (lambda i: [], None, InvalidInputError, "invalid-chunk-index", "outside"),
    ],
)
def test_a_callback_that_fails_changes_nothing(
    session: Session,
    forward: Any,
    backward: Any,
    error: type[IcechunkError],
    kind: str,
    text: str | None,
) -> None:
    if text is None:  # each place gets a chunk, and `backward` is not asked
        session.reindex_array("/a", forward, backward)
    else:
        with pytest.raises(error, match=text) as caught:
            session.reindex_array("/a", forward, backward)
        assert caught.value.kind == kind
    assert values(session) == VALUES


def test_only_arrays(session: Session) -> None:
    change(session, {"g": group()})
    calls: list[Callable[[str], object]] = [
        lambda path: session.shift_array(path, [1]),
        lambda path: session.reindex_array(path, lambda i: i),
    ]
    for call in calls:
        with pytest.raises(NodeNotFoundError):
            call("/no")
        with pytest.raises(InvalidInputError) as caught:
            call("/g")
        assert caught.value.kind == "not-an-array"
        with pytest.raises(InvalidInputError) as caught:
            call("a")
        assert caught.value.kind == "invalid-path"


def test_only_regular_grids(spec: int) -> None:
    if spec == 1:
        return  # which has no others
    repo = frazil.Repository.create(frazil.in_memory_storage())
    grid = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[1, 1, 2]]}}
    document = array([4]).replace(
        b'{"name": "regular", "configuration": {"chunk_shape": [1]}}',
        str(grid).replace("'", '"').encode(),
    )
    session = change(repo.writable_session("main"), {"a": document, "a/c/0": b"x"})
    for call in (
        lambda: session.shift_array("/a", [1]),
        lambda: session.reindex_array("/a", lambda i: i),
    ):
        with pytest.raises(IcechunkError, match="regular grid"):
            call()
    assert get(session, "a/c/0") == b"x"


def test_read_only_sessions(repo: frazil.Repository, session: Session) -> None:
    session.commit("done")
    with pytest.raises(ReadOnlyError) as caught:
        session.shift_array("/a", [1])
    assert caught.value.kind == "read-only-session"
    with pytest.raises(ReadOnlyError):
        tip(repo).reindex_array("/a", lambda i: i)


def test_forks_shift_too(repo: frazil.Repository, session: Session) -> None:
    fork = session.fork()
    fork.shift_array("/a", [1])
    session.merge(fork)
    assert values(session) == {i + 1: value for i, value in VALUES.items()}
