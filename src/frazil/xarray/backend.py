"""`xarray.open_dataset(..., engine="frazil")`: what xarray finds by its entry point."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, cast

import xarray as xr
from typing_extensions import override
from xarray.backends.zarr import ZarrBackendEntrypoint

from frazil.repository import Repository
from frazil.session import Session
from frazil.storage import Storage
from frazil.store import IcechunkStore
from frazil.xarray.sources import Source, store_of


class FrazilBackendEntrypoint(ZarrBackendEntrypoint):
    """Groups of a repository as datasets.

    Beside the options of the engine "zarr" it takes which version to read: `branch` (`main`
    without any), `tag`, `snapshot_id`, or `branch` and `as_of`. `consolidated` may be anything:
    all metadata of a version is in one place.
    """

    description = "Open Icechunk repositories with Frazil"
    url = "https://docs.xarray.dev/en/stable/internals/how-to-add-new-backend.html"
    supports_groups = True
    open_dataset_parameters = (
        "filename_or_obj",
        "mask_and_scale",
        "decode_times",
        "concat_characters",
        "decode_coords",
        "drop_variables",
        "use_cftime",
        "decode_timedelta",
        "group",
        "consolidated",
        "branch",
        "tag",
        "snapshot_id",
        "as_of",
        "storage_options",
        "use_zarr_fill_value_as_mask",
    )

    @override
    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether this is a part of a repository, or the folder of one."""
        if isinstance(filename_or_obj, Repository | Session | IcechunkStore | Storage):
            return True
        if isinstance(filename_or_obj, str | os.PathLike):
            folder = os.fspath(filename_or_obj)
            return os.path.isdir(os.path.join(folder, "snapshots")) and any(
                os.path.isfile(os.path.join(folder, name))
                for name in ("repo", os.path.join("refs", "branch.main", "ref.json"))
            )
        return False

    @override
    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: Source,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
        storage_options: Mapping[str, Any] | None = None,
        consolidated: Any = None,
        **options: Any,
    ) -> xr.Dataset:
        """One group of one version."""
        store = store_of(
            filename_or_obj,
            branch=branch,
            tag=tag,
            snapshot_id=snapshot_id,
            as_of=as_of,
            storage_options=storage_options,
        )
        return super().open_dataset(cast(Any, store), consolidated=False, zarr_format=3, **options)

    @override
    def open_datatree(  # type: ignore[override]
        self,
        filename_or_obj: Source,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
        storage_options: Mapping[str, Any] | None = None,
        consolidated: Any = None,
        **options: Any,
    ) -> xr.DataTree:
        """All groups of one version, or those at and below `group`."""
        store = store_of(
            filename_or_obj,
            branch=branch,
            tag=tag,
            snapshot_id=snapshot_id,
            as_of=as_of,
            storage_options=storage_options,
        )
        return super().open_datatree(cast(Any, store), consolidated=False, zarr_format=3, **options)

    @override
    def open_groups_as_dict(  # type: ignore[override]
        self,
        filename_or_obj: Source,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        as_of: datetime | None = None,
        storage_options: Mapping[str, Any] | None = None,
        drop_variables: str | Iterable[str] | None = None,
        consolidated: Any = None,
        **options: Any,
    ) -> dict[str, xr.Dataset]:
        """The groups of one version by path."""
        store = store_of(
            filename_or_obj,
            branch=branch,
            tag=tag,
            snapshot_id=snapshot_id,
            as_of=as_of,
            storage_options=storage_options,
        )
        options |= {"consolidated": False, "zarr_format": 3, "drop_variables": drop_variables}
        return super().open_groups_as_dict(cast(Any, store), **options)
