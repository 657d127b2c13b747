"""The repository that `frazil demo` makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frazil import Repository


def make_demo(url: str) -> Repository:
    """A year of made-up weather: six commits, two branches and a tag."""
    import numpy as np
    import zarr

    import frazil

    repo = frazil.Repository.create(frazil.storage_from_url(url))
    days = np.arange(360)
    lat, lon = np.linspace(-60, 60, 12), np.linspace(0, 345, 24)
    season = 10 * np.cos(2 * np.pi * (days - 200) / 360)[:, None, None]
    field = 288 - 0.4 * np.abs(lat)[:, None] + 3 * np.sin(np.deg2rad(lon))[None, :]
    t2m = (field + season * np.sign(lat)[:, None]).astype("f4")

    with repo.transaction("main", message="Coordinates") as store:
        root = zarr.open_group(store)
        root.attrs["title"] = "Made-up weather"
        for name, values, units in (
            ("time", days, "days since 2024-01-01"),
            ("lat", lat, "degrees_north"),
            ("lon", lon, "degrees_east"),
        ):
            made = root.create_array(name, data=values, dimension_names=(name,))
            made.attrs["units"] = units
    with repo.transaction("main", message="Temperatures of the first half") as store:
        array = zarr.create_array(
            store,
            name="t2m",
            shape=t2m.shape,
            chunks=(60, 12, 24),
            dtype="f4",
            dimension_names=("time", "lat", "lon"),
            attributes={"units": "K", "long_name": "Temperature at two metres"},
        )
        array[:180] = t2m[:180]
    with repo.transaction("main", message="Temperatures of the second half") as store:
        zarr.open_array(store, path="t2m")[180:] = t2m[180:]
    repo.create_tag("v1", repo.lookup_branch("main"))
    repo.create_branch("calibrated", repo.lookup_branch("main"))
    with repo.transaction("calibrated", message="Warmer by a quarter of a degree in May") as store:
        zarr.open_array(store, path="t2m")[120:150] = t2m[120:150] + 0.25
    with repo.transaction("main", message="Add rain") as store:
        rain = np.maximum(0, np.sin(days * 0.7)[:, None, None] * field / 40).astype("f4")
        zarr.create_array(
            store,
            name="rain/total",
            data=rain,
            chunks=(90, 12, 24),
            dimension_names=("time", "lat", "lon"),
            attributes={"units": "mm"},
        )
    return repo
