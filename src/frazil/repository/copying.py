"""Copies of a repository in other places."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from frazil.repository.base import RepositoryBase
from frazil.storage import Storage
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.ops import CopySummary
    from frazil.runner import Place

Names = str | Collection[str] | None


class Copying(RepositoryBase):
    """Cloning to another storage, and keeping the copy up to date."""

    def clone_to(
        self,
        storage: Storage,
        *,
        branch: Names = None,
        tag: Names = None,
        depth: int | None = None,
        compare: bool = False,
        on: Place | None = None,
    ) -> CopySummary:
        """Copy this repository to a place that has none: references, history, data.

        branch, tag: copy only these (one name or several), with what belongs to them; if only
        one of the two is given, nothing of the other kind is copied. `main`, which every
        repository has, is empty then. depth: how many commits of each branch and tag to keep
        (spec 2 only); older ones are left out as if they had expired. compare: read everything
        again at the target and compare the bytes, not only the sizes. on: a Dask client or an
        executor whose workers copy the objects; both storages must be reachable from there.

        Ids stay the same. A copy that was interrupted goes on where it was when it is started
        again. The log of operations begins anew, and the settings of the storage are left out
        of the configuration. Virtual chunks stay references.

        Raises `ConflictError` if there is a repository at the target, `RefNotFoundError` for a
        branch or tag that does not exist, `StorageError` if something did not arrive.
        """
        from frazil.engine.census import check_positive
        from frazil.engine.clone import clone
        from frazil.model.cloning import Selection

        check_positive("depth", depth)
        selection = Selection.of(branch, tag)
        return clone(self._core, storage, selection, depth=depth, compare=compare, on=on)

    clone_to_async = twin(clone_to)

    def sync_to(
        self,
        storage: Storage,
        *,
        branch: Names = None,
        tag: Names = None,
        force: bool = False,
        compare: bool = False,
        on: Place | None = None,
    ) -> CopySummary:
        """Bring a copy of this repository up to date, or make it if there is none.

        Copies what the target lacks, then advances its branches and adds tags, each in one
        step; nothing at the target is removed, and a branch that is further on there stays.
        branch, tag, compare, on: as for `clone_to`. force: also move branches that have other
        commits there, and tags that differ.

        Raises `ConflictError` before anything is copied if a branch of the target has commits
        that this repository does not have, or a tag is another one; `FormatError` if the
        target is in another version of the format.
        """
        from frazil.engine.clone import sync
        from frazil.model.cloning import Selection

        selection = Selection.of(branch, tag)
        return sync(self._core, storage, selection, force=force, compare=compare, on=on)

    sync_to_async = twin(sync_to)
