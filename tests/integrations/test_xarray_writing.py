"""Datasets written into sessions: `frazil.xarray.to_icechunk`."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

import frazil
from frazil import InvalidInputError, ReadOnlyError, Repository, Session
from frazil.xarray import LazyArrayWriter, is_dask_collection, to_frazil, to_icechunk


def weather(days: int = 4, first: int = 0) -> xr.Dataset:
    time = np.datetime64("2020-01-01") + np.arange(first, first + days)
    values = np.arange(first * 3.0, (first + days) * 3).reshape(days, 3)
    return xr.Dataset(
        {"t": (("time", "x"), values, {"units": "K"}), "n": ((), 7)},
        coords={"time": time, "x": [10.0, 20.0, 30.0]},
        attrs={"title": "weather"},
    )


def written(session: Session, group: str | None = None) -> xr.Dataset:
    ds = xr.open_zarr(session.store, group=group, consolidated=False, chunks=None)
    return ds.load()


def lazy(ds: xr.Dataset, **chunks: int) -> xr.Dataset:
    return ds.chunk(chunks or {"time": 1})


KINDS = [pytest.param(False, id="in memory"), pytest.param(True, id="dask")]


@pytest.mark.parametrize("is_lazy", KINDS)
def test_a_dataset_comes_back_as_it_was(repo: Repository, is_lazy: bool) -> None:
    ds = weather()
    session = repo.writable_session("main")
    to_icechunk(lazy(ds) if is_lazy else ds, session)
    session.commit("weather")
    xr.testing.assert_identical(written(repo.readonly_session("main")), ds)
    assert len(list(repo.ancestry(branch="main"))) == 2


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_any_scheduler_of_dask(repo: Repository, scheduler: str) -> None:
    ds = weather(days=6)
    session = repo.writable_session("main")
    to_icechunk(
        lazy(ds), session, chunkmanager_store_kwargs={"scheduler": scheduler}, split_every=2
    )
    session.commit("weather")
    if scheduler != "processes":  # which take long to start
        session = repo.writable_session("main")
        with dask.config.set(scheduler=scheduler):
            to_icechunk(lazy(weather(6, first=6)), session, append_dim="time")
        session.commit("more")
        ds = weather(12)
    xr.testing.assert_identical(written(repo.readonly_session("main")), ds)


@pytest.mark.parametrize("is_lazy", KINDS)
def test_modes(repo: Repository, is_lazy: bool) -> None:
    def of(ds: xr.Dataset) -> xr.Dataset:
        return lazy(ds) if is_lazy else ds

    session = repo.writable_session("main")
    to_icechunk(of(weather()), session, group="g")
    with pytest.raises(FileExistsError):
        to_icechunk(of(weather()), session, group="g")
    with pytest.raises(ValueError, match="not 'x'"):
        to_icechunk(of(weather()), session, group="g", mode="x")  # type: ignore[arg-type]
    to_icechunk(of(weather()[["t"]] + 1), session, group="g", mode="a")
    xr.testing.assert_equal(written(session, "g"), weather().assign(t=weather().t + 1))
    to_icechunk(of(weather()[["t"]]), session, group="g", mode="r+")
    xr.testing.assert_equal(written(session, "g"), weather())
    to_icechunk(of(weather(4, first=4)), session, group="g", mode="a-", append_dim="time")
    xr.testing.assert_equal(written(session, "g"), weather(8))
    to_icechunk(of(weather(2)[["t"]]), session, group="g", mode="w")
    xr.testing.assert_identical(written(session, "g"), weather(2)[["t"]])
    assert list(zarr.open_group(session.store, mode="r").group_keys()) == ["g"]


@pytest.mark.parametrize("is_lazy", KINDS)
@pytest.mark.parametrize("region", ["auto", {"time": "auto"}, {"time": slice(1, 3)}])
def test_regions(repo: Repository, is_lazy: bool, region: Any) -> None:
    session = repo.writable_session("main")
    ds = weather()
    to_icechunk(ds, session, encoding={"t": {"chunks": (1, 3)}})
    part = (ds[["t"]] * -1).isel(time=slice(1, 3))
    if isinstance(region, dict):
        part = part.drop_vars("x")
    to_icechunk(lazy(part) if is_lazy else part, session, region=region)
    expected = ds.copy(deep=True)
    expected.t[1:3] *= -1
    xr.testing.assert_equal(written(session), expected)


def test_what_does_not_go_together(repo: Repository) -> None:
    session = repo.writable_session("main")
    to_icechunk(weather(), session)
    with pytest.raises(ValueError, match="append_dim goes with"):
        to_icechunk(weather(), session, append_dim="time", mode="w")
    with pytest.raises(ValueError, match="region goes with"):
        to_icechunk(weather(), session, region="auto", mode="w")
    with pytest.raises(KeyError, match="a variable that is not there: 'u'"):
        to_icechunk(weather(), session, mode="w", encoding={"u": {}})
    with pytest.raises(TypeError, match=r"leave out `\.store`"):
        to_icechunk(weather(), session.store)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a str"):
        to_icechunk("weather", session)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a session, not a Repository"):
        to_icechunk(weather(), repo)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a string or None, not 3"):
        to_icechunk(xr.Dataset({3: ("x", [1])}), session, mode="w")


def test_read_only_sessions_are_refused_before_anything_is_computed(repo: Repository) -> None:
    for error in (ReadOnlyError, ValueError):
        with pytest.raises(error, match="becomes read-only when it is committed"):
            to_icechunk(weather(), repo.readonly_session("main"))


def test_dask_chunks_that_overlap_in_a_zarr_chunk(repo: Repository) -> None:
    session = repo.writable_session("main")
    to_icechunk(weather(6), session, encoding={"t": {"chunks": (4, 3)}})
    unaligned = lazy(weather(6)[["t"]], time=3)
    with pytest.raises(ValueError, match="overlap"):
        to_icechunk(unaligned, session, mode="a")
    to_icechunk(unaligned + 1, session, mode="a", align_chunks=True)
    xr.testing.assert_equal(written(session).t, weather(6).t + 1)
    to_icechunk(unaligned, session, mode="a", safe_chunks=False, chunkmanager_store_kwargs=SYNC)
    xr.testing.assert_equal(written(session).t, weather(6).t)


SYNC = {"scheduler": "sync"}


def test_shards_are_written_in_parallel(repo: Repository, computing: None) -> None:
    values = np.arange(48 * 40.0).reshape(48, 40)
    ds = xr.Dataset({"v": (("y", "x"), da.from_array(values, chunks=(12, 20)))})
    encoding = {"v": {"chunks": (3, 5), "shards": (12, 20)}}
    session = repo.writable_session("main")
    to_icechunk(ds, session, encoding=encoding)
    session.commit("shards")
    array = zarr.open_array(repo.readonly_session("main").store, path="v", mode="r")
    assert array.shards == (12, 20)
    assert (array[...] == values).all()
    with pytest.raises(ValueError, match="overlap"):
        to_icechunk(ds.chunk(y=6), repo.writable_session("main"), mode="w", encoding=encoding)


@pytest.mark.parametrize("is_lazy", KINDS)
def test_empty_chunks_are_written_if_asked_for(repo: Repository, is_lazy: bool) -> None:
    ds = xr.Dataset({"z": ("x", np.zeros(4))}).chunk(x=1)
    ds = ds if is_lazy else ds.load()
    encoding = {"z": {"fill_value": 0.0, "chunks": (1,)}}
    for wanted in (None, False, True):
        session = repo.writable_session("main")
        to_icechunk(ds, session, mode="w", encoding=encoding, write_empty_chunks=wanted)
        assert zarr.open_array(session.store, path="z").nchunks_initialized == 4 * bool(wanted)


def test_empty_chunks_of_arrays_that_exist(repo: Repository, computing: None) -> None:
    ds = xr.Dataset({"z": ("x", np.zeros(4))}).chunk(x=1)
    session = repo.writable_session("main")
    to_icechunk(ds, session, encoding={"z": {"fill_value": 0.0, "chunks": (1,)}})
    to_icechunk(ds, session, mode="r+", write_empty_chunks=True)
    assert zarr.open_array(session.store, path="z").nchunks_initialized == 4


def test_data_arrays(repo: Repository) -> None:
    session = repo.writable_session("main")
    unnamed, shadowing = xr.DataArray([1, 2], dims="x"), xr.DataArray([3, 4], [("x", [0, 1])])
    to_icechunk(weather().t, session, group="named")
    to_icechunk(unnamed, session, group="unnamed")
    to_icechunk(shadowing.rename("x"), session, group="shadowing")
    for group, array in [
        ("named", weather().t),
        ("unnamed", unnamed),
        ("shadowing", shadowing.rename("x")),
    ]:
        again = xr.open_dataarray(
            session.store, engine="zarr", group=group, backend_kwargs={"consolidated": False}
        )
        xr.testing.assert_identical(again.load(), array)


@pytest.mark.parametrize("is_lazy", KINDS)
def test_trees(repo: Repository, is_lazy: bool) -> None:
    tree = xr.DataTree.from_dict({"/": weather()[["n"]], "/a": weather(), "/b/c": weather(2)})
    session = repo.writable_session("main")
    given = tree.chunk(time=2) if is_lazy else tree
    to_icechunk(given, session, group="tree", encoding={"/a": {"t": {"chunks": (2, 3)}}})
    again = xr.open_datatree(session.store, engine="zarr", group="tree", consolidated=False)
    xr.testing.assert_identical(again.load(), tree)
    assert zarr.open_array(session.store, path="tree/a/t").chunks == (2, 3)
    with pytest.raises(ValueError, match=r"\['c'\]"):
        to_icechunk(tree, session, mode="w", encoding={"/c": {}})
    more = xr.DataTree.from_dict({"/a": weather(4, first=4), "/b/c": weather(2, first=2)})
    to_icechunk(more, session, group="tree", append_dim="time")
    again = xr.open_datatree(session.store, engine="zarr", group="tree", consolidated=False)
    xr.testing.assert_equal(again["a"].to_dataset(), weather(8))
    xr.testing.assert_equal(again["b/c"].to_dataset(inherit=False), weather(4))


def test_forks_are_written_as_sessions_are(repo: Repository) -> None:
    session = repo.writable_session("main")
    to_icechunk(weather(), session, encoding={"t": {"chunks": (1, 3)}})
    session.commit("weather")
    session = repo.writable_session("main")
    forks = [session.fork() for _ in range(4)]
    for day, fork in enumerate(forks):
        part = (weather()[["t"]] * 2).isel(time=[day]).drop_vars("x")
        to_icechunk(lazy(part) if day % 2 else part, fork, region="auto")
    session.merge(*forks)
    session.commit("doubled")
    xr.testing.assert_equal(written(repo.readonly_session("main")).t, weather().t * 2)


def test_other_processes_cannot_write_into_the_memory_of_this_one() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = repo.writable_session("main")
    to_icechunk(lazy(weather()), session)
    with pytest.raises(InvalidInputError, match="in the memory of this process"):
        to_icechunk(
            lazy(weather()),
            session,
            mode="w",
            chunkmanager_store_kwargs={"scheduler": "processes"},
        )


def test_a_task_that_fails_is_heard_of(repo: Repository, computing: None) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise OSError("the tape is torn")

    session = repo.writable_session("main")
    ds = xr.Dataset({"v": ("x", da.zeros(4, chunks=2).map_blocks(fail, dtype="f8"))})
    with pytest.raises(OSError, match="the tape is torn"):
        to_icechunk(ds, session)
    session.discard_changes()
    to_icechunk(weather(), session)
    xr.testing.assert_identical(written(session), weather())


def test_times_and_texts_are_appended_in_the_encoding_that_is_there(repo: Repository) -> None:
    def names(first: int) -> xr.Dataset:
        time = np.datetime64("2020-01-01T00") + np.arange(first, first + 2) * np.timedelta64(6, "h")
        texts = np.array([f"ü{i}" * i for i in range(first, first + 2)], object)
        return xr.Dataset({"s": ("time", texts)}, {"time": time})

    session = repo.writable_session("main")
    to_icechunk(names(0), session, encoding={"time": {"units": "hours since 1970-01-01"}})
    to_icechunk(names(2), session, append_dim="time")
    xr.testing.assert_equal(written(session), xr.concat([names(0), names(2)], "time"))
    assert zarr.open_array(session.store, path="time").attrs["units"] == "hours since 1970-01-01"


def test_dimensions_without_length(repo: Repository) -> None:
    session = repo.writable_session("main")
    ds = xr.Dataset({"e": (("t", "x"), da.zeros((0, 3), chunks=(1, 3)))})
    to_icechunk(ds, session)
    assert written(session).e.shape == (0, 3)


def test_the_writer_keeps_metadata_before_chunks() -> None:
    writer, target = LazyArrayWriter(), np.zeros(4)
    writer.add(np.ones(2), target, (slice(1, 3),))
    writer.add(np.full(4, 5.0), other := np.zeros(4))
    assert not target.any()
    writer.write_eager()
    assert (target.tolist(), other.tolist()) == ([0, 1, 1, 0], [5] * 4)
    assert is_dask_collection(da.zeros(1))
    assert not is_dask_collection(np.zeros(1))
    assert to_frazil is to_icechunk
