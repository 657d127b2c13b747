"""Datasets of xarray in and out of repositories."""

from frazil.xarray.writing import LazyArrayWriter, is_dask_collection, to_frazil, to_icechunk

__all__ = ["LazyArrayWriter", "is_dask_collection", "to_frazil", "to_icechunk"]
