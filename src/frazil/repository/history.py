"""What happened in a repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from frazil.format.history import described
from frazil.ids import SnapshotId
from frazil.model.descent import merge_parents
from frazil.repository.base import RepositoryBase
from frazil.storage.pool import map_parallel
from frazil.store.iterators import AsyncCloseableIterator
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.ops import Update
    from frazil.snapshots import AncestryGraph, Diff, ManifestFileInfo, SnapshotInfo

T = TypeVar("T")


class History(RepositoryBase):
    """Snapshots, their order, and the differences between them."""

    def ancestry(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
    ) -> Iterator[SnapshotInfo]:
        """The snapshots up to the given branch, tag or snapshot (exactly one), newest first."""
        from frazil.snapshots import SnapshotInfo

        start = self._core.resolve(branch, tag, snapshot_id)
        return map(SnapshotInfo.described, self._core.catalog.lineage(start))

    def async_ancestry(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
    ) -> AsyncCloseableIterator[SnapshotInfo]:
        """As `ancestry`, for `async for`."""
        return AsyncCloseableIterator(
            _batches(lambda: self.ancestry(branch=branch, tag=tag, snapshot_id=snapshot_id))
        )

    def ancestry_graph(
        self,
        *,
        branch: str | None = None,
        tag: str | None = None,
        snapshot_id: str | None = None,
        plain: bool = False,
    ) -> AncestryGraph:
        """A drawing of the history of a branch, tag or snapshot; of all branches without one.

        With what merges brought in.

        plain: without colours.
        """
        from frazil.engine.revisions import reachable
        from frazil.graph import GraphRow
        from frazil.snapshots import AncestryGraph

        catalog = self._core.catalog
        branches, tags = catalog.branches(), catalog.tags()
        one = any(name is not None for name in (branch, tag, snapshot_id))
        starts = [self._core.resolve(branch, tag, snapshot_id)] if one else branches.values()
        records = reachable(catalog.lookup(), starts)
        rows = tuple(
            GraphRow(
                id=str(item.id),
                parent=None if item.parent is None else str(item.parent),
                branches=tuple(sorted(n for n, t in branches.items() if t == item.id)),
                tags=tuple(sorted(n for n, t in tags.items() if t == item.id)),
                message=item.message,
                merged=tuple(map(str, merge_parents(item.metadata))),
            )
            for item in sorted(records.values(), key=lambda item: -item.flushed_at)
        )
        return AncestryGraph(rows, plain=plain)

    ancestry_graph_async = twin(ancestry_graph)

    def ops_log(self) -> Iterator[Update]:
        """All operations on the repository, newest first; spec 2 only (`FormatError`)."""
        from frazil.engine.ops_log import public_update

        return map(public_update, self._v2("the operations log").ops_log())

    def ops_log_async(self) -> AsyncCloseableIterator[Update]:
        """As `ops_log`, for `async for`."""
        return AsyncCloseableIterator(_batches(self.ops_log))

    def lookup_snapshot(self, snapshot_id: str) -> SnapshotInfo:
        """A snapshot by its id."""
        from frazil.snapshots import SnapshotInfo

        record = self._core.catalog.record(SnapshotId.parse(snapshot_id))
        return SnapshotInfo.described(described(record))

    lookup_snapshot_async = twin(lookup_snapshot)

    def resolve(self, version: str) -> str:
        """The id of the snapshot that a person means: `main`, `v1`, `7B331Z08`, `main~2`.

        A branch, else a tag, else the beginning of the id of a snapshot that a branch or tag
        leads to, at least four characters; `~2`: two commits before. Raises `RefNotFoundError`,
        `SnapshotNotFoundError` before the first commit, `InvalidInputError` for the beginning of
        several ids.
        """
        from frazil.engine.revisions import resolve_revision

        return str(resolve_revision(self._core.catalog, version))

    resolve_async = twin(resolve)

    def lost_without(
        self, *, branch: str | None = None, tag: str | None = None, to: str | None = None
    ) -> list[SnapshotInfo]:
        """The commits, newest first, that nothing would lead to without a branch or tag.

        Exactly one of branch and tag. to: the branch is not deleted but reset to this snapshot.
        """
        from frazil.engine.revisions import lost_without
        from frazil.snapshots import SnapshotInfo

        if (branch is None) == (tag is None):
            raise ValueError("give exactly one of branch and tag")
        target = None if to is None else SnapshotId.parse(to)
        lost = lost_without(self._core.catalog, branch=branch, tag=tag, to=target)
        return [SnapshotInfo.described(described(record)) for record in lost]

    lost_without_async = twin(lost_without)

    def list_manifest_files(self, snapshot_id: str) -> list[ManifestFileInfo]:
        """The manifest files that a snapshot refers to."""
        from frazil.snapshots import ManifestFileInfo

        id_ = self._core.resolve(None, None, snapshot_id)
        manifests = self._core.library.snapshot(id_).manifests
        infos = map(manifests.info, range(len(manifests)))
        return [ManifestFileInfo(str(i.id), i.size_bytes, i.num_refs) for i in infos]

    list_manifest_files_async = twin(list_manifest_files)

    def diff(
        self,
        *,
        from_branch: str | None = None,
        from_tag: str | None = None,
        from_snapshot_id: str | None = None,
        to_branch: str | None = None,
        to_tag: str | None = None,
        to_snapshot_id: str | None = None,
    ) -> Diff:
        """What changed between two versions: `from` must be an ancestor of `to`.

        Raises `InvalidInputError` (`bad-snapshot-chain-for-diff`) otherwise.
        """
        from frazil.engine.history import diff_between

        older = self._core.resolve(from_branch, from_tag, from_snapshot_id)
        newer = self._core.resolve(to_branch, to_tag, to_snapshot_id)
        return diff_between(self._core.library, self._core.catalog, older, newer)

    diff_async = twin(diff)

    def compare(self, before: str, after: str) -> Diff:
        """What is different between any two snapshots, by id, whatever led from one to the other.

        `diff` reads what commits recorded, and lists all that they touched; this reads the
        manifests that differ, and lists what is not the same in the end.
        """
        from frazil.engine.difference import difference

        library, ids = self._core.library, map(SnapshotId.parse, (before, after))
        return difference(library, *map_parallel(library.snapshot, ids))

    compare_async = twin(compare)


def _batches(items: Callable[[], Iterator[T]]) -> Iterator[list[T]]:
    iterator = items()
    while batch := list(islice(iterator, 100)):
        yield batch
