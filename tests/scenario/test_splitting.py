"""How references are spread over manifests, and which of these a commit rewrites."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import frazil
from frazil import (
    ManifestConfig,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
    ManifestSplittingConfig,
    Repository,
    RepositoryConfig,
)
from frazil.errors import ErrorKind, InvalidInputError
from frazil.format.snapshot import Node
from frazil.model import manifest_plan
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around
from tests.scenario.trees import array, chunks, commit, content, get, group, tip

Any_, Axis, Name = (
    ManifestSplitDimCondition.Any(),
    ManifestSplitDimCondition.Axis,
    ManifestSplitDimCondition.DimensionName,
)
ALL = ManifestSplitCondition.AnyArray()


def splitting(sizes: dict[Any, dict[Any, int]]) -> RepositoryConfig:
    split = ManifestSplittingConfig.from_dict(sizes)
    return RepositoryConfig(manifest=ManifestConfig(splitting=split))


def extents(repo: Repository, path: str = "/a") -> list[tuple[tuple[int, int], ...]]:
    return [manifest.extents for manifest in node(repo, path).manifests]


def node(repo: Repository, path: str = "/a") -> Node:
    found = tip(repo)._workspace.node(path)
    assert found is not None
    return found


def filled(path: str, *counts: int) -> dict[str, bytes | None]:
    return {f"{path}/c/" + "/".join(map(str, coords)): b"x" for coords in np.ndindex(*counts)}


def test_every_split_is_a_manifest(spec: int) -> None:
    repo = Repository.create(
        frazil.in_memory_storage(), splitting({ALL: {Axis(0): 2, Any_: 3}}), spec_version=spec
    )
    commit(repo, {"": group(), "a": array([3, 7]), **filled("a", 3, 7)})
    assert extents(repo) == [
        ((0, 2), (0, 3)),
        ((0, 2), (3, 6)),
        ((0, 2), (6, 7)),
        ((2, 3), (0, 3)),
        ((2, 3), (3, 6)),
        ((2, 3), (6, 7)),
    ]
    files = repo.list_manifest_files(repo.lookup_branch("main"))
    assert sorted(file.num_chunk_refs for file in files) == [1, 2, 3, 3, 6, 6]
    sizes = {file.id: file.size_bytes for file in files}
    stored = repo.storage.list_objects(prefix="manifests")
    assert sizes == dict(stored)


def test_extents_are_tight(spec: int) -> None:
    config = splitting({ALL: {Any_: 10}})
    repo = Repository.create(frazil.in_memory_storage(), config, spec_version=spec)
    commit(repo, {"": group(), "a": array([100]), **chunks("a", [13, 15, 99], b"x")})
    assert extents(repo) == [((13, 16),), ((99, 100),)]


def test_the_first_rule_that_fits_counts() -> None:
    config = splitting(
        {
            ManifestSplitCondition.name_matches("^t"): {Name("time"): 2, Axis(1): 3},
            ManifestSplitCondition.path_matches("^/deep/"): {Any_: 4},
        }
    )
    repo = Repository.create(frazil.in_memory_storage(), config)
    document = array([8, 8]).replace(
        b'"node_type"', b'"dimension_names": ["x", "time"], "node_type"'
    )
    commit(
        repo,
        {
            "": group(),
            "deep": group(),
            "temp": document,
            "deep/x": array([8, 8]),
            "other": array([8, 8]),
            **filled("temp", 8, 8),
            **filled("deep/x", 8, 8),
            **filled("other", 8, 8),
        },
    )
    assert extents(repo, "/temp") == [((0, 8), (i, i + 2)) for i in range(0, 8, 2)]
    assert extents(repo, "/deep/x") == [((i, i + 4), (j, j + 4)) for i in (0, 4) for j in (0, 4)]
    assert extents(repo, "/other") == [((0, 8), (0, 8))]


@pytest.fixture
def small_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 64 references were already a lot."""
    monkeypatch.setattr(manifest_plan, "CELL_REFS", 64)


@pytest.mark.usefixtures("small_cells")
def test_an_empty_rule_is_one_manifest_for_everything() -> None:
    repo = Repository.create(frazil.in_memory_storage(), splitting({}))
    commit(repo, {"": group(), "a": array([100]), **filled("a", 100)})
    assert extents(repo) == [((0, 100),)]


@pytest.mark.usefixtures("small_cells")
def test_without_a_rule_manifests_stay_small() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    tree = {"": group(), "a": array([100]), **filled("a", 100)}
    commit(repo, {**tree, "b": array([4, 30]), **filled("b", 4, 30)})
    assert extents(repo) == [((0, 64),), ((64, 100),)]
    assert extents(repo, "/b") == [((0, 2), (0, 30)), ((2, 4), (0, 30))]
    # The first dimension grows without another layout.
    commit(repo, {"b": array([5, 30]), "b/c/4/29": b"x"})
    assert extents(repo, "/b")[2:] == [((4, 5), (29, 30))]


def test_a_size_of_zero_is_refused() -> None:
    repo = Repository.create(frazil.in_memory_storage(), splitting({ALL: {Any_: 0}}))
    with pytest.raises(InvalidInputError, match="every 0 chunks") as caught:
        commit(repo, {"": group(), "a": array([4]), "a/c/0": b"x"})
    assert caught.value.kind == ErrorKind.INVALID_MANIFEST_SPLIT_INDEX


# What is rewritten


def test_only_manifests_that_a_change_touches_are_written_or_read(spec: int) -> None:
    backend = Counting(MemoryBackend())
    storage = storage_around(backend)
    repo = Repository.create(storage, splitting({ALL: {Any_: 10}}), spec_version=spec)
    commit(repo, {"": group(), "a": array([100]), "b": array([100])})
    commit(repo, {**chunks("a", range(100), b"x"), **chunks("b", range(100), b"x")})
    a, b = node(repo).manifests, node(repo, "/b").manifests
    fresh = Repository.open(storage)
    backend.reset()
    commit(fresh, {"a/c/15": b"y", "a/c/17": None, "a/c/99": b"y"})
    assert backend.requests["put", "manifests"] == 2
    assert backend.requests["get", "manifests"] == 2
    changed = [i for i, manifest in enumerate(node(repo).manifests) if manifest != a[i]]
    assert changed == [1, 9]
    assert node(repo, "/b").manifests == b
    backend.reset()
    commit(fresh, {"a": array([100], attribute=1), "g": group()})
    assert not backend.requests["put", "manifests"]
    assert node(repo).manifests[0] == a[0]


def test_appending_leaves_old_manifests_alone(spec: int) -> None:
    backend = Counting(MemoryBackend())
    storage = storage_around(backend)
    repo = Repository.create(storage, splitting({ALL: {Axis(0): 2}}), spec_version=spec)
    commit(repo, {"": group(), "a": array([4, 3]), **filled("a", 4, 3)})
    fresh = Repository.open(storage)
    backend.reset()
    commit(fresh, {"a": array([6, 3]), "a/c/4/0": b"new", "a/c/5/2": b"new"})
    assert backend.requests["put", "manifests"] == 1
    assert not backend.requests["get", "manifests"]
    assert extents(repo) == [((0, 2), (0, 3)), ((2, 4), (0, 3)), ((4, 6), (0, 3))]


def test_without_chunks_there_is_no_manifest(spec: int) -> None:
    config = splitting({ALL: {Any_: 2}})
    repo = Repository.create(frazil.in_memory_storage(), config, spec_version=spec)
    commit(repo, {"": group(), "a": array([6]), **chunks("a", range(6), b"x")})
    commit(repo, dict.fromkeys(chunks("a", [2, 3], b"")))
    assert extents(repo) == [((0, 2),), ((4, 6),)]
    commit(repo, dict.fromkeys(chunks("a", range(6), b"")))
    assert extents(repo) == []
    assert repo.list_manifest_files(repo.lookup_branch("main")) == []


def test_another_rule_applies_to_what_is_changed(spec: int) -> None:
    storage = frazil.in_memory_storage()
    repo = Repository.create(storage, splitting({ALL: {Any_: 10}}), spec_version=spec)
    commit(repo, {"": group(), "a": array([60]), **chunks("a", range(60), b"x")})
    before = content(tip(repo))
    finer = Repository.open(storage, splitting({ALL: {Any_: 5}}))
    commit(finer, chunks("a", [12], b"y"))
    assert extents(repo) == [
        ((0, 10),),
        ((10, 15),),
        ((15, 20),),
        *(((i, i + 10),) for i in range(20, 60, 10)),
    ]
    coarser = Repository.open(storage, splitting({ALL: {Any_: 20}}))
    commit(coarser, chunks("a", [25], b"y"))
    assert ((20, 40),) in extents(repo)
    assert content(tip(repo)) == {**before, "a/c/12": b"y", "a/c/25": b"y"}


def test_the_rule_is_stored_with_the_repository(spec: int) -> None:
    storage = frazil.in_memory_storage()
    Repository.create(storage, splitting({ALL: {Any_: 3}}), spec_version=spec)
    opened = Repository.open(storage)
    commit(opened, {"": group(), "a": array([6]), **chunks("a", range(6), b"x")})
    assert extents(opened) == [((0, 3),), ((3, 6),)]


def test_a_scalar_has_one_manifest(repo: Repository) -> None:
    commit(repo, {"": group(), "s": array([]), "s/c": b"one"})
    commit(repo, {"s/c": b"two"})
    assert extents(repo, "/s") == [()]
    assert get(tip(repo), "s/c") == b"two"
    commit(repo, {"s/c": None})
    assert extents(repo, "/s") == []


def test_far_away_chunks_of_a_huge_grid(repo: Repository) -> None:
    far = 2**32 - 2
    commit(
        repo,
        {
            "": group(),
            "a": array([2**32 - 1] * 3),
            "a/c/0/0/0": b"near",
            f"a/c/{far}/{far}/{far}": b"far",
        },
    )
    view = tip(repo)
    assert get(view, "a/c/0/0/0") == b"near"
    assert get(view, f"a/c/{far}/{far}/{far}") == b"far"
    assert get(view, f"a/c/{far}/{far}/0") is None
