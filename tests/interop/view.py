"""All that a library shows of a repository, as plain values that compare."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from itertools import combinations
from typing import Any

from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from tests.interop.libraries import Repo

_CHUNK_KEY = re.compile(r"(?:(.*)/)?c((?:/\d+)*)")

Tree = dict[str, tuple[str, bytes | None]]


def history(repo: Repo) -> dict[str, Any]:
    """The snapshots that branches and tags reach, by id."""
    starts = [{"branch": b} for b in repo.list_branches()] + [{"tag": t} for t in repo.list_tags()]
    return {info.id: info for start in starts for info in repo.ancestry(**start)}


def tree(session: Any) -> Tree:
    """Every key of a session's store: what kind of thing it is, and its bytes.

    The kind is "metadata" or where a chunk is; virtual chunks have no bytes here.
    """

    async def item(key: str) -> tuple[str, bytes | None]:
        kind = "metadata"
        if not key.endswith("zarr.json"):
            match = _CHUNK_KEY.fullmatch(key)
            assert match is not None, key
            coords = [int(c) for c in match[2].split("/")[1:]]
            found = await session.chunk_type_async("/" + (match[1] or ""), coords)
            kind = str(found).rpartition(".")[2].lower()
        if kind == "virtual":
            return kind, None
        value = await session.store.get(key, default_buffer_prototype())
        return kind, None if value is None else value.to_bytes()

    async def items() -> Tree:
        keys = sorted([key async for key in session.store.list()])
        return dict(zip(keys, await asyncio.gather(*map(item, keys)), strict=True))

    return sync(items())


def plain_diff(diff: Any) -> dict[str, Any]:
    """A difference without what is empty."""
    shown: dict[str, Any] = {
        name: sorted(getattr(diff, name))
        for name in (
            *("new_groups", "new_arrays", "deleted_groups", "deleted_arrays"),
            *("updated_groups", "updated_arrays"),
        )
    }
    # The real library also lists arrays whose only changes a rebase has dropped.
    shown["updated_chunks"] = {
        path: sorted(map(list, chunks)) for path, chunks in diff.updated_chunks.items() if chunks
    }
    shown["moved_nodes"] = sorted(tuple(move) for move in getattr(diff, "moved_nodes", []))
    return {name: value for name, value in shown.items() if value}


def diffs(repo: Repo, known: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The differences between all snapshots and all of their ancestors."""
    found = {}
    for tip in set(known) - {info.parent_id for info in known.values()}:
        line = [info.id for info in repo.ancestry(snapshot_id=tip)]
        for newer, older in combinations(line, 2):
            if (older, newer) not in found:
                diff = repo.diff(from_snapshot_id=older, to_snapshot_id=newer)
                found[older, newer] = plain_diff(diff)
    return found


def operations(updates: Iterable[Any]) -> list[tuple[Any, ...]]:
    """An operations log: name and fields of each operation, its time, and its backup."""

    def fields(value: Any) -> dict[str, Any]:
        names = [n for n in dir(value) if not n.startswith("_") and n[0].islower()]
        return {n: plain(getattr(value, n)) for n in names if not callable(getattr(value, n))}

    def plain(value: Any) -> Any:
        if not hasattr(value, "availability"):
            return value if isinstance(value, bool | int) else str(value)
        status = fields(value)
        return status | {"availability": str(value.availability).rpartition(".")[2].lower()}

    return [
        (
            type(update.kind).__name__.rpartition("_")[2],
            fields(update.kind),
            update.updated_at,
            update.backup_path,
        )
        for update in updates
    ]


def view(repo: Repo) -> dict[str, Any]:
    """Branches, tags, history, all nodes and chunks of all snapshots, and all differences."""
    known = history(repo)
    shown = {
        "branches": {name: repo.lookup_branch(name) for name in repo.list_branches()},
        "tags": {name: repo.lookup_tag(name) for name in repo.list_tags()},
        "snapshots": {
            id_: (info.parent_id, info.message, info.metadata, info.written_at)
            for id_, info in known.items()
        },
        "trees": {id_: tree(repo.readonly_session(snapshot_id=id_)) for id_ in known},
        "diffs": diffs(repo, known),
    }
    if getattr(repo, "spec_version", 1) == 2:
        shown["operations"] = operations(repo.ops_log())
    return shown
