"""Errors that are also what Zarr's `Store` says a store raises in the same case."""

from __future__ import annotations

from typing import Any

from frazil.errors import NodeNotFoundError, ReadOnlyError


class KeyNotFoundError(NodeNotFoundError, FileNotFoundError):
    """The size of a value was asked for whose node does not exist."""

    def __reduce__(self) -> tuple[Any, ...]:
        # `FileNotFoundError` cannot be made without its arguments, as other errors can.
        return type(self), (self.message, self.kind)


class ReadOnlyStoreError(ReadOnlyError, ValueError):
    """A write through a store that is read-only."""
