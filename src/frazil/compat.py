"""Standing in for the `icechunk` package: `import icechunk` gives this one.

Code written for Icechunk then runs unchanged, and pickles that name `icechunk` classes load.
What is in it are the very same objects under both names, so classes compare and `isinstance`
works whichever name they came by. Only `icechunk.__version__` is that of the icechunk which this
package stands in for: libraries ask it what they may use.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ALIAS = "icechunk"
_REAL = "frazil"

ICECHUNK_VERSION = "2.3.0"
"""The version of icechunk whose names and signatures this package has."""


class _Package(ModuleType):
    """The package `icechunk`."""

    __version__ = ICECHUNK_VERSION

    def __getattr__(self, name: str) -> object:
        return getattr(sys.modules[_REAL], name)

    def __dir__(self) -> list[str]:
        return dir(sys.modules[_REAL])


def _real_name(fullname: str) -> str:
    return _REAL + fullname[len(_ALIAS) :]


class _Finder(MetaPathFinder, Loader):
    """Finds `icechunk` and what is below it as the modules of this package."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _ALIAS:
            return None
        real = importlib.util.find_spec(_real_name(fullname))
        if real is None:
            return None
        is_package = real.submodule_search_locations is not None
        return ModuleSpec(fullname, self, origin=real.origin, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_real_name(spec.name))
        if spec.name == _ALIAS:
            return _Package(_ALIAS, module.__doc__)
        # The import system is about to write the alias's spec into the module, which has one.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.loader is self and spec.name != _ALIAS:
            module.__spec__ = spec.loader_state


def install_as_icechunk() -> None:
    """Let `import icechunk` give this package; calling it again changes nothing.

    RuntimeError if the real `icechunk` has been imported before.
    """
    imported = sys.modules.get(_ALIAS)
    if imported is not None and not isinstance(imported, _Package):
        raise RuntimeError(
            "the icechunk package has already been imported: call "
            "frazil.install_as_icechunk() before anything imports icechunk"
        )
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
