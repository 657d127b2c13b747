"""One map at three moments of its history, and what changed in between, as a picture.

    python examples/time_travel_plot.py [FOLDER]

Writes FOLDER/time_travel.png. The data is a run of air temperature over North America (A1B
scenario, from iris-sample-data).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import iris_sample_data
import matplotlib
import xarray as xr

import frazil
from frazil.xarray import to_icechunk

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SOURCE = Path(iris_sample_data.path) / "A1B_north_america.nc"


def main(folder: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(folder / "climate")))
    with xr.open_dataset(SOURCE, decode_times=False) as source:
        ds = source[["air_temperature"]].isel(time=slice(24)).drop_encoding().load()
    session = repo.writable_session("main")
    to_icechunk(ds, session)
    session.commit("As delivered")
    with repo.edit("main", "The Rockies were 4 K too warm") as tree:
        tree["air_temperature"][:, 10:22, 10:18] -= 4.0
    with repo.edit("main", "So was the south-east, by 2 K") as tree:
        tree["air_temperature"][:, 2:12, 30:42] -= 2.0

    history = list(repo.ancestry(branch="main"))[-2::-1]  # oldest first, without the empty one
    maps = [
        frazil.open_dataset(repo, snapshot_id=info.id, decode_times=False).air_temperature[0].load()
        for info in history
    ]
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for column, (info, now) in enumerate(zip(history, maps, strict=True)):
        picture = axes[0, column].pcolormesh(now, cmap="RdYlBu_r", vmin=240, vmax=305)
        axes[0, column].set_title(f"{info.message}\n{info.id[:8]}", fontsize=9)
        change = now - maps[max(column - 1, 0)]
        shown = axes[1, column].pcolormesh(change, cmap="RdBu_r", vmin=-4, vmax=4)
    figure.colorbar(picture, ax=axes[0], label="K")
    figure.colorbar(shown, ax=axes[1], label="change, K")
    figure.savefig(folder / "time_travel.png", dpi=80)
    print("wrote", folder / "time_travel.png")

    totals = [float(now.sum() - maps[0].sum()) for now in maps]
    assert [round(total) for total in totals] == [0, -4 * 12 * 8, -4 * 12 * 8 - 2 * 10 * 12]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
