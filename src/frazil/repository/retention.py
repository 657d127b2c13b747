"""Which versions are kept, for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frazil.repository.base import RepositoryBase
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.retention import RetentionChange, RetentionPlan, RetentionPolicy


class Retention(RepositoryBase):
    """A policy that is stored with the repository, and thins its history out."""

    def get_retention(self) -> RetentionPolicy | None:
        """Which versions are to be kept; None if nothing was said."""
        from frazil.engine.retain import stored_policy

        return stored_policy(self._core.catalog)

    get_retention_async = twin(get_retention)

    def set_retention(self, policy: RetentionPolicy | str | None) -> None:
        """Store with the repository which versions are to be kept, or with None nothing of that.

        It takes effect with `apply_retention`. A text is parsed: `keep last 10, daily 14d`; see
        `RetentionPolicy`. `InvalidInputError` (`invalid-retention-policy`) for what is none.
        """
        from frazil.engine.expire import check_writable
        from frazil.engine.retain import store_policy

        library = self._core.library
        check_writable(library)
        store_policy(self._core.catalog, _policy(policy), library.now())

    set_retention_async = twin(set_retention)

    def retention_history(self) -> list[RetentionChange]:
        """The policies that the repository had, newest first, at most 20."""
        from frazil.engine.retain import policies

        return policies(self._core.catalog.notes())

    retention_history_async = twin(retention_history)

    def apply_retention(
        self, policy: RetentionPolicy | str | None = None, *, dry_run: bool = False
    ) -> RetentionPlan:
        """Take out of the history what the stored policy, or this one, does not keep.

        Also deletes tags that it does not keep. `garbage_collect` removes the files. A kept
        snapshot whose parent goes is attached to the nearest one before that stays; in format 2
        differences across the gap stay known, in format 1 those that went are left out of them.
        dry_run: change nothing, only say what would stay and why, and what would go.

        Sessions on what goes can still read, but not commit. Raises `InvalidInputError`
        (`no-retention-policy`) if none is stored or given.

            plan = repo.apply_retention("keep last 10, daily 14d, monthly 2y", dry_run=True)
        """
        from frazil.engine.retain import apply_policy

        core = self._core
        return apply_policy(core.library, core.catalog, _policy(policy), dry_run=dry_run)

    apply_retention_async = twin(apply_retention)


def _policy(policy: RetentionPolicy | str | None) -> RetentionPolicy | None:
    from frazil.retention import RetentionPolicy

    return RetentionPolicy.parse(policy) if isinstance(policy, str) else policy
