"""Frazil: transactional, version-controlled storage for Zarr.

The public names are those of the `icechunk` package; `install_as_icechunk()` lets code that
imports it run on this one. They are in `frazil._public`, and imported when they are first asked
for, with Zarr: the command line answers sooner. Those that nearly every program uses are found
without importing all others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frazil._version import __version__ as __version__
from frazil.logs import initialize_logs

if TYPE_CHECKING:
    from frazil._public import *  # noqa: F403
    from frazil.interchange import export_netcdf as export_netcdf
    from frazil.interchange import export_zarr as export_zarr
    from frazil.interchange import import_netcdf as import_netcdf
    from frazil.interchange import import_zarr as import_zarr
    from frazil.xarray import open_dataset as open_dataset
    from frazil.xarray import open_datatree as open_datatree

initialize_logs()

# Optional ones: not everybody has what they need.
_LATER = {
    "export_netcdf": "frazil.interchange",
    "export_zarr": "frazil.interchange",
    "import_netcdf": "frazil.interchange",
    "import_zarr": "frazil.interchange",
    "open_dataset": "frazil.xarray",
    "open_datatree": "frazil.xarray",
}

# Public names that nearly every program uses, and little else is imported for.
_OFTEN = {
    "IcechunkStore": "frazil.store",
    "Repository": "frazil.repository",
    "RepositoryConfig": "frazil.config",
    "Session": "frazil.session",
    "Storage": "frazil.storage",
    "VirtualChunkContainer": "frazil.virtual",
    "azure_storage": "frazil.storage",
    "gcs_storage": "frazil.storage",
    "http_storage": "frazil.storage",
    "in_memory_storage": "frazil.storage",
    "local_filesystem_storage": "frazil.storage",
    "open": "frazil.opening",
    "open_async": "frazil.opening",
    "r2_storage": "frazil.storage",
    "s3_storage": "frazil.storage",
    "storage_from_url": "frazil.storage",
    "tigris_storage": "frazil.storage",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    if name in _OFTEN:
        globals()[name] = getattr(import_module(_OFTEN[name]), name)
        return globals()[name]
    if name.startswith("__") and name != "__all__":
        raise _missing(name)
    module = f"{__name__}.{name}"
    # Modules of the package import each other from here before the public names are there.
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    public = vars(import_module(f"{__name__}._public"))
    names = [known for known in public if not known.startswith("_")]
    globals().update({known: public[known] for known in ("__all__", *names)})
    if name not in globals():
        raise _missing(name)
    return globals()[name]


def _missing(name: str) -> AttributeError:
    return AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__"), *_LATER})
