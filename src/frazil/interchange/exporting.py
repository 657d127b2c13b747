"""Writing a part of a session as a plain Zarr hierarchy."""

from __future__ import annotations

import asyncio
import json
import os
import unicodedata
from collections import Counter
from typing import Any, Literal

import zarr
from zarr.abc.store import Store
from zarr.core.buffer import cpu
from zarr.core.sync import sync

from frazil.errors import AlreadyExistsError, ErrorKind
from frazil.interchange.hierarchy import (
    PlainArray,
    PlainGroup,
    joined,
    nodes,
    open_hierarchy,
    place_of,
)
from frazil.interchange.plain_store import plain_store
from frazil.interchange.summary import Tally, TransferSummary
from frazil.interchange.values import copy_values, create_like
from frazil.progress import task
from frazil.session import Session
from frazil.storage import Storage

_BATCH_CHUNKS = 512


def export_zarr(
    session: Session,
    target: str | os.PathLike[str] | Storage | Store,
    path: str = "/",
    *,
    zarr_format: Literal[2, 3] = 3,
    consolidated: bool | None = None,
    overwrite: bool = False,
) -> TransferSummary:
    """Write what is at `path` of a session as a plain Zarr hierarchy, for any reader of Zarr.

    target: a path, a URL as for `frazil.open` (others are left to fsspec), a `Storage`, or a Zarr
    store. Format 3 takes the encoded chunks as they are, virtual ones included; format 2 encodes
    the values anew. consolidated: also write consolidated metadata; by default for format 2,
    where readers expect it. overwrite: replace what is there.

    Raises `AlreadyExistsError` (`node-already-exists`) if there is something at the target, or if
    the target takes the names of two nodes for one, as folders of macOS and Windows do with case,
    `InvalidInputError` if the session has no such node, `StorageError` for what cannot be
    written.
    """
    root = open_hierarchy(session.store, path)
    store = plain_store(target, read_only=False)
    _make_room(store, overwrite=overwrite)
    found = list(nodes(root))
    alike = Counter(_folded(node.path) for node in found)
    tally = Tally()
    with task("Exporting arrays", sum(isinstance(node, PlainArray) for node in found)) as progress:
        for node in found:
            if alike[_folded(node.path)] > 1 and not sync(_is_empty(store, f"{node.path}/")):
                raise AlreadyExistsError(
                    f"{store} does not tell {node.path!r} from another node, of which the name is "
                    "the same but for case or accents: rename one of them",
                    ErrorKind.NODE_ALREADY_EXISTS,
                )
            if isinstance(node, PlainGroup):
                attributes = json.loads(node.document)["attributes"]
                zarr.create_group(
                    store, path=node.path, zarr_format=zarr_format, attributes=attributes
                )
                tally.group()
                continue
            if zarr_format == 3:
                assert node.document is not None  # arrays of a session are of format 3
                _export_array(session, path, node, store, tally)
            else:
                copied = create_like(node.array, store, node.path, zarr_format=2)
                copy_values(node.array, copied, tally)
                tally.array("/" + node.path, recoded=True)
            progress.step()
    wants = zarr_format == 2 if consolidated is None else consolidated
    if wants and isinstance(root, zarr.Group):
        zarr.consolidate_metadata(store, zarr_format=zarr_format)
    return tally.summary()


def _make_room(store: Store, *, overwrite: bool) -> None:
    if overwrite:
        sync(store.clear())
    elif not sync(_is_empty(store)):
        raise AlreadyExistsError(
            f"{place_of(store)} is not empty: choose another place, or pass overwrite=True",
            ErrorKind.NODE_ALREADY_EXISTS,
        )


async def _is_empty(store: Store, prefix: str = "") -> bool:
    async for _ in store.list_prefix(prefix):
        return False
    return True


def _folded(path: str) -> str:
    """What a file system that ignores case and normal forms makes of a path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _export_array(
    session: Session, path: str, node: PlainArray, store: Store, tally: Tally
) -> None:
    workspace = session._workspace
    prefix = f"{node.path}/" if node.path else ""
    assert node.document is not None
    sync(store.set(f"{prefix}zarr.json", cpu.Buffer.from_bytes(node.document)))
    array = workspace.array(joined(path, node.path))
    with task(f"Exporting /{node.path}") as progress:
        for batch in workspace.chunk_batches(array):
            for start in range(0, len(batch), _BATCH_CHUNKS):
                coords = [tuple(row) for row in batch[start : start + _BATCH_CHUNKS].tolist()]
                data = workspace.get_chunks(array, coords)
                sync(_write(store, prefix, coords, data))
                tally.chunks(len(coords), sum(len(one) for one in data if one is not None))
                progress.step(len(coords))
    tally.array("/" + node.path, recoded=False)


async def _write(store: Store, prefix: str, coords: list[tuple[int, ...]], data: list[Any]) -> None:
    limit = asyncio.Semaphore(64)

    async def write(index: tuple[int, ...], one: bytes) -> None:
        key = prefix + "/".join(["c", *map(str, index)])
        async with limit:
            await store.set(key, cpu.Buffer.from_bytes(one))

    await asyncio.gather(
        *(write(i, one) for i, one in zip(coords, data, strict=True) if one is not None)
    )
