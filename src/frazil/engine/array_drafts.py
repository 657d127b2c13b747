"""Arrays whose chunks are stored before anybody can see them, and which then appear at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from frazil.engine.packs import ChunkWriter
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, SessionStateError
from frazil.format.chunk_refs import ChunkRefs, Ref
from frazil.format.snapshot import Node, NodeKind
from frazil.ids import NodeId
from frazil.model.zarr_metadata import read_layout
from frazil.paths import ancestors

_GROUP = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()


@dataclass(frozen=True, slots=True)
class Draft:
    """An array to be: the id that it will have, and what was at its path when it was begun."""

    path: str
    id: NodeId
    before: Node | None
    writer: ChunkWriter


def begin(workspace: Workspace, path: str) -> Draft:
    """Begin an array; one that is there keeps its id, and everything until `finish`."""
    with workspace.lock:
        workspace.check_editable()
        before = workspace.node(path)
        id_ = workspace.library.new_id(NodeId) if before is None else before.id
        assert workspace.writer is not None  # as it is editable
        return Draft(path, id_, before, workspace.writer)


def store(workspace: Workspace, draft: Draft, coords: tuple[int, ...], data: bytes) -> Ref:
    """Store the encoded bytes of a chunk of it."""
    return workspace.store_chunk(draft.id, coords, data)


def finish(workspace: Workspace, draft: Draft, document: bytes, refs: ChunkRefs) -> None:
    """Let the array have this `zarr.json` and these chunks, and no others; make groups above it.

    Raises `SessionStateError` (`concurrency`) if another thread has changed the node, or
    discarded the changes of the session, meanwhile; `ReadOnlyError` if it was committed.
    """
    layout = read_layout(document, path=draft.path, spec=workspace.spec)
    with workspace.lock:
        workspace.check_editable()
        now = workspace.node(draft.path)
        if workspace.writer is not draft.writer or now != draft.before:
            raise SessionStateError(
                f"{draft.path} was changed by another thread while it was written: write it again",
                ErrorKind.CONCURRENCY,
            )
        for above in ancestors(draft.path):
            workspace.set_metadata_if_absent(above, _GROUP)
        names = layout.dimension_names
        if now is None:
            node = Node(draft.id, draft.path, document, NodeKind.ARRAY, layout.shape, names, ())
            workspace.changes.create(node)
        else:
            node = replace(now, user_data=document, shape=layout.shape, dimension_names=names)
            workspace.changes.update(node, now)
        edits = workspace.changes.edits(node)
        edits.resize((0,) * edits.ndim)
        edits.add(refs)
