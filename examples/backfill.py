"""Measurements that arrive late, twice and out of order: each goes where its time belongs.

    python examples/backfill.py [FOLDER]

Three months of sea surface temperature (NEMO, from the package iris-sample-data) stand for what a
station sends; `upsert` says what became of each delivery.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import iris_sample_data
import xarray as xr

import frazil
from frazil.xarray import Upserted, upsert

MONTHS = sorted((Path(iris_sample_data.path) / "NEMO").glob("nemo_1m_*_grid-T.nc"))


def month(path: Path) -> xr.Dataset:
    """The sea surface temperature of one month, by the middle of the month."""
    with xr.open_dataset(path, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True)) as ds:
        sst = ds["tos"].drop_vars(["nav_lat", "nav_lon", "time_counter"]).rename("sst")
        sst = sst.rename(time_counter="time").assign_coords(time=ds["time_centered"].values)
        return sst.drop_vars("time_centered").to_dataset().drop_encoding().load()


def deliver(repo: frazil.Repository, ds: xr.Dataset, message: str, **options: str) -> Upserted:
    """One delivery is one commit."""
    session = repo.writable_session("main")
    did = upsert(ds, session, "time", **options)
    session.commit(message, allow_empty=True)
    print(f"{message}: {did.appended} appended, {did.inserted} inserted, "
          f"{did.overwritten} overwritten, {did.kept} kept; "
          f"{did.chunks_moved} chunks moved, {did.chunks_written} written")  # fmt: skip
    return did


def main(folder: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "sst")))
    first, second, third = map(month, MONTHS[:3])
    encoding = {
        "sst": {"chunks": (1, *first.sst.shape[1:])},
        "time": {"chunks": (1,), "units": "days since 1970-01-01", "dtype": "f8"},
    }
    session = repo.writable_session("main")
    upsert(first, session, "time", encoding=encoding)
    session.commit("The first month")

    assert deliver(repo, third, "The third month").appended == 1
    late = deliver(repo, second, "The second month, late")
    assert (late.inserted, late.chunks_written) == (1, 2)  # the third month was only moved
    assert deliver(repo, second, "The second month again", existing="keep").kept == 1
    assert deliver(repo, second + 0.1, "A correction of it").overwritten == 1

    ds = frazil.open_dataset(repo).load()
    assert ds.indexes["time"].is_monotonic_increasing
    xr.testing.assert_equal(ds.isel(time=1), (second + 0.1).isel(time=0))
    xr.testing.assert_equal(ds.isel(time=[0, 2]), xr.concat([first, third], "time"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
