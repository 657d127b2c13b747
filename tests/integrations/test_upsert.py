"""Rows written where their labels belong, compared with what xarray does in memory."""

from __future__ import annotations

import warnings
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import frazil
from frazil import AlreadyExistsError, InvalidInputError, ReadOnlyError, Repository, Session
from frazil.xarray import Upserted, open_dataset, to_icechunk, upsert

START = np.datetime64("2020-01-01T00", "ns")
X = np.array([1.0, 2.0, 3.0])


def rows(hours: list[int], base: float = 0.0) -> xr.Dataset:
    time = START + np.array(hours, int) * np.timedelta64(1, "h")
    t = np.array(hours, float)[:, None] * 10 + np.arange(3) + base
    return xr.Dataset(
        {
            "t": (("time", "x"), t),
            "flag": (("x", "time"), (t.T * 2 % 7).astype("i2")),
            "n": ("time", np.array(hours, "i4") + int(base)),
        },
        coords={"time": time, "x": X},
    )


CHUNKS: dict[str, Any] = {
    "t": {"chunks": (4, 2)},
    "flag": {"chunks": (2, 3)},
    "n": {"chunks": (3,)},
    "time": {"chunks": (4,), "units": "hours since 2000-01-01", "dtype": "i8"},
}


def stored(ds: xr.Dataset) -> Session:
    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    encoding = {name: value for name, value in CHUNKS.items() if name in ds.variables}
    to_icechunk(ds, session, encoding=encoding)
    session.commit("stored")
    return repo.writable_session("main")


def merged(old: xr.Dataset, new: xr.Dataset, descending: bool = False) -> xr.Dataset:
    """What upserting comes to."""
    stays = old.sel(time=~old.indexes["time"].isin(new.indexes["time"]))
    both: xr.Dataset = xr.concat([stays, new], "time", data_vars="minimal", coords="minimal")
    return both.sortby("time", ascending=not descending)


def check(session: Session, expected: xr.Dataset) -> None:
    same(open_dataset(session), expected)


def same(got: xr.Dataset, expected: xr.Dataset) -> None:
    xr.testing.assert_equal(got.load().transpose("time", ...), expected.transpose("time", ...))


HOURS = st.lists(st.integers(0, 30), unique=True, max_size=14)


@given(
    first=HOURS.map(sorted).filter(bool), second=HOURS, lazy=st.booleans(), descending=st.booleans()
)
@settings(max_examples=20)
def test_it_is_as_concat_and_sortby(
    first: list[int], second: list[int], lazy: bool, descending: bool
) -> None:
    old = rows(first[::-1] if descending and len(first) > 1 else first)
    new = rows(second, base=1000)
    descending = descending and len(first) > 1
    session = stored(old)
    if len(first) == 1 and pd.Index(second).is_monotonic_decreasing and len(second) > 1:
        descending = True  # one row has no direction
    did = upsert(new.chunk(time=2) if lazy and second else new, session, "time")
    if second:
        check(session, merged(old, new, descending))
    both = set(first) & set(second)
    assert did.overwritten == len(both)
    assert did.inserted + did.appended == len(second) - len(both)
    last = min(first) if descending else max(first)
    after = [h for h in second if (h < last if descending else h > last)]
    assert did.appended == len(after)
    before = {h: i for i, h in enumerate(first[::-1] if descending else first)}
    assert len(before) == len(first)
    session.commit("upserted", allow_empty=True)


def test_whole_chunks_are_moved_by_reference() -> None:
    """Eight hours come in before hour 8: the chunks behind are the same objects as before."""
    hours = list(range(8)) + list(range(16, 40))
    session = stored(rows(hours))
    before = references(session)
    did = upsert(rows(list(range(8, 16))), session, "time")
    check(session, rows(list(range(40))))
    assert (did.overwritten, did.inserted, did.appended, did.kept) == (0, 8, 0, 0)
    after = references(session)
    for chunk in range(2, 8):
        assert after["t", (chunk + 2, 0)] == before["t", (chunk, 0)]
    # `t` and the times have chunks of four hours. Eight hours are no whole chunks of `flag` and
    # `n`, which have three: nothing behind them stays where it was.
    assert did.chunks_moved == 6 * 2 + 6
    assert did.chunks_written == (2 * 2 + 2) + (12 * 2 + 12)


def references(session: Session) -> dict[tuple[str, tuple[int, ...]], object]:
    found = {}
    for name in ("t", "flag", "n", "time"):
        node = session._array(f"/{name}")
        for index in session._workspace.chunk_batches(node):
            for coords in map(tuple, index.tolist()):
                found[name, coords] = session._workspace.locate(node, coords)
    return found


def test_a_chunk_may_be_in_two_places() -> None:
    """Rows that come into the middle of a chunk, as many as a chunk has: both of its halves stay
    in place, in two chunks that began as one."""
    session = stored(rows([0, 1, 2, 3, 10, 11, 12, 13])[["t"]])
    did = upsert(rows([4, 5, 6, 7])[["t"]].isel(time=[0, 1, 2, 3]), session, "time")
    check(session, rows([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13])[["t"]])
    assert did.chunks_moved == 2 + 1  # one of `t`, two across, and one of the times
    session = stored(rows([0, 1, 6, 7])[["t"]])
    did = upsert(rows([2, 3, 4, 5])[["t"]], session, "time")
    check(session, rows(list(range(8)))[["t"]])
    assert did.inserted == 4


def test_appending_writes_only_what_is_new() -> None:
    session = stored(rows(list(range(16))))
    did = upsert(rows(list(range(16, 20))), session, "time")
    assert did == Upserted(0, 0, 4, 0, 0, 2 + 4 + 2 + 1)
    updated = session.status().updated_chunks
    assert sorted(updated["/t"]) == [[4, 0], [4, 1]]
    assert sorted(updated["/n"]) == [[5], [6]]
    check(session, rows(list(range(20))))


def test_labels_that_are_there() -> None:
    session = stored(rows([0, 1, 2, 3]))
    with pytest.raises(AlreadyExistsError, match="2 labels along 'time' are stored already"):
        upsert(rows([2, 3, 4]), session, "time", existing="error")
    assert not session.has_uncommitted_changes
    did = upsert(rows([4, 2, 1], base=1000), session, "time", existing="keep")
    assert (did.kept, did.appended, did.overwritten) == (2, 1, 0)
    expected = merged(rows([0, 1, 2, 3]), rows([4], base=1000))
    check(session, expected)
    assert upsert(rows([2, 1]), session, "time", existing="keep") == Upserted(0, 0, 0, 2, 0, 0)
    with pytest.raises(ValueError, match="not 'replace'"):
        upsert(rows([1]), session, "time", existing="replace")  # type: ignore[arg-type]
    did = upsert(rows([1], base=5)[["n"]], session, "time")  # overwriting needs not all variables
    assert did.overwritten == 1
    assert int(open_dataset(session).n[1]) == 6


def test_the_first_rows_make_the_group() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    did = upsert(rows([3, 4]), session, "time", group="a/b", encoding=CHUNKS)
    assert (did.appended, did.chunks_written) == (2, 2 + 2 + 1 + 1)
    did = upsert(rows([1, 2, 3]), session, "time", group="a/b")
    assert (did.overwritten, did.inserted, did.appended) == (1, 2, 0)
    same(open_dataset(session, group="a/b"), rows([1, 2, 3, 4]))


def test_rows_without_order_are_appended() -> None:
    def stations(*names: str) -> xr.Dataset:
        values = np.array([len(name) for name in names])
        return xr.Dataset({"v": ("station", values)}, {"station": np.array(names, object)})

    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    to_icechunk(stations("Oslo", "Bonn", "Rome"), session)
    did = upsert(stations("Bonn", "Ulm", "Aalborg") + 10, session, "station")
    assert (did.overwritten, did.inserted, did.appended) == (1, 0, 2)
    got = open_dataset(session).load()
    assert list(got.station.values) == ["Oslo", "Bonn", "Rome", "Ulm", "Aalborg"]
    assert got.v.values.tolist() == [4, 14, 4, 13, 17]


def test_scaled_values_that_stay_are_not_decoded() -> None:
    """What was stored is copied as it is, even where decoding and encoding would change it."""
    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    ds = rows([0, 1, 2, 5, 6, 7])[["t"]]
    to_icechunk(
        ds,
        session,
        encoding={
            "t": {"dtype": "i2", "scale_factor": 0.1, "_FillValue": -1, "chunks": (4, 3)},
            "time": CHUNKS["time"],
        },
    )
    raw = zarr.open_array(session.store, path="t")
    raw[1] = 31_111
    upsert(rows([3, 4])[["t"]], session, "time")
    raw = zarr.open_array(session.store, path="t")
    assert raw[1].tolist() == [31_111] * 3
    assert raw[3].tolist() == [300, 310, 320]
    np.testing.assert_allclose(open_dataset(session).t[5:], rows([5, 6, 7]).t[0:])


def test_shards_are_what_is_moved() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    hours = [*range(4), *range(8, 12)]
    encoding = CHUNKS | {"t": {"chunks": (2, 1), "shards": (4, 3)}}
    to_icechunk(rows(hours)[["t"]], session, encoding={"t": encoding["t"], "time": CHUNKS["time"]})
    did = upsert(rows([4, 5, 6, 7])[["t"]], session, "time")
    assert (did.chunks_moved, did.chunks_written) == (2, 2)
    check(session, rows(list(range(12)))[["t"]])


def test_what_does_not_go_together() -> None:
    session = stored(rows([0, 1, 2, 3]))
    cases: list[tuple[xr.Dataset, str]] = [
        (rows([4]).drop_vars("time"), "no labels along 'time'"),
        (rows([4, 4]), "more than once"),
        (rows([4]).assign_coords(x=X[::-1]), "other labels along 'x'"),
        (rows([4]).drop_vars("n"), "no variables 'n', which would lack values"),
        (rows([4]).assign(u=("time", [1])), "stored dataset has no variables 'u'"),
        (rows([4]).assign_coords(time=["noon"]), "cannot be"),
    ]
    for ds, text in cases:
        with pytest.raises(InvalidInputError, match=text):
            upsert(ds, session, "time")
        assert not session.has_uncommitted_changes
    half = rows([4])
    half["time"] = half.time + np.timedelta64(30, "m")
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(InvalidInputError, match="cannot be stored in the encoding that is there"),
    ):
        upsert(half, session, "time")
    assert not session.has_uncommitted_changes
    with pytest.raises(ReadOnlyError):
        upsert(rows([4]), session.fork() and _committed(session), "time")


def _committed(session: Session) -> Session:
    session.discard_changes()
    session.commit("nothing", allow_empty=True)
    return session


def test_forks_and_clusters(repo: Repository, client: Client) -> None:
    session = repo.writable_session("main")
    to_icechunk(rows([0, 1, 2, 3, 8, 9, 10, 11]), session, encoding=CHUNKS)
    session.commit("stored")
    session = repo.writable_session("main")
    new = rows([4, 5, 6, 7, 12], base=500)
    new["t"] = (("time", "x"), da.from_array(new.t.values, chunks=(2, 3)))
    fork = session.fork()
    did = upsert(new, fork, "time")
    assert (did.inserted, did.appended) == (4, 1)
    session.merge(fork)
    session.commit("upserted")
    expected = merged(rows([0, 1, 2, 3, 8, 9, 10, 11]), rows([4, 5, 6, 7, 12], base=500))
    same(open_dataset(repo), expected)
