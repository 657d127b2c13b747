"""Storing objects of a bucket whatever is there, large ones in parts, and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frazil.errors import ErrorKind, StorageError
from frazil.storage.connections import Connections
from frazil.storage.pool import map_parallel

DELETED_AT_ONCE = 1000
"""Objects that one request deletes, the most that S3 takes."""
_SMALLEST_PART = 5 << 20
_MOST_PARTS = 10_000
"""Limits of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


def overwrite(
    at: Connections,
    key: str,
    path: str,
    content: bytes,
    attributes: dict[str, str],
    large: int,
) -> Any:
    """Store an object, in parts if it has `large` bytes or more; what `obstore` tells of it."""
    size = len(content)
    if size < max(large, _SMALLEST_PART + 1):
        return at.run(
            key,
            lambda: at.writer(size).put(path, content, attributes=attributes, use_multipart=False),
        )
    count = -(-size // max(at.piece, _SMALLEST_PART))
    part = max(-(-size // count), _SMALLEST_PART, -(-size // _MOST_PARTS))
    return at.run(
        key,
        lambda: at.uploader(part).put(
            path,
            content,
            attributes=attributes,
            use_multipart=True,
            chunk_size=part,
            max_concurrency=at.at_once,
        ),
    )


def delete_all(at: Connections, paths: Sequence[str]) -> None:
    """Delete objects, many with one request; those that are missing are fine."""
    groups = [
        paths[start : start + DELETED_AT_ONCE] for start in range(0, len(paths), DELETED_AT_ONCE)
    ]
    map_parallel(lambda group: _delete_some(at, group), groups, limit=at.at_once)


def _delete_some(at: Connections, paths: Sequence[str]) -> None:
    if len(paths) > 1 and _deleted(at, paths[0], list(paths)):
        return
    # One that is missing may have kept the others from being deleted.
    map_parallel(lambda path: _deleted(at, path, path), paths, limit=at.at_once)


def _deleted(at: Connections, key: str, paths: str | list[str]) -> bool:
    try:
        at.run(key, lambda: at.writer().delete(paths))
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return False
    return True
