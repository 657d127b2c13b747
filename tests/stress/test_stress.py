"""A short stress in each place; `python -m tests.stress` is a long one."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.scenario.committers import Ground
from tests.servers.s3 import S3
from tests.stress.run import stress

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")

CAST = {"write": 2, "read": 1, "pack": 1, "expire": 1, "collect": 1}
LEAST = {"write": 40, "read": 5, "pack": 1, "expired": 5, "deleted": 5}
KILLS = 3


def enough(done: Mapping[str, int], kills: int) -> bool:
    return kills >= KILLS and all(done.get(name, 0) >= n for name, n in LEAST.items())


def test_on_a_local_disk(tmp_path: Path, spec: int) -> None:
    outcome = stress(Ground(tmp_path), spec, enough, cast=CAST, seed=spec)
    assert outcome.faults == []


def test_on_an_object_store(tmp_path: Path, s3: S3) -> None:
    outcome = stress(Ground(tmp_path, s3), 2, enough, cast=CAST, seed=3)
    assert outcome.faults == []
