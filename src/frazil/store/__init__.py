"""The Zarr store of a session."""

from frazil.store.store import IcechunkStore

__all__ = ["IcechunkStore"]
