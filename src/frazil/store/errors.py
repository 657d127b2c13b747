"""Errors that are also what Zarr's `Store` says a store raises in the same case."""

from __future__ import annotations

from frazil.errors import NodeNotFoundError, ReadOnlyError


class KeyNotFoundError(NodeNotFoundError, FileNotFoundError):
    """The size of a value was asked for whose node does not exist."""


class ReadOnlyStoreError(ReadOnlyError, ValueError):
    """A write through a store that is read-only."""
