"""Removing single elements of an array from all of history."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, TransposeCodec, ZstdCodec
from zarr.codecs.numcodecs import Delta, Quantize
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import frazil
from frazil import InvalidInputError, Repository
from frazil.errors import ErrorKind, FormatError, StorageError
from frazil.storage.doubles import Fault, Faulty
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

REGION = (slice(3, 9), slice(2, 7))


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def repo(backend: MemoryBackend) -> Repository:
    config = frazil.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 8
    return Repository.create(storage_around(backend), config)


def versions(repo: Repository, path: str = "a") -> dict[str, np.ndarray[Any, Any]]:
    """The array in each version that has it, by the message of its commit."""
    found = {}
    for branch in repo.list_branches():
        for commit in repo.ancestry(branch=branch):
            tree = repo.at(snapshot_id=commit.id)
            if path in tree:
                found[commit.message] = np.asarray(tree[path][...])
    return found


def everything(backend: MemoryBackend) -> bytes:
    return b"".join(backend.get(info.key) for info in backend.list())


def purged(
    repo: Repository, region: tuple[slice, ...] = REGION, fill: Any = 0, path: str = "a"
) -> frazil.purging.PurgeReport:
    """Purge, and see that exactly these elements are fill value in all versions."""
    expected = versions(repo, path)
    for values in expected.values():
        values[region] = fill
    plan = repo.purge(path, region=region)
    report = repo.purge(path, region=region, dry_run=False)
    assert report.is_clean, report
    for name in ("chunks", "bytes", "chunks_rewritten", "bytes_rewritten", "objects_deleted"):
        assert getattr(plan, name) == getattr(report, name)
    assert plan.snapshots.keys() == report.snapshots.keys()
    again = Repository.open(repo.storage)
    found = versions(again, path)
    assert found.keys() == expected.keys()
    for message, values in found.items():
        np.testing.assert_array_equal(values, expected[message], err_msg=message)
    assert again.verify("data").is_healthy
    nothing = again.purge(path, region=region)
    assert (nothing.chunks, nothing.chunks_rewritten, nothing.snapshots) == (0, 0, {})
    return report


def numbers(dtype: str) -> np.ndarray[Any, Any]:
    return (np.arange(1, 121).reshape(12, 10) % 127).astype(dtype)


STRUCTURED = np.dtype([("who", "S6"), ("n", "<i4")])
KINDS: dict[str, tuple[Callable[[], np.ndarray[Any, Any]], dict[str, Any]]] = {
    "plain": (lambda: numbers("i8"), {"compressors": None}),
    "zstd": (lambda: numbers("f4"), {"compressors": ZstdCodec(level=3, checksum=True)}),
    "blosc": (lambda: numbers("i2"), {"compressors": BloscCodec(cname="lz4")}),
    "delta": (lambda: numbers("i4"), {"filters": Delta(dtype="<i4")}),
    "transposed": (lambda: numbers("i4"), {"filters": TransposeCodec(order=(1, 0))}),
    "big-endian": (lambda: numbers(">f8"), {"serializer": BytesCodec(endian="big")}),
    "shards": (lambda: numbers("i8"), {"chunks": (2, 5), "shards": (4, 5)}),
    "one-shard": (lambda: numbers("i8"), {"chunks": (3, 5), "shards": (12, 10)}),
    "nan": (lambda: numbers("f8"), {"fill_value": np.nan}),
    "other-fill": (lambda: numbers("i8"), {"fill_value": -9}),
    "times": (lambda: numbers("i8").astype("M8[s]"), {"fill_value": np.datetime64("NaT", "s")}),
    "bytes": (lambda: numbers("i8").astype("S3"), {}),
    "fixed text": (lambda: numbers("i8").astype("U3"), {}),
    "text": (lambda: numbers("i8").astype(object).astype(str).astype(object), {"dtype": "string"}),
    "structured": (
        lambda: np.array([(b"p%d" % n, n) for n in range(120)], STRUCTURED).reshape(12, 10),
        {},
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_exactly_these_elements(repo: Repository, kind: str) -> None:
    make, options = KINDS[kind]
    data = make()
    options = {"dtype": data.dtype, "chunks": (4, 5)} | options
    with repo.edit("main", "first") as tree:
        array = zarr.create_array(tree.store, name="a", shape=(12, 10), **options)
        array[...] = data
    with repo.edit("main", "second") as tree:
        tree["a"][8:] = data[:4]
    fill = repo.at()["a"].fill_value
    report = purged(repo, fill=fill)
    assert report.chunks_rewritten >= 1
    assert report.chunks_checked >= report.chunks_rewritten


def test_each_chunk_once_however_many_versions(repo: Repository, backend: MemoryBackend) -> None:
    with repo.edit("main", "0") as tree:
        zarr.create_array(tree.store, name="a", data=numbers("i8"), chunks=(4, 5), compressors=None)
        tree["b"] = np.arange(100)
    for n in range(1, 6):
        with repo.edit("main", str(n)) as tree:
            tree["a"][0, 0] = 100 + n
    repo.create_tag("kept", repo.lookup_branch("main"))
    report = purged(repo, (slice(0, 1), slice(1, 10)))
    assert report.chunks_rewritten == 6 + 1
    assert report.bytes_rewritten == 7 * 160
    assert len(report.snapshots) == 6
    # Rows 1 to 3 of the second chunk are there once, those of the first in six versions.
    stored = everything(backend)
    assert stored.count(np.arange(16, 21).astype("i8").tobytes()) == 1
    assert stored.count(np.arange(2, 6).astype("i8").tobytes()) == 0


def test_bytes_are_gone(repo: Repository, backend: MemoryBackend) -> None:
    secret = np.frombuffer(b"somebody who is to be forgotten!", "u1").reshape(4, 8)
    with repo.edit("main", "first") as tree:
        data = np.concatenate([np.full((6, 8), 200, "u1"), secret, np.full((6, 8), 201, "u1")])
        zarr.create_array(tree.store, name="a", data=data, chunks=(8, 8), compressors=None)
    lost = repo.writable_session("main")
    lost["a"][6] = secret[1]
    lost._workspace.writer.flush()
    assert b"forgotte" in everything(backend)
    report = purged(repo, (slice(6, 10),))
    assert report.chunks_rewritten == 2
    assert report.chunks == 1  # what the session has stored and not committed
    for word in (b"somebody", b" who is ", b"to be fo", b"rgotten!"):
        assert word not in everything(backend)
    assert bytes([200] * 48) in everything(backend)


def test_what_is_nothing_but_fill_value_is_dropped(repo: Repository) -> None:
    with repo.edit("main", "first") as tree:
        array = zarr.create_array(tree.store, name="a", shape=(10,), chunks=(5,), dtype="i8")
        array[6:9] = 5
    report = purged(repo, (slice(6, 9),))
    assert (report.chunks, report.chunks_rewritten) == (1, 0)
    assert repo.at()["a"].nchunks_initialized == 0


def test_edges_of_arrays_that_grew(repo: Repository) -> None:
    """The last chunk of one version is in the middle of another."""
    with repo.edit("main", "short") as tree:
        array = zarr.create_array(tree.store, name="a", shape=(10,), chunks=(4,), dtype="i8")
        array[:] = np.arange(1, 11)
    with repo.edit("main", "long") as tree:
        tree["a"].resize((19,))
        tree["a"][10:] = np.arange(11, 20)
    report = purged(repo, (slice(5, 10),))
    assert report.warnings == (
        "its shape differs between versions: (10,) in 1, (19,) in 1; the elements are those at "
        "these places in each",
    )
    report = purged(repo, (slice(14, None),))
    assert (report.chunks, report.chunks_rewritten) == (1, 1)
    with pytest.raises(InvalidInputError, match=r"10 to 19 long: -3"):
        repo.purge("a", region=slice(-3, None))


def test_wherever_it_was_and_whatever_was_there(repo: Repository) -> None:
    with repo.edit("main", "first") as tree:
        tree["g/a"] = np.arange(1, 21)
    session = repo.rearrange_session("main")
    session.move("/g/a", "/g/old")
    session.commit("moved")
    with repo.edit("main", "another") as tree:
        zarr.create_array(tree.store, name="g/a", data=np.arange(1, 21), chunks=(3,))
    report = repo.purge("g/a", region=slice(4, 8), dry_run=False)
    assert report.is_clean, report
    assert len(report.warnings) == 2
    assert "/g/a, /g/old" in report.warnings[0]
    for values in [*versions(repo, "g/a").values(), *versions(repo, "g/old").values()]:
        assert values.tolist() == [1, 2, 3, 4, 0, 0, 0, 0, *range(9, 21)]
    assert Repository.open(repo.storage).verify("data").is_healthy


def in_place(repo: Repository, message: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Commit other metadata for the array and its chunks."""
    session, make = repo.writable_session("main"), default_buffer_prototype()
    found = sync(session.store.get("a/zarr.json", make))
    assert found is not None
    document = json.loads(found.to_bytes())
    change(document)
    data = make.buffer.from_bytes(json.dumps(document).encode())
    sync(session.store.set("a/zarr.json", data))
    session.commit(message)


def test_codecs_and_fill_of_each_version(repo: Repository) -> None:
    """The same bytes, under metadata that were changed in place."""
    with repo.edit("main", "zero") as tree:
        array = zarr.create_array(
            tree.store, name="a", shape=(8,), chunks=(4,), dtype="i8", compressors=None
        )
        array[:] = np.arange(1, 9)
    in_place(repo, "minus one", lambda document: document.update(fill_value=-1))
    report = repo.purge("a", region=slice(2, 6), dry_run=False)
    assert report.is_clean, report
    assert report.chunks_rewritten == 4
    found = versions(Repository.open(repo.storage))
    assert found["zero"].tolist() == [1, 2, 0, 0, 0, 0, 7, 8]
    assert found["minus one"].tolist() == [1, 2, -1, -1, -1, -1, 7, 8]
    assert repo.purge("a", region=slice(2, 6)).chunks_rewritten == 0


def test_codecs_that_are_not_at_hand(repo: Repository, backend: MemoryBackend) -> None:
    with repo.edit("main", "first") as tree:
        zarr.create_array(tree.store, name="a", data=np.arange(1, 9), chunks=(4,))
    unknown = {"name": "secret-codec", "configuration": {}}
    in_place(repo, "strange", lambda document: document["codecs"].append(unknown))
    before = {info.key for info in backend.list()}
    for dry_run in (True, False):
        with pytest.raises(
            InvalidInputError, match=r"of /a .*secret-codec.*whole_chunks"
        ) as caught:
            repo.purge("a", region=slice(2, 3), dry_run=dry_run)
        assert caught.value.kind == ErrorKind.NOT_ALLOWED
    assert {info.key for info in backend.list()} == before
    report = repo.purge("a", region=slice(2, 3), whole_chunks=True, dry_run=False)
    assert report.is_clean
    assert report.chunks == 1
    assert "with the rest of their chunks" in report.target
    first = next(c.id for c in repo.ancestry(branch="main") if c.message == "first")
    assert repo.at(snapshot_id=first)["a"][:].tolist() == [0] * 4 + [5, 6, 7, 8]


def test_metadata_that_do_not_tell(repo: Repository) -> None:
    with repo.edit("main", "first") as tree:
        zarr.create_array(tree.store, name="a", data=np.arange(1, 9), chunks=(4,))
    in_place(repo, "strange", lambda document: document.pop("codecs"))
    with pytest.raises(InvalidInputError, match=r"of /a .*do not say how .*whole_chunks"):
        repo.purge("a", region=slice(2, 3))
    assert repo.purge("a", region=slice(2, 3), whole_chunks=True, dry_run=False).is_clean


def test_codecs_that_lose_precision(repo: Repository, backend: MemoryBackend) -> None:
    """What rounds the same way again may; what would alter other elements may not."""
    with repo.edit("main", "first") as tree:
        zarr.create_array(
            tree.store,
            name="a",
            data=np.linspace(1, 2, 8),
            chunks=(4,),
            fill_value=0.123456,
            filters=[Quantize(digits=2, dtype="<f8")],
        )
    before = repo.at()["a"][:]
    report = repo.purge("a", region=slice(2, 3), dry_run=False)
    assert report.is_clean
    after = repo.at()["a"][:]
    assert after[2] == pytest.approx(0.123456, abs=0.01)
    np.testing.assert_array_equal(np.delete(after, 2), np.delete(before, 2))


def test_damaged_chunks_are_not_taken_for_whole(repo: Repository, backend: MemoryBackend) -> None:
    with repo.edit("main", "first") as tree:
        data = np.arange(1, 9)
        zarr.create_array(tree.store, name="a", data=data, chunks=(4,), compressors=None)
    (key,) = (info.key for info in backend.list("chunks"))
    stored = bytearray(backend.get(key))
    stored[3] ^= 1
    backend.put(key, bytes(stored))
    before = {info.key for info in backend.list()}
    with pytest.raises(FormatError, match=r"chunk .* is damaged"):
        repo.purge("a", region=slice(2, 3), dry_run=False)
    assert {info.key for info in backend.list()} == before


@pytest.mark.parametrize(
    "region", [slice(1, 2), slice(0, 4), slice(3, 6)], ids=["outside", "whole", "other-part"]
)
def test_a_shifted_chunk_that_stays_stops_it(
    repo: Repository, backend: MemoryBackend, region: slice
) -> None:
    """Its bytes are at two places of the history; what goes from one would stay at the other."""
    with repo.edit("main", "first") as tree:
        array = zarr.create_array(
            tree.store, name="a", shape=(12,), chunks=(4,), dtype="i8", compressors=None
        )
        array[:] = np.arange(1, 13)
    session = repo.writable_session("main")
    session.shift_array("/a", (1,))
    session.commit("shifted")
    before = {info.key for info in backend.list()}
    with pytest.raises(InvalidInputError, match="were moved within an array"):
        repo.purge("a", region=region, dry_run=False)
    assert {info.key for info in backend.list()} == before
    report = repo.purge("a", region=slice(1, 12), dry_run=False)
    assert report.is_clean
    assert versions(repo)["first"].tolist() == [1] + [0] * 11


def virtual(tmp_path: Path, data: np.ndarray[Any, Any]) -> tuple[Repository, Path]:
    prefix = f"file://{tmp_path}/"
    config = frazil.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        frazil.VirtualChunkContainer(prefix, frazil.local_filesystem_store(str(tmp_path)))
    )
    repo = Repository.create(
        frazil.in_memory_storage(),
        config,
        authorize_virtual_chunk_access=frazil.containers_credentials(
            {prefix: frazil.credentials.LocalFileSystemAccess}
        ),
    )
    file = tmp_path / "f"
    file.write_bytes(data.tobytes())
    with repo.edit("main", "first") as tree:
        zarr.create_array(
            tree.store, name="a", shape=data.shape, chunks=(4,), dtype="i8", compressors=None
        )
        for i in range(len(data) // 4):
            tree.store.set_virtual_ref(f"a/c/{i}", f"{prefix}f", offset=32 * i, length=32)
    return repo, file


def test_the_rest_of_foreign_chunks_becomes_our_own(tmp_path: Path) -> None:
    data = np.arange(1, 13)
    repo, file = virtual(tmp_path, data)
    report = purged(repo, (slice(2, 9),))
    assert (report.virtual, report.virtual_rewritten, report.chunks_rewritten) == (1, 2, 2)
    assert report.foreign_files == (f"file://{file}",)
    assert file.read_bytes() == data.tobytes()
    file.unlink()
    assert repo.at()["a"][:].tolist() == [1, 2, *[0] * 7, 10, 11, 12]


def test_foreign_files_that_are_not_there(tmp_path: Path) -> None:
    repo, file = virtual(tmp_path, np.arange(1, 13))
    file.unlink()
    with pytest.raises(StorageError, match=f"{file}"):
        repo.purge("a", region=slice(2, 3))
    assert repo.purge("a", region=slice(2, 3), whole_chunks=True, dry_run=False).is_clean


FIRST = np.frombuffer(b"the name of somebody, and others", "u1")


@pytest.fixture
def small(repo: Repository) -> Repository:
    """Cut chunks in packs, with others and inline; a tag, and a branch."""
    with repo.edit("main", "first") as tree:
        zarr.create_array(tree.store, name="a", data=FIRST, chunks=(12,), compressors=None)
        zarr.create_array(tree.store, name="b", data=FIRST[::-1], chunks=(12,), compressors=None)
    repo.create_tag("kept", repo.lookup_branch("main"))
    repo.create_branch("dev", repo.lookup_branch("main"))
    with repo.edit("dev", "second") as tree:
        tree["a"][0] = 1
    return repo


def requests(backend: MemoryBackend, repo: Repository) -> list[str]:
    """The operations of a whole purge, on a copy."""
    copy, calls = MemoryBackend(), []
    for info in backend.list():
        copy.put(info.key, backend.get(info.key))

    def note(operation: str, key: str) -> Fault | None:
        calls.append(operation)
        return None

    Repository.open(storage_around(Faulty(copy, note))).purge(
        "a", region=slice(12, 20), dry_run=False
    )
    return calls


def test_one_that_died_at_any_request_is_done_again(
    small: Repository, backend: MemoryBackend
) -> None:
    """At a read it leaves what it leaves at the write that would have come next."""
    calls = requests(backend, small)
    writes = [i for i, operation in enumerate(calls) if operation in ("put", "delete")]
    assert len(writes) > 10
    before = versions(small)
    after = {message: values.copy() for message, values in before.items()}
    for values in after.values():
        values[12:20] = 0
    for at in writes:
        copy = MemoryBackend()
        for info in backend.list():
            copy.put(info.key, backend.get(info.key))
        count = iter(range(10**9))

        def dies(operation: str, key: str, at: int = at, count: Any = count) -> Fault | None:
            return Fault.REFUSED if next(count) >= at else None

        with pytest.raises(StorageError):
            Repository.open(storage_around(Faulty(copy, dies))).purge(
                "a", region=slice(12, 20), dry_run=False
            )
        left = Repository.open(storage_around(copy))
        found = {message: values.tolist() for message, values in versions(left).items()}
        assert found in [
            {message: values.tolist() for message, values in state.items()}
            for state in (before, after)
        ]
        report = left.purge("a", region=slice(12, 20), dry_run=False)
        assert report.is_clean, report
        assert FIRST[12:20].tobytes() not in everything(copy)
        assert {m: v.tolist() for m, v in versions(left).items()} == {
            m: v.tolist() for m, v in after.items()
        }
        assert Repository.open(storage_around(copy)).verify("data").is_healthy


def test_a_commit_meanwhile_is_looked_at_too(
    small: Repository, monkeypatch: pytest.MonkeyPatch, backend: MemoryBackend
) -> None:
    from frazil.engine.purging import purge

    original, other, calls = purge._replace, Repository.open(small.storage), []

    def slow(*args: Any) -> None:
        if not calls:
            with other.edit("dev", "meanwhile") as tree:
                tree["a"][11:13] = 7
        calls.append(1)
        original(*args)

    monkeypatch.setattr(purge, "_replace", slow)
    report = small.purge("a", region=slice(12, 20), dry_run=False)
    assert len(calls) == 2
    assert report.is_clean, report
    assert small.at(branch="dev")["a"][10:22].tolist() == [
        *FIRST[10:11],
        7,
        *[0] * 8,
        *FIRST[20:22],
    ]
