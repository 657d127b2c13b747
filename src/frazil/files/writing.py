"""Putting a file into a session: blocks of it become chunks while the next ones are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, TypeAlias

import zstandard

from frazil.engine import array_drafts
from frazil.engine.array_drafts import Draft
from frazil.engine.workspace import Workspace
from frazil.errors import AlreadyExistsError, ErrorKind, InvalidInputError
from frazil.files.info import file_at
from frazil.format.chunk_refs import ChunkRefs, Ref
from frazil.format.snapshot import NodeKind
from frazil.model.file_arrays import (
    CHUNK_BYTES,
    FileRecord,
    check_name,
    media_type_of,
    write_document,
)
from frazil.paths import ancestors, join
from frazil.storage.pool import map_parallel

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""The bytes of a file, the path of a local one, or a file that is open for reading bytes."""

AT_ONCE = 8
"""Blocks that are in memory, being compressed and stored."""


def put_file(
    workspace: Workspace,
    group: str,
    name: str,
    source: Source,
    *,
    media_type: str | None,
    modified: datetime | None,
    attributes: Mapping[str, Any],
) -> None:
    """Store a file; it replaces one of that name when all of it is stored."""
    path = join(group, check_name(name))
    workspace.check_editable()
    check_free(workspace, path)
    if media_type is None:
        media_type = media_type_of(name)
    # What would be refused at the end is refused before anything is read.
    write_document(name, FileRecord(0, media_type, None, modified, dict(attributes)))
    draft = array_drafts.begin(workspace, path)
    digest = hashlib.sha256()
    refs: dict[tuple[int, ...], Ref | None] = {}
    size = 0
    with _opened(source) as (blocks, changed):
        while batch := list(islice(blocks, AT_ONCE)):
            for block in batch:
                digest.update(block)
                size += len(block)
            first = len(refs)
            numbered = list(enumerate(batch, first))
            # Only of a file of one chunk is a chunk smaller than others.
            pad = CHUNK_BYTES if first or len(batch) > 1 else 0
            stored = map_parallel(partial(_store, workspace, draft, pad), numbered)
            refs.update({(i,): ref for (i, _), ref in zip(numbered, stored, strict=True)})
    record = FileRecord(size, media_type, digest.hexdigest(), modified or changed, dict(attributes))
    array_drafts.finish(workspace, draft, write_document(name, record), ChunkRefs.of(1, refs))


def check_free(workspace: Workspace, path: str) -> None:
    """Raise `AlreadyExistsError` if something that is no file is where a file is to be."""
    node = workspace.node(path)
    if node is not None and file_at(node) is None:
        kind = "a group" if node.kind is NodeKind.GROUP else "an array"
        raise AlreadyExistsError(
            f"there is {kind} at {path}, which a file does not replace: delete it before, or "
            "choose another name",
            ErrorKind.NODE_ALREADY_EXISTS,
        )
    if node is None and workspace.children(path):
        raise AlreadyExistsError(
            f"there are nodes below {path}: choose another name for the file",
            ErrorKind.NODE_ALREADY_EXISTS,
        )
    for above in ancestors(path):
        found = workspace.node(above)
        if found is not None and found.kind is NodeKind.ARRAY:
            raise AlreadyExistsError(
                f"{above} is {'an array' if file_at(found) is None else 'a file'}, in which "
                "there can be no files",
                ErrorKind.NODE_ALREADY_EXISTS,
            )


def _store(workspace: Workspace, draft: Draft, pad: int, block: tuple[int, bytes]) -> Ref:
    number, data = block
    if len(data) < pad:
        data = data + bytes(pad - len(data))
    return array_drafts.store(workspace, draft, (number,), zstandard.compress(data))


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Iterator[bytes], datetime | None]]:
    """The blocks of a source, and when it was changed as far as that is known."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield _cut(memoryview(source).cast("B")), None
    elif isinstance(source, (str, os.PathLike)):
        where = os.fspath(source)
        with ExitStack() as opened:
            try:
                file = opened.enter_context(open(source, "rb", buffering=0))
            except OSError as error:
                raise _unreadable(where, error) from error
            changed = os.fstat(file.fileno()).st_mtime
            yield _read(file, where), datetime.fromtimestamp(changed, UTC)
    elif callable(getattr(source, "read", None)):
        yield _read(source, "the file"), None
    else:
        raise InvalidInputError(
            f"a file is put from bytes, a path, or an open file, not from {type(source).__name__}"
        )


def _unreadable(where: str, error: OSError) -> InvalidInputError:
    return InvalidInputError(
        f"cannot read {where}: {error.strerror or error}",
        ErrorKind.IO,
    )


def _cut(data: memoryview) -> Iterator[bytes]:
    return (bytes(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))


def _read(file: Any, where: str) -> Iterator[bytes]:
    """Blocks of CHUNK_BYTES; files may return less than they are asked for before their end."""
    while True:
        pieces: list[bytes] = []
        missing = CHUNK_BYTES
        while missing:
            try:
                piece = file.read(missing)
            except OSError as error:
                raise _unreadable(where, error) from error
            if isinstance(piece, str):
                raise InvalidInputError("the file is open for text: open it for bytes, mode 'rb'")
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        if pieces:
            yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if missing:
            return
