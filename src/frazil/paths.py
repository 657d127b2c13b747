"""Node paths: absolute, separated by `/`; the root is `/`."""

from __future__ import annotations

from collections.abc import Iterator

from frazil.errors import ErrorKind, InvalidInputError


def check_path(path: str) -> str:
    """The path itself if it is one a node can have; `InvalidInputError` otherwise."""
    if path == "/":
        return path
    parts = path.split("/")
    if not path or parts[0] or not all(parts[1:]) or ".." in parts or "." in parts:
        raise InvalidInputError(
            f"invalid node path {path!r}: it must start with '/' and have no empty, '.' or '..' "
            "parts",
            ErrorKind.INVALID_PATH,
        )
    return path


def parent_of(path: str) -> str | None:
    """The path one level up; None for the root."""
    if path == "/":
        return None
    return path.rpartition("/")[0] or "/"


def ancestors(path: str) -> Iterator[str]:
    """All paths above this one, nearest first, ending with the root."""
    parent = parent_of(path)
    while parent is not None:
        yield parent
        parent = parent_of(parent)


def join(parent: str, name: str) -> str:
    """The path of a child."""
    return f"/{name}" if parent == "/" else f"{parent}/{name}"


def is_under(path: str, root: str) -> bool:
    """Whether `path` is `root` or below it."""
    return root == "/" or path == root or path.startswith(root + "/")
