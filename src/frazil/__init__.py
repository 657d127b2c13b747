"""Frazil: transactional, version-controlled storage for Zarr."""

from frazil._version import __version__

__all__ = ["__version__"]
