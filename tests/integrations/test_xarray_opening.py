"""Versions of a repository as datasets: `frazil.open_dataset`, and `engine="frazil"`."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client

import frazil
from frazil import InvalidInputError, RefNotFoundError, Repository, RepositoryNotFoundError
from frazil.xarray import to_icechunk
from frazil.xarray.backend import FrazilBackendEntrypoint

DS = xr.Dataset(
    {"t": (("time", "x"), np.arange(6.0).reshape(3, 2))}, coords={"time": [1, 2, 3]}, attrs={"n": 1}
)


@pytest.fixture
def versions(repo: Repository) -> list[str]:
    """Two versions: `DS` at the root and in a group, and then without its last time."""
    ids = []
    for ds in (DS, DS.isel(time=slice(2))):
        session = repo.writable_session("main")
        to_icechunk(xr.DataTree.from_dict({"/": ds, "/a/b": ds + 1}), session, mode="w")
        ids.append(session.commit("version"))
    repo.create_tag("v1", ids[0])
    return ids


def path_of(repo: Repository, tmp_path: Path) -> Path:
    return tmp_path / "repository"


SOURCES: dict[str, Callable[[Repository, Path], Any]] = {
    "path": path_of,
    "url": lambda repo, tmp_path: path_of(repo, tmp_path).as_uri(),
    "text": lambda repo, tmp_path: str(path_of(repo, tmp_path)),
    "storage": lambda repo, tmp_path: repo.storage,
    "repository": lambda repo, tmp_path: repo,
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("opened", [frazil.open_dataset, xr.open_dataset])
def test_any_version_from_any_source(
    repo: Repository, versions: list[str], tmp_path: Path, name: str, opened: Any
) -> None:
    source = SOURCES[name](repo, tmp_path)
    options = {} if opened is frazil.open_dataset else {"engine": FrazilBackendEntrypoint}
    of: list[tuple[dict[str, Any], xr.Dataset]] = [
        ({}, DS.isel(time=slice(2))),
        ({"branch": "main"}, DS.isel(time=slice(2))),
        ({"tag": "v1"}, DS),
        ({"snapshot_id": versions[0]}, DS),
        ({"branch": "main", "as_of": repo.lookup_snapshot(versions[0]).written_at}, DS),
    ]
    for version, expected in of:
        xr.testing.assert_identical(opened(source, **version, **options).load(), expected)
    with opened(source, group="a/b", tag="v1", consolidated=True, **options) as group:
        assert (group.t.values == DS.t.values + 1).all()  # the coordinate is the root's


def test_sessions_and_stores(repo: Repository, versions: list[str]) -> None:
    session = repo.readonly_session(tag="v1")
    for source in (session, session.store):
        xr.testing.assert_identical(frazil.open_dataset(source).load(), DS)
        with pytest.raises(InvalidInputError, match="shows one version already"):
            frazil.open_dataset(source, branch="main")
    writable = repo.writable_session("main")
    to_icechunk(DS * 2, writable, mode="w")
    xr.testing.assert_equal(frazil.open_dataset(writable).load(), DS * 2)


def test_trees(repo: Repository, versions: list[str], tmp_path: Path) -> None:
    expected = xr.DataTree.from_dict({"/": DS, "/a/b": DS + 1})
    path = path_of(repo, tmp_path)
    engine: Any = FrazilBackendEntrypoint
    for tree in (
        frazil.open_datatree(path, tag="v1"),
        frazil.open_datatree(repo, tag="v1", chunks={}),
        xr.open_datatree(path, engine=engine, tag="v1"),
    ):
        xr.testing.assert_equal(tree.load(), expected)
    groups = xr.open_groups(path, engine=engine, tag="v1", consolidated=None)
    assert set(groups) == {"/", "/a", "/a/b"}
    xr.testing.assert_identical(groups["/"].load(), DS)
    below = frazil.open_datatree(repo, tag="v1", group="a")
    assert (below["b/t"].values == DS.t.values + 1).all()


def test_chunks_are_those_that_are_stored(repo: Repository) -> None:
    session = repo.writable_session("main")
    to_icechunk(DS, session, encoding={"t": {"chunks": (2, 1)}})
    session.commit("chunks")
    assert frazil.open_dataset(repo).chunks == {}
    assert frazil.open_dataset(repo, chunks={}).chunks == {"time": (2, 1), "x": (1, 1)}


def test_what_is_not_there(repo: Repository, versions: list[str], tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        frazil.open_dataset(tmp_path / "nowhere")
    with pytest.raises(RefNotFoundError):
        frazil.open_dataset(repo, tag="v9")
    with pytest.raises(FileNotFoundError):
        frazil.open_dataset(repo, group="nowhere")
    with pytest.raises(ValueError, match="exactly one"):
        frazil.open_dataset(repo, tag="v1", branch="main")
    with pytest.raises(AttributeError, match="open_nothing"):
        frazil.open_nothing  # noqa: B018


def test_options_of_a_storage(repo: Repository, versions: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="go with a URL"):
        frazil.open_dataset(repo, storage_options={"region": "eu-west-1"})
    with pytest.raises((TypeError, frazil.IcechunkError), match="colour"):
        frazil.open_dataset(path_of(repo, tmp_path), storage_options={"colour": "red"})


def test_xarray_finds_the_engine(repo: Repository, versions: list[str], tmp_path: Path) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    module, _, name = project["project"]["entry-points"]["xarray.backends"]["frazil"].partition(":")
    assert getattr(importlib.import_module(module), name) is FrazilBackendEntrypoint
    engine = FrazilBackendEntrypoint()
    for source in (repo, repo.storage, repo.at(), repo.at().store, path_of(repo, tmp_path)):
        assert engine.guess_can_open(source)
    v1 = Repository.create(frazil.local_filesystem_storage(str(tmp_path / "one")), spec_version=1)
    assert engine.guess_can_open(str(tmp_path / "one"))
    assert v1.spec_version == 1
    for other in (tmp_path, "data.nc", "s3://bucket/repository", b"\x89HDF"):
        assert not engine.guess_can_open(other)


def test_workers_read_a_version(repo: Repository, versions: list[str], client: Client) -> None:
    ds = frazil.open_dataset(repo, tag="v1", chunks={"time": 3})
    assert float(ds.t.sum()) == 15.0
    session = client.submit(_same, repo.at(tag="v1")).result()
    xr.testing.assert_identical(frazil.open_dataset(session).load(), DS)


def _same(session: frazil.Session) -> frazil.Session:
    return session
