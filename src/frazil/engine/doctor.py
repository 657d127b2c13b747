"""Finding out whether the virtual chunks of a snapshot can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from frazil.checkup import Checkup, ContainerCheckup
from frazil.engine.sources.reading import mismatch
from frazil.engine.sources.source import Found
from frazil.engine.workspace import Workspace
from frazil.errors import ErrorKind, IcechunkError, InvalidInputError
from frazil.format.chunk_refs import VIRTUAL, ChunkRefs
from frazil.format.snapshot import NodeKind
from frazil.progress import task
from frazil.storage.pool import map_parallel
from frazil.virtual import VirtualChunkContainer

Guard = tuple[bytes | None, int]
"""ETag and time of a reference, 0 for none."""


@dataclass(slots=True)
class _File:
    references: int = 0
    end: int = 0
    guards: set[Guard] = field(default_factory=set)


def examine(
    workspace: Workspace, configured: Sequence[VirtualChunkContainer], sample: int | None
) -> Checkup:
    """Look at the files that virtual chunks are in, at most `sample` of each container."""
    table = workspace.virtual.table
    files = _files(workspace)
    by_prefix: dict[str, dict[str, _File]] = {c.url_prefix: {} for c in configured}
    uncovered: dict[str, int] = {}
    for location, file in files.items():
        try:
            target = table.containers.target(location)
        except InvalidInputError:
            uncovered[location] = file.references
        else:
            by_prefix[target.container.url_prefix][location] = file
    containers = {
        c.url_prefix: _examine(workspace, c, by_prefix[c.url_prefix], sample) for c in configured
    }
    advice = tuple(_advice(containers.values(), uncovered))
    return Checkup(str(workspace.snapshot_id), containers, uncovered, advice)


def _files(workspace: Workspace) -> dict[str, _File]:
    """What the references say of each location."""
    files: dict[str, _File] = {}
    arrays = [node for node in workspace.nodes_under("/") if node.kind is NodeKind.ARRAY]
    with task("reading references", len(arrays)) as progress:
        for node in arrays:
            for refs in workspace.ref_batches(node):
                virtual = refs.kind == VIRTUAL
                if virtual.any():
                    _count(refs.take(virtual), files)
            progress.step()
    return files


def _count(refs: ChunkRefs, files: dict[str, _File]) -> None:
    assert refs.payload is not None
    place: dict[bytes, int] = {}
    rows = (refs.payload[i] or b"" for i in range(len(refs)))
    codes = np.fromiter((place.setdefault(raw, len(place)) for raw in rows), np.intp, len(refs))
    counts = np.bincount(codes, minlength=len(place))
    ends = np.zeros(len(place), np.uint64)
    np.maximum.at(ends, codes, refs.offset + refs.length)
    found = [files.setdefault(raw.decode(errors="surrogateescape"), _File()) for raw in place]
    for file, count, end in zip(found, counts.tolist(), ends.tolist(), strict=True):
        file.references += count
        file.end = max(file.end, end)
    if refs.etag is None and refs.modified is None:
        return
    modified = np.zeros(len(refs), np.uint32) if refs.modified is None else refs.modified
    for row, (code, seconds) in enumerate(zip(codes.tolist(), modified.tolist(), strict=True)):
        etag = None if refs.etag is None else refs.etag[row]
        if etag is not None or seconds:
            found[code].guards.add((etag, seconds))


def _examine(
    workspace: Workspace,
    container: VirtualChunkContainer,
    files: dict[str, _File],
    sample: int | None,
) -> ContainerCheckup:
    table = workspace.virtual.table
    authorized = container.url_prefix in table.access
    chosen: list[str] = []
    if authorized:
        names = sorted(files)
        count = len(names) if sample is None else min(sample, len(names))
        chosen = [names[i] for i in np.linspace(0, len(names) - 1, count).astype(int).tolist()]
    missing: dict[str, str] = {}
    changed: dict[str, str] = {}
    unreachable: dict[str, str] = {}

    with task(f"looking at files in {container.url_prefix}", len(chosen)) as progress:

        def look(location: str) -> None:
            url = table.containers.absolute(location)
            try:
                source, target = table.find(location)
                found = source.stat(target.key)
            except IcechunkError as error:
                gone = error.kind == ErrorKind.OBJECT_NOT_FOUND
                (missing if gone else unreachable)[url] = error.message
            else:
                why = _difference(found, files[location])
                if why is not None:
                    changed[url] = why
            progress.step()

        map_parallel(look, chosen)
    return ContainerCheckup(
        url_prefix=container.url_prefix,
        name=container.name,
        authorized=authorized,
        references=sum(file.references for file in files.values()),
        files=len(files),
        checked=len(chosen),
        missing=dict(sorted(missing.items())),
        changed=dict(sorted(changed.items())),
        unreachable=dict(sorted(unreachable.items())),
    )


def _difference(found: Found, file: _File) -> str | None:
    if found.size < file.end:
        return f"it has {found.size} bytes, and chunks are said to reach up to byte {file.end}"
    for etag, seconds in sorted(file.guards, key=str):
        text = None if etag is None else etag.decode(errors="surrogateescape")
        why = mismatch(found.stamp, text, seconds or None)
        if why is not None:
            return why
    return None


def _advice(containers: Iterable[ContainerCheckup], uncovered: dict[str, int]) -> Iterable[str]:
    for one in containers:
        at = one.url_prefix
        if one.references and not one.authorized:
            yield (
                f"{at} is not authorized: give a credential for it when the repository is opened, "
                f"authorize_virtual_chunk_access={{{at!r}: ...}}"
            )
        if one.unreachable:
            yield f"{at}: check the store's address, the network, and what the credential allows"
        if one.missing:
            yield f"{at}: put the missing files back, or set references to where they are now"
        if one.changed:
            yield (
                f"{at}: set the references to the changed files anew, or read them all the same "
                'with session.virtual_checksums = "warn"'
            )
        if one.checked < one.files and one.authorized:
            yield f"{at}: {one.checked} of {one.files} files were looked at; sample=None takes all"
    if uncovered:
        yield (
            "add containers for the uncovered locations (RepositoryConfig."
            "set_virtual_chunk_container, then Repository.save_config), or correct them"
        )
