"""What VirtualiZarr's tests of its writer ask for and its package does not ship.

A plugin of pytest; with it `import icechunk` gives Frazil.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import frazil

frazil.install_as_icechunk()
# Those tests import names from the file that their package leaves out.
sys.modules["conftest"] = sys.modules[__name__]

from virtualizarr.manifests import ChunkManifest, ManifestArray  # noqa: E402
from zarr.core.metadata import ArrayV3Metadata  # noqa: E402
from zarr.dtype import parse_data_type  # noqa: E402

ARRAYBYTES_CODEC = {"name": "bytes", "configuration": {"endian": "little"}}
ZLIB_CODEC = {"name": "numcodecs.zlib", "configuration": {"level": 1}}


@pytest.fixture
def array_v3_metadata() -> Callable[..., ArrayV3Metadata]:
    def make(
        shape: Sequence[int] = (5, 5),
        chunks: Sequence[int] = (5, 5),
        data_type: Any = "int32",
        codecs: Sequence[Mapping[str, Any]] | None = None,
        fill_value: Any = 0,
        attributes: dict[str, Any] | None = None,
        dimension_names: Sequence[str] | None = None,
    ) -> ArrayV3Metadata:
        return ArrayV3Metadata(
            shape=shape,
            data_type=parse_data_type(np.dtype(data_type), zarr_format=3),
            chunk_grid={"name": "regular", "configuration": {"chunk_shape": tuple(chunks)}},
            chunk_key_encoding={"name": "default"},
            fill_value=fill_value,
            codecs=codecs or [ARRAYBYTES_CODEC],
            attributes=attributes or {},
            dimension_names=dimension_names,
            storage_transformers=None,
        )

    return make


@pytest.fixture
def manifest_array(array_v3_metadata: Callable[..., ArrayV3Metadata]) -> Callable[..., Any]:
    def make(
        shape: Sequence[int] = (5, 2),
        chunks: Sequence[int] = (5, 2),
        url: str = "file:///tmp/foo.nc",
        **options: Any,
    ) -> ManifestArray:
        grid = [range(-(-size // step)) for size, step in zip(shape, chunks, strict=True)]
        keys = [".".join(map(str, coords)) or "0" for coords in itertools.product(*grid)]
        entries = {key: {"path": url, "offset": 100, "length": 100} for key in keys}
        metadata = array_v3_metadata(shape=shape, chunks=chunks, **options)
        return ManifestArray(metadata=metadata, chunkmanifest=ChunkManifest(entries))

    return make


@pytest.fixture
def virtual_dataset(manifest_array: Callable[..., ManifestArray]) -> Callable[..., xr.Dataset]:
    def make(
        url: str,
        shape: Sequence[int] = (3, 4),
        chunk_shape: Sequence[int] = (3, 4),
        dims: Sequence[str] = ("x", "y"),
        encoding: dict[str, Any] | None = None,
    ) -> xr.Dataset:
        data = manifest_array(shape, chunk_shape, Path(url).as_uri(), dimension_names=dims)
        return xr.Dataset({"foo": xr.Variable(dims, data, encoding=encoding)})

    return make


@pytest.fixture
def simple_netcdf4(tmp_path: Path) -> str:
    path = tmp_path / "simple.nc"
    foo = np.arange(12, dtype="i4").reshape(3, 4)
    xr.Dataset({"foo": (["x", "y"], foo)}).to_netcdf(path, engine="netcdf4")
    return str(path)


@pytest.fixture
def netcdf4_files_factory(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    def make(encoding: Mapping[str, Any] | None = None) -> tuple[str, str]:
        air = np.random.default_rng(0).random((8, 4, 5), "f4")
        whole = xr.Dataset({"air": (["time", "lat", "lon"], air)}, coords={"time": np.arange(8)})
        paths = tmp_path / "first.nc", tmp_path / "second.nc"
        for i, path in enumerate(paths):
            part = whole.isel(time=slice(4 * i, 4 * i + 4))
            part.to_netcdf(path, engine="netcdf4", encoding=encoding)
        return str(paths[0]), str(paths[1])

    return make
