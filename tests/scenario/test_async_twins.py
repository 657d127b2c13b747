"""Every blocking method has a coroutine twin; both work while an event loop runs."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import frazil
from frazil import ConflictDetector, IcechunkStore, Repository, RepositoryConfig
from frazil.errors import ConflictError, RefNotFoundError
from frazil.session import Session
from tests.scenario.trees import array, change, chunks, commit, get, group, grown

INVENTORY = Path(__file__).parents[1] / "parity" / "inventory.json"
CLASSES = {"Repository": Repository, "Session": Session, "IcechunkStore": IcechunkStore}


def twins() -> list[tuple[type, str]]:
    """The blocking methods here whose counterparts in Icechunk have a twin."""
    names = json.loads(INVENTORY.read_text())
    found = []
    for name in names:
        parts = name.split(".")
        if len(parts) == 3 and parts[1] in CLASSES and parts[2].endswith("_async"):
            cls, method = CLASSES[parts[1]], parts[2].removesuffix("_async")
            if hasattr(cls, method):
                found.append((cls, method))
    return found


@pytest.mark.parametrize(
    ("cls", "name"), twins(), ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_a_twin_takes_the_same_arguments(cls: type, name: str) -> None:
    blocking, twin = getattr(cls, name), getattr(cls, f"{name}_async")
    parameters = inspect.signature(blocking).parameters
    assert list(inspect.signature(twin).parameters.values()) == list(parameters.values())
    assert twin.__name__ == f"{name}_async"
    assert twin.__doc__
    if name != "ops_log":  # which has an asynchronous iterator for a twin
        assert inspect.iscoroutinefunction(twin)


def test_there_are_twins() -> None:
    assert len(twins()) >= 39


async def test_repositories(storage: frazil.Storage, spec: int) -> None:
    assert not await Repository.exists_async(storage)
    assert await Repository.fetch_spec_version_async(storage) is None
    repo = await Repository.create_async(storage, spec_version=spec)
    assert await Repository.exists_async(storage)
    assert await Repository.fetch_spec_version_async(storage) == spec
    assert await Repository.fetch_config_async(storage) is None
    opened = await Repository.open_async(storage, RepositoryConfig(inline_chunk_threshold_bytes=9))
    await opened.save_config_async()
    stored = await Repository.fetch_config_async(storage)
    assert stored is not None
    assert stored.inline_chunk_threshold_bytes == 9
    again = await Repository.open_or_create_async(storage)
    assert again.config.inline_chunk_threshold_bytes == 9
    assert (await repo.reopen_async()).spec_version == spec


async def test_sessions_and_history(repo: Repository) -> None:
    one = grown(repo)
    session = await repo.writable_session_async("main")
    change(session, {"a/c/0": b"mine", "g": group()})
    two = await session.commit_async("two", {"n": 1})
    assert await repo.lookup_branch_async("main") == two
    assert (await repo.lookup_snapshot_async(two)).metadata == {"n": 1}
    diff = await repo.diff_async(from_snapshot_id=one, to_branch="main")
    assert diff.updated_chunks == {"/a": [[0]]}
    assert await repo.list_manifest_files_async(two) == repo.list_manifest_files(two)
    assert str(await repo.ancestry_graph_async(plain=True)) == str(repo.ancestry_graph(plain=True))
    assert [item async for item in repo.async_ancestry(tag=None, branch="main")] == list(
        repo.ancestry(branch="main")
    )
    view = await repo.readonly_session_async(snapshot_id=one)
    assert get(view, "a/c/0") == b"base"
    assert await view.get_node_id_async("/a") == view.get_node_id("/a")
    assert await view.chunk_type_async("/a", [0]) is frazil.ChunkType.inline
    detached = await repo.readonly_session("main").flush_async("aside")
    assert (await repo.lookup_snapshot_async(detached)).parent_id == two
    if repo.spec_version == 2:
        session = change(repo.writable_session("main"), {"h": group()})
        amended = await session.amend_async("again")
        assert await repo.lookup_branch_async("main") == amended
        assert [update async for update in repo.ops_log_async()] == list(repo.ops_log())


async def test_branches_and_tags(repo: Repository) -> None:
    one = grown(repo)
    two = commit(repo, chunks("a", [0], b"two"))
    await repo.create_branch_async("dev", one)
    await repo.create_tag_async("t", one)
    assert await repo.list_branches_async() == {"main", "dev"}
    assert await repo.list_tags_async() == {"t"}
    assert await repo.lookup_tag_async("t") == one
    await repo.reset_branch_async("dev", two, from_snapshot_id=one)
    assert await repo.lookup_branch_async("dev") == two
    await repo.delete_branch_async("dev")
    await repo.delete_tag_async("t")
    with pytest.raises(RefNotFoundError):
        await repo.lookup_branch_async("dev")
    with pytest.raises(RefNotFoundError):
        await repo.readonly_session_async(tag="t")


async def test_blocking_calls_inside_of_an_event_loop(storage: frazil.Storage, spec: int) -> None:
    repo = Repository.create(storage, spec_version=spec)
    commit(repo, {"": group(), "a": array([50])})
    session = change(repo.writable_session("main"), {f"a/c/{i}": bytes(1000) for i in range(50)})
    other = change(repo.writable_session("main"), {"g": group()})
    session.commit("blocking")
    with pytest.raises(ConflictError):
        other.commit("too late")
    other.commit("in time", rebase_with=ConflictDetector())
    view = repo.readonly_session("main")
    assert all(get(view, f"a/c/{i}") == bytes(1000) for i in range(50))
    assert len(list(repo.ancestry(branch="main"))) == 4
    assert repo.diff(from_snapshot_id="1CECHNKREP0F1RSTCMT0", to_branch="main").new_groups == {
        "/",
        "/g",
    }


async def test_many_at_once(spec: int) -> None:
    """More than the pool has threads: nobody may wait for a thread that waits for the pool."""
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    commit(repo, {"": group(), "a": array([80])})

    async def one(i: int) -> str:
        session = await repo.writable_session_async("main")
        change(session, {f"a/c/{i}": b"%d" % i * 600})
        return await session.commit_async("one of many", rebase_with=ConflictDetector())

    reported: list[Any] = await asyncio.gather(*(one(i) for i in range(40)))
    history = [item.id async for item in repo.async_ancestry(branch="main")]
    assert set(reported) < set(history)
    assert len(history) == 42
    view = await repo.readonly_session_async("main")
    assert all(get(view, f"a/c/{i}") == b"%d" % i * 600 for i in range(40))
