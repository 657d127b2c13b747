"""Write a dataset, correct it, and look back: the first things to do with a repository.

    python examples/quickstart.py [FOLDER]

The data is a century-long run of surface air temperature over North America (A1B scenario, from
the package iris-sample-data).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import iris_sample_data
import xarray as xr

import frazil
from frazil.xarray import to_icechunk

SOURCE = Path(iris_sample_data.path) / "A1B_north_america.nc"


def main(folder: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "climate")))

    # A session holds changes until they are committed, all or nothing.
    ds = xr.open_dataset(SOURCE, decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))
    session = repo.writable_session("main")
    to_icechunk(ds, session, encoding={"air_temperature": {"chunks": (48, 37, 49)}})
    repo.create_tag("as-delivered", session.commit("Import the A1B run"))

    # Nodes can be had by path as well; leaving the block commits.
    with repo.edit("main", "The first two years were 1 K too cold") as tree:
        tree["air_temperature"][:2] += 1.0
        tree["air_temperature"].attrs["comment"] = "first two years corrected"

    # Every version stays there, and what lies between two is known.
    now, then = frazil.open_dataset(repo), frazil.open_dataset(repo, tag="as-delivered")
    change = (now.air_temperature - then.air_temperature).mean(["latitude", "longitude"])
    print("change of the first three years:", change.values[:3].round(2).tolist())
    for info in repo.ancestry(branch="main"):
        print(info.id, info.message)
    print(repo.diff(from_tag="as-delivered", to_branch="main"))

    assert change.values[:3].round(2).tolist() == [1.0, 1.0, 0.0]
    xr.testing.assert_equal(then.load(), ds)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
