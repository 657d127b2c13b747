"""Bringing a plain Zarr hierarchy into a session: its chunks, or references to them."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.columns import ByteColumn
from frazil.format.snapshot import NodeKind
from frazil.interchange.hierarchy import (
    Coords,
    PlainArray,
    PlainGroup,
    joined,
    nodes,
    open_hierarchy,
)
from frazil.interchange.locations import Locator
from frazil.interchange.plain_store import plain_store
from frazil.interchange.summary import Tally, TransferSummary
from frazil.interchange.values import copy_values, create_like
from frazil.progress import Task, task
from frazil.session import Session
from frazil.storage import Storage
from frazil.virtual import VirtualChunkSpec

BATCH_BYTES = 64 * 1024 * 1024
"""Encoded bytes that are in memory at once, about."""
_BATCH_CHUNKS = 512


def import_zarr(
    source: str | os.PathLike[str] | Storage | Store,
    session: Session,
    path: str = "/",
    *,
    source_path: str = "",
    by_reference: bool = False,
) -> TransferSummary:
    """Bring a plain Zarr hierarchy, of format 2 or 3, to `path` of a session.

    source: a path, a URL as for `frazil.open` (others are left to fsspec), a `Storage`, or a Zarr
    store; source_path: the group or array in it. Encoded chunks are taken as they are; arrays
    that Zarr v3 cannot describe, such as strings of Zarr v2, are encoded anew.

    by_reference: leave the chunks where they are, and set virtual references to them, which
    notice later changes. The repository needs a virtual chunk container that covers the source,
    which is a path or a URL then.

    Nodes that exist must be alike; chunks that exist are left alone, so an import that was
    interrupted can go on in another session. Nothing is committed.

    Raises `InvalidInputError`: `bad-metadata` if the source has no such node or the session a
    different one, `no-container-for-virtual-chunk`; `StorageError` for what cannot be read.
    """
    store = plain_store(source, read_only=True)
    locator = Locator.of(source, store) if by_reference else None
    found = list(nodes(open_hierarchy(store, source_path)))
    tally = Tally()
    with task("Importing arrays", sum(isinstance(node, PlainArray) for node in found)) as progress:
        for node in found:
            target = joined(path, node.path)
            if isinstance(node, PlainGroup):
                _import_group(session, target, node, tally)
                continue
            _import_array(session, target, node, locator, tally)
            progress.step()
    return tally.summary()


def _import_group(session: Session, path: str, node: PlainGroup, tally: Tally) -> None:
    workspace = session._workspace
    existing = workspace.node(path)
    if existing is None:
        workspace.set_metadata(path, node.document)
        tally.group()
    elif existing.kind is not NodeKind.GROUP:
        raise _other(path, "an array")


def _import_array(
    session: Session, path: str, node: PlainArray, locator: Locator | None, tally: Tally
) -> None:
    workspace = session._workspace
    if node.document is None:
        if locator is not None:
            raise InvalidInputError(
                f"array {node.path!r} of the source cannot be imported by reference, because "
                "Zarr v3 has no description for how its chunks are encoded: import it by copy",
                ErrorKind.BAD_METADATA,
            )
        copy_values(node.array, create_like(node.array, session.store, path), tally)
        tally.array(path, recoded=True)
        return
    existing = workspace.node(path)
    if existing is None:
        workspace.set_metadata(path, node.document)
    elif not _is_alike(session, path, node.document):
        raise _other(path, "another array or a group")
    tally.array(path, recoded=False)
    wanted = _missing(session, path, node.stored_chunks(), tally)
    with task(f"Importing {path}", len(wanted)) as progress:
        if locator is None:
            _copy(session, path, node, wanted, tally, progress)
        else:
            _refer(session, path, node, wanted, locator, tally, progress)


def _is_alike(session: Session, path: str, document: bytes) -> bool:
    key = f"{path.strip('/')}/zarr.json".lstrip("/")
    stored = sync(session.store.get(key, default_buffer_prototype()))
    return stored is not None and json.loads(stored.to_bytes()) == json.loads(document)


def _missing(session: Session, path: str, chunks: Coords, tally: Tally) -> Coords:
    """Those of the chunks that the session does not have."""
    workspace = session._workspace
    have = np.concatenate(
        [np.empty((0, chunks.shape[1]), np.uint32), *workspace.chunk_batches(workspace.array(path))]
    )
    if not len(have):
        return chunks
    keep = ~np.isin(_rows(chunks), _rows(have))
    tally.chunks(0, present=int((~keep).sum()))
    return chunks[keep]


def _rows(coords: Coords) -> Any:
    if not coords.shape[1]:
        return np.zeros(len(coords), np.uint32)
    return np.ascontiguousarray(coords).view(f"V{4 * coords.shape[1]}").reshape(-1)


def _copy(
    session: Session,
    path: str,
    node: PlainArray,
    chunks: Coords,
    tally: Tally,
    progress: Task,
) -> None:
    steps = node.array.shards or node.array.chunks
    size = math.prod(steps) * max(node.array.dtype.itemsize, 1)
    for batch in _batches(chunks, max(1, min(_BATCH_CHUNKS, BATCH_BYTES // max(size, 1)))):
        data = sync(_read(node, batch))
        there = np.array([one is not None for one in data], np.bool_)
        kept = [one for one in data if one is not None]
        session._workspace.set_chunks(path, batch[there], ByteColumn.of(kept))
        tally.chunks(len(kept), sum(map(len, kept)))
        progress.step(len(batch))


def _batches(chunks: Coords, size: int) -> Iterator[Coords]:
    for start in range(0, len(chunks), size):
        yield chunks[start : start + size]


async def _read(node: PlainArray, chunks: Coords) -> list[bytes | None]:
    prototype = default_buffer_prototype()
    limit = asyncio.Semaphore(64)

    async def read(coords: list[int]) -> bytes | None:
        async with limit:
            buffer = await node.array.store.get(node.key(tuple(coords)), prototype)
        return None if buffer is None else buffer.to_bytes()

    return list(await asyncio.gather(*(read(coords) for coords in chunks.tolist())))


def _refer(
    session: Session,
    path: str,
    node: PlainArray,
    chunks: Coords,
    locator: Locator,
    tally: Tally,
    progress: Task,
) -> None:
    files = locator.files(node.prefix)
    for batch in _batches(chunks, 100_000):
        specs = []
        for coords in batch.tolist():
            file = files.get(node.key(tuple(coords)))
            if file is not None and file.size:
                specs.append(
                    VirtualChunkSpec(
                        coords,
                        file.location,
                        0,
                        file.size,
                        last_updated_at_checksum=datetime.fromtimestamp(
                            math.ceil(file.modified.timestamp()), UTC
                        ),
                    )
                )
        refused = session.store.set_virtual_refs(path, specs) if specs else None
        if refused:
            location = next(s.location for s in specs if tuple(s.index) == refused[0])
            raise InvalidInputError(
                f"no virtual chunk container covers {location}: add one to the configuration of "
                "the repository and open it again, or import by copy",
                ErrorKind.NO_CONTAINER_FOR_VIRTUAL_CHUNK,
            )
        tally.chunks(len(specs))
        progress.step(len(batch))


def _other(path: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        f"the session has {what} at {path} that is not as in the source: choose another path, "
        "or delete it first",
        ErrorKind.BAD_METADATA,
    )
