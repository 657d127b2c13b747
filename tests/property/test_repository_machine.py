"""A repository under random operations, beside a model of it: a dictionary of versions.

A version is the dictionary of all keys of a store with their values, and which node is at each
path: one that was moved is still the same, and one that was made anew is not. After each step the
repository has the branches and tags of the model, and each version that a step makes or moves
to shows what the model says; at the end all versions do, and the real Icechunk sees the same.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import frazil
from frazil import BasicConflictSolver, ConflictDetector, Repository
from frazil.errors import (
    ErrorKind,
    IcechunkError,
    InvalidInputError,
    RebaseFailedError,
    SessionStateError,
)
from frazil.ids import SnapshotId
from frazil.model.descent import common_ancestor
from frazil.session import Session
from tests.scenario.trees import array, content, erase, group, put

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
ROOT = "1CECHNKREP0F1RSTCMT0"
CHUNKS = 4
GROUPS = ("g", "g/h", "k")
ARRAYS = ("a", "g/b", "g/h/d")

Value = Any
Tree = dict[str, Value]
"""The document of each `zarr.json`, the bytes of each chunk."""
Nodes = dict[str, int]
"""Which node is at each path."""
Step = tuple[str, str, Any]
_new_node = count()

branches = st.sampled_from(["main", "b1", "b2"])
pick = st.integers(0, 1_000)
attributes = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2), max_size=2)
values = st.one_of(st.binary(min_size=1, max_size=3), st.integers(600, 900).map(lambda n: b"v" * n))
steps = st.one_of(
    st.tuples(st.just("group"), st.sampled_from(GROUPS), attributes),
    st.tuples(st.just("array"), st.sampled_from(ARRAYS), attributes),
    st.tuples(
        st.just("chunk"), st.sampled_from(ARRAYS), st.tuples(st.integers(0, CHUNKS - 1), values)
    ),
    st.tuples(st.just("erase chunk"), st.sampled_from(ARRAYS), st.integers(0, CHUNKS - 1)),
    st.tuples(st.just("erase"), st.sampled_from(GROUPS + ARRAYS), st.none()),
)
changes = st.lists(steps, min_size=1, max_size=6)
solvers = st.sampled_from([ConflictDetector(), BasicConflictSolver()])


def document(tree: Tree, path: str) -> Value:
    """The document of a node, None if there is no such node."""
    return tree.get(f"{path}/zarr.json" if path else "zarr.json")


def is_a(tree: Tree, path: str, kind: str) -> bool:
    found = document(tree, path)
    return found is not None and found["node_type"] == kind


def below(tree: Tree, path: str) -> list[str]:
    """The keys of a node and all that is below it."""
    return [key for key in tree if key.startswith(f"{path}/")]


def possible(tree: Tree, step: Step) -> bool:
    """Whether the step is one that a careful user takes."""
    kind, path, _ = step
    if kind in ("chunk", "erase chunk"):
        return is_a(tree, path, "array")
    if kind == "erase":
        return document(tree, path) is not None
    parent = path.rpartition("/")[0]
    return is_a(tree, parent, "group") and not is_a(
        tree, path, "array" if kind == "group" else "group"
    )


def applied(tree: Tree, step: Step) -> Tree:
    """The tree after the step."""
    kind, path, value = step
    tree = dict(tree)
    match kind:
        case "group":
            tree[f"{path}/zarr.json"] = json.loads(group(**value))
        case "array":
            tree[f"{path}/zarr.json"] = json.loads(array([CHUNKS], **value))
        case "chunk":
            tree[f"{path}/c/{value[0]}"] = value[1]
        case "erase chunk":
            tree.pop(f"{path}/c/{value}", None)
        case "erase":
            for key in below(tree, path):
                if value is None or node_of(key) in value:
                    del tree[key]
    return tree


def placed(nodes: Nodes, steps: list[Step]) -> Nodes:
    """Which node is where after these steps."""
    nodes = dict(nodes)
    for kind, path, value in steps:
        if kind in ("group", "array") and path not in nodes:
            nodes[path] = next(_new_node)
        elif kind == "erase":
            for other in list(nodes):
                if f"{other}/".startswith(f"{path}/") and (value is None or other in value):
                    del nodes[other]
    return nodes


def node_of(key: str) -> str:
    """The path of the node that a key belongs to."""
    return key.removesuffix("zarr.json").partition("/c/")[0].strip("/")


def take(session: Session, step: Step) -> None:
    """Do the step."""
    kind, path, value = step
    match kind:
        case "group":
            put(session, path, group(**value))
        case "array":
            put(session, path, array([CHUNKS], **value))
        case "chunk":
            put(session, f"{path}/c/{value[0]}", value[1])
        case "erase chunk":
            erase(session, f"{path}/c/{value}")
        case "erase":
            erase(session, path)


def moved(tree: Tree, source: str, target: str) -> Tree:
    inside = set(below(tree, source))
    return {
        target + key.removeprefix(source) if key in inside else key: value
        for key, value in tree.items()
    }


def decoded(found: Iterable[tuple[str, bytes | None]]) -> Tree:
    return {
        key: json.loads(data) if key.endswith("zarr.json") and data is not None else data
        for key, data in found
    }


def shown(session: Session) -> Tree:
    return decoded(content(session).items())


def three_way(base: Tree, ours: Tree, theirs: Tree) -> Tree:
    """What a merge without conflicts makes of the keys; documents are merged by attribute."""
    merged = {}
    for key in base | ours | theirs:
        b, o, t = (tree.get(key) for tree in (base, ours, theirs))
        if o == t or b == o:
            value = t
        elif b == t:
            value = o
        else:
            assert key.endswith("zarr.json"), f"{key}: both changed it, and that is no conflict"
            value = _merged_document(b, o, t)
        if value is not None:
            merged[key] = value
    return merged


@dataclass(frozen=True)
class Version:
    """The keys of a version, and which nodes they belong to."""

    tree: Tree
    nodes: Nodes

    def by_node(self) -> dict[int, tuple[str, Tree]]:
        """The path of each node, and the rest of each of its keys with the value."""
        found: dict[int, tuple[str, Tree]] = {id_: (path, {}) for path, id_ in self.nodes.items()}
        for key, value in self.tree.items():
            path = node_of(key)
            found[self.nodes[path]][1][key.removeprefix(path).removeprefix("/")] = value
        return found


def merged(base: Version, ours: Version, theirs: Version) -> Version:
    """What a merge without conflicts makes of nodes, wherever they are."""
    before, mine, other = base.by_node(), ours.by_node(), theirs.by_node()
    for id_, (path, keys) in list(mine.items()):
        there = theirs.nodes.get(path)
        if there is not None and not {id_, there} & before.keys() and there not in mine:
            # Both made a node there, which they agree on: it is one from now on.
            del mine[id_]
            mine[there] = path, keys

    def flat(side: dict[int, tuple[str, Tree]]) -> Tree:
        return {f"{id_}/{key}": v for id_, (_, keys) in side.items() for key, v in keys.items()}

    paths = {}
    for id_ in before | mine | other:
        b, o, t = (side[id_][0] if id_ in side else None for side in (before, mine, other))
        paths[id_] = o if b == t or t is None else t
    tree, nodes = {}, {}
    for name, value in three_way(flat(before), flat(mine), flat(other)).items():
        number, _, key = name.partition("/")
        path = paths[int(number)]
        assert path is not None
        assert nodes.setdefault(path, int(number)) == int(number), f"two nodes are at {path}"
        tree[f"{path}/{key}" if path else key] = value
    return Version(tree, nodes)


def _merged_document(base: Any, ours: Any, theirs: Any) -> Any:
    assert None not in (ours, theirs), "one deleted what the other changed, and that is no conflict"
    attributes = {}
    before = {} if base is None else base["attributes"]
    for key in before | ours["attributes"] | theirs["attributes"]:
        b, o, t = (side.get(key) for side in (before, ours["attributes"], theirs["attributes"]))
        assert o == t or b in (o, t), f"both changed the attribute {key}, and that is no conflict"
        value = t if o == t or b == o else o
        if value is not None:
            attributes[key] = value
    return theirs | {"attributes": attributes}


@dataclass
class Open:
    """A session with changes that are not committed."""

    session: Session
    branch: str
    base: str
    steps: list[Step]
    version: Version


class Machine(RuleBasedStateMachine):
    """The repository is in `repo`; all else is the model."""

    spec: int
    on_disk: bool

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp() if self.on_disk else None
        if self.folder is None:
            self.storage = frazil.in_memory_storage()
        else:
            self.storage = frazil.local_filesystem_storage(self.folder)
        self.repo = Repository.create(self.storage, spec_version=self.spec)
        self.versions: dict[str, Tree] = {ROOT: {}}
        self.nodes: dict[str, Nodes] = {ROOT: {}}
        self.branches = {"main": ROOT}
        self.tags: dict[str, str] = {}
        self.used_tags = 0
        self.with_moves: set[str] = set()
        self.has_expired = False
        self.open: list[Open] = []

    # Helpers

    def tip(self, branch: str) -> Tree:
        return self.versions[self.branches[branch]]

    def version_of(self, id_: str) -> Version:
        return Version(self.versions[id_], self.nodes[id_])

    def made(self, branch: str, id_: str, tree: Tree, nodes: Nodes) -> None:
        """A branch is now at a new version."""
        assert id_ not in self.versions
        assert set(map(node_of, tree)) == nodes.keys()
        self.nodes[id_] = nodes
        note(f"{branch} is at {id_}")
        self.versions[id_] = tree
        self.branches[branch] = id_
        self.check(id_)

    def check(self, id_: str) -> None:
        assert shown(self.repo.readonly_session(snapshot_id=id_)) == self.versions[id_]

    def existing(self, branch: str) -> str:
        """The branch, `main` if there is none of this name."""
        return branch if branch in self.branches else "main"

    def version(self, number: int) -> str:
        return list(self.versions)[number % len(self.versions)]

    def history(self, branch: str) -> list[str]:
        return [item.id for item in self.repo.ancestry(branch=branch)]

    def prepared(self, session: Session, tree: Tree, wanted: list[Step]) -> list[Step]:
        """Take those steps that are possible, which are returned; there is always one."""
        taken = []
        if document(tree, "") is None:
            put(session, "", group())
            taken.append(("group", "", {}))
            tree = tree | {"zarr.json": json.loads(group())}
        for step in wanted:
            if possible(tree, step):
                take(session, step)
                if step[0] == "erase":
                    # Of the nodes below, those that others make meanwhile stay.
                    step = "erase", step[1], frozenset(map(node_of, below(tree, step[1])))
                tree = applied(tree, step)
                taken.append(step)
        return taken

    # Rules

    @initialize(wanted=changes)
    def first(self, wanted: list[Step]) -> None:
        self.commit("main", wanted)

    @rule(branch=branches, wanted=changes)
    def commit(self, branch: str, wanted: list[Step]) -> None:
        branch = self.existing(branch)
        session = self.repo.writable_session(branch)
        taken = self.prepared(session, self.tip(branch), wanted)
        tree = replayed(self.tip(branch), taken)
        assert shown(session) == tree
        nodes = placed(self.nodes[self.branches[branch]], taken)
        self.made(branch, session.commit("commit", allow_empty=True), tree, nodes)

    @precondition(lambda self: self.spec > 1)
    @rule(branch=branches, wanted=changes)
    def amend(self, branch: str, wanted: list[Step]) -> None:
        branch = self.existing(branch)
        before = self.branches[branch]
        if before in self.with_moves or before == ROOT:
            return
        session = self.repo.writable_session(branch)
        taken = self.prepared(session, self.tip(branch), wanted)
        tree, nodes = replayed(self.tip(branch), taken), placed(self.nodes[before], taken)
        self.made(branch, session.amend("amended", allow_empty=True), tree, nodes)

    @precondition(lambda self: self.spec > 1)
    @rule(branch=branches, source=st.sampled_from(GROUPS + ARRAYS), into=st.sampled_from(GROUPS))
    def move(self, branch: str, source: str, into: str) -> None:
        branch = self.existing(branch)
        tree = self.tip(branch)
        target = f"{into}/{source.rpartition('/')[2]}"
        inside = f"{into}/".startswith(f"{source}/")
        if (
            document(tree, source) is None
            or document(tree, target) is not None
            or inside
            or not is_a(tree, into, "group")
        ):
            return
        session = self.repo.rearrange_session(branch)
        session.move(f"/{source}", f"/{target}")
        id_ = session.commit("moved")
        self.with_moves.add(id_)
        nodes = {
            target + path.removeprefix(source) if f"{path}/".startswith(f"{source}/") else path: id_
            for path, id_ in self.nodes[self.branches[branch]].items()
        }
        self.made(branch, id_, moved(tree, source, target), nodes)

    @rule(branch=branches, wanted=changes)
    def begin(self, branch: str, wanted: list[Step]) -> None:
        branch = self.existing(branch)
        tree = self.tip(branch)
        session = self.repo.writable_session(branch)
        taken = self.prepared(session, tree, wanted)
        self.open.append(
            Open(
                session,
                branch,
                self.branches[branch],
                effective(tree, taken),
                Version(replayed(tree, taken), placed(self.nodes[self.branches[branch]], taken)),
            )
        )

    @precondition(lambda self: self.open)
    @rule(number=pick, solver=solvers)
    def finish(self, number: int, solver: frazil.ConflictSolver) -> None:
        mine = self.open.pop(number % len(self.open))
        if mine.branch not in self.branches:
            return
        tip = self.branches[mine.branch]
        assert shown(mine.session) == mine.version.tree
        line = self.history(mine.branch)
        between = line[: line.index(mine.base)] if mine.base in line else None
        try:
            id_ = mine.session.commit("rebased", rebase_with=solver, allow_empty=True)
        except IcechunkError as error:
            if between is None:  # the base is gone from the branch, which was reset or amended
                return
            if not isinstance(error, RebaseFailedError) or not between:
                raise
            if not self.with_moves:
                nodes = {path for _, path, _ in mine.steps}
                theirs = changed_nodes([self.versions[i] for i in [*between, mine.base]])
                assert any(related(one, other) for one in nodes for other in theirs)
            return
        tree = replayed(self.versions[tip], mine.steps)
        # Where both sides made a node, it is theirs, and what the session made is new otherwise.
        nodes = {
            path: self.nodes[tip].get(path, mine.version.nodes.get(path))
            for path in set(map(node_of, tree))
        }
        self.made(mine.branch, id_, tree, nodes)

    @rule(branch=branches, of=pick)
    def branch_off(self, branch: str, of: int) -> None:
        target = self.version(of)
        if branch in self.branches:
            self.repo.reset_branch(branch, target)
        else:
            self.repo.create_branch(branch, target)
        self.branches[branch] = target
        self.check(target)

    @rule(branch=branches)
    def delete_branch(self, branch: str) -> None:
        if branch in self.branches and branch != "main":
            self.repo.delete_branch(branch)
            del self.branches[branch]

    @rule(of=pick)
    def tag(self, of: int) -> None:
        name = f"t{self.used_tags}"
        self.used_tags += 1
        self.repo.create_tag(name, self.version(of))
        self.tags[name] = self.version(of)

    @precondition(lambda self: self.tags)
    @rule(number=pick)
    def delete_tag(self, number: int) -> None:
        name = sorted(self.tags)[number % len(self.tags)]
        self.repo.delete_tag(name)
        del self.tags[name]

    @rule(source=branches, into=branches, fast_forward=st.booleans())
    def merge(self, source: str, into: str, fast_forward: bool) -> None:
        source, into = self.existing(source), self.existing(into)
        one, other = self.branches[into], self.branches[source]
        base = common_ancestor(
            self.repo._core.catalog.lookup(), SnapshotId.parse(one), SnapshotId.parse(other)
        )
        self.combine(
            into,
            lambda: self.repo.merge(source, into, fast_forward=fast_forward),
            str(base),
            other,
        )

    @rule(branch=branches, number=pick)
    def cherry_pick(self, branch: str, number: int) -> None:
        branch, id_ = self.existing(branch), self.version(number)
        parent = self.repo.lookup_snapshot(id_).parent_id
        if parent in self.versions:
            self.combine(branch, lambda: self.repo.cherry_pick(id_, branch), parent, id_)

    @rule(branch=branches, number=pick)
    def revert(self, branch: str, number: int) -> None:
        branch = self.existing(branch)
        line = self.history(branch)[:-1]
        if line:
            id_ = line[number % len(line)]
            parent = self.repo.lookup_snapshot(id_).parent_id
            self.combine(branch, lambda: self.repo.revert(id_, branch), id_, str(parent))

    def combine(self, branch: str, call: Callable[[], str], base: str, ours: str) -> None:
        """What leads from `base` to `ours` comes on top of the branch, or nothing happens."""
        tip = self.branches[branch]
        try:
            id_ = call()
        except RebaseFailedError:
            return
        except SessionStateError as error:
            if error.kind != ErrorKind.NO_CHANGES_TO_COMMIT:
                raise
            return
        except InvalidInputError as error:
            # What is before the commit has expired, so that nobody knows what it changed.
            if not self.has_expired or error.kind != ErrorKind.BAD_SNAPSHOT_CHAIN_FOR_DIFF:
                raise
            return
        if id_ in self.versions:
            assert id_ in (tip, ours)
            self.branches[branch] = id_
            self.check(id_)
        else:
            found = merged(*map(self.version_of, (base, ours, tip)))
            self.made(branch, id_, found.tree, found.nodes)

    @rule(branch=branches, number=pick)
    def squash(self, branch: str, number: int) -> None:
        branch = self.existing(branch)
        line = self.history(branch)[1:]
        if line:
            tree, nodes = self.tip(branch), self.nodes[self.branches[branch]]
            after = line[number % len(line)]
            id_ = self.repo.squash(branch, after, "squashed")
            assert self.repo.lookup_snapshot(id_).parent_id == after
            if self.with_moves:
                self.with_moves.add(id_)
            self.made(branch, id_, tree, nodes)

    @rule(branch=branches, one=values, other=values, which=st.permutations(range(CHUNKS)))
    def fork(self, branch: str, one: bytes, other: bytes, which: list[int]) -> None:
        branch = self.existing(branch)
        path = next((p for p in ARRAYS if is_a(self.tip(branch), p, "array")), None)
        if path is None:
            return
        session = self.repo.writable_session(branch)
        todo: list[Step] = [
            ("chunk", path, (which[0], one)),
            ("chunk", path, (which[1], other)),
            ("erase chunk", path, which[2]),
        ]
        take(session, todo[0])
        forks = [session.fork(), session.fork()]
        for fork, step in zip(forks, todo[1:], strict=True):
            take(fork, step)
        session.merge(*forks)
        tree, nodes = replayed(self.tip(branch), todo), self.nodes[self.branches[branch]]
        self.made(branch, session.commit("forks"), tree, nodes)

    @rule(of=pick, after=st.booleans())
    def expire(self, of: int, after: bool) -> None:
        info = self.repo.lookup_snapshot(self.version(of))
        cutoff = info.written_at + timedelta(microseconds=1 if after else 0)
        before = {name: list(self.repo.ancestry(branch=name)) for name in self.branches}
        released = self.repo.expire_snapshots(cutoff)
        for name, old in before.items():
            left = self.history(name)
            assert left[0] == self.branches[name]
            assert left == [
                item.id
                for i, item in enumerate(old)
                if item.written_at >= cutoff or i in (0, len(old) - 1) or item.id in left
            ]
            assert not {i.id for i in old if i.written_at >= cutoff} & released
        self.has_expired |= bool(released)
        self.forget_unreachable(only=released)

    def forget_unreachable(self, only: set[str] | None = None) -> None:
        starts = [self.repo.ancestry(branch=name) for name in self.branches]
        starts += [self.repo.ancestry(tag=name) for name in self.tags]
        reached = {item.id for line in starts for item in line}
        for id_ in (set(self.versions) if only is None else only) - reached:
            self.versions.pop(id_, None)
            self.open = [mine for mine in self.open if mine.base != id_]

    @rule()
    def collect(self) -> None:
        """Collect all garbage, of which the files of sessions are a part now."""
        self.open.clear()
        self.repo.garbage_collect(datetime.now(UTC) + timedelta(days=1))
        self.forget_unreachable()
        for id_ in self.versions:
            self.check(id_)

    @rule()
    def reopen(self) -> None:
        self.repo = Repository.open(self.storage)

    # Checks

    @invariant()
    def the_references_are_those_of_the_model(self) -> None:
        repo = self.repo
        assert {name: repo.lookup_branch(name) for name in repo.list_branches()} == self.branches
        assert {name: repo.lookup_tag(name) for name in repo.list_tags()} == self.tags

    def teardown(self) -> None:
        try:
            fresh = Repository.open(self.storage)
            for id_, tree in self.versions.items():
                assert shown(fresh.readonly_session(snapshot_id=id_)) == tree
            if self.folder is not None:
                self.compare_with_icechunk(self.folder)
        finally:
            if self.folder is not None:
                shutil.rmtree(self.folder)

    def compare_with_icechunk(self, folder: str) -> None:
        real = real_icechunk()
        if real is None:
            return
        from tests.interop.view import tree

        repo = real.Repository.open(real.local_filesystem_storage(folder))
        assert {name: repo.lookup_branch(name) for name in repo.list_branches()} == self.branches
        assert {name: repo.lookup_tag(name) for name in repo.list_tags()} == self.tags
        for name in self.branches:
            assert [item.id for item in repo.ancestry(branch=name)] == self.history(name)
        for id_ in {*self.branches.values(), *self.tags.values()}:
            seen = tree(repo.readonly_session(snapshot_id=id_))
            assert decoded((key, data) for key, (_, data) in seen.items()) == self.versions[id_]


def replayed(tree: Tree, taken: list[Step]) -> Tree:
    for step in taken:
        tree = _root(tree, step) if step[1] == "" else applied(tree, step)
    return tree


def _root(tree: Tree, step: Step) -> Tree:
    return tree | {"zarr.json": json.loads(group(**step[2]))}


def effective(tree: Tree, taken: list[Step]) -> list[Step]:
    """The steps without documents that are in the end what they were at first.

    They are no change, so a rebase leaves to others what becomes of the node.
    """
    after = replayed(tree, taken)
    erased = [path for kind, path, _ in taken if kind == "erase"]

    def is_change(step: Step) -> bool:
        kind, path, _ = step
        return (
            kind not in ("group", "array")
            or document(tree, path) != document(after, path)
            or any(f"{path}/".startswith(f"{other}/") for other in erased)
        )

    return list(filter(is_change, taken))


def changed_nodes(line: list[Tree]) -> set[str]:
    """The paths of the nodes that differ between neighbours of a line of versions."""
    keys = {key for new, old in pairwise(line) for key in new | old if new.get(key) != old.get(key)}
    return set(map(node_of, keys))


def related(one: str, other: str) -> bool:
    """Whether two paths are the same, or one is below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def real_icechunk() -> ModuleType | None:
    """The real library, if it is one that reads both versions of the format."""
    try:
        import icechunk
    except ImportError:
        return None
    if not hasattr(icechunk, "SpecVersion"):
        return None
    icechunk.set_logs_filter("error")
    return icechunk


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
def test_a_repository_does_what_its_model_does(
    spec: int, on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    machine = type("Tried", (Machine,), {"spec": spec, "on_disk": on_disk})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=400 if LONG else 25,
            stateful_step_count=40 if LONG else 20,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            derandomize=not LONG,
        ),
    )
