"""Repacking: the same values in fewer objects, while others read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import zarr
import zarr.codecs

import frazil
from frazil import ConflictError, PackConfig, Repository, RepositoryConfig
from frazil.errors import FormatError, SnapshotNotFoundError
from frazil.format.chunk_refs import NATIVE, ChunkRefs
from frazil.progress import Progress, report
from frazil.session import Session
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import everywhere, storage_around

SHAPE, CHUNK = (12, 40), (1, 40)
NAMES = ("u", "v")
Values = dict[str, np.ndarray[Any, np.dtype[np.float64]]]


def singly() -> RepositoryConfig:
    """An object for each chunk, however small."""
    config = RepositoryConfig(inline_chunk_threshold_bytes=0)
    config.packs = PackConfig.off()
    return config


def values(seed: int) -> Values:
    rng = np.random.default_rng(seed)
    return {name: rng.integers(1, 99, SHAPE).astype("f8") for name in NAMES}


def read(session: Session) -> Values:
    root = zarr.open_group(session.store, mode="r")
    return {name: root[name][:] for name in NAMES}  # type: ignore[index, misc]


def same(found: Values, expected: Values) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name])


class Story:
    """A repository of three commits, of which each changes a third; what each of them holds."""

    def __init__(self, storage: frazil.Storage, spec: int) -> None:
        self.storage = storage
        self.repo = Repository.create(storage, singly(), spec_version=spec)
        self.versions: dict[str, Values] = {}
        now = values(0)
        for i in range(3):
            session = self.repo.writable_session("main")
            root = zarr.open_group(session.store, mode="a")
            new = values(i)
            for name in NAMES:
                array = root.require_array(
                    name, shape=SHAPE, chunks=CHUNK, dtype="f8", compressors=None
                )
                rows = slice(4 * i, 12 if i == 0 else 4 * i + 4)
                now[name] = now[name].copy()
                now[name][rows] = new[name][rows]
                array[rows] = now[name][rows]
            self.versions[session.commit(f"commit {i}")] = now
            now = dict(now)
        self.tip, self.old = list(self.versions)[-1], next(iter(self.versions))
        self.repo.create_tag("first", self.old)

    def open(self) -> Repository:
        return Repository.open(self.storage)

    def check(self) -> None:
        """All versions have what they had, and nothing is wrong."""
        repo = self.open()
        for id_, expected in self.versions.items():
            same(read(repo.readonly_session(snapshot_id=id_)), expected)
        same(read(repo.readonly_session("main")), self.versions[self.tip])
        healthy = repo.verify("data")
        assert healthy.is_healthy, str(healthy)

    def collect(self) -> frazil.ops.GCSummary:
        return self.open().garbage_collect(datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def anywhere(storage: frazil.Storage, spec: int) -> Story:
    """In memory, on disk, and on object stores."""
    return Story(storage, spec)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def story(backend: MemoryBackend, spec: int) -> Story:
    """In memory, in both versions of the format."""
    return Story(storage_around(backend), spec)


@pytest.fixture
def modern(backend: MemoryBackend) -> Story:
    """In memory, in version 2 of the format, where that does not matter."""
    return Story(storage_around(backend), 2)


def objects(repo: Repository) -> int:
    return sum(1 for _ in repo._core.library.backend.list("chunks"))


def places(session: Session, path: str) -> ChunkRefs:
    workspace = session._workspace
    return ChunkRefs.concat(list(workspace.ref_batches(workspace.array(path))))


@contextmanager
def at_step(task: str, number: int, act: Any) -> Iterator[None]:
    """Act once when a task has come so far."""
    done: list[bool] = []

    def look(progress: Progress) -> None:
        if progress.task == task and progress.done >= number and not done:
            done.append(True)
            act()

    with report(look):
        yield
    assert done


class Interrupted(Exception):
    pass


def interrupt() -> None:
    raise Interrupted


@everywhere
def test_the_newest_version_is_repacked_by_a_commit(anywhere: Story) -> None:
    before = anywhere.repo.repack(dry_run=True)
    assert (before.objects_before, before.objects_after, before.chunks_moved) == (24, 1, 24)
    assert (before.requests_before, before.requests_after) == (24, 1)
    assert objects(anywhere.repo) == 24 + 16
    done = anywhere.repo.repack("fewer objects", metadata={"why": "speed"})
    assert done.commits == {"main": anywhere.repo.resolve("main")}
    newest = next(anywhere.repo.ancestry(branch="main"))
    assert (newest.message, newest.metadata["why"]) == ("fewer objects", "speed")
    assert newest.parent_id == anywhere.tip
    assert (done.objects_after, done.snapshots_rewritten) == (1, 0)
    assert done.bytes_after < done.bytes_before
    anywhere.check()
    diff = anywhere.repo.diff(from_snapshot_id=anywhere.tip, to_branch="main")
    assert not diff.updated_chunks
    again = anywhere.open().repack()
    assert (again.chunks_moved, again.commits) == (0, {})
    assert again.bytes_before == done.bytes_after
    future = datetime.now(UTC) + timedelta(days=1)
    anywhere.repo.delete_tag("first")
    anywhere.repo.expire_snapshots(future)
    anywhere.collect()
    assert objects(anywhere.repo) == 1
    same(read(anywhere.open().readonly_session("main")), anywhere.versions[anywhere.tip])


@everywhere
def test_the_whole_history_is_repacked_in_place(anywhere: Story) -> None:
    line = [info.id for info in anywhere.repo.ancestry(branch="main")]
    done = anywhere.repo.repack(history=True)
    assert (done.objects_before, done.objects_after, done.chunks_moved) == (40, 1, 40)
    assert done.snapshots_rewritten == 3
    assert [info.id for info in anywhere.repo.ancestry(branch="main")][1:] == line
    anywhere.check()
    assert anywhere.collect().chunks_deleted == 40
    assert objects(anywhere.repo) == 1
    anywhere.check()
    again = anywhere.open().repack(history=True)
    assert (again.chunks_moved, again.snapshots_rewritten, again.commits) == (0, 0, {})


def test_after_the_newest_version_the_history_shares_its_object(story: Story) -> None:
    story.repo.repack()
    done = story.open().repack(history=True)
    story.check()
    story.collect()
    story.check()
    assert (done.chunks_moved, done.chunks_shared) == (40, 24)
    assert objects(story.repo) == done.objects_after == 1
    assert story.open().chunk_storage_stats().native_bytes == 40 * 320


def test_chosen_snapshots_alone_are_rewritten(modern: Story) -> None:
    done = modern.repo.repack(history=[modern.old])
    assert (done.chunks_moved, done.snapshots_rewritten, done.commits) == (24, 1, {})
    modern.check()
    modern.collect()
    modern.check()
    with pytest.raises(SnapshotNotFoundError, match="not in the history"):
        modern.repo.repack(history=["VY76P925PRY57WFEK410"])


def test_a_snapshot_that_a_branch_is_at_is_left_alone(story: Story) -> None:
    story.repo.create_branch("side", story.old)
    done = story.repo.repack(history=True)
    assert sorted(done.commits) == ["main", "side"]
    # One branch appears at an old snapshot while these are rewritten.
    middle = list(story.versions)[1]
    story.check()
    story.collect()
    story.check()
    assert story.repo.lookup_branch("side") == done.commits["side"]
    assert middle in [info.id for info in story.repo.ancestry(branch="main")]


@pytest.mark.parametrize("shape", ["whole", "part", "chunk", "many", "listing"])
def test_a_reader_from_before_reads_on(story: Story, shape: str) -> None:
    """What it has in memory names objects that are gone."""
    repo = story.open()
    sessions = {id_: repo.readonly_session(snapshot_id=id_) for id_ in story.versions}
    for session in sessions.values():
        places(session, "/u"), places(session, "/v")
    other = story.open()
    other.repack(history=True)
    story.collect()
    for id_, session in sessions.items():
        expected = story.versions[id_]
        array: Any = zarr.open_group(session.store, mode="r")["u"]
        if shape == "whole":
            same(read(session), expected)
        elif shape == "part":
            np.testing.assert_array_equal(array[3:9, 5:7], expected["u"][3:9, 5:7])
        elif shape == "chunk":
            found = session.store.get_sync("u/c/7/0")
            assert found is not None
            assert found.to_bytes() == expected["u"][7].tobytes()
        elif shape == "many":
            workspace = session._workspace
            coords = [(i, 0) for i in range(12)]
            got = workspace.get_chunks(workspace.array("/u"), coords)
            assert got == [expected["u"][i].tobytes() for i in range(12)]
        else:
            repo._core.library._manifests.resize(0)
            assert len(places(session, "/u")) == 12


@pytest.mark.parametrize("pipeline", [True, False])
def test_a_reader_of_shards_reads_on(spec: int, pipeline: bool) -> None:
    storage = frazil.in_memory_storage()
    repo = Repository.create(storage, singly(), spec_version=spec)
    data = np.arange(64 * 30).reshape(64, 30)
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", data=data, chunks=(2, 30), shards=(8, 30))
    session.commit("shards")
    old = repo.readonly_session(snapshot_id=repo.resolve("main"))
    with zarr.config.set({"frazil.pipeline": pipeline}):
        array: Any = zarr.open_array(old.store, path="a", mode="r")
        np.testing.assert_array_equal(
            array[:20], data[:20]
        )  # some of the shards' indexes are known
        other = Repository.open(storage)
        assert other.repack().chunks_moved == 8
        other.repack(history=True)
        other.garbage_collect(datetime.now(UTC) + timedelta(days=1))
        np.testing.assert_array_equal(array[3:50], data[3:50])
        np.testing.assert_array_equal(array[:], data)


def test_what_is_really_gone_stays_an_error(modern: Story, backend: MemoryBackend) -> None:
    session = modern.repo.readonly_session("main")
    backend.delete([info.key for info in backend.list("chunks")])
    with pytest.raises(frazil.StorageError) as caught:
        read(session)
    assert caught.value.kind == frazil.ErrorKind.OBJECT_NOT_FOUND


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("collected", [False, True])
def test_a_writer_from_before_commits(story: Story, history: bool, collected: bool) -> None:
    config = RepositoryConfig()
    config.packs = PackConfig(max_chunk_bytes=1000)  # what is not committed waits in memory
    session = Repository.open(story.storage, config).writable_session("main")
    root: Any = zarr.open_group(session.store)
    root["u"][0] = 7.0
    root["v"].resize((14, 40))
    story.open().repack(history=history)
    if collected:
        story.collect()
    root["u"][1, 3:5] = 8.0  # of a chunk that has moved
    if not history and not collected:
        with pytest.raises(ConflictError):
            session.commit("without a rebase")
    session.commit("from before", rebase_with=frazil.ConflictDetector())
    root = zarr.open_group(story.open().readonly_session("main").store, mode="r")
    expected = story.versions[story.tip]["u"].copy()
    expected[0], expected[1, 3:5] = 7.0, 8.0
    np.testing.assert_array_equal(root["u"][:], expected)
    assert root["v"].shape == (14, 40)
    np.testing.assert_array_equal(root["v"][:12], story.versions[story.tip]["v"])
    story.collect()
    assert story.open().verify("data").is_healthy
    # Its manifest is of chunks where they are now: of the old objects only its own are left.
    assert story.open().repack(dry_run=True).objects_before <= 3


@pytest.mark.parametrize("history", [False, True])
def test_what_others_commit_meanwhile_is_kept(story: Story, history: bool) -> None:
    def somebody_else() -> None:
        session = story.open().writable_session("main")
        root: Any = zarr.open_group(session.store)
        root["u"][0] = 7.0
        session.commit("meanwhile")

    with at_step("Moving chunks", 1, somebody_else):
        done = story.repo.repack(history=history)
    messages = [info.message for info in story.open().ancestry(branch="main")][:3]
    assert messages == ["Repack chunks", "meanwhile", "commit 2"]
    expected = {name: one.copy() for name, one in story.versions[story.tip].items()}
    expected["u"][0] = 7.0
    same(read(story.open().readonly_session("main")), expected)
    assert done.snapshots_rewritten == (4 if history else 0)
    story.collect()
    same(read(story.open().readonly_session("main")), expected)
    assert story.open().verify("data").is_healthy


@pytest.mark.parametrize("task", ["Moving chunks", "Rewriting snapshots"])
def test_two_at_the_same_time_do_not_mind(story: Story, task: str) -> None:
    with at_step(task, 1, lambda: story.open().repack(history=True)):
        story.repo.repack(history=True)
    story.check()
    story.collect()
    story.check()
    story.open().repack(history=True)
    story.collect()
    story.check()
    assert objects(story.repo) == 1


def test_incremental_collections_notice_it(modern: Story) -> None:
    future = datetime.now(UTC) + timedelta(days=1)
    modern.open().garbage_collect(future, incremental=True)
    modern.repo.repack(history=True)
    done = modern.open().garbage_collect(future, incremental=True)
    assert done.chunks_deleted == 40
    modern.check()
    assert objects(modern.repo) == 1


def test_a_migrated_history(backend: MemoryBackend) -> None:
    """Its older snapshots are files of format 1."""
    story = Story(storage_around(backend), 1)
    frazil.upgrade_icechunk_repository(story.open(), dry_run=False)
    done = story.open().repack(history=True)
    assert done.snapshots_rewritten == 3
    story.check()
    story.collect()
    story.check()
    assert [info.id for info in story.open().ancestry(branch="main")][1:4] == [
        *reversed(story.versions)
    ]


def test_amended_and_squashed_commits(modern: Story) -> None:
    modern.repo.repack(history=True)
    session = modern.repo.writable_session("main")
    root: Any = zarr.open_group(session.store)
    root["u"][0] = 3.0
    session.amend("in the place of the repack")
    modern.repo.repack(history=True)
    modern.collect()
    found = read(modern.open().readonly_session("main"))
    assert (found["u"][0] == 3).all()
    np.testing.assert_array_equal(found["v"], modern.versions[modern.tip]["v"])
    assert modern.open().verify("data").is_healthy


@pytest.mark.parametrize("task", ["Moving chunks", "Rewriting snapshots"])
def test_what_was_interrupted_is_taken_up_again(story: Story, task: str) -> None:
    story.repo._core.config.packs = PackConfig(target_bytes=3200)
    with pytest.raises(Interrupted), at_step(task, 1, interrupt):
        story.repo.repack(history=True)
    story.check()
    repo = story.open()
    repo._core.config.packs = PackConfig(target_bytes=3200)
    done = repo.repack(history=True)
    if task == "Moving chunks":
        assert done.objects_found >= 1
        assert done.objects_found + done.objects_written == 5
    story.check()
    story.collect()
    story.check()
    assert objects(repo) == done.objects_after == 5


def test_objects_of_an_old_attempt_are_not_trusted(modern: Story) -> None:
    with pytest.raises(Interrupted), at_step("Moving chunks", 1, interrupt):
        modern.repo.repack()
    repo = modern.open()
    library = repo._core.library
    now = library.now
    library.now = lambda: now() + 2 * 24 * 3600 * 1_000_000
    done = repo.repack()
    assert (done.objects_found, done.objects_written) == (0, 1)
    modern.check()


def test_a_part_of_the_arrays(modern: Story) -> None:
    for options in (
        {"path": "/u"},
        {"pattern": "/?"},
        {"pattern": "u*"},
        {"regex": "^/u$"},
        {"written_before": datetime.now(UTC) + timedelta(days=1)},
        {"written_after": datetime.now(UTC) - timedelta(days=1)},
        {"written_before": datetime.now(UTC) - timedelta(days=1)},
        {"smaller_than": 10},
    ):
        given: Any = options
        moved = modern.repo.repack(dry_run=True, **given).chunks_moved
        all_ = options.get("pattern") == "/?" or "written_after" in options
        none = "smaller_than" in options
        if "written_before" in options:
            all_ = options["written_before"] > datetime.now(UTC)  # type: ignore[operator]
            none = not all_
        assert moved == (24 if all_ else 0 if none else 12), options
    modern.repo.repack(path="/u")
    modern.check()
    assert objects(modern.repo) == 41


def test_chunks_that_are_read_together_lie_together(modern: Story) -> None:
    modern.repo.repack()
    session = modern.open().readonly_session("main")
    u, v = places(session, "/u"), places(session, "/v")
    assert u.offset.tolist() == [320 * i for i in range(12)]
    assert v.offset.tolist() == [320 * i for i in range(12, 24)]
    modern.repo.repack(history=True)
    modern.check()


def test_several_arrays_can_be_interleaved(modern: Story) -> None:
    modern.repo.repack(together=["/u", "v"])
    session = modern.open().readonly_session("main")
    assert places(session, "/u").offset.tolist() == [640 * i for i in range(12)]
    assert places(session, "/v").offset.tolist() == [640 * i + 320 for i in range(12)]
    modern.check()


def test_dead_space_is_dropped(spec: int) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    data = np.random.default_rng(1).integers(0, 255, (64, 8000), "u1")
    session = repo.writable_session("main")
    array = zarr.create_array(
        session.store, name="a", shape=data.shape, chunks=(1, 8000), dtype="u1", compressors=None
    )
    array[:] = data
    session.commit("full")
    session = repo.writable_session("main")
    array = zarr.open_array(session.store, path="a")
    array[8:] = 255 - data[8:]
    session.commit("most of it anew")
    assert repo.repack(history=True, smaller_than=1).chunks_moved == 0
    done = repo.repack(smaller_than=1)
    assert done.chunks_moved == 8
    assert done.dead_bytes > 56 * 8000
    assert repo.repack(smaller_than=1, dead=0.1).chunks_moved == 0
    expected = np.concatenate([data[:8], 255 - data[8:]])
    found = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")
    np.testing.assert_array_equal(found[:], expected)


def test_inline_and_virtual_chunks_stay(spec: int) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="tiny", data=np.arange(6), chunks=(1,))
    zarr.create_array(session.store, name="far", shape=(4,), chunks=(2,), dtype="u1")
    session.store.set_virtual_ref(
        "far/c/0", "s3://bucket/x", offset=3, length=9, validate_container=False
    )
    for i in range(3):
        zarr.create_array(
            session.store, name=f"own{i}", data=np.arange(600), chunks=(600,), compressors=None
        )
        session.commit(f"own {i}")
        session = repo.writable_session("main")
    before = {path: places(session, path) for path in ("/tiny", "/far")}
    done = repo.repack()
    assert done.chunks_moved == 3
    session = repo.readonly_session("main")
    for path, refs in before.items():
        assert places(session, path).equals(refs)
        assert not (refs.kind == NATIVE).any()
    assert repo.verify("data").is_healthy


def test_a_damaged_chunk_ends_it(modern: Story, backend: MemoryBackend) -> None:
    info = min(backend.list("chunks"), key=lambda info: info.key)
    data = bytearray(backend.get(info.key))
    data[7] ^= 1
    backend.put(info.key, bytes(data))
    with pytest.raises(FormatError, match="is damaged") as caught:
        modern.repo.repack(history=True)
    assert caught.value.kind == frazil.ErrorKind.CHUNK_CORRUPTED
    assert modern.repo.lookup_branch("main") == modern.tip


def test_a_missing_object_is_left_out(modern: Story, backend: MemoryBackend) -> None:
    info = min(backend.list("chunks"), key=lambda info: info.key)
    backend.delete([info.key])
    done = modern.repo.repack(history=True)
    assert (done.objects_missing, done.chunks_moved) == (1, 39)


def test_a_collection_makes_snapshots_be_read_anew(modern: Story) -> None:
    """So that nobody commits on top of what an old version has referred to."""
    repo = modern.open()
    middle = list(modern.versions)[1]
    repo.readonly_session(snapshot_id=middle)
    modern.open().repack(history=True)
    modern.collect()
    repo.create_branch("side", middle)
    session = repo.writable_session("side")
    zarr.open_group(session.store)["u"].attrs["new"] = True
    session.commit("on top of an old version")
    same(read(modern.open().readonly_session("side")), modern.versions[middle])
    assert modern.open().verify("data").is_healthy


def objects_of(repo: Repository) -> int:
    use = repo.statistics(objects=True).objects
    assert use is not None
    return use.objects


def test_statistics_that_were_known_are_made_anew(story: Story) -> None:
    assert objects_of(story.repo) == 40
    story.repo.repack(history=True)
    assert objects_of(story.repo) == 1
    here, there = (repo.statistics().to_dict() for repo in (story.repo, story.open()))
    assert here | {"taken_at": None} == there | {"taken_at": None}


def test_a_cache_on_disk_follows(modern: Story, tmp_path: Any) -> None:
    cached = modern.storage.with_cache(tmp_path / "cache", 10_000_000)
    repo = Repository.open(cached)
    old = repo.readonly_session(snapshot_id=modern.old)
    same(read(old), modern.versions[modern.old])
    modern.open().repack(history=True)
    modern.collect()
    for _ in range(2):
        again = Repository.open(cached).readonly_session(snapshot_id=modern.old)
        root: Any = zarr.open_group(again.store, mode="r")
        np.testing.assert_array_equal(root["u"][2:5], modern.versions[modern.old]["u"][2:5])


def test_arguments_are_checked(modern: Story) -> None:
    for wrong in (
        {"smaller_than": 0},
        {"recompress": 0},
        {"dead": 1.0},
        {"dead": -0.1},
        {"recompress_saves": 1.0},
    ):
        given: Any = wrong
        with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", ".")):
            modern.repo.repack(**given)
    with pytest.raises(frazil.InvalidInputError, match="regular expression"):
        modern.repo.repack(regex="(")
    with pytest.raises(frazil.RefNotFoundError):
        modern.repo.repack(branch="none")
    with pytest.raises(TypeError, match="timezone"):
        modern.repo.repack(written_before=datetime(2024, 1, 1))


def test_chunks_are_compressed_anew_where_it_is_worth_it(spec: int) -> None:
    repo = Repository.create(frazil.in_memory_storage(), spec_version=spec)
    rng = np.random.default_rng(2)
    smooth = np.cumsum(rng.integers(0, 3, (8, 4000)), axis=1).astype("i4")
    noise = rng.integers(0, 1 << 31, (8, 4000)).astype("i4")
    zstd, blosc = zarr.codecs.ZstdCodec(level=1), zarr.codecs.BloscCodec(cname="zstd", clevel=1)
    arrays: dict[str, tuple[Any, dict[str, Any]]] = {
        "zstd": (smooth, {"compressors": zstd}),
        "checked": (smooth, {"compressors": zarr.codecs.ZstdCodec(level=1, checksum=True)}),
        "blosc": (smooth, {"compressors": blosc}),
        "gzip": (smooth, {"compressors": zarr.codecs.GzipCodec(level=1)}),
        "noise": (noise, {"compressors": zstd}),
        "plain": (smooth, {"compressors": None}),
        "sharded": (smooth, {"compressors": zstd, "shards": (4, 4000)}),
    }
    session = repo.writable_session("main")
    for name, (data, options) in arrays.items():
        chunks = (1, 4000)
        zarr.create_array(session.store, name=name, data=data, chunks=chunks, **options)
    session.commit("data")
    before = {name: places(repo.readonly_session("main"), f"/{name}") for name in arrays}
    foreseen = repo.repack(recompress=19, dry_run=True)
    done = repo.repack(recompress=19)
    assert done.chunks_recompressed == foreseen.chunks_recompressed == 4 * 8
    assert done.bytes_saved == pytest.approx(foreseen.bytes_saved, rel=0.1)
    session = repo.readonly_session("main")
    for name, (data, _) in arrays.items():
        now = places(session, f"/{name}")
        smaller = now.length.sum() < before[name].length.sum()
        assert smaller == (name in ("zstd", "checked", "blosc", "gzip")), name
        np.testing.assert_array_equal(zarr.open_array(session.store, path=name, mode="r")[:], data)
        with zarr.config.set({"frazil.pipeline": False}):
            np.testing.assert_array_equal(
                zarr.open_array(session.store, path=name, mode="r")[:], data
            )
    assert repo.verify("data").is_healthy
    assert repo.repack(recompress=19).chunks_moved == 0
