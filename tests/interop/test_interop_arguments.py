"""Arguments mean the same to both libraries, and what fits neither is refused alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import icechunk
import numpy as np
import pytest

import frazil
from tests.interop.libraries import FRAZIL, LIBRARIES, REAL, Library, both_orders, every_spec
from tests.interop.place import Place

pytestmark = pytest.mark.skipif(
    icechunk.__version__.startswith("1."), reason="arguments are those of icechunk 2"
)

VALUES = {
    "scalars": {"i": np.int16(3), "f": np.float32(2.5), "d": np.float64(1.5), "s": np.str_("x")},
    "truth": {"b": np.bool_(True), "n": None},
    "sequences": {"t": (1, (2,)), "a": np.arange(4).reshape(2, 2), "r": range(3), "z": np.array(7)},
    "numbers": {"nan": float("nan"), "inf": -float("inf"), "big": 2**64, "u64": 2**64 - 1},
    "nested": {"a": {"b": [None, {"c": 1.5}]}},
}


@both_orders
@every_spec
@pytest.mark.parametrize("name", VALUES)
def test_commit_metadata(
    place: Place, first: Library, second: Library, spec: int, name: str
) -> None:
    repo = place.create(first, spec)
    id_ = repo.writable_session("main").commit("values", VALUES[name], allow_empty=True)
    seen = [repo.lookup_snapshot(id_).metadata, next(iter(repo.ancestry(branch="main"))).metadata]
    seen.append(place.open(second).lookup_snapshot(id_).metadata)
    other = second.module.Repository.create(second.module.in_memory_storage(), spec_version=spec)
    session = other.writable_session("main")
    expected = other.lookup_snapshot(
        session.commit("values", VALUES[name], allow_empty=True)
    ).metadata
    assert seen == [expected] * 3
    assert [plain(value) for value in seen] == [plain(expected)] * 3


def plain(value: Any) -> Any:
    """The value with the types of all that is in it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("library", list(LIBRARIES.values()), ids=str)
@every_spec
def test_metadata_are_copied(library: Library, spec: int) -> None:
    module = library.module
    repo = module.Repository.create(module.in_memory_storage(), spec_version=spec)
    given = {"a": [1], "b": {"c": 2}}
    id_ = repo.writable_session("main").commit("values", given, allow_empty=True)
    given["a"].append(2)  # type: ignore[attr-defined]
    repo.lookup_snapshot(id_).metadata["b"]["d"] = 3
    next(iter(repo.ancestry(branch="main"))).metadata["e"] = 4
    assert repo.lookup_snapshot(id_).metadata == {"a": [1], "b": {"c": 2}}


@pytest.mark.parametrize("library", list(LIBRARIES.values()), ids=str)
def test_metadata_of_the_repository_are_copied(library: Library) -> None:
    module = library.module
    repo = module.Repository.create(module.in_memory_storage())
    given = {"a": (1, [2])}
    repo.set_metadata(given)
    given["a"][1].append(3)  # type: ignore[attr-defined]
    repo.get_metadata()["a"].append(4)
    repo.update_metadata({"b": 5})["a"].append(6)
    assert repo.get_metadata() == {"a": [1, [2]], "b": 5}
    defaults = {"x": [1]}
    repo.set_default_commit_metadata(defaults)
    defaults["x"].append(2)
    repo.default_commit_metadata()["x"].append(3)
    assert repo.default_commit_metadata() == {"x": [1]}


@pytest.mark.parametrize("library", list(LIBRARIES.values()), ids=str)
def test_containers_are_copied(library: Library) -> None:
    module = library.module
    config = module.RepositoryConfig()
    container = module.VirtualChunkContainer("s3://bucket/", module.s3_store())
    config.set_virtual_chunk_container(container)
    container.name = "other"
    config.virtual_chunk_containers["s3://bucket/"].name = "another"
    assert config.virtual_chunk_containers["s3://bucket/"].name is None


def repository(module: Any) -> Any:
    return module.Repository.create(module.in_memory_storage())


def session(module: Any) -> Any:
    return repository(module).writable_session("main")


REFUSED: dict[str, Callable[[Any], object]] = {
    "solver": lambda m: session(m).rebase(1),
    "no solver": lambda m: session(m).rebase(None),
    "solver of a commit": lambda m: session(m).commit("x", rebase_with=1, allow_empty=True),
    "message": lambda m: session(m).commit(1, allow_empty=True),
    "branch": lambda m: repository(m).create_branch(1, "1CECHNKREP0F1RSTCMT0"),
    "tag": lambda m: repository(m).create_tag(None, "1CECHNKREP0F1RSTCMT0"),
    "status": lambda m: repository(m).set_status("online"),
    "flag": lambda m: repository(m).set_feature_flag("create_tag", 1),
    "cutoff": lambda m: repository(m).expire_snapshots("2020-01-01"),
    "config": lambda m: m.Repository.create(m.in_memory_storage(), {}),
    "config to merge": lambda m: m.RepositoryConfig().merge({}),
    "container": lambda m: m.RepositoryConfig().set_virtual_chunk_container("s3://bucket/"),
    "containers": lambda m: m.RepositoryConfig(virtual_chunk_containers="s3://bucket/"),
    "store of a container": lambda m: m.VirtualChunkContainer("s3://bucket/", None),
    "selection": lambda m: m.BasicConflictSolver(on_chunk_conflict=1),
    "condition": lambda m: m.ManifestSplitCondition(),
    "preload condition": lambda m: m.ManifestPreloadCondition(),
    "dimension condition": lambda m: m.ManifestSplitDimCondition(),
    "path": lambda m: m.local_filesystem_storage(b"folder"),
    "no tries": lambda m: m.StorageRetriesSettings(max_tries=0),
    "tries below zero": lambda m: m.StorageRetriesSettings(max_tries=-1),
    "no requests": lambda m: m.StorageConcurrencySettings(max_concurrent_requests_for_object=0),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_fits_neither_is_the_same_error(name: str) -> None:
    def error(module: Any) -> type[Exception]:
        with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
            REFUSED[name](module)
        return caught.type

    assert error(frazil) is error(icechunk)


MEMBERS = {
    "ChunkType": "uninitialized",
    "SessionMode": "readonly",
    "RepoAvailability": "online",
    "VersionSelection": "Fail",
    "ChecksumAlgorithm": "Crc32",
    "CompressionAlgorithm": "Zstd",
}


@pytest.mark.parametrize("name", MEMBERS)
def test_the_first_member_is_as_true_as_the_others(name: str) -> None:
    members = [getattr(getattr(m, name), MEMBERS[name]) for m in (REAL.module, FRAZIL.module)]
    assert [(bool(member), int(member)) for member in members] == [(True, 0)] * 2


def test_errors_show_their_kind() -> None:
    shown = [repr(m.NodeNotFoundError("none", "node-not-found")) for m in (icechunk, frazil)]
    assert [text.partition(".")[2].replace("'", '"') for text in shown] == [
        'NodeNotFoundError(message="none", kind="node-not-found")'
    ] * 2
