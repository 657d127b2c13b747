"""Manifests are cut where the real library cuts them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zarr

import frazil
from frazil.model.splits import split_sizes
from tests.interop.libraries import SPECS, icechunk

pytestmark = pytest.mark.skipif(SPECS == [1], reason="needs a way to look at extents")

SHAPE = (4, 6)
Rules = Callable[[ModuleType], dict[Any, Any]]

RULES: dict[str, Rules] = {
    "nothing": lambda m: {},
    "every dimension": lambda m: {
        m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): 3}
    },
    "one axis": lambda m: {
        m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Axis(1): 4}
    },
    "a later rule for the other axis": lambda m: {
        m.ManifestSplitCondition.path_matches("a"): {m.ManifestSplitDimCondition.Axis(0): 2},
        m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): 1},
    },
    "a rule without dimensions": lambda m: {
        m.ManifestSplitCondition.name_matches("^a$"): {},
        m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): 3},
    },
    "the first of two": lambda m: {
        m.ManifestSplitCondition.AnyArray(): {
            m.ManifestSplitDimCondition.Any(): 3,
            m.ManifestSplitDimCondition.Axis(0): 1,
        }
    },
    "names": lambda m: {
        m.ManifestSplitCondition.AnyArray(): {
            m.ManifestSplitDimCondition.DimensionName("^t"): 2,
            m.ManifestSplitDimCondition.DimensionName("l.n$"): 5,
        }
    },
    "other array": lambda m: {
        m.ManifestSplitCondition.path_matches("^a$"): {m.ManifestSplitDimCondition.Any(): 1}
    },
    "none of none": lambda m: {
        m.ManifestSplitCondition.or_conditions([]): {m.ManifestSplitDimCondition.Any(): 1}
    },
    "all of none": lambda m: {
        m.ManifestSplitCondition.and_conditions([]): {m.ManifestSplitDimCondition.Any(): 1}
    },
}


@pytest.mark.parametrize("names", [("time", "lon"), (None, "lon"), None], ids=str)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_cuts(rules: Rules, names: tuple[str | None, ...] | None, tmp_path: Path) -> None:
    config = icechunk.RepositoryConfig(
        manifest=icechunk.ManifestConfig(
            splitting=icechunk.ManifestSplittingConfig.from_dict(rules(icechunk))
        )
    )
    storage = icechunk.local_filesystem_storage(str(tmp_path))
    repo = icechunk.Repository.create(storage, config)
    session = repo.writable_session("main")
    array = zarr.group(session.store).create_array(
        "a", shape=SHAPE, chunks=(1, 1), dtype="i4", dimension_names=names
    )
    array[:] = 1
    nodes = repo.inspect_snapshot(session.commit("all"))["nodes"]
    (node,) = (node for node in nodes if node["path"] == "/a")
    real = [tuple(map(tuple, ref["extents"])) for ref in node["manifest_refs"]]

    sizes = split_sizes(frazil.ManifestSplittingConfig.from_dict(rules(frazil)), "/a", names, SHAPE)
    cuts = [
        [(start, min(start + size, length)) for start in range(0, length, size)]
        for size, length in zip(sizes, SHAPE, strict=True)
    ]
    assert sorted(real) == sorted(itertools.product(*cuts))
