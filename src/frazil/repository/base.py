"""What all parts of `Repository` share."""

from __future__ import annotations

from frazil.display import Displayed
from frazil.engine.repository_core import RepositoryCore
from frazil.hooks.runner import HookRunner
from frazil.library.catalog import needs_spec_2
from frazil.library.catalog_v2 import CatalogV2


class RepositoryBase(Displayed):
    """An opened repository."""

    _core: RepositoryCore

    def _open(self, core: RepositoryCore) -> None:
        self._core = core
        core.observer = HookRunner(core)

    def _v2(self, what: str) -> CatalogV2:
        catalog = self._core.catalog
        if not isinstance(catalog, CatalogV2):
            raise needs_spec_2(what)
        return catalog
