"""Repositories: the one class that users open, in parts.

Repository
  Opening       opening.py      create, open, exists
  Settings      settings.py     configuration, metadata, status, feature flags
  History       history.py      ancestry, differences, the log of operations
  Tracing       tracing.py      which commit wrote what, which broke something
  References    references.py   branches and tags
  Sessions      sessions.py     sessions and transactions
  Merging       merging.py      merges, picked, reverted and squashed commits
  Maintenance   maintenance.py  expiration, statistics, verification
  Retention     retention.py    which versions are kept
  Collection    collection.py   collection of garbage, leases against it
  Repacking     repacking.py    small chunk objects into large ones
  Purging       purging.py      what is removed from all of them
  Copying       copying.py      copies in other places
  Inspection    inspection.py   single files
  Hooked        hooked.py       what runs around commits, merges, tags and branches
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from frazil.display import Shown
from frazil.repository.collection import Collection
from frazil.repository.copying import Copying
from frazil.repository.history import History
from frazil.repository.hooked import Hooked
from frazil.repository.inspection import Inspection
from frazil.repository.maintenance import Maintenance
from frazil.repository.merging import Merging
from frazil.repository.opening import Opening
from frazil.repository.purging import Purging
from frazil.repository.references import References
from frazil.repository.repacking import Repacking
from frazil.repository.retention import Retention
from frazil.repository.sessions import Sessions
from frazil.repository.settings import Settings
from frazil.repository.tracing import Tracing
from frazil.status import RepoStatus

__all__ = ["RepoStatus", "Repository"]


class Repository(
    Opening,
    Settings,
    History,
    Tracing,
    References,
    Sessions,
    Merging,
    Maintenance,
    Retention,
    Collection,
    Repacking,
    Purging,
    Copying,
    Inspection,
    Hooked,
):
    """A versioned tree of groups and arrays in one storage.

    Made by `create`, `open` or `open_or_create`. It can be pickled and used by any number of
    threads.
    """

    _public_name = "frazil.Repository"

    def __getstate__(self) -> object:
        return self._core

    def __setstate__(self, state: Any) -> None:
        self._open(state)

    def _title(self) -> str:
        return f"{self._public_name} (v{int(self.spec_version)})"

    def _repr_html_(self) -> str:
        from frazil import notebook

        catalog = self._core.catalog
        branches = {name: str(id_) for name, id_ in catalog.branches().items()}
        names: dict[str, list[str]] = {}
        for name, id_ in [*branches.items(), *((n, str(i)) for n, i in catalog.tags().items())]:
            names.setdefault(id_, []).append(name)
        branch = "main" if "main" in branches else min(branches, default="main")
        infos = islice(self.ancestry(branch=branch), notebook.COMMITS + 1)
        commits = [(info.id, info.written_at, info.message) for info in infos]
        session = self.readonly_session(branch)
        nodes = session._workspace.nodes_under("/")
        return (
            super()._repr_html_()
            + notebook.history(commits, names, branch)
            + notebook.tree(nodes, f" in {branch}")
        )

    def _shown(self) -> Iterable[Shown]:
        known = self._core.catalog.known_identity()
        if known is not None:  # else it would take a request
            yield Shown("id", str(known))
        yield Shown("storage", self.storage)
        yield Shown("config", self.config, brief=True)
