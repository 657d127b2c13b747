"""Every kind of damage to every kind of object: it is named, never read, and mended if it can be.

Times and ids are the same in each run, and so are the places that are damaged.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TypeVar

import pytest

import frazil
from frazil import Repository, RepositoryConfig
from frazil.errors import IcechunkError
from frazil.format.transaction_log import decode_transaction_log
from frazil.ids import INITIAL_SNAPSHOT
from frazil.library.files import Library
from frazil.storage.memory import MemoryBackend
from frazil.verification import FindingKind
from tests.scenario.places import storage_around
from tests.scenario.trees import array, change, commit, get, group, keys

T = TypeVar("T")

START = 1_700_000_000_000_000

Shown = dict[str, dict[str, bytes | None]]
"""Of each version all keys with their values."""


@pytest.fixture(autouse=True)
def the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ticks, and ids from a seed."""
    ids, ticks = random.Random(7), itertools.count(START, 1_000_000)
    defaults = Library.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "now", lambda: next(ticks))
    monkeypatch.setitem(defaults, "random_bytes", ids.randbytes)


@dataclass
class Ground:
    """A repository with all kinds of objects, and what it shows while it is whole."""

    spec: int
    backend: MemoryBackend
    repo: Repository
    whole: dict[str, bytes]
    shown: Shown
    older: dict[str, bytes]
    """Of objects that are replaced, an earlier state."""

    def kind(self, kind: str) -> list[str]:
        """The keys of a kind: a folder, or a file at the top."""
        return sorted(key for key in self.whole if key.partition("/")[0] == kind)

    def restore(self) -> None:
        self.backend.delete([info.key for info in self.backend.list()])
        for key, data in self.whole.items():
            self.backend.put(key, data)

    def read(self) -> Shown:
        """What can be read now; None for what cannot."""
        try:
            repo = Repository.open(self.repo.storage)
        except IcechunkError:
            return {}
        found: Shown = {}
        for version, expected in self.shown.items():
            try:
                session = repo.readonly_session(snapshot_id=version)
            except IcechunkError:
                continue
            found[version] = {key: attempt(get, session, key) for key in expected}
            listed = attempt(keys, session)
            # As far as there is a list, it is the right one.
            assert listed is None or listed == sorted(expected)
        return found

    def check_values(self) -> bool:
        """No value is wrong; returns whether all are there."""
        found = self.read()
        for version, values in found.items():
            for key, value in values.items():
                assert value in (None, self.shown[version][key]), (version, key)
        return found == self.shown


def attempt(call: Callable[..., T], *args: object) -> T | None:
    try:
        return call(*args)
    except IcechunkError:
        return None


def made(spec: int) -> Ground:
    backend = MemoryBackend()
    config = RepositoryConfig(inline_chunk_threshold_bytes=30)
    repo = Repository.create(storage_around(backend), config, spec_version=spec)
    rng = random.Random(3)
    older: dict[str, bytes] = {}
    commit(repo, {"": group(), "in": array([4]), "small": array([4]), "large": array([3])}, "made")
    for i in range(2):
        older |= {info.key: backend.get(info.key) for info in backend.list() if i}
        changes: dict[str, bytes | None] = {f"in/c/{i}": rng.randbytes(20)}
        changes |= {f"small/c/{k}": rng.randbytes(400) for k in (i, i + 1)}
        changes |= {f"large/c/{i}": rng.randbytes(1_100_000 if i else 1_050_000)}
        commit(repo, changes, f"commit {i}")
    repo.create_tag("tagged", repo.lookup_branch("main"))
    repo.create_branch("other", repo.lookup_branch("main"))
    session = change(repo.writable_session("other"), {"small/c/3": rng.randbytes(500)})
    session.commit("on the other")
    whole = {info.key: backend.get(info.key) for info in backend.list()}
    # Its copy is another repository's part: of the same kind, and not the same.
    ground = Ground(spec, backend, repo, whole, {}, older)
    tips = [repo.lookup_branch("main"), repo.lookup_branch("other")]
    for version in {item.id for tip in tips for item in repo.ancestry(snapshot_id=tip)}:
        session = repo.readonly_session(snapshot_id=version)
        ground.shown[version] = {key: get(session, key) for key in keys(session)}
    assert ground.check_values()
    return ground


@pytest.fixture
def ground(spec: int) -> Ground:
    return made(spec)


KINDS = ("repo", "config.yaml", "refs", "snapshots", "transactions", "manifests", "chunks")
TELLING = {"snapshots", "transactions", "manifests", "chunks"}
"""Those that say or show whose they are. A branch of format 1 may point at any snapshot."""


def findings_of(ground: Ground) -> set[str]:
    return {finding.object for finding in ground.repo.verify("data", note=False).findings}


def is_named(ground: Ground, key: str) -> bool:
    """Whether it is; or, in format 1, a snapshot that hides those before it."""
    named = findings_of(ground)
    hidden = ground.spec == 1 and any(one.startswith(("snapshots/", "refs/")) for one in named)
    return key in named or hidden


def of_kind(ground: Ground, kind: str) -> Iterator[str]:
    for key in ground.kind(kind):
        # In format 1 the first snapshot has no log, and nobody asks for it.
        if key != f"transactions/{INITIAL_SNAPSHOT}" or ground.spec == 2:
            yield key


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits(ground: Ground, kind: str) -> None:
    rng = random.Random(11)
    unnoticed = tries = 0
    for key in of_kind(ground, kind):
        for _ in range(4):
            data = bytearray(ground.whole[key])
            at = rng.randrange(len(data))
            data[at] ^= 1 << rng.randrange(8)
            ground.backend.put(key, bytes(data))
            whole = kind in TELLING and ground.check_values()
            tries += 1
            if not findings_of(ground):
                # Who wrote the file, or a bit that zstd makes no use of: nobody can know.
                assert kind not in ("chunks", "refs")
                assert kind not in TELLING or whole, (key, at)
                unnoticed += 1
            else:
                assert is_named(ground, key), (key, at)
        ground.restore()
    # Many a bit of a YAML file makes another configuration that is as good.
    assert kind == "config.yaml" or unnoticed * 3 <= tries


@pytest.mark.parametrize("damage", ["truncated", "deleted"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_lost(ground: Ground, kind: str, damage: str) -> None:
    rng = random.Random(12)
    for key in of_kind(ground, kind):
        if damage == "deleted":
            ground.backend.delete([key])
        else:
            data = ground.whole[key]
            ground.backend.put(key, data[: rng.randrange(len(data))])
        if damage == "deleted" and (kind == "config.yaml" or key.startswith("refs/")):
            # A repository without a configuration, another branch or a tag is one as well.
            named = findings_of(ground)
            assert ("branch.main" in key) == (key in named)
        elif damage == "deleted" and key == f"transactions/{INITIAL_SNAPSHOT}":
            assert findings_of(ground) == set()  # a migration leaves none, and nobody asks for it
        else:
            assert is_named(ground, key), key
        ground.check_values()
        ground.restore()


@pytest.mark.parametrize("how", ["swapped", "copied"])
@pytest.mark.parametrize("kind", sorted(TELLING))
def test_others_in_their_place(ground: Ground, kind: str, how: str) -> None:
    every = list(of_kind(ground, kind))
    for key, other in zip(every, [*every[1:], every[0]], strict=True):
        ground.backend.put(key, ground.whole[other])
        if how == "swapped":
            ground.backend.put(other, ground.whole[key])
            assert is_named(ground, other), (key, other)
        assert is_named(ground, key), (key, other)
        ground.check_values()
        ground.restore()


def test_an_older_state(ground: Ground) -> None:
    """Of format 2 the backups know; which branch a reference of format 1 had, nobody does."""
    replaced = [key for key, data in ground.older.items() if ground.whole[key] != data]
    assert replaced == (["repo"] if ground.spec == 2 else ["refs/branch.main/ref.json"])
    for key in replaced:
        ground.backend.put(key, ground.older[key])
        found = ground.repo.verify("data", note=False).findings
        outdated = [(one.kind, one.object) for one in found]
        assert outdated == ([(FindingKind.OUTDATED, "repo")] if ground.spec == 2 else [])
        ground.restore()


def test_backups_that_somebody_needs() -> None:
    """Those that hold older operations; others are looked at if they are the newest."""
    backend = MemoryBackend()
    config = RepositoryConfig(num_updates_per_repo_info_file=3)
    repo = Repository.create(storage_around(backend), config)
    for i in range(9):
        repo.create_tag(f"t{i}", repo.lookup_branch("main"))
    operations = [*repo.ops_log()]
    backups = sorted(info.key for info in backend.list("overwritten"))
    named = 0
    for key in backups:
        data = backend.get(key)
        for damaged in (None, data[:100]):
            backend.delete([key])
            if damaged is not None:
                backend.put(key, damaged)
            findings = {one.object for one in repo.verify("metadata", note=False).findings}
            assert findings <= {key}
            readable = attempt(lambda: [*Repository.open(repo.storage).ops_log()])
            assert findings or readable == operations
            named += bool(findings)
        backend.put(key, data)
    assert 0 < named < 2 * len(backups)


@pytest.mark.parametrize("kind", KINDS)
def test_repair_restores_what_it_can_and_reports_the_rest(ground: Ground, kind: str) -> None:
    mended = 0
    for key in of_kind(ground, kind):
        ground.backend.put(key, ground.whole[key][: len(ground.whole[key]) // 2])
        damaged = {info.key: ground.backend.get(info.key) for info in ground.backend.list()}
        try:
            report = Repository.repair(ground.repo.storage, dry_run=False, level="data")
        except IcechunkError:
            assert kind == "config.yaml"
            ground.restore()
            continue
        changed = {
            info.key
            for info in ground.backend.list()
            if damaged.get(info.key) != ground.backend.get(info.key)
        }
        if report.is_needed:
            assert report.left == ()
            aside = {one for one in changed if one.startswith("overwritten/damaged-")}
            assert changed - aside == {key}
            assert aside
            if report.manifests:
                assert ground.check_values()
            if report.logs:
                # Of these commits nothing is different in the end that was not changed.
                assert changes_in(ground.backend.get(key)) == changes_in(ground.whole[key])
            mended += 1
        else:
            assert changed == set()
            named = {one.object for one in report.left}
            assert key in named or (ground.spec == 1 and named)
        ground.check_values()
        ground.restore()
    # In format 1 nothing but snapshots before and after can prove a manifest: here, they do not.
    assert (mended > 0) == (
        kind == "transactions" or (ground.spec == 2 and kind in ("repo", "manifests"))
    )
    assert kind != "transactions" or mended == len(list(of_kind(ground, kind)))


def changes_in(log: bytes) -> dict[str, object]:
    """What a transaction log says."""
    told = decode_transaction_log(log, where="log")
    plain = {one.name: getattr(told, one.name) for one in fields(told)}
    return plain | {"updated_chunks": {n: c.tolist() for n, c in told.updated_chunks.items()}}


@pytest.mark.parametrize("level", ["metadata", "objects", "data"])
def test_what_is_whole_is_whole(ground: Ground, level: frazil.verification.Level) -> None:
    report = ground.repo.verify(level)
    assert report.is_healthy, str(report)
    assert not Repository.repair(ground.repo.storage).is_needed
