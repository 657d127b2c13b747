"""Small trees of groups and arrays, written through the store without going through Zarr."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from zarr.core.buffer import cpu

from frazil import Repository
from frazil.session import Session


def group(**attributes: Any) -> bytes:
    """The document of a group."""
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


def array(shape: list[int], chunks: list[int] | None = None, **attributes: Any) -> bytes:
    """The document of an array of bytes, in chunks of one element unless told otherwise."""
    grid = {"chunk_shape": chunks or [1] * len(shape)}
    return json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": grid},
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "bytes"}],
            "attributes": attributes,
        }
    ).encode()


def put(session: Session, key: str, data: bytes) -> None:
    """Set a key: `a` the document of a node, `a/c/0` a chunk."""
    session.store.set_sync(_full(key), cpu.Buffer.from_bytes(data))


def get(session: Session, key: str) -> bytes | None:
    """The value of a key, None if there is none."""
    found = session.store.get_sync(_full(key))
    return None if found is None else found.to_bytes()


def erase(session: Session, key: str) -> None:
    """Delete a node with all below it, or a chunk."""
    session.store.delete_sync(_full(key))


def _full(key: str) -> str:
    if "c" in key.split("/"):
        return key
    return f"{key}/zarr.json" if key else "zarr.json"


def keys(session: Session) -> list[str]:
    """All keys, sorted."""

    async def collect() -> list[str]:
        return sorted([key async for key in session.store.list()])

    return asyncio.run(collect())


def content(session: Session) -> dict[str, bytes | None]:
    """All keys with their values."""
    found = {}
    for key in keys(session):
        value = session.store.get_sync(key)
        found[key] = None if value is None else value.to_bytes()
    return found


def commit(
    repo: Repository, changes: dict[str, bytes | None], message: str = "a commit", **kwargs: Any
) -> str:
    """Commit values, or erasures (None), to `main`; returns the snapshot's id."""
    session = repo.writable_session("main")
    change(session, changes)
    return session.commit(message, **kwargs)


def change(session: Session, changes: dict[str, bytes | None]) -> Session:
    """Set values, or erase (None)."""
    for key, data in changes.items():
        if data is None:
            erase(session, key)
        else:
            put(session, key, data)
    return session


def grown(repo: Repository, length: int = 8) -> str:
    """Commit a group and an array `a` of chunks 0 to `length`; returns the snapshot's id."""
    return commit(
        repo,
        {"": group(), "a": array([length]), **chunks("a", range(length), b"base")},
        "grown",
    )


def chunks(path: str, which: Iterable[int], value: bytes) -> dict[str, bytes | None]:
    """The same value for several chunks."""
    return {f"{path}/c/{i}": value for i in which}


def tip(repo: Repository) -> Session:
    """A view of `main` as it is now."""
    return repo.readonly_session("main")
