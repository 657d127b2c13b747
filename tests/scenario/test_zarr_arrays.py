"""Zarr arrays and groups of every sort, written, committed and read back."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
    numcodecs,
)
from zarr.core.buffer import cpu
from zarr.dtype import VariableLengthBytes

import frazil
from frazil.errors import IcechunkError, InvalidInputError

PIPELINES = [
    f"zarr.core.codec_pipeline.{name}"
    for name in ("BatchedCodecPipeline", "FusedCodecPipeline")
    if hasattr(zarr.core.codec_pipeline, name)
]
HAS_RECTILINEAR = "rectilinear_chunks" in zarr.config.get("array")

pytestmark = [
    # Data types and codecs beyond the Zarr v3 specification, and object arrays of bytes.
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
]


@pytest.fixture(params=PIPELINES, ids=lambda path: path.rpartition(".")[2])
def pipeline(request: pytest.FixtureRequest) -> Iterator[None]:
    with zarr.config.set({"codec_pipeline.path": request.param}):
        yield


@pytest.fixture(params=[1, 2], ids=["spec1", "spec2"])
def repo(request: pytest.FixtureRequest) -> frazil.Repository:
    return frazil.Repository.create(frazil.in_memory_storage(), spec_version=request.param)


def committed(repo: frazil.Repository, session: Any, message: str = "a commit") -> zarr.Group:
    """The root group as readers see it after committing the session."""
    session.commit(message)
    return zarr.open_group(repo.readonly_session("main").store, mode="r")


def check_round_trip(repo: frazil.Repository, data: npt.NDArray[Any], **options: Any) -> None:
    """Write an array, read it before and after the commit, and in part."""
    session = repo.writable_session("main")
    written = zarr.create_array(session.store, name="a", shape=data.shape, **options)
    written[...] = data
    np.testing.assert_array_equal(written[...], data)
    root = committed(repo, session)
    read = root["a"]
    assert isinstance(read, zarr.Array)
    assert str(read.metadata.to_dict()) == str(written.metadata.to_dict())  # NaT is not NaT
    np.testing.assert_array_equal(read[...], data)
    part = tuple(slice(1, n - 1) for n in data.shape)
    np.testing.assert_array_equal(read[part], data[part])


_RANDOM = np.random.default_rng(20240229)
_TEXT = np.array(["", "a", "北極", "ice" * 50, "\U0001f9ca", "z"] * 4)

DATA: dict[str, tuple[Any, npt.NDArray[Any]]] = {
    **{
        name: (name, _RANDOM.integers(0, 2, 24).astype(name) * np.array(100, name))
        for name in ("bool", "int8", "int16", "int32", "int64")
    },
    **{
        name: (name, _RANDOM.integers(0, 200, 24).astype(name))
        for name in ("uint8", "uint16", "uint32", "uint64")
    },
    **{
        name: (name, _RANDOM.normal(size=24).astype(name))
        for name in ("float16", "float32", "float64", "complex64", "complex128")
    },
    ">i4": (">i4", np.arange(24, dtype=">i4")),
    ">f8": (">f8", np.linspace(0, 1, 24, dtype=">f8")),
    "fixed text": ("<U9", _TEXT.astype("<U9")),
    "text": (str, _TEXT),
    "fixed bytes": ("S5", np.array([b"", b"a", b"bcdef"] * 8, "S5")),
    "raw bytes": (np.dtype("V3"), np.array([b"abc", b"\0\0\1", b"   "] * 8, "V3")),
    "bytes": (VariableLengthBytes(), np.array([b"", b"a", b"\0" * 9] * 8, object)),
    "datetime": ("M8[ns]", np.arange(24).astype("M8[h]").astype("M8[ns]")),
    "timedelta": ("m8[s]", np.arange(-12, 12).astype("m8[s]")),
    "structured": (
        np.dtype([("id", "<i4"), ("at", "<f8"), ("name", "S3")]),
        np.array(
            [(i, i / 3, b"ab") for i in range(24)],
            dtype=[("id", "<i4"), ("at", "<f8"), ("name", "S3")],
        ),
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_every_data_type(repo: frazil.Repository, name: str) -> None:
    dtype, data = DATA[name]
    check_round_trip(repo, data, dtype=dtype, chunks=(7,))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs numpy 2")
def test_variable_length_text_of_numpy_2(repo: frazil.Repository) -> None:
    data = _TEXT.astype(np.dtypes.StringDType())
    check_round_trip(repo, data, dtype=data.dtype, chunks=(5,))


COMPRESSORS: dict[str, Any] = {
    "none": None,
    "blosc-lz4": BloscCodec(cname="lz4", shuffle="shuffle"),
    "blosc-zstd-bits": BloscCodec(cname="zstd", shuffle="bitshuffle"),
    "gzip": GzipCodec(),
    "zstd": ZstdCodec(level=5),
    "zstd-checksum": ZstdCodec(level=1, checksum=True),
    "crc32c": Crc32cCodec(),
    "gzip-crc32c": (GzipCodec(), Crc32cCodec()),
    **{
        name: getattr(numcodecs, name)()
        for name in ("BZ2", "LZ4", "LZMA", "Zlib", "Zstd", "GZip", "Blosc", "Shuffle")
    },
    **{name: getattr(numcodecs, name)() for name in ("CRC32", "Adler32", "Fletcher32")},
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compressor(repo: frazil.Repository, pipeline: None, name: str) -> None:
    data = np.arange(600, dtype="f8").reshape(20, 30)
    check_round_trip(repo, data, dtype="f8", chunks=(7, 8), compressors=COMPRESSORS[name])


FILTERS: dict[str, Any] = {
    "transpose": TransposeCodec(order=(1, 0)),
    "delta": numcodecs.Delta(dtype="<i4"),
    "transpose-as-type": (
        TransposeCodec(order=(1, 0)),
        numcodecs.AsType(encode_dtype="<i8", decode_dtype="<i4"),
    ),
    "fixed-scale-offset": numcodecs.FixedScaleOffset(offset=0, scale=1, dtype="<i4", astype="<i4"),
    "as-type": numcodecs.AsType(encode_dtype="<i8", decode_dtype="<i4"),
}
if hasattr(zarr.codecs, "ScaleOffset"):
    FILTERS["scale-offset"] = zarr.codecs.ScaleOffset(offset=5, scale=2)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter(repo: frazil.Repository, name: str) -> None:
    data = np.arange(600, dtype="i4").reshape(20, 30)
    check_round_trip(repo, data, dtype="i4", chunks=(7, 8), filters=FILTERS[name])


def test_packed_bits(repo: frazil.Repository) -> None:
    data = np.arange(100) % 3 == 0
    check_round_trip(repo, data, dtype="bool", chunks=(9,), filters=numcodecs.PackBits())


@pytest.mark.parametrize("endian", ["big", "little"])
def test_byte_orders(repo: frazil.Repository, endian: Any) -> None:
    data = np.arange(100, dtype="u2")
    check_round_trip(repo, data, dtype="u2", chunks=(9,), serializer=BytesCodec(endian=endian))


SHARDED: dict[str, dict[str, Any]] = {
    "at the end": {"chunks": (4, 5), "shards": (16, 20)},
    "at the start": {
        "chunks": (16, 20),
        "serializer": ShardingCodec(chunk_shape=(4, 5), index_location="start"),
    },
    "compressed": {"chunks": (4, 5), "shards": (16, 20), "compressors": ZstdCodec()},
    "nested": {
        "chunks": (16, 20),
        "compressors": None,
        "serializer": ShardingCodec(
            chunk_shape=(8, 10), codecs=[ShardingCodec(chunk_shape=(4, 5))]
        ),
    },
}


@pytest.mark.parametrize("name", SHARDED)
def test_shards(repo: frazil.Repository, pipeline: None, name: str) -> None:
    options = {"compressors": None, **SHARDED[name]}
    data = np.arange(50 * 60, dtype="u4").reshape(50, 60)
    check_round_trip(repo, data, dtype="u4", **options)
    session = repo.writable_session("main")
    array = zarr.open_array(session.store, path="a")
    array[3:40, 7:9] = data[3:40, 7:9] = 1
    array[45, 50] = data[45, 50] = 2
    np.testing.assert_array_equal(array[...], data)
    array = committed(repo, session)["a"]
    np.testing.assert_array_equal(array[...], data)
    np.testing.assert_array_equal(array[::7, ::11], data[::7, ::11])
    np.testing.assert_array_equal(array.oindex[[1, 30], [2, 55]], data[np.ix_([1, 30], [2, 55])])


@pytest.mark.skipif(not HAS_RECTILINEAR, reason="this zarr has no rectilinear chunk grids")
class TestRectilinear:
    """Chunks of unequal size, in repositories of spec 2."""

    def create(self, store: Any, **options: Any) -> zarr.Array:
        options = {"shape": (10, 8), "chunks": [[2, 3, 5], [4, 4]], "dtype": "i4"} | options
        with zarr.config.set({"array.rectilinear_chunks": True}):
            return zarr.create_array(store, name="a", **options)

    @pytest.mark.parametrize("chunks", [[[2, 3, 5], [4, 4]], [[1, 9], [2, 6]], [[5, 5], [1] * 8]])
    def test_round_trip(self, pipeline: None, chunks: Any) -> None:
        repo = frazil.Repository.create(frazil.in_memory_storage())
        session = repo.writable_session("main")
        data = np.arange(80, dtype="i4").reshape(10, 8) + 1
        array = self.create(session.store, chunks=chunks)
        array[...] = data
        with zarr.config.set({"array.rectilinear_chunks": True}):
            root = committed(repo, session)
            np.testing.assert_array_equal(root["a"][...], data)
            np.testing.assert_array_equal(root["a"][3:7, 1:6], data[3:7, 1:6])
            assert root["a"].nchunks_initialized == len(chunks[0]) * len(chunks[1])

    def test_spec_1_refuses_them(self) -> None:
        repo = frazil.Repository.create(frazil.in_memory_storage(), spec_version=1)
        with pytest.raises(InvalidInputError, match="rectilinear") as caught:
            self.create(repo.writable_session("main").store)
        assert caught.value.kind == "bad-metadata"


@pytest.mark.parametrize("value", [3.5, float("nan")])
def test_arrays_without_dimensions(repo: frazil.Repository, value: float) -> None:
    check_round_trip(repo, np.array(value), dtype="f8")


@pytest.mark.parametrize("shape", [(0,), (0, 5), (3, 0, 2)])
def test_empty_arrays(repo: frazil.Repository, shape: tuple[int, ...]) -> None:
    check_round_trip(repo, np.zeros(shape, "f4"), dtype="f4", chunks=(2,) * len(shape))


@pytest.mark.parametrize("ndim", [1, 3, 6])
def test_many_dimensions(repo: frazil.Repository, ndim: int) -> None:
    data = np.arange(3**ndim, dtype="i2").reshape((3,) * ndim)
    check_round_trip(repo, data, dtype="i2", chunks=(2,) * ndim)


def test_fill_values_stand_for_chunks(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=10, chunks=2, dtype="i4", fill_value=7)
    assert array.nchunks_initialized == 0
    np.testing.assert_array_equal(array[...], 7)
    array[2:6] = [1, 2, 7, 7]
    assert array.nchunks_initialized == 1
    root = committed(repo, session)
    np.testing.assert_array_equal(root["a"][...], [7, 7, 1, 2, 7, 7, 7, 7, 7, 7])
    assert root["a"].nchunks_initialized == 1
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="a")[...] = 7
    root = committed(repo, session)
    assert root["a"].nchunks_initialized == 0
    np.testing.assert_array_equal(root["a"][...], 7)


def test_fill_values_can_be_stored(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(
        session.store,
        name="a",
        shape=10,
        chunks=2,
        dtype="i4",
        config={"write_empty_chunks": True},
    )
    array[...] = 0
    assert committed(repo, session)["a"].nchunks_initialized == 5


def test_resizing(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=(6, 6), chunks=(2, 2), dtype="i4")
    array[...] = 1
    session.commit("six by six")
    session = repo.writable_session("main")
    array = zarr.open_array(session.store, path="a")
    array.resize((3, 8))
    array.resize((6, 8))
    array[5, 7] = 9
    expected = np.zeros((6, 8))
    expected[:3, :6] = 1
    # Elements outside of the array in a chunk that stays are kept, as Zarr does everywhere.
    expected[3, :6] = 1
    expected[5, 7] = 9
    np.testing.assert_array_equal(array[...], expected)
    root = committed(repo, session, "resized")
    np.testing.assert_array_equal(root["a"][...], expected)
    assert root["a"].nchunks_initialized == 7


def test_appending(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=(0, 3), chunks=(2, 2), dtype="i4")
    for start in range(0, 9, 3):
        array.append(np.arange(start, start + 3)[:, None] + np.zeros(3, "i4"), axis=0)
        session.commit(f"from {start}")
        session = repo.writable_session("main")
        array = zarr.open_array(session.store, path="a")
    np.testing.assert_array_equal(array[:, 2], np.arange(9))


def test_groups_and_members(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    root = zarr.create_group(session.store, attributes={"title": "tree"})
    for path in ("a", "a/b", "a/b/c", "a-b", "a.b", "温度", "c"):
        root.create_group(path, attributes={"path": path})
    for path in ("x", "a/x", "a/b/c/c", "c/c"):
        root.create_array(path, shape=(3,), dtype="i1", chunks=(2,))[...] = 5
    for view in (root, committed(repo, session)):
        assert {name for name, _ in view.members()} == {"a", "a-b", "a.b", "温度", "c", "x"}
        every = dict(view.members(max_depth=None))
        assert set(every) == {
            *("a", "a/b", "a/b/c", "a-b", "a.b", "温度", "c"),
            *("x", "a/x", "a/b/c/c", "c/c"),
        }
        assert every["a/b/c"].attrs["path"] == "a/b/c"
        assert view.attrs["title"] == "tree"
        assert {name for name, _ in view.arrays()} == {"x"}
        assert set(view["a"].group_keys()) == {"b"}
        assert "a/b/c/c" in view
        assert "a/b/d" not in view
        np.testing.assert_array_equal(view["c/c"][...], 5)


def test_intermediate_groups_are_made(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a/b/x", shape=(2,), dtype="i1")
    root = committed(repo, session)
    assert {name for name, _ in root.members(max_depth=None)} == {"a", "a/b", "a/b/x"}


def test_deleting_and_replacing(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    root = zarr.create_group(session.store)
    for path in ("a/x", "a/y", "b/x"):
        root.create_array(path, shape=(4,), dtype="i4", chunks=(2,))[...] = 1
    session.commit("three arrays")
    session = repo.writable_session("main")
    root = zarr.open_group(session.store)
    del root["a/x"]
    root.create_array("b/x", shape=(6,), dtype="f8", chunks=(3,), overwrite=True)
    root["b/x"][3:] = 2.5
    root.create_group("a/y", overwrite=True)
    root = committed(repo, session)
    assert set(dict(root.members(max_depth=None))) == {"a", "a/y", "b", "b/x"}
    assert isinstance(root["a/y"], zarr.Group)
    np.testing.assert_array_equal(root["b/x"][...], [0, 0, 0, 2.5, 2.5, 2.5])


def test_opening_a_group_for_writing_replaces_everything(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", shape=(2,), dtype="i1")
    root = zarr.open_group(session.store, mode="w", attributes={"new": True})
    assert list(root.members()) == []
    assert committed(repo, session).attrs["new"] is True


ATTRIBUTES = {
    "text": "Grönland ❄",
    "number": 1.5,
    "large": 2**60,
    "none": None,
    "flag": False,
    "list": [1, "two", [3.0]],
    "object": {"a": {"b": []}},
    "": "no name",
}


def test_attributes(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    root = zarr.create_group(session.store, attributes=ATTRIBUTES)
    array = root.create_array("a", shape=(2,), dtype="i1", attributes={"old": 1, "gone": 2})
    session.commit("first")
    session = repo.writable_session("main")
    array = zarr.open_array(session.store, path="a")
    array.attrs["units"] = "K"
    array.attrs.update({"old": 3})
    del array.attrs["gone"]
    root = committed(repo, session, "second")
    assert dict(root.attrs) == ATTRIBUTES
    assert dict(root["a"].attrs) == {"old": 3, "units": "K"}


def test_dimension_names(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    zarr.create_array(
        session.store, name="a", shape=(2, 2), dtype="i1", dimension_names=["time", None]
    )
    assert committed(repo, session)["a"].metadata.dimension_names == ("time", None)


def test_metadata_is_not_consolidated(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", shape=(2,), dtype="i1")
    with pytest.raises(TypeError, match="consolidated"):
        zarr.consolidate_metadata(session.store)
    with pytest.raises(ValueError, match="consolidated"):
        zarr.open_consolidated(session.store)
    root = committed(repo, session)
    assert root.metadata.consolidated_metadata is None
    assert set(root.array_keys()) == {"a"}


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_modes_that_need_something_to_open(repo: frazil.Repository, mode: Any) -> None:
    store = repo.writable_session("main").store
    for opening in (zarr.open, zarr.open_group, zarr.open_array):
        with pytest.raises(FileNotFoundError):
            opening(store, mode=mode)
    zarr.create_group(store)
    zarr.create_array(store, name="a", shape=(2,), dtype="i1")
    assert isinstance(zarr.open(store, mode=mode), zarr.Group)
    assert isinstance(zarr.open(store, path="a", mode=mode), zarr.Array)
    assert isinstance(zarr.open_group(store, mode=mode), zarr.Group)
    array = zarr.open_array(store, path="a", mode=mode)
    if mode == "r":
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    else:
        array[...] = 1


@pytest.mark.parametrize("mode", ["a", "w", "w-"])
def test_modes_that_create(repo: frazil.Repository, mode: Any) -> None:
    store = repo.writable_session("main").store
    zarr.open_group(store, mode=mode)
    array = zarr.open_array(store, path="a", mode=mode, shape=(2,), dtype="i1", zarr_format=3)
    array[...] = 1
    if mode == "w-":
        with pytest.raises(FileExistsError):
            zarr.open_group(store, mode=mode)
        with pytest.raises(FileExistsError):
            zarr.open_array(store, path="a", mode=mode, shape=(2,), dtype="i1")
    assert zarr.open_array(store, path="a", mode="r")[0] == 1


def test_read_only_sessions_refuse_to_be_opened_for_writing(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    zarr.create_group(session.store)
    session.commit("root")
    store = repo.readonly_session("main").store
    for mode in ("r+", "a", "w", "w-"):
        with pytest.raises(ValueError, match="read-only"):
            zarr.open_group(store, mode=mode)
    assert isinstance(zarr.open(store), zarr.Group)


def test_save_and_load(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    data = np.arange(10)
    zarr.save_array(session.store, data, path="one")
    zarr.save_group(session.store, a=data, b=data * 2, path="two")
    session.commit("saved")
    store = repo.readonly_session("main").store
    np.testing.assert_array_equal(zarr.load(store, path="one"), data)
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["two/b"][...], data * 2)


def test_copying_a_tree_between_stores(repo: frazil.Repository) -> None:
    source = zarr.storage.MemoryStore()
    zarr.create_array(source, name="g/a", shape=(5,), chunks=(2,), dtype="f4")[...] = 3
    session = repo.writable_session("main")

    async def copy() -> None:
        for key in sorted([key async for key in source.list()], key=lambda k: "/c/" in k):
            value = await source.get(key, zarr.core.buffer.default_buffer_prototype())
            assert value is not None
            await session.store.set(key, value)

    asyncio.run(copy())
    np.testing.assert_array_equal(committed(repo, session)["g/a"][...], 3)


@pytest.mark.parametrize(
    "encoding", [{"name": "v2", "separator": "."}, {"name": "default", "separator": "."}]
)
def test_other_chunk_key_encodings_fail_loudly(repo: frazil.Repository, encoding: Any) -> None:
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", shape=(2, 2), dtype="i1")
    array = zarr.create_array(
        session.store, name="ac", shape=(2, 2), dtype="i1", chunk_key_encoding=encoding
    )
    with pytest.raises(IcechunkError, match="invalid key"):
        array[...] = 1
    assert zarr.open_array(session.store, path="a").nchunks_initialized == 0


def test_threads_share_a_store(repo: frazil.Repository, pipeline: None) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=(8, 1000), chunks=(1, 50), dtype="i4")
    start = threading.Barrier(8)

    def write(row: int) -> None:
        start.wait()
        array[row] = np.arange(1000) + row
        np.testing.assert_array_equal(array[row], np.arange(1000) + row)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    expected = np.arange(1000) + np.arange(8)[:, None]
    np.testing.assert_array_equal(array[...], expected)
    np.testing.assert_array_equal(committed(repo, session)["a"][...], expected)


async def test_inside_a_running_event_loop(repo: frazil.Repository) -> None:
    session = repo.writable_session("main")
    array = zarr.create_array(session.store, name="a", shape=(100,), chunks=(10,), dtype="i4")
    array[...] = 4
    session.store.set_sync("g/zarr.json", cpu.Buffer.from_bytes(b'{"node_type": "group"}'))
    session.commit("sync")
    store = repo.readonly_session("main").store
    again = await zarr.api.asynchronous.open_array(store=store, path="a", mode="r")
    np.testing.assert_array_equal(await again.getitem(...), 4)
    np.testing.assert_array_equal(zarr.open_array(store, path="a", mode="r")[...], 4)


@pytest.mark.parametrize(
    "select",
    [
        lambda a: a[5],
        lambda a: a[-1, ::3],
        lambda a: a[3:3],
        lambda a: a[..., 4:9],
        lambda a: a[[1, 8, 3], [2, 2, 7]],
    ],
)
def test_selections(repo: frazil.Repository, select: Callable[[Any], Any]) -> None:
    data = np.arange(200).reshape(10, 20)
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="a", data=data, chunks=(3, 4))
    array = committed(repo, session)["a"]
    np.testing.assert_array_equal(select(array), select(data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(array.blocks[1, 2], data[3:6, 8:12])
