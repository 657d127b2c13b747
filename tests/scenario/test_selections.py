"""Selections read and written at once: when that happens, with how much effort, and errors."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.abc.codec import CodecPipeline
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec
from zarr.core.array_spec import ArrayConfig
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import register_pipeline
from zarr.storage import MemoryStore, WrapperStore

import frazil
from frazil.errors import ReadOnlyError, StorageError
from frazil.storage.base import Backend
from frazil.storage.doubles import Counting, Fault, Faulty, Wrapper
from frazil.storage.memory import MemoryBackend
from frazil.store.pipeline import reading, zstd
from frazil.store.pipeline.pipeline import SelectionPipeline
from tests.scenario.places import storage_around


class Noted(BatchedCodecPipeline):
    """A pipeline that a user has configured; it notes what it is used for."""

    calls: tuple[str, ...] = ()

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        Noted.calls += ("read",)
        return await super().read(*args, **kwargs)

    async def write(self, *args: Any, **kwargs: Any) -> None:
        Noted.calls += ("write",)
        await super().write(*args, **kwargs)


@pytest.fixture
def noted() -> Iterator[type[Noted]]:
    """Zarr configured to use `Noted`, with no calls yet."""
    register_pipeline(Noted)
    Noted.calls = ()
    path = f"{Noted.__module__}.{Noted.__qualname__}"
    with zarr.config.set({"codec_pipeline.path": path}):
        yield Noted


def session_on(backend: Backend | None = None) -> Any:
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    storage = storage_around(backend or MemoryBackend())
    return frazil.Repository.create(storage, config).writable_session("main")


def array(store: Any, **options: Any) -> Any:
    options = {"shape": (40, 50), "chunks": (4, 5), "dtype": "i4"} | options
    return zarr.create_array(store, name="a", **options)


DATA = np.arange(2000, dtype="i4").reshape(40, 50) + 1


def use(made: Any) -> None:
    """Write all of an array and read it."""
    made[...] = DATA
    np.testing.assert_array_equal(made[...], DATA)


# When it happens


def test_other_stores_are_left_alone(noted: type[Noted]) -> None:
    for store in (MemoryStore(), WrapperStore(session_on().store)):
        noted.calls = ()
        made = array(store)
        assert type(made._async_array.codec_pipeline) is noted
        use(made)
        assert noted.calls == ("write", "read")
    assert zarr.config.get("codec_pipeline.path").endswith("Noted")


def test_in_frazil_stores_it_is_on_whatever_is_configured(noted: type[Noted]) -> None:
    made = array(session_on().store)
    pipeline = made._async_array.codec_pipeline
    assert isinstance(pipeline, SelectionPipeline)
    assert type(pipeline.inner) is noted
    use(made)
    assert noted.calls == ()


def test_it_can_be_switched_off_and_on_at_any_time(noted: type[Noted]) -> None:
    made = array(session_on().store)
    with zarr.config.set({"frazil.pipeline": False}):
        use(made)
        assert noted.calls == ("write", "read")
        other = zarr.open_array(made.store, path="a")
    use(made)
    use(other)
    assert noted.calls == ("write", "read")


def test_a_pipeline_that_makes_its_own_choice_is_asked(noted: type[Noted]) -> None:
    class Chooser(Noted):
        @classmethod
        def from_array_metadata_and_store(cls, array_metadata: Any, store: Any) -> CodecPipeline:
            return BatchedCodecPipeline.from_codecs(array_metadata.codecs)

    register_pipeline(Chooser)
    path = f"{Chooser.__module__}.{Chooser.__qualname__}"
    with zarr.config.set({"codec_pipeline.path": path}):
        made = array(session_on().store)
    assert type(made._async_array.codec_pipeline) is BatchedCodecPipeline
    use(made)


def test_the_import_can_be_repeated() -> None:
    from frazil.store.pipeline import install

    before = CodecPipeline.from_array_metadata_and_store
    install()
    assert CodecPipeline.from_array_metadata_and_store == before
    with pytest.raises(NotImplementedError):
        BatchedCodecPipeline.from_array_metadata_and_store(None, MemoryStore())  # type: ignore[arg-type]


def test_arrays_can_be_pickled(tmp_path: Path) -> None:
    repo = frazil.Repository.create(frazil.local_filesystem_storage(str(tmp_path)))
    session = repo.writable_session("main")
    use(array(session.store))
    session.commit("data")
    made = zarr.open_array(repo.readonly_session("main").store, path="a")
    again = pickle.loads(pickle.dumps(made))
    assert isinstance(again._async_array.codec_pipeline, SelectionPipeline)
    assert again._async_array.codec_pipeline == made._async_array.codec_pipeline
    np.testing.assert_array_equal(again[...], DATA)


# Effort


def test_members_of_a_group_are_opened_without_what_reads_them() -> None:
    store = session_on().store
    root = zarr.group(store)
    for name in "ab":
        root.create_array(name, shape=4, chunks=2, dtype="i4")
    members = dict(zarr.open_group(store, mode="r").arrays())
    for member in members.values():
        assert "inner" not in vars(member._async_array.codec_pipeline)
    assert members["a"][:].tolist() == [0] * 4
    assert members["a"]._async_array.codec_pipeline == members["b"]._async_array.codec_pipeline
    assert len({each._async_array.codec_pipeline for each in members.values()}) == 1


class Far(Wrapper):
    """A storage over a network, as far as anybody can tell."""

    @property
    def local(self) -> bool:
        return False


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compressors": None},
        {"compressors": [Crc32cCodec(), ZstdCodec()]},
        {"compressors": zarr.codecs.numcodecs.Zlib(level=1)},
        {"shards": (20, 25)},
    ],
    ids=["zstd", "none", "crc32c", "only in a loop", "sharded"],
)
@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
def test_a_selection_takes_few_requests(options: dict[str, Any]) -> None:
    backend = Counting(MemoryBackend())
    session = session_on(Far(backend))
    made = array(session.store, **options)
    made[...] = DATA
    session.commit("data")
    assert backend.requests["put", "chunks"] == 1
    backend.reset()
    np.testing.assert_array_equal(made[...], DATA)
    # The indexes of shards, and the chunks.
    assert backend.requests["get", "chunks"] <= (2 if "shards" in options else 1)
    backend.reset()
    np.testing.assert_array_equal(made[3:30, 7], DATA[3:30, 7])
    assert backend.requests["get", "chunks"] == 1


def test_parts_of_chunks_are_written_with_one_read() -> None:
    backend = Counting(MemoryBackend())
    session = session_on(Far(backend))
    made = array(session.store)
    made[...] = DATA
    session._workspace.writer.flush()
    backend.reset()
    made[1:39, 1:49] = 7
    expected = DATA.copy()
    expected[1:39, 1:49] = 7
    np.testing.assert_array_equal(made[...], expected)
    assert backend.requests["get", "chunks"] <= 2


def test_indexes_of_shards_are_read_once() -> None:
    backend = Counting(MemoryBackend())
    session = session_on(backend)
    made = array(session.store, shards=(20, 25))
    made[...] = DATA
    session.commit("data")
    backend.reset()
    assert made[0, 0] == DATA[0, 0]
    assert backend.requests["get", "chunks"] == 2
    assert made[7, 8] == DATA[7, 8]
    assert backend.requests["get", "chunks"] == 3


def test_no_more_threads_compute_than_zarr_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_on()
    made = array(session.store, shape=(2000,), chunks=(1000,), dtype="f8")
    monkeypatch.setattr("frazil.store.pipeline.writing.BLOCK_BYTES", 8000)
    most = 0
    running: set[int] = set()
    lock = threading.Lock()
    compress = zstd.compress

    def noting(*args: Any, **kwargs: Any) -> Any:
        nonlocal most
        with lock:
            running.add(threading.get_ident())
            most = max(most, len(running))
        try:
            return compress(*args, **kwargs)
        finally:
            with lock:
                running.discard(threading.get_ident())

    monkeypatch.setattr(zstd, "compress", noting)
    with zarr.config.set({"threading.max_workers": 1}):
        assert reading.threads() == 1
        made[:] = np.arange(2000)
    assert most == 1


# Errors


def test_read_only_stores_refuse() -> None:
    session = session_on()
    made = array(session.store)
    use(made)
    session.commit("data")
    with pytest.raises(ReadOnlyError):
        made[...] = 0
    np.testing.assert_array_equal(made[...], DATA)


@pytest.mark.parametrize("options", [{}, {"shards": (20, 25)}], ids=["chunks", "shards"])
def test_a_failing_storage_is_reported(options: dict[str, Any]) -> None:
    failing = False
    backend = Faulty(
        MemoryBackend(),
        lambda operation, key: Fault.REFUSED if failing and key.startswith("chunks/") else None,
    )
    session = session_on(backend)
    made = array(session.store, **options)
    made[...] = DATA
    session.commit("data")
    failing = True
    with pytest.raises(StorageError, match="as planned"):
        made[...]
    failing = False
    np.testing.assert_array_equal(made[...], DATA)


@pytest.mark.parametrize(
    "options",
    [{}, {"compressors": None}, {"shards": (20, 25)}],
    ids=["zstd", "none", "sharded"],
)
@pytest.mark.parametrize("damage", [b"\x07" * 40, b"x"], ids=["other bytes", "too short"])
def test_damaged_chunks_raise_what_zarr_raises(options: dict[str, Any], damage: bytes) -> None:
    session = session_on()
    made = array(session.store, **options)
    made[...] = DATA
    workspace = session._workspace
    workspace.set_chunk("/a", (0, 0), damage)
    errors = []
    for on in (True, False):
        for selection in (slice(None), (slice(0, 3), slice(0, 3))):
            with zarr.config.set({"frazil.pipeline": on}), pytest.raises(Exception) as caught:  # noqa: PT011
                made[selection]
            errors.append(type(caught.value))
    assert errors[:2] == errors[2:]


def test_frames_without_their_size_are_read() -> None:
    import zstandard

    session = session_on()
    made = array(session.store)
    made[...] = DATA
    bare = zstandard.ZstdCompressor(write_content_size=False)
    for row in range(10):
        part = np.ascontiguousarray(DATA[row * 4 : row * 4 + 4, :5])
        session._workspace.set_chunk("/a", (row, 0), bare.compress(part.tobytes()))
    np.testing.assert_array_equal(made[...], DATA)
    assert made[0, 0] == DATA[0, 0]


@pytest.mark.skipif(
    "read_missing_chunks" not in ArrayConfig.__dataclass_fields__, reason="this zarr fills them"
)
def test_missing_chunks_can_be_errors() -> None:
    session = session_on()
    made = array(session.store, config={"read_missing_chunks": False})
    made[:8] = DATA[:8]
    np.testing.assert_array_equal(made[:8], DATA[:8])
    with pytest.raises(Exception, match="not found"):
        made[6:10]
    with pytest.raises(Exception, match="80 chunk"):
        made[...]


def test_arrays_that_are_gone_read_as_empty() -> None:
    session = session_on()
    made = array(session.store, fill_value=3)
    made[...] = DATA
    del zarr.open_group(session.store)["a"]
    assert (made[...] == 3).all()


# Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads() -> None:
    session = session_on()
    made = array(session.store)
    use(made)
    child = os.fork()
    if child == 0:
        workspace = session._workspace
        node = workspace.node("/a")
        coords = [(i, j) for i in range(10) for j in range(10)]
        os._exit(0 if None not in workspace.get_chunks(node, coords) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nested_shards_are_left_to_zarr() -> None:
    session = session_on()
    inner = ShardingCodec(chunk_shape=(4, 5), codecs=[BytesCodec(), ZstdCodec()])
    made = array(
        session.store,
        chunks=(20, 25),
        serializer=ShardingCodec(chunk_shape=(20, 5), codecs=[inner]),
        compressors=None,
    )
    use(made)
    np.testing.assert_array_equal(made[3:9, 2:30], DATA[3:9, 2:30])
