"""Opening by URL: repositories, and sessions on their versions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import zarr

import frazil
from frazil.errors import RepositoryNotFoundError, StorageError
from frazil.storage.doubles import Counting
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around


@pytest.fixture(params=["path", "url", "memory", "storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A repository with a branch and a tag, by a way to name it."""
    url: Any = {
        "path": tmp_path / "repo",
        "url": (tmp_path / "repo").as_uri(),
        "memory": f"memory:{uuid4()}",
        "storage": frazil.in_memory_storage(),
    }[request.param]
    repo = frazil.open(url, create=True)
    with repo.transaction("main", message="one") as store:
        zarr.create_array(store, name="a", data=np.arange(3))
    repo.create_tag("v1", repo.lookup_branch("main"))
    with repo.transaction("main", message="two") as store:
        zarr.open_array(store, path="a")[0] = 7
    return url


def first(session: frazil.Session) -> int:
    return int(zarr.open_array(session.store, path="a", mode="r")[0])


def test_without_a_version_it_is_a_repository(place: Any) -> None:
    repo = frazil.open(place)
    assert isinstance(repo, frazil.Repository)
    assert repo.list_tags() == {"v1"}
    assert frazil.open(place, create=True).list_tags() == {"v1"}


def test_with_a_version_it_is_a_session_for_reading(place: Any) -> None:
    repo = frazil.open(place)
    versions = [info.id for info in repo.ancestry(branch="main")]
    times = [info.written_at for info in repo.ancestry(branch="main")]
    assert first(frazil.open(place, branch="main")) == 7
    assert first(frazil.open(place, tag="v1")) == 0
    assert first(frazil.open(place, snapshot=versions[0])) == 7
    assert first(frazil.open(place, snapshot=versions[1])) == 0
    assert first(frazil.open(place, branch="main", as_of=times[1])) == 0
    assert frazil.open(place, branch="main").read_only


def test_a_branch_can_be_written(place: Any) -> None:
    session = frazil.open(place, branch="main", writable=True)
    zarr.open_array(session.store, path="a")[0] = 9
    session.commit("three")
    assert first(frazil.open(place, branch="main")) == 9


async def test_awaitable(place: Any) -> None:
    assert first(await frazil.open_async(place, tag="v1")) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"branch": "main", "tag": "v1"}, "branch and tag do not go together"),
        ({"tag": "v1", "snapshot": "x"}, "tag and snapshot do not go together"),
        ({"tag": "v1", "writable": True}, "writable goes with branch"),
        ({"writable": True}, "writable goes with branch"),
        ({"as_of": datetime(2030, 1, 1, tzinfo=UTC)}, "as_of goes with branch"),
        (
            {"branch": "main", "as_of": datetime(2030, 1, 1, tzinfo=UTC), "writable": True},
            "starts from the tip",
        ),
    ],
)
def test_arguments_that_do_not_go_together(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        frazil.open(f"memory:{uuid4()}", create=True, **arguments)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        frazil.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(StorageError, match="'regoin' is unknown"):
        frazil.open("s3://b/p?regoin=x")
    with pytest.raises(ValueError, match="a Storage has its options already: region"):
        frazil.open(frazil.in_memory_storage(), region="x")


def test_the_configuration_goes_over_the_stored_one(tmp_path: Path) -> None:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=7)
    frazil.open(tmp_path / "repo", create=True)
    repo = frazil.open(tmp_path / "repo", config=config)
    assert repo.config.inline_chunk_threshold_bytes == 7


@pytest.mark.parametrize("version", [{"branch": "main"}, {"tag": "v1"}, {"snapshot": ""}])
@pytest.mark.parametrize("writable", [False, True])
def test_opening_a_version_reads_the_repo_object_once(
    version: dict[str, str], writable: bool
) -> None:
    counting = Counting(MemoryBackend())
    storage = storage_around(counting)
    repo = frazil.Repository.create(storage)
    repo.create_tag("v1", repo.lookup_branch("main"))
    if "snapshot" in version:
        version = {"snapshot": repo.lookup_branch("main")}
    options: Any = version | ({"writable": True} if writable and "branch" in version else {})
    counting.reset()
    session = frazil.open(storage, **options)
    assert [n for (_, what), n in counting.requests.items() if what == "repo"] == [1]
    other = repo.writable_session("main")
    zarr.create_group(other.store)
    tip = other.commit("later")
    assert session.snapshot_id != tip
    if "branch" in version:
        assert frazil.open(storage, branch="main").snapshot_id == tip
