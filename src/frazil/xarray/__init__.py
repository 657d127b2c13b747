"""Datasets of xarray in and out of repositories.

writing.py     to_icechunk       datasets, arrays, trees into a session
upserting.py   upsert            rows into a dataset that is there, by their labels
opening.py     open_dataset      datasets and trees out of a version of a repository
backend.py     engine="frazil"   the same, found by xarray
"""

from frazil.xarray.opening import open_dataset, open_datatree
from frazil.xarray.upserting import Upserted, upsert
from frazil.xarray.writing import LazyArrayWriter, is_dask_collection, to_frazil, to_icechunk

__all__ = [
    "LazyArrayWriter",
    "Upserted",
    "is_dask_collection",
    "open_dataset",
    "open_datatree",
    "to_frazil",
    "to_icechunk",
    "upsert",
]
