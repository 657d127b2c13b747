"""Version a climate data set: import, append, branch, correct, tag, compare, go back in time.

Run by `make demo`. Everything it makes is below the folder given by --out. The input is the
package iris-sample-data: a century-long run of surface air temperature over North America
(A1B scenario, Met Office Unified Model) and three months of sea surface temperature (NEMO).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iris_sample_data
import numpy as np
import xarray as xr
import zarr

import frazil

SAMPLES = Path(iris_sample_data.path)
ATMOSPHERE_FILE = SAMPLES / "A1B_north_america.nc"
OCEAN_FILES = sorted((SAMPLES / "NEMO").glob("nemo_1m_*_grid-T.nc"))

REPOSITORY_FILES = {
    "repo", "snapshots", "transactions", "manifests", "chunks", "overwritten", ".frazil-lock#0",
}  # fmt: skip

ATMOSPHERE, OCEAN = "atmosphere", "ocean"
RELEASE, BRANCH, CORRECTED = "release-1", "warmer-rockies", "release-1-corrected"


@dataclass(frozen=True)
class Correction:
    """A cold bias taken out of a box: degrees north and east, calendar years, kelvin."""

    south: float = 35.0
    north: float = 50.0
    west: float = 242.0
    east: float = 256.0
    first_year: int = 1990
    last_year: int = 2039
    kelvin: float = 1.5

    def region(self, ds: xr.Dataset) -> tuple[slice, slice, slice]:
        """The box as slices of (time, latitude, longitude)."""
        years = np.array([moment.year for moment in ds["time"].values])
        return (
            _span(years, self.first_year, self.last_year),
            _span(ds["latitude"].values, self.south, self.north),
            _span(ds["longitude"].values, self.west, self.east),
        )


def _span(values: np.ndarray, low: float, high: float) -> slice:
    inside = np.flatnonzero((values >= low) & (values <= high))
    return slice(int(inside[0]), int(inside[-1]) + 1)


CORRECTION = Correction()


class Steps:
    """Numbered headings with the time that each step took."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.count += 1
        print(f"\n[{self.count}] {title}", flush=True)
        start = time.perf_counter()
        yield
        print(f"    ({time.perf_counter() - start:.1f} s)", flush=True)


def say(text: str) -> None:
    for line in text.splitlines():
        print(f"    {line}", flush=True)


# Input ------------------------------------------------------------------------------------


def atmosphere() -> xr.Dataset:
    with xr.open_dataset(ATMOSPHERE_FILE) as ds:
        return ds.load()


def ocean(path: Path) -> xr.Dataset:
    """One month of sea surface temperature on a real time axis.

    The files count time in months of their own; `time_centered` holds the date.
    """
    with xr.open_dataset(path) as ds:
        ds = ds[["tos", "time_centered", "nav_lat", "nav_lon"]].load()
    ds = ds.drop_vars("time_counter").swap_dims(time_counter="time_centered")
    ds = ds.rename(time_centered="time").drop_encoding()
    for name in ("time", "nav_lat", "nav_lon"):
        ds[name].attrs.pop("bounds", None)
    ds.attrs = {key: ds.attrs[key] for key in ("title", "Conventions", "production")}
    return ds


# Work on the repository -------------------------------------------------------------------


def create(folder: Path) -> frazil.Repository:
    storage = frazil.local_filesystem_storage(str(folder))
    if folder.exists():
        if foreign := {path.name for path in folder.iterdir()} - REPOSITORY_FILES:
            raise SystemExit(f"{folder} holds {min(foreign)}: choose another --out")
        say("removing the repository of an earlier run")
        shutil.rmtree(folder)
    return frazil.Repository.create(storage)


def import_atmosphere(repo: frazil.Repository) -> str:
    ds = atmosphere()
    session = repo.writable_session("main")
    ds.to_zarr(
        session.store,
        group=ATMOSPHERE,
        zarr_format=3,
        consolidated=False,
        encoding={"air_temperature": {"chunks": (48, 13, 17)}},
    )
    snapshot = session.commit(
        f"Import {ATMOSPHERE_FILE.name}", metadata={"source": "iris-sample-data"}
    )
    say(f"{dict(ds.sizes)} from {ATMOSPHERE_FILE.name}: snapshot {snapshot}")
    return snapshot


def append_month(repo: frazil.Repository, path: Path) -> str:
    ds = ocean(path)
    month = ds["time"].values[0].strftime("%Y-%m")
    session = repo.writable_session("main")
    first = OCEAN not in zarr.open_group(session.store, mode="r")
    how: dict[str, Any] = (
        {
            "mode": "w",
            "encoding": {
                "tos": {"chunks": (1, 165, 180)},
                "time": {"chunks": (12,), "units": "days since 1900-01-01", "dtype": "float64"},
            },
        }
        if first
        else {"append_dim": "time"}
    )
    ds.to_zarr(session.store, group=OCEAN, zarr_format=3, consolidated=False, **how)
    snapshot = session.commit(f"Add sea surface temperature of {month}")
    say(f"{month}: snapshot {snapshot}")
    return snapshot


def correct(repo: frazil.Repository, base: str) -> str:
    repo.create_branch(BRANCH, base)
    session = repo.writable_session(BRANCH)
    region = CORRECTION.region(atmosphere())
    array = zarr.open_array(session.store, path=f"{ATMOSPHERE}/air_temperature", mode="r+")
    array[region] = corrected(array[region])
    shape = tuple(part.stop - part.start for part in region)
    say(f"{shape} cells (time, latitude, longitude) become {CORRECTION.kelvin} K warmer")
    snapshot = session.commit(
        "Take a cold bias out of the Rockies", metadata={"bias_kelvin": CORRECTION.kelvin}
    )
    say(f"branch {BRANCH}: snapshot {snapshot}")
    return snapshot


def corrected(values: Any) -> Any:
    return values + np.float32(CORRECTION.kelvin)


def describe(repo: frazil.Repository) -> None:
    with repo.transaction("main", message="Describe the data set") as store:
        zarr.open_group(store, mode="r+").attrs["title"] = "Air and sea temperatures"


def history(repo: frazil.Repository) -> str:
    return str(repo.ancestry_graph(plain=not sys.stdout.isatty()))


def changes(repo: frazil.Repository, from_tag: str, to_tag: str) -> str:
    """What differs between two versions, and in how many chunks of each array."""
    diff = repo.diff(from_tag=from_tag, to_tag=to_tag)
    store = repo.readonly_session(tag=to_tag).store
    lines = []
    for what in ("new", "deleted", "updated"):
        for kind in ("groups", "arrays"):
            lines += [f"{what} {kind}: {path}" for path in sorted(getattr(diff, f"{what}_{kind}"))]
    for path, chunks in sorted(diff.updated_chunks.items()):
        array = zarr.open_array(store, path=path.lstrip("/"), mode="r")
        lines.append(f"updated chunks: {path}, {len(chunks)} of {array.nchunks}")
        lines.append("    " + " ".join(",".join(map(str, chunk)) for chunk in sorted(chunks)))
    return "\n".join(lines)


# Checks -----------------------------------------------------------------------------------


def read(repo: Any, group: str, **version: str) -> xr.Dataset:
    """One group of one version, whichever of the two libraries opened the repository."""
    store = repo.readonly_session(**version).store
    ds: xr.Dataset = xr.open_zarr(store, group=group, consolidated=False)
    return ds.load()


def check(repo: Any) -> None:
    """Compare the versions with the source files; AssertionError names what differs."""
    source = atmosphere()
    xr.testing.assert_identical(source, read(repo, ATMOSPHERE, tag=RELEASE))
    say(f"{RELEASE}: {ATMOSPHERE} is identical to {ATMOSPHERE_FILE.name}")

    months = xr.concat(
        [ocean(path) for path in OCEAN_FILES], "time", data_vars="minimal", coords="minimal",
        compat="override", join="override",
    )  # fmt: skip
    xr.testing.assert_identical(months, read(repo, OCEAN, tag=RELEASE))
    say(f"{RELEASE}: {OCEAN} is identical to the {len(OCEAN_FILES)} source files")

    expected = source.copy(deep=True)
    region = CORRECTION.region(source)
    values = expected["air_temperature"].values
    values[region] = corrected(values[region])
    xr.testing.assert_identical(expected, read(repo, ATMOSPHERE, tag=CORRECTED))
    say(f"{CORRECTED}: differs from it by the correction and nothing else")


def check_with_icechunk(folder: Path, ours: list[str]) -> None:
    try:
        import icechunk
    except ImportError:
        say("icechunk 2 is not installed here: skipped. It needs Python 3.12 or newer")
        return
    if int(icechunk.__version__.split(".")[0]) < 2:
        say(f"icechunk {icechunk.__version__} cannot read repositories of spec 2: skipped")
        return
    icechunk.set_logs_filter("error")
    theirs = icechunk.Repository.open(icechunk.local_filesystem_storage(str(folder)))
    if [info.id for info in theirs.ancestry(tag=CORRECTED)] != ours:
        raise AssertionError(f"icechunk sees another history of {CORRECTED}")
    say(f"icechunk {icechunk.__version__} opens the folder and sees the same history")
    check(theirs)


# Picture ----------------------------------------------------------------------------------


def draw(repo: frazil.Repository, picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    before = read(repo, ATMOSPHERE, tag=RELEASE)["air_temperature"]
    after = read(repo, ATMOSPHERE, tag=CORRECTED)["air_temperature"]
    sea = read(repo, OCEAN, tag=RELEASE)
    period, rows, columns = CORRECTION.region(before.to_dataset())
    means = [ds.isel(time=period).mean("time") for ds in (before, after)]
    difference = means[1] - means[0]
    low, high = (float(getattr(means[1], name)()) for name in ("min", "max"))

    figure = plt.figure(figsize=(15, 8), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(2.1, 1))
    years = f"{CORRECTION.first_year}\N{EN DASH}{CORRECTION.last_year}"
    figure.suptitle(
        f"Air temperature over North America, scenario A1B: what the branch “{BRANCH}” changed",
        fontsize=15,
    )
    limit = 2 * CORRECTION.kelvin
    maps: list[tuple[str, xr.DataArray, dict[str, Any], str]] = [
        (f"before: tag {RELEASE}", means[0], {"cmap": "viridis", "vmin": low, "vmax": high},
         f"mean air temperature {years} (K)"),
        (f"after: tag {CORRECTED}", means[1], {"cmap": "viridis", "vmin": low, "vmax": high},
         f"mean air temperature {years} (K)"),
        ("difference: after \N{MINUS SIGN} before", difference,
         {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit},
         f"difference of the mean {years} (K)"),
    ]  # fmt: skip
    west, east = float(before["longitude"][0]), float(before["longitude"][-1])
    south, north = float(before["latitude"][0]), float(before["latitude"][-1])
    for column, (title, field, colours, label) in enumerate(maps):
        axes = figure.add_subplot(grid[0, column])
        mesh = axes.pcolormesh(
            field["longitude"], field["latitude"], field, shading="nearest", **colours
        )
        _coastline(axes, sea)
        x, width = _edges(before["longitude"].values, columns)
        y, height = _edges(before["latitude"].values, rows)
        style: dict[str, Any] = {"fill": False, "edgecolor": "black", "linestyle": "--"}
        axes.add_patch(Rectangle((x, y), width, height, linewidth=1.6, **style))
        axes.set(xlim=(west, east), ylim=(south, north), title=title)
        axes.set_xticks(range(240, 320, 20))
        axes.xaxis.set_major_formatter(lambda x, _: f"{360 - x:g}°W")
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}°N")
        axes.set_xlabel("longitude")
        axes.set_ylabel("latitude" if column == 0 else "")
        figure.colorbar(mesh, ax=axes, orientation="horizontal", label=label, shrink=0.9)

    axes = figure.add_subplot(grid[1, :])
    when = [moment.year for moment in before["time"].values]
    for ds, colour, label in ((after, "tab:red", CORRECTED), (before, "tab:blue", RELEASE)):
        mean = ds.isel(latitude=rows, longitude=columns).mean(("latitude", "longitude"))
        axes.plot(when, mean, color=colour, linewidth=1.4, label=label)
    axes.axvspan(CORRECTION.first_year, CORRECTION.last_year, color="0.9", zorder=0)
    axes.set(
        title=f"mean of the dashed box, corrected in {years}",
        xlabel="year",
        ylabel="air temperature (K)",
        xlim=(when[0], when[-1]),
    )
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _edges(centres: np.ndarray, cells: slice) -> tuple[float, float]:
    """Where the first of some cells of an even axis begins, and how far they reach."""
    step = float(centres[1] - centres[0])
    return float(centres[cells.start]) - step / 2, step * (cells.stop - cells.start)


def _coastline(axes: Any, sea: xr.Dataset) -> None:
    """Draw the edge of the ocean model's sea mask; its longitudes are -180 to 180."""
    longitude = sea["nav_lon"].values % 360
    latitude = sea["nav_lat"].values
    near = (longitude > 215) & (longitude < 325) & (latitude > 10) & (latitude < 65)
    rows, columns = (np.flatnonzero(near.any(axis)) for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    land = np.isnan(sea["tos"].values[0][window]).astype(float)
    axes.contour(
        longitude[window], latitude[window], land, levels=[0.5], colors="0.25", linewidths=0.8
    )


# ------------------------------------------------------------------------------------------


def run(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    folder, picture = (out / "repository").resolve(), (out / "changes.png").resolve()
    steps = Steps()
    print(f"Frazil {frazil.__version__}, zarr {zarr.__version__}, xarray {xr.__version__}")

    with steps.step("Create a repository in a local folder"):
        repo = create(folder)
        say(str(folder))
    with steps.step(f"Import {ATMOSPHERE_FILE.name} with xarray and commit"):
        import_atmosphere(repo)
    with steps.step("Append three months of an ocean model, one commit each"):
        for number, path in enumerate(OCEAN_FILES, 1):
            say(f"{number} of {len(OCEAN_FILES)}: {path.name}")
            release = append_month(repo, path)
        repo.create_tag(RELEASE, release)
        say(f"tag {RELEASE}: snapshot {release}")
    with steps.step("Correct a region on a branch, and tag the result"):
        repo.create_tag(CORRECTED, correct(repo, release))
        say(f"tag {CORRECTED}")
        describe(repo)
        say("main has moved on meanwhile; the branch does not see it")
    with steps.step("History"):
        say(history(repo))
    with steps.step(f"Difference between {RELEASE} and {CORRECTED}"):
        say(changes(repo, RELEASE, CORRECTED))
    with steps.step("Open the folder afresh, go back in time and compare with the source files"):
        repo = frazil.Repository.open(frazil.local_filesystem_storage(str(folder)))
        check(repo)
    with steps.step("Draw what changed (the first time matplotlib builds its font cache)"):
        draw(repo, picture)
        say(str(picture))
    with steps.step("Read the same folder with Icechunk"):
        check_with_icechunk(folder, [info.id for info in repo.ancestry(tag=CORRECTED)])

    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"\nDone. Repository: {folder} ({len(files)} files, {size / 1e6:.1f} MB)")
    print(f"      Picture:    {picture}")
    if command := shutil.which("frazil", path=Path(sys.executable).parent):
        print(f"      Look at it: {_near(Path(command))} log {_near(folder)} --graph")


def _near(path: Path) -> str:
    """A path as it is written from the current folder, if it is in there."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    run(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main()
