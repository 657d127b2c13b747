"""NetCDF files come and go by one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import frazil
from frazil import Repository, Session
from frazil.errors import InvalidInputError
from frazil.interchange import export_netcdf, import_netcdf

xarray = pytest.importorskip("xarray")
iris_sample_data = pytest.importorskip("iris_sample_data")
DATA = Path(iris_sample_data.path)
NEMO = sorted((DATA / "NEMO").glob("*.nc"))


@pytest.fixture
def session() -> Session:
    return Repository.create(frazil.in_memory_storage()).writable_session("main")


@pytest.mark.filterwarnings("ignore")
def test_one_file_and_back(tmp_path: Path, session: Session) -> None:
    source = DATA / "A1B_north_america.nc"
    import_netcdf(source, session, "a1b", chunks={"time": 40})
    session.commit("imported")
    export_netcdf(session, tmp_path / "copy.nc", "a1b")
    with xarray.open_dataset(source) as before, xarray.open_dataset(tmp_path / "copy.nc") as after:
        xarray.testing.assert_identical(before, after)
    assert [file.name for file in tmp_path.iterdir()] == ["copy.nc"]


@pytest.mark.filterwarnings("ignore")
def test_several_files_one_behind_the_other(session: Session) -> None:
    import_netcdf(NEMO[:2], session, "nemo", append_dim="time_counter")
    import_netcdf(NEMO[2], session, "nemo", append_dim="time_counter")
    session.commit("imported")
    with xarray.open_zarr(session.store, group="nemo", consolidated=False) as ours:
        assert ours.sizes["time_counter"] == 3
        for number, path in enumerate(NEMO):
            with xarray.open_dataset(path) as month:
                part = ours.isel(time_counter=[number])
                for name in month.data_vars:
                    if "time_counter" in month[name].dims:
                        xarray.testing.assert_equal(part[name].load(), month[name].load())


def test_what_is_missing_is_said(tmp_path: Path, session: Session) -> None:
    with pytest.raises(InvalidInputError, match="append_dim"):
        import_netcdf(NEMO, session)
    with pytest.raises(FileNotFoundError):
        import_netcdf(tmp_path / "no.nc", session)
    assert not session.has_uncommitted_changes


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, session: Session) -> None:
    target = tmp_path / "copy.nc"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        export_netcdf(session, target, "nowhere")
    assert target.read_bytes() == b"old"
