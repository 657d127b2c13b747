"""Datasets and trees out of a repository."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import xarray as xr

from frazil.xarray.backend import FrazilBackendEntrypoint
from frazil.xarray.sources import Source, store_of


def open_dataset(
    source: Source,
    *,
    group: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    snapshot_id: str | None = None,
    as_of: datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    chunks: Any = None,
    **options: Any,
) -> xr.Dataset:
    """A group of a repository as a dataset, its values read when they are needed.

    source: a path, URL, `Storage` or `Repository`, of which the version is read that `branch`
    (`main` by default), `tag`, `snapshot_id`, or `branch` and `as_of` name; or a session or store.
    storage_options: arguments of the function that makes the storage of a URL, such as credentials.
    chunks: as in `xarray.open_dataset`: `{}` for Dask arrays with the chunks that are stored, None
    for no Dask. options: further ones of `xarray.open_dataset`.

    `RepositoryNotFoundError`, `RefNotFoundError`, `SnapshotNotFoundError` for what is not there;
    `FileNotFoundError` for a missing group.
    """
    store = store_of(
        source,
        branch=branch,
        tag=tag,
        snapshot_id=snapshot_id,
        as_of=as_of,
        storage_options=storage_options,
    )
    return xr.open_dataset(
        store,  # type: ignore[arg-type]
        engine=FrazilBackendEntrypoint,
        group=group,
        chunks=chunks,
        **options,
    )


def open_datatree(
    source: Source,
    *,
    group: str | None = None,
    branch: str | None = None,
    tag: str | None = None,
    snapshot_id: str | None = None,
    as_of: datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    chunks: Any = None,
    **options: Any,
) -> xr.DataTree:
    """All groups of a repository, or those at and below `group`; otherwise as `open_dataset`."""
    store = store_of(
        source,
        branch=branch,
        tag=tag,
        snapshot_id=snapshot_id,
        as_of=as_of,
        storage_options=storage_options,
    )
    return xr.open_datatree(
        store,  # type: ignore[arg-type]
        engine=FrazilBackendEntrypoint,
        group=group,
        chunks=chunks,
        **options,
    )
