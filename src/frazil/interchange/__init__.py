"""Other formats in and out of repositories: plain Zarr of both versions, and NetCDF."""

from frazil.interchange.exporting import export_zarr
from frazil.interchange.importing import import_zarr
from frazil.interchange.netcdf import export_netcdf, import_netcdf
from frazil.interchange.summary import TransferSummary

__all__ = ["TransferSummary", "export_netcdf", "export_zarr", "import_netcdf", "import_zarr"]
