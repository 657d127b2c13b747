"""What runs around the changes of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frazil.hooks.runner import HookRunner
from frazil.repository.base import RepositoryBase

if TYPE_CHECKING:
    from frazil.hooks.configured import RepositoryHooks


class Hooked(RepositoryBase):
    """Hooks of a `Repository`."""

    @property
    def hooks(self) -> RepositoryHooks:
        """What runs before and after commits, merges, and changes of tags and branches."""
        from frazil.hooks.configured import RepositoryHooks

        assert isinstance(self._core.observer, HookRunner)
        return RepositoryHooks(self._core, self._core.observer)
