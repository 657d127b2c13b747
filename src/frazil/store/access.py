"""What a store needs of its session, and shares with the codec pipeline: nodes, threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from typing_extensions import ParamSpec

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node, NodeKind
from frazil.storage.pool import submit

P = ParamSpec("P")
R = TypeVar("R")

DIRECT_BYTES = 256 * 1024
"""Smaller values are written on the event loop: that only puts them into a buffer."""


class SessionLike(Protocol):
    """What a store needs of its session."""

    @property
    def _workspace(self) -> Workspace: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def snapshot_id(self) -> str: ...
    @property
    def branch(self) -> str | None: ...


async def in_pool(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """`fn(...)` on a thread of the I/O pool."""
    return await asyncio.wrap_future(submit(fn, *args, **kwargs))


def array_at(workspace: Workspace, path: str) -> Node | None:
    """The array at a path; `InvalidInputError` (`not-an-array`) if it is a group."""
    node = workspace.node(path)
    if node is not None and node.kind is not NodeKind.ARRAY:
        raise InvalidInputError(f"{path!r} is a group, not an array", ErrorKind.NOT_AN_ARRAY)
    return node
