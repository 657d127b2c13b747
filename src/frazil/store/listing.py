"""Listing, measuring and deleting what lies under a prefix. Blocking."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node, NodeKind
from frazil.store.keys import METADATA, chunk_folder, chunk_keys, metadata_key, node_path

_ROOT = ("", "/")
_NODES_PER_BATCH = 1000


def subtree(workspace: Workspace, prefix: str) -> str | None:
    """The path of the node whose keys have this prefix; None if no key can have it.

    `prefix` is empty, `/`, or the path of a node without a leading `/`; with one there is
    nothing. Raises `InvalidInputError` (`bad-key-prefix`) where there is no node.
    """
    if prefix in _ROOT:
        return "/"
    path = node_path(prefix)
    if path is None:
        raise _bad_prefix(prefix, "no node can have this path")
    if prefix.startswith("/"):
        return None
    if workspace.node(path) is None:
        raise _bad_prefix(prefix, "only paths of groups and arrays can be listed")
    return path


def key_batches(workspace: Workspace, path: str | None) -> Iterator[list[str]]:
    """The keys of the node at a path and of all nodes under it, in no order."""
    keys: list[str] = []
    for node in _nodes(workspace, path):
        keys.append(metadata_key(node.path))
        if len(keys) >= _NODES_PER_BATCH:
            yield keys
            keys = []
        if node.kind is NodeKind.ARRAY:
            for coords in workspace.chunk_batches(node):
                yield chunk_keys(node.path, coords.tolist())
    if keys:
        yield keys


def total_size(workspace: Workspace, path: str | None) -> int:
    """Bytes of all values that `key_batches` lists."""
    size = 0
    for node in _nodes(workspace, path):
        size += len(node.user_data)
        if node.kind is NodeKind.ARRAY:
            for coords in workspace.chunk_batches(node):
                size += sum(workspace.chunk_size(node, tuple(c)) or 0 for c in coords.tolist())
    return size


def folder(prefix: str) -> str | None:
    """The path of a folder of the store; None if no key can be in it.

    Raises `InvalidInputError` (`invalid-path`) for `..` parts.
    """
    path = "/" if prefix in _ROOT else node_path(prefix)
    if path is None:
        raise InvalidInputError(
            f"cannot list {prefix!r}: it is not the path of a folder in the store",
            ErrorKind.INVALID_PATH,
        )
    return None if prefix.startswith("/") and prefix not in _ROOT else path


def entries(workspace: Workspace, path: str | None) -> list[str]:
    """The names directly in a folder of the store; none if there is no such folder.

    A group has `zarr.json` and its children; an array has `zarr.json` and `c`, also when it
    has no chunks.
    """
    if path is None:
        return []
    node = workspace.node(path)
    if node is not None:
        names = ["c"] if node.kind is NodeKind.ARRAY else workspace.children(path)
        return [METADATA, *names]
    found = _chunks_in(workspace, path)
    if found is None:
        return []
    array, lead = found
    axis = len(lead)
    if axis >= len(array.shape):
        return []
    seen: set[int] = set()
    for coords in workspace.chunk_batches(array):
        seen.update(np.unique(_starting_with(coords, lead)[:, axis]).tolist())
    return [str(i) for i in sorted(seen)]


def delete_prefix(workspace: Workspace, prefix: str) -> None:
    """Delete the nodes at and under `prefix`, or the chunks in a folder such as `a/c/0`.

    Raises `InvalidInputError` (`bad-key-prefix`) for `..` parts.
    """
    path = node_path(prefix)
    if path is None:
        raise _bad_prefix(prefix, "no node can have this path")
    if path == "/":
        workspace.clear()
        return
    nodes = [node.path for node in workspace.nodes_under(path)]
    for node in nodes:
        workspace.delete_node(node)
    found = _chunks_in(workspace, path) if not nodes else None
    if found is None:
        return
    array, lead = found
    batches = [_starting_with(coords, lead) for coords in workspace.chunk_batches(array)]
    for coords in batches:
        for chunk in coords.tolist():
            workspace.delete_chunk(array.path, tuple(chunk))


def _nodes(workspace: Workspace, path: str | None) -> Iterator[Node]:
    return iter(()) if path is None else workspace.nodes_under(path)


def _chunks_in(workspace: Workspace, path: str) -> tuple[Node, tuple[int, ...]] | None:
    """The array and the leading coordinates of a folder of chunks."""
    folder = chunk_folder(path)
    node = workspace.node(folder[0]) if folder is not None else None
    if folder is None or node is None or node.kind is not NodeKind.ARRAY:
        return None
    return (node, folder[1]) if len(folder[1]) <= len(node.shape) else None


def _starting_with(coords: npt.NDArray[np.uint32], lead: tuple[int, ...]) -> npt.NDArray[np.uint32]:
    inside: npt.NDArray[np.bool_] = (coords[:, : len(lead)] == np.array(lead, np.uint32)).all(
        axis=1
    )
    return coords[inside]


def _bad_prefix(prefix: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"bad key prefix {prefix!r}: {why}", ErrorKind.BAD_KEY_PREFIX)
