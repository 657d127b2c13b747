"""Repositories: the one class that users open, in parts.

Repository
  Opening       opening.py      create, open, exists
  Settings      settings.py     configuration, metadata, status, feature flags
  History       history.py      ancestry, differences, the log of operations
  References    references.py   branches and tags
  Sessions      sessions.py     sessions and transactions
  Merging       merging.py      merges, picked, reverted and squashed commits
  Maintenance   maintenance.py  expiration, collection of garbage, statistics
  Copying       copying.py      copies in other places
  Inspection    inspection.py   single files
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from frazil.display import Shown
from frazil.repository.copying import Copying
from frazil.repository.history import History
from frazil.repository.inspection import Inspection
from frazil.repository.maintenance import Maintenance
from frazil.repository.merging import Merging
from frazil.repository.opening import Opening
from frazil.repository.references import References
from frazil.repository.sessions import Sessions
from frazil.repository.settings import Settings
from frazil.status import RepoStatus

__all__ = ["RepoStatus", "Repository"]


class Repository(
    Opening,
    Settings,
    History,
    References,
    Sessions,
    Merging,
    Maintenance,
    Copying,
    Inspection,
):
    """A versioned tree of groups and arrays in one storage.

    Made by `create`, `open` or `open_or_create`. It can be pickled and used by any number of
    threads.
    """

    _public_name = "frazil.Repository"

    def __getstate__(self) -> object:
        return self._core

    def __setstate__(self, state: Any) -> None:
        self._core = state

    def _title(self) -> str:
        return f"{self._public_name} (v{int(self.spec_version)})"

    def _shown(self) -> Iterable[Shown]:
        return [Shown("storage", self.storage), Shown("config", self.config, brief=True)]
