"""Datasets of xarray in and out of repositories.

writing.py   to_icechunk           datasets, arrays, trees into a session
opening.py   open_dataset          and out of a version of a repository
backend.py   engine="frazil"       the same, found by xarray
"""

from frazil.xarray.opening import open_dataset, open_datatree
from frazil.xarray.writing import LazyArrayWriter, is_dask_collection, to_frazil, to_icechunk

__all__ = [
    "LazyArrayWriter",
    "is_dask_collection",
    "open_dataset",
    "open_datatree",
    "to_frazil",
    "to_icechunk",
]
