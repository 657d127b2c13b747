"""Looking after a repository: what is old, what is left over, what it takes."""

from __future__ import annotations

from datetime import datetime

from frazil.engine.expire import expire_snapshots
from frazil.engine.times import microseconds
from frazil.repository.base import RepositoryBase
from frazil.twins import twin


class Maintenance(RepositoryBase):
    """Expiration, garbage collection, statistics, and the layout of manifests."""

    def expire_snapshots(
        self,
        older_than: datetime,
        *,
        delete_expired_branches: bool = False,
        delete_expired_tags: bool = False,
    ) -> set[str]:
        """Take snapshots made before `older_than` out of the history; returns their ids.

        The first snapshot and the tips of branches and tags are kept in the history. With
        `delete_expired_branches` and `delete_expired_tags`, branches (never `main`) and tags
        with old tips are deleted. Nothing else is: `garbage_collect` removes the files.
        """
        released = expire_snapshots(
            self._core.library,
            self._core.catalog,
            microseconds("older_than", older_than),
            delete_branches=delete_expired_branches,
            delete_tags=delete_expired_tags,
        )
        return set(map(str, released))

    expire_snapshots_async = twin(expire_snapshots)
