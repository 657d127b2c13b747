"""NetCDF files in and out of sessions, by xarray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from frazil.errors import ErrorKind, InvalidInputError
from frazil.storage.osfiles import replace

if TYPE_CHECKING:
    import xarray

    from frazil.session import Session

Path = str | os.PathLike[str]


def import_netcdf(
    files: Path | Sequence[Path],
    session: Session,
    group: str | None = None,
    *,
    append_dim: str | None = None,
    chunks: dict[str, int] | None = None,
    **options: Any,
) -> None:
    """Write what NetCDF files hold to a group of a session.

    files: one file, or several, which are laid one behind the other along `append_dim`. If
    the group exists, `append_dim` says along which dimension it grows; without it, that is an
    error. chunks: the chunk shape by dimension, where it is not to be that of the file.
    options: for `xarray.open_dataset`. Nothing is committed. One file is in memory at a time.

    Raises `InvalidInputError` if there are several files and no `append_dim`, and what xarray
    raises for files that it cannot read.
    """
    import xarray

    from frazil.xarray import to_icechunk

    paths = [files] if isinstance(files, str | os.PathLike) else list(files)
    if len(paths) > 1 and append_dim is None:
        raise InvalidInputError(
            f"{len(paths)} files need append_dim: the dimension along which they follow each other",
            ErrorKind.INVALID_PATH,
        )
    for path in paths:
        with xarray.open_dataset(path, **options) as dataset:
            grows = append_dim is not None and _has_variables(session, group)
            plain = _without_file_encoding(dataset.load())
            encoding = None if grows else _chunking(plain, chunks)
            to_icechunk(
                plain,
                session,
                group=group,
                mode="a" if grows else "w-",
                append_dim=append_dim if grows else None,
                encoding=encoding,
            )


def export_netcdf(session: Session, file: Path, group: str | None = None, **options: Any) -> None:
    """Write a group of a session as a NetCDF file.

    options: for `xarray.Dataset.to_netcdf`, such as `format` or `encoding`. The file is written
    under another name first, so what is there is replaced only when all went well.
    """
    import xarray

    target = os.fspath(file)
    scratch = f"{target}.part"
    try:
        dataset = xarray.open_zarr(session.store, group=group, consolidated=False, chunks=None)
    except KeyError as error:
        raise InvalidInputError(
            f"cannot write {group or '/'} as NetCDF: {error.args[0] if error.args else error}",
            ErrorKind.BAD_METADATA,
        ) from error
    try:
        _without_file_encoding(dataset).to_netcdf(scratch, **options)
        replace(scratch, target)
    finally:
        if os.path.exists(scratch):
            os.remove(scratch)


_KEPT = ("dtype", "scale_factor", "add_offset", "_FillValue", "units", "calendar", "coordinates")


def _without_file_encoding(dataset: xarray.Dataset) -> xarray.Dataset:
    """The dataset with only that part of its encoding that says what values mean."""
    for variable in dataset.variables.values():
        variable.encoding = {k: v for k, v in variable.encoding.items() if k in _KEPT}
    return dataset


def _chunking(
    dataset: xarray.Dataset, chunks: dict[str, int] | None
) -> dict[str, dict[str, Any]] | None:
    if chunks is None:
        return None
    return {
        str(name): {"chunks": tuple(chunks.get(str(d), n) for d, n in variable.sizes.items())}
        for name, variable in dataset.data_vars.items()
        if variable.ndim
    }


def _has_variables(session: Session, group: str | None) -> bool:
    workspace = session._workspace
    path = "/" + (group or "").strip("/")
    return workspace.node(path) is not None and bool(workspace.children(path))
