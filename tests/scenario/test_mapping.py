"""Nodes by path: `session[...]`, `repo.at(...)`, `repo.edit(...)`."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import zarr

import frazil
from frazil import NodeNotFoundError, ReadOnlyError, SessionStateError


def values(node: object) -> list[float]:
    assert isinstance(node, zarr.Array)
    return list(np.asarray(node[...]).tolist())


def filled(repo: frazil.Repository) -> str:
    with repo.edit("main", "first", metadata={"by": "me"}) as tree:
        tree["ocean/depth"] = np.arange(4.0)
        tree["time"] = [1, 2, 3]
    return repo.lookup_branch("main")


def test_edits_are_commits(repo: frazil.Repository) -> None:
    repo.create_tag("v1", filled(repo))
    with repo.edit("main", "second") as tree:
        tree["/ocean/depth/"][1:3] = 7
        tree["ocean"].attrs["source"] = "drawn"
        del tree["time"]
    assert values(repo.at()["ocean/depth"]) == [0, 7, 7, 3]
    assert values(repo.at(tag="v1")["ocean/depth"]) == [0, 1, 2, 3]
    assert values(repo.at("main")["ocean"]["depth"]) == [0, 7, 7, 3]  # type: ignore[index]
    assert list(repo.at()) == ["ocean", "ocean/depth"]
    assert list(repo.at(tag="v1")) == ["ocean", "ocean/depth", "time"]
    assert repo.at()["ocean"].attrs["source"] == "drawn"
    root = repo.at()[""]
    assert isinstance(root, zarr.Group)
    assert dict(root.groups()).keys() == {"ocean"}
    assert "ocean/depth" in repo.at()
    assert "time" not in repo.at()
    assert 3 not in repo.at()
    infos = list(repo.ancestry(branch="main"))[:2]
    assert [(info.message, info.metadata.get("by")) for info in infos] == [
        ("second", None),
        ("first", "me"),
    ]


def test_nothing_is_committed_where_something_goes_wrong(repo: frazil.Repository) -> None:
    tip = filled(repo)

    def half() -> None:
        with repo.edit("main", "half") as tree:
            tree["time"][0] = 5
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert repo.lookup_branch("main") == tip
    with pytest.raises(SessionStateError, match="no changes"), repo.edit("main", "none"):
        pass
    with repo.edit("main", "late", rebase_with=frazil.ConflictDetector()) as tree:
        tree["time"][0] = 5
        with repo.edit("main", "meanwhile") as other:
            other["ocean/depth"][0] = 5
    assert [info.message for info in repo.ancestry(branch="main")][:2] == ["late", "meanwhile"]


def test_what_is_not_there_or_not_allowed(repo: frazil.Repository) -> None:
    filled(repo)
    session = repo.writable_session("main")
    for attempt in (lambda: session["sea"], lambda: session.__delitem__("sea")):
        with pytest.raises(NodeNotFoundError, match="'sea'"):
            attempt()
    with pytest.raises(frazil.InvalidInputError, match="invalid node path"):
        session["ocean/../time"]
    past = repo.at()
    with pytest.raises(ReadOnlyError):
        past["new"] = [1]
    with pytest.raises(ReadOnlyError):
        del past["time"]
    with pytest.raises(ValueError, match="read-only"):
        past["time"][0] = 1


def test_arrays_take_the_place_of_what_was_there(repo: frazil.Repository) -> None:
    filled(repo)
    with repo.edit("main", "replaced") as tree:
        tree["time"] = np.array(["a", "bc"])
        tree["ocean/depth"] = 5.0
    assert values(repo.at()["time"]) == ["a", "bc"]
    assert repo.at()["ocean/depth"][()] == 5.0


def test_within_a_running_event_loop(repo: frazil.Repository) -> None:
    """Blocking calls work there too: none raises Zarr's `SyncError`."""

    async def torn() -> None:
        async with repo.edit("main", "fourth") as tree:
            del tree["a"]
            raise ZeroDivisionError

    async def main() -> None:
        async with repo.edit("main", "first") as tree:
            tree["a/b"] = np.arange(4)
            assert values(tree["a/b"]) == [0, 1, 2, 3]
        with repo.edit("main", "second") as tree:
            tree["a/b"][0] = 9
        past = await repo.at_async()
        assert values(past["a/b"]) == [9, 1, 2, 3]
        session = await repo.writable_session_async("main")
        zarr.open_group(session.store)["a"].attrs["x"] = 1
        await session.commit_async("third")
        with pytest.raises(ZeroDivisionError):
            await torn()

    asyncio.run(main())
    messages = [info.message for info in repo.ancestry(branch="main")]
    assert messages[:3] == ["third", "second", "first"]
    assert list(repo.at()) == ["a", "a/b"]
