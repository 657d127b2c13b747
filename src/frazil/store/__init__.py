"""The Zarr store of a session."""

from frazil.store.pipeline import install
from frazil.store.store import IcechunkStore

install()

__all__ = ["IcechunkStore"]
