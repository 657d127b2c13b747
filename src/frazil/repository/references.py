"""Branches and tags of a repository."""

from __future__ import annotations

from contextlib import AbstractContextManager

from frazil.arguments import instance_of
from frazil.engine.ref_changes import EventName, Purpose, RefChange, observed
from frazil.ids import SnapshotId
from frazil.repository.base import RepositoryBase
from frazil.twins import twin


class References(RepositoryBase):
    """Names for snapshots: branches, which move, and tags, which do not."""

    def create_branch(self, branch: str, snapshot_id: str) -> None:
        """Add a branch at a snapshot."""
        instance_of(str, "branch", branch)
        target = SnapshotId.parse(snapshot_id)
        with self._observed("branch", "create", branch, None, target):
            self._core.catalog.create_branch(branch, target)

    create_branch_async = twin(create_branch)

    def list_branches(self) -> set[str]:
        """The names of all branches."""
        return set(self._core.catalog.branches())

    list_branches_async = twin(list_branches)

    def lookup_branch(self, branch: str) -> str:
        """The id of a branch's newest snapshot."""
        return str(self._core.catalog.branch(branch))

    lookup_branch_async = twin(lookup_branch)

    def reset_branch(
        self, branch: str, snapshot_id: str, *, from_snapshot_id: str | None = None
    ) -> None:
        """Point a branch at any snapshot; what it had after that leaves its history.

        from_snapshot_id: refuse (`ConflictError`) unless the branch is at this snapshot.
        """
        expected = None if from_snapshot_id is None else SnapshotId.parse(from_snapshot_id)
        target = SnapshotId.parse(snapshot_id)
        before = expected or self._core.catalog.known_tip(branch)
        with self._observed("branch", "reset", branch, before, target):
            self._core.catalog.reset_branch(branch, target, expected)

    reset_branch_async = twin(reset_branch)

    def delete_branch(self, branch: str) -> None:
        """Remove a branch; `main` must stay (`SessionStateError`)."""
        with self._observed("branch", "delete", branch, self._core.catalog.known_tip(branch), None):
            self._core.catalog.delete_branch(branch)

    delete_branch_async = twin(delete_branch)

    def create_tag(self, tag: str, snapshot_id: str) -> None:
        """Give a snapshot a name for ever."""
        instance_of(str, "tag", tag)
        target = SnapshotId.parse(snapshot_id)
        with self._observed("tag", "create", tag, None, target):
            self._core.catalog.create_tag(tag, target)

    create_tag_async = twin(create_tag)

    def list_tags(self) -> set[str]:
        """The names of all tags."""
        return set(self._core.catalog.tags())

    list_tags_async = twin(list_tags)

    def lookup_tag(self, tag: str) -> str:
        """The id of the snapshot that a tag names."""
        return str(self._core.catalog.tag(tag))

    lookup_tag_async = twin(lookup_tag)

    def delete_tag(self, tag: str) -> None:
        """Remove a tag; its name cannot be used again."""
        with self._observed("tag", "delete", tag, None, None):
            self._core.catalog.delete_tag(tag)

    delete_tag_async = twin(delete_tag)

    def _observed(
        self,
        event: EventName,
        action: str,
        ref: str,
        previous: SnapshotId | None,
        target: SnapshotId | None,
    ) -> AbstractContextManager[object]:
        change = RefChange(Purpose(event, action), ref, previous, target, target)
        return observed(self._core.observer, change)
