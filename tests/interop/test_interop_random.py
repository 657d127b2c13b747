"""Random operations by the two libraries in turns on one folder, against plain dictionaries."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interop.libraries import FRAZIL, LIBRARIES, REAL, SPECS
from tests.interop.place import Place

ROOT = "1CECHNKREP0F1RSTCMT0"
CHUNK = 3
PATHS = ["a", "b", "g/a", "g/h/a", "g-x", "é"]
BRANCHES = ["main", "side"]

State = dict[str, list[int] | None]
"""What a tree holds by path: the values of an array; None for a group."""


@dataclass
class Model:
    """What the repository must hold."""

    branches: dict[str, State] = field(default_factory=lambda: {"main": {}})
    tags: dict[str, State | None] = field(default_factory=dict)  # None: deleted
    messages: dict[str, list[str]] = field(default_factory=lambda: {"main": []})


paths = st.sampled_from(PATHS)
branches = st.sampled_from(BRANCHES)
values = st.integers(0, 9)
edits = st.one_of(
    st.tuples(st.just("create"), paths, st.integers(0, 11)),
    st.tuples(st.just("fill"), paths, values),
    st.tuples(st.just("set"), paths, st.tuples(st.integers(0, 11), st.integers(1, 12), values)),
    st.tuples(st.just("resize"), paths, st.integers(0, 14)),
    st.tuples(st.just("delete"), st.sampled_from([*PATHS, "g", "g/h"]), st.none()),
    st.tuples(st.just("group"), st.sampled_from(["g", "g/h", "k"]), st.none()),
)
transactions = st.tuples(
    st.sampled_from(["commit", "amend"]), branches, st.lists(edits, min_size=1, max_size=5)
)
operations = st.one_of(
    transactions,
    transactions,
    transactions,
    st.tuples(st.just("branch"), branches, st.none()),
    st.tuples(st.just("reset"), branches, st.none()),
    st.tuples(st.just("unbranch"), st.just("side"), st.none()),
    st.tuples(st.just("tag"), branches, st.integers(0, 3)),
    st.tuples(st.just("untag"), st.just("main"), st.integers(0, 3)),
)
turns = st.lists(st.tuples(st.sampled_from(sorted(LIBRARIES)), operations), min_size=9, max_size=15)


def below(state: State, path: str) -> list[str]:
    return [p for p in state if p == path or p.startswith(path + "/")]


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def edit(root: zarr.Group, state: State, verb: str, path: str, argument: Any) -> None:
    """Make one change in a repository and in what it must hold; changes that cannot be, are not."""
    current = state.get(path)
    if verb == "create" and not any(state.get(p) is not None for p in parents(path)):
        root.create_array(
            path, shape=(argument,), chunks=(CHUNK,), dtype="i4", overwrite=True, compressors=None
        )
        for gone in below(state, path):
            del state[gone]
        state |= dict.fromkeys(parents(path)) | {path: [0] * argument}
    elif verb == "group" and all(state.get(p) is None for p in [*parents(path), path]):
        root.require_group(path)
        state |= dict.fromkeys([*parents(path), path])
    elif verb == "delete" and path in state:
        del root[path]
        for gone in below(state, path):
            del state[gone]
    elif verb == "fill" and current is not None:
        root[path][...] = argument
        current[:] = [argument] * len(current)
    elif verb == "set" and current is not None:
        start, stop, value = argument
        root[path][start:stop] = value
        current[start:stop] = [value] * len(current[start:stop])
    elif verb == "resize" and current is not None:
        # Zarr leaves in the last chunk what it holds beyond the new end: clear it.
        root[path][argument:] = 0
        root[path].resize((argument,))
        state[path] = current[:argument] + [0] * (argument - len(current))


def contents(store: Any) -> State:
    root = zarr.open_group(store, mode="r")
    return {
        path: node[...].tolist() if isinstance(node, zarr.Array) else None
        for path, node in root.members(max_depth=None)
    }


def act(repo: Any, model: Model, spec: int, verb: str, name: str, argument: Any) -> None:
    """One operation on the repository and on the model."""
    burnt = f"tag {argument}"
    if verb in ("commit", "amend") and name in model.branches:
        session = repo.writable_session(name)
        state = copy.deepcopy(model.branches[name])
        root = zarr.open_group(session.store)
        for change in argument:
            edit(root, state, *change)
        messages = model.messages[name]
        message = f"{verb} {len(messages)} é"
        if not session.has_uncommitted_changes:
            return
        if verb == "amend" and spec == 2 and messages:
            session.amend(message)
            model.messages[name] = [*messages[:-1], message]
        else:
            session.commit(message)
            model.messages[name] = [*messages, message]
        model.branches[name] = state
    elif verb == "branch" and "side" not in model.branches and name in model.branches:
        repo.create_branch("side", repo.lookup_branch(name))
        model.branches["side"] = model.branches[name]
        model.messages["side"] = model.messages[name]
    elif verb == "reset" and "side" in model.branches:
        other = "main" if name == "side" else "side"
        repo.reset_branch(name, repo.lookup_branch(other))
        model.branches[name] = model.branches[other]
        model.messages[name] = model.messages[other]
    elif verb == "unbranch" and "side" in model.branches:
        repo.delete_branch("side")
        del model.branches["side"], model.messages["side"]
    elif verb == "tag" and name in model.branches and burnt not in model.tags:
        repo.create_tag(burnt, repo.lookup_branch(name))
        model.tags[burnt] = model.branches[name]
    elif verb == "untag" and model.tags.get(burnt) is not None:
        repo.delete_tag(burnt)
        model.tags[burnt] = None


def expect(repo: Any, model: Model) -> None:
    """The repository is as the model says."""
    assert repo.list_branches() == set(model.branches)
    for name, state in model.branches.items():
        messages = [info.message for info in repo.ancestry(branch=name)]
        assert messages == [*model.messages[name][::-1], "Repository initialized"]
        if messages[1:]:
            assert contents(repo.readonly_session(name).store) == state
    tags = {name: state for name, state in model.tags.items() if state is not None}
    assert repo.list_tags() == set(tags)
    for name, state in tags.items():
        if repo.lookup_tag(name) != ROOT:
            assert contents(repo.readonly_session(tag=name).store) == state


@settings(max_examples=settings.default.max_examples // 2)
@given(spec=st.sampled_from(SPECS), inline=st.sampled_from([0, 512]), turns=turns)
def test_random_turns(spec: int, inline: int, turns: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder) / "repository")
        config = REAL.module.RepositoryConfig(inline_chunk_threshold_bytes=inline)
        place.create(REAL, spec, config)
        # The objects stay open, so that each library has to notice what the other does.
        repos = {library.name: place.open(library) for library in (REAL, FRAZIL)}
        model = Model()
        for name, operation in turns:
            act(repos[name], model, spec, *operation)
            for repo in repos.values():
                expect(repo, model)
        place.check()
