"""Looking whether everything that branches and tags lead to is there, and as it was written.

| level | what is looked at |
|---|---|
| metadata | the repo object, snapshots, logs, manifests, and what these say of each other |
| objects | as well: whether chunk objects are there, with enough bytes, and no chunks overlap |
| data | as well: the bytes of chunks, against the checksums in references and footers |

Everything is read from the storage, whatever is in memory. Of the references there are 48 bytes
each in memory, of chunk objects a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from frazil.engine.verify_chunks import ChunkCheck, References, Source
from frazil.errors import (
    ErrorKind,
    FormatError,
    IcechunkError,
    NotFoundError,
    RepositoryNotFoundError,
    StorageError,
)
from frazil.format.chunk_refs import NATIVE
from frazil.format.manifest import decode_manifest
from frazil.format.repo_info import decode_repo_info
from frazil.format.snapshot import ManifestInfo, NodeKind, Snapshot, decode_snapshot
from frazil.format.transaction_log import decode_transaction_log
from frazil.ids import INITIAL_SNAPSHOT, ManifestId, NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.progress import task
from frazil.storage.pool import map_parallel
from frazil.verification import Finding, FindingKind, Level, VerifyReport

T = TypeVar("T")

_BACKUPS = 3
"""Newest backups of the repo object that are compared with it."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at: what these branches and tags lead to (None: all), below a path, since µs.

    sample: of the chunk objects this share is read at level "data".
    """

    branch: str | None = None
    tag: str | None = None
    path: str = "/"
    since: int = 0
    sample: float = 1.0


@dataclass(slots=True)
class _Claims:
    """What snapshots say of one manifest: of its file, and of which arrays it has references."""

    info: ManifestInfo
    snapshot: SnapshotId
    nodes: dict[NodeId, tuple[str, int]]


def verify(library: Library, catalog: Catalog, level: Level, scope: Scope) -> VerifyReport:
    """Look at a repository; nothing is changed.

    Raises errors of the storage other than of objects that are missing or too short.
    """
    return _Verifier(library, catalog, scope).run(level)


class _Verifier:
    def __init__(self, library: Library, catalog: Catalog, scope: Scope) -> None:
        # Caches would hide what is wrong.
        self._backend = library.aside().backend
        self._catalog = catalog
        self._scope = scope
        self._findings: list[Finding] = []
        self._claims: dict[ManifestId, _Claims] = {}
        self._references = References()

    def run(self, level: Level) -> VerifyReport:
        tips = self._tips()
        self._check_backups()
        snapshots = self._read_snapshots(tips)
        self._read_manifests()
        chunks = ChunkCheck(self._backend, self._references, self._findings)
        objects = checked = unchecked = 0
        if level != "metadata":
            objects = chunks.check_objects()
        if level == "data":
            checked, unchecked = chunks.check_data(self._scope.sample)
        order = list(FindingKind)
        found = sorted(self._findings, key=lambda one: (order.index(one.kind), one.object))
        return VerifyReport(
            level,
            snapshots,
            len(self._claims),
            objects,
            len(chunks),
            checked,
            unchecked,
            tuple(found),
            self._identity(),
        )

    def _identity(self) -> str | None:
        try:
            return str(self._catalog.identity())
        except (FormatError, NotFoundError, StorageError):
            return None  # what is wrong is among the findings

    def _find(self, kind: FindingKind, key: str, message: str) -> None:
        self._findings.append(Finding(kind, key, message))

    def _read(self, key: str, decode: Callable[[bytes], T]) -> T | None:
        """A file; None, and a finding, if it is missing or damaged."""
        try:
            return decode(self._backend.get(key))
        except FormatError as error:
            self._find(FindingKind.UNREADABLE, key, error.message)
        except StorageError as error:
            if error.kind == ErrorKind.OBJECT_NOT_FOUND:
                self._find(FindingKind.MISSING, key, "there is no such object")
            elif error.kind == ErrorKind.INVALID_OBJECT_SIZE:
                self._find(FindingKind.UNREADABLE, key, error.message)
            else:
                raise
        return None

    def _check_backups(self) -> None:
        """Whether the repo object is older than a backup of it."""
        if not isinstance(self._catalog, CatalogV2) or self._findings:
            return
        info = self._catalog.info()
        now = int(info.updates.updated_at[0])
        names = sorted(one.key for one in self._backend.list("overwritten") if "/repo." in one.key)
        for key in names[:_BACKUPS]:
            backup = self._read(key, partial(decode_repo_info, where=key))
            if backup is not None and int(backup.updates.updated_at[0]) > now:
                self._find(FindingKind.OUTDATED, "repo", f"its backup {key} knows of later updates")
                return

    def _tips(self) -> list[SnapshotId]:
        """What to begin with; nothing, and a finding, where references cannot be read."""
        scope, catalog = self._scope, self._catalog
        key = "repo" if isinstance(catalog, CatalogV2) else "refs"
        try:
            if scope.branch is None and scope.tag is None:
                return sorted({*catalog.branches().values(), *catalog.tags().values()})
            tips = []
            if scope.branch is not None:
                tips.append(catalog.branch(scope.branch))
            if scope.tag is not None:
                tips.append(catalog.tag(scope.tag))
            return tips
        except FormatError as error:
            self._find(FindingKind.UNREADABLE, key, error.message)
        except RepositoryNotFoundError as error:
            self._find(FindingKind.MISSING, key, error.message)
        return []

    def _read_snapshots(self, tips: list[SnapshotId]) -> int:
        seen: set[SnapshotId] = set()
        with task("Verifying snapshots") as progress:
            wanted = [id_ for tip in tips for id_ in self._ancestry(tip, seen)]

            def read(id_: SnapshotId) -> None:
                key = f"snapshots/{id_}"
                snapshot = self._read(key, partial(decode_snapshot, where=key))
                if snapshot is not None and snapshot.flushed_at >= self._scope.since:
                    self._check_snapshot(key, id_, snapshot)
                self._check_log(id_)
                progress.step()

            map_parallel(read, wanted, limit=_AT_ONCE)
        return len(wanted)

    def _ancestry(self, tip: SnapshotId, seen: set[SnapshotId]) -> Iterator[SnapshotId]:
        """A snapshot and those before it, as far as they have not been seen."""
        id_: SnapshotId | None = tip
        lookup = self._catalog.lookup()
        while id_ is not None and id_ not in seen:
            seen.add(id_)
            yield id_
            try:
                record = lookup(id_)
            except IcechunkError as error:
                if not isinstance(error, FormatError) and error.kind not in (
                    ErrorKind.OBJECT_NOT_FOUND,
                    ErrorKind.INVALID_OBJECT_SIZE,
                    ErrorKind.SNAPSHOT_NOT_FOUND,
                ):
                    raise
                return  # the file is looked at all the same
            if record is None or record.flushed_at < self._scope.since:
                return
            id_ = record.parent

    def _check_snapshot(self, key: str, id_: SnapshotId, snapshot: Snapshot) -> None:
        if snapshot.id != id_:
            self._find(FindingKind.MISPLACED, key, f"it is snapshot {snapshot.id}")
            return
        nodes = snapshot.nodes
        arrays = {nodes.path_of(i) for i in np.flatnonzero(nodes.kind == NodeKind.ARRAY).tolist()}
        for i in range(len(nodes)):
            path = nodes.path_of(i)
            parent = path.rpartition("/")[0] or "/"
            if parent in arrays and path != "/":
                self._find(
                    FindingKind.NAME_CONFLICT, key, f"{path} is below {parent}, which is an array"
                )
        for row in nodes.rows_under(self._scope.path).tolist():
            node = nodes.node(row)
            for manifest in node.manifests:
                at = snapshot.manifests.find(manifest.id)
                if at < 0:
                    text = f"{node.path} has manifest {manifest.id}, which it does not list"
                    self._find(FindingKind.DISAGREES, key, text)
                    continue
                claims = self._claims.setdefault(
                    manifest.id, _Claims(snapshot.manifests.info(at), id_, {})
                )
                claims.nodes.setdefault(node.id, (node.path, len(node.shape)))

    def _check_log(self, id_: SnapshotId) -> None:
        # The first snapshot of format 1 has none, also after a migration.
        key = f"transactions/{id_}"
        if id_ != INITIAL_SNAPSHOT or self._backend.exists(key):
            self._read(key, partial(decode_transaction_log, where=key))

    def _read_manifests(self) -> None:
        with task("Verifying manifests", len(self._claims)) as progress:

            def read(item: tuple[ManifestId, _Claims]) -> None:
                self._check_manifest(*item)
                progress.step()

            map_parallel(read, list(self._claims.items()), limit=_AT_ONCE)

    def _check_manifest(self, id_: ManifestId, claims: _Claims) -> None:
        key = f"manifests/{id_}"
        found = self._read(key, lambda data: (len(data), decode_manifest(data, where=key)))
        if found is None:
            return
        size, manifest = found
        if manifest.id != id_:
            self._find(FindingKind.MISPLACED, key, f"it is manifest {manifest.id}")
            return
        by = f"snapshot {claims.snapshot} says"
        if 0 < claims.info.size_bytes < size:
            text = f"it has {size} bytes, and {by} {claims.info.size_bytes}"
            self._find(FindingKind.DISAGREES, key, text)
        count = sum(map(len, manifest.arrays.values()))
        if count != claims.info.num_refs:
            text = f"it has {count} references, and {by} {claims.info.num_refs}"
            self._find(FindingKind.DISAGREES, key, text)
        for node, (path, rank) in claims.nodes.items():
            refs = manifest.arrays.get(node)
            if refs is None or refs.ndim != rank:
                text = f"it has no references of {path} that fit its rank, and {by} so"
                self._find(FindingKind.DISAGREES, key, text)
            else:
                native = np.flatnonzero(refs.kind == NATIVE)
                self._references.add(Source(id_, node, path), refs.take(native))
