"""From a plain Zarr archive to a repository with history, and back out for others.

python examples/migrate_from_zarr.py [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import iris_sample_data
import xarray as xr
import zarr

import frazil


def main(folder: Path) -> None:
    source = Path(iris_sample_data.path) / "A1B_north_america.nc"
    archive = folder / "archive.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xr.open_dataset(source).to_zarr(archive, zarr_format=2, consolidated=True)
    print(f"a plain archive, as there are many: {archive}")

    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "repository")))
    with repo.transaction("main", message="import the archive") as store:
        print(frazil.import_zarr(archive, store.session, "/a1b"))

    session = repo.writable_session("main")
    temperature = zarr.open_array(session.store, path="a1b/air_temperature")
    temperature[0] += 0.5
    session.commit("correct the first year")
    for snapshot in repo.ancestry(branch="main"):
        print(snapshot.id, snapshot.message)

    with xr.open_dataset(source) as original:
        first = repo.readonly_session(snapshot_id=list(repo.ancestry(branch="main"))[1].id)
        imported = xr.open_zarr(first.store, group="a1b", consolidated=False)
        xr.testing.assert_equal(imported["air_temperature"], original["air_temperature"])
    print("the version before the correction is the archive, value by value")

    out = folder / "for-others.zarr"
    frazil.export_zarr(repo.readonly_session("main"), out, "/a1b", consolidated=True)
    print(f"a plain copy of the newest version: {xr.open_zarr(out).sizes} in {out}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
