"""Version an archive of NetCDF files without copying them, with VirtualiZarr.

Everything it makes is below the folder given by --out. First, the three files of sea surface
temperature in the package iris-sample-data become one dataset; then, an archive to which a file
is added every day is followed day by day. VirtualiZarr writes for Icechunk; here Frazil takes
its place.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import frazil

frazil.install_as_icechunk()

# Those that import icechunk come afterwards.
import iris_sample_data  # noqa: E402
import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
from obspec_utils.registry import ObjectStoreRegistry  # noqa: E402
from obstore.store import LocalStore  # noqa: E402
from virtualizarr import open_virtual_dataset  # noqa: E402
from virtualizarr.parsers import HDFParser  # noqa: E402

OCEAN_FILES = sorted((Path(iris_sample_data.path) / "NEMO").glob("nemo_1m_*_grid-T.nc"))
DAYS = 5
FILES_OF_THIS_MACHINE = ObjectStoreRegistry({"file://": LocalStore()})


def create(place: Path, sources: Path) -> frazil.Repository:
    """A repository that may refer to the files below `sources`, and read them."""
    prefix = sources.as_uri() + "/"
    config = frazil.RepositoryConfig.default()
    store = frazil.local_filesystem_store(str(sources))
    config.set_virtual_chunk_container(frazil.VirtualChunkContainer(prefix, store))
    access = frazil.containers_credentials({prefix: frazil.credentials.LocalFileSystemAccess})
    storage = frazil.local_filesystem_storage(str(place))
    return frazil.Repository.create(storage, config, authorize_virtual_chunk_access=access)


def refer_to(path: Path, loaded: Iterable[str]) -> xr.Dataset:
    """A file as a dataset of references, but for the variables `loaded`, which are read."""
    return open_virtual_dataset(
        path.as_uri(),
        registry=FILES_OF_THIS_MACHINE,
        parser=HDFParser(),
        loadable_variables=list(loaded),
    )


def one_dataset_of_many_files(repo: frazil.Repository) -> None:
    """Three months of sea surface temperature as one array along time."""
    months = [refer_to(path, ["time_counter"]) for path in OCEAN_FILES]
    ocean = xr.concat(
        months, dim="time_counter", data_vars="minimal", coords="minimal", compat="override",
        combine_attrs="drop_conflicts",
    )  # fmt: skip
    session = repo.writable_session("main")
    ocean.vz.to_icechunk(session.store)
    session.commit("Refer to three months of the ocean run")


def read(repo: frazil.Repository) -> xr.Dataset:
    """The newest version."""
    session = repo.readonly_session("main")
    return xr.open_zarr(session.store, consolidated=False, zarr_format=3)


def new_file(folder: Path, day: date) -> Path:
    """What an instrument delivers every day: hourly values of one variable."""
    hours = np.datetime64(day, "ns") + np.arange(24) * np.timedelta64(1, "h")
    noise = np.random.default_rng(day.toordinal()).normal(size=(24, 40, 60))
    rain = xr.DataArray(
        noise.astype("f4"), {"time": hours}, ("time", "y", "x"), attrs={"units": "mm"}
    )
    path = folder / f"rain-{day.isoformat()}.nc"
    encoding = {
        "rain": {"chunksizes": (12, 40, 60), "zlib": True},
        "time": {"units": "hours since 2020-01-01", "dtype": "i8"},
    }
    rain.to_dataset(name="rain").to_netcdf(path, encoding=encoding, unlimited_dims=["time"])
    return path


def follow(repo: frazil.Repository, path: Path) -> None:
    """Append the references to one more file."""
    ds = refer_to(path, ["time"])
    session = repo.writable_session("main")
    options = {"append_dim": "time"} if session.all_virtual_chunk_locations() else {}
    # From then on, a change of the file is noticed.
    at = datetime.now(UTC) + timedelta(seconds=1)
    ds.vz.to_icechunk(session.store, last_updated_at=at, **options)
    session.commit(f"Add {path.name}")


def main() -> None:
    """Run both examples and check what they made against the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out/virtual"))
    out: Path = parser.parse_args().out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    archive = out / "archive"
    archive.mkdir(parents=True)

    repo = create(out / "ocean", OCEAN_FILES[0].parent)
    one_dataset_of_many_files(repo)
    ocean = read(repo)
    for month, path in enumerate(OCEAN_FILES):
        with xr.open_dataset(path, engine="netcdf4", decode_times=False) as there:
            np.testing.assert_array_equal(ocean["tos"][month], there["tos"][0])
    stats = repo.chunk_storage_stats()
    print(f"ocean: {ocean['tos'].shape} values of {len(OCEAN_FILES)} files, not copied:")
    print(f"  {stats.virtual_bytes:,} bytes there, {stats.native_bytes:,} here")

    repo = create(out / "rain", archive)
    for day in range(DAYS):
        follow(repo, new_file(archive, date(2026, 1, 1) + timedelta(days=day)))
    rain = read(repo)
    expected = xr.open_mfdataset(sorted(archive.glob("*.nc")), engine="netcdf4").load()
    xr.testing.assert_identical(rain.load(), expected)
    commits = [info.message for info in repo.ancestry(branch="main")]
    print(f"rain: {dict(rain.sizes)} in {len(commits) - 1} commits, the last of them: {commits[0]}")
    print(repo.doctor())


if __name__ == "__main__":
    main()
