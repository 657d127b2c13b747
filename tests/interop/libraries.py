"""The real icechunk and Frazil behind one handle.

The real library is whatever `icechunk` is installed: 1.x writes spec 1 only, 2.x both. Importing
this module skips the importing test module when there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import frazil
from tests.servers.fixtures import CLOUDS, Cloud

icechunk = pytest.importorskip(
    "icechunk", reason="the real icechunk, which these tests compare with, is not installed"
)
# It warns about every repository on a local disk.
icechunk.set_logs_filter("error")

Repo = Any


@dataclass(frozen=True)
class Bucket:
    """A prefix in an object store."""

    cloud: Cloud
    prefix: str


@dataclass(frozen=True)
class Library:
    """One of the two implementations."""

    name: str
    module: ModuleType

    def __repr__(self) -> str:
        return self.name

    @property
    def specs(self) -> list[int]:
        return [1, 2] if hasattr(self.module, "SpecVersion") else [1]

    def storage(self, where: Path | Bucket) -> Any:
        if isinstance(where, Bucket):
            return where.cloud.storage(self.module, where.prefix)
        return self.module.local_filesystem_storage(str(where))

    def create(self, where: Path | Bucket, spec: int, config: Any = None) -> Repo:
        options = {"spec_version": spec} if len(self.specs) > 1 else {}
        return self.module.Repository.create(self.storage(where), config, **options)

    def open(self, where: Path | Bucket, config: Any = None, **options: Any) -> Repo:
        return self.module.Repository.open(self.storage(where), config, **options)


REAL = Library("real", icechunk)
FRAZIL = Library("frazil", frazil)
LIBRARIES = {library.name: library for library in (REAL, FRAZIL)}

SPECS = REAL.specs
every_spec = pytest.mark.parametrize("spec", SPECS, ids=[f"spec{n}" for n in SPECS])
needs_spec_2 = pytest.mark.skipif(
    SPECS == [1], reason=f"icechunk {icechunk.__version__} has no spec 2"
)
on_every_store = pytest.mark.parametrize("place", ["disk", *CLOUDS], indirect=True)
"""For a test in which the storage matters: not only in a folder, but on each object store too."""
both_orders = pytest.mark.parametrize(
    ("first", "second"),
    [(REAL, FRAZIL), (FRAZIL, REAL)],
    ids=["real-first", "frazil-first"],
)
