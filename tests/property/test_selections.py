"""Whatever is selected of whatever array, written and read: as with Zarr's own pipelines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    TransposeCodec,
    ZstdCodec,
)

import frazil

NEW = Version(zarr.__version__) >= Version("3.4")
PIPELINES = ["zarr.core.codec_pipeline.BatchedCodecPipeline"] + (
    ["zarr.core.codec_pipeline.FusedCodecPipeline"] if NEW else []
)

DTYPES: dict[str, tuple[Any, Any]] = {
    # type, another fill value than its default
    "bool": ("bool", True),
    "int8": ("i1", -1),
    "uint16, big-endian": (">u2", 7),
    "int32": ("<i4", 3),
    "uint64": ("u8", 2**63),
    "float16": ("f2", 1.5),
    "float32": ("f4", float("nan")),
    "float64": ("<f8", -0.0),
    "complex64": ("c8", 1 + 2j),
    "datetime64": ("M8[ns]", np.datetime64("NaT", "ns")),
    "timedelta64": ("m8[s]", np.timedelta64(5, "s")),
    "text, fixed": ("<U3", "ab"),
    "bytes, fixed": ("S4", b"x"),
    "text": (str, "none"),
    "structured": ([("a", "<i4"), ("b", "<f8")], np.array((1, 2.5), [("a", "<i4"), ("b", "<f8")])),
}


def values(draw: Any, kind: str, dtype: Any, shape: tuple[int, ...], fill: Any) -> npt.NDArray[Any]:
    """Cells of which some are the fill value."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    number = rng.integers(0, 4, shape)
    if kind == "text":
        return np.array(["none", "a", "", "ü" * 5], object)[number]
    if kind == "structured":
        cells = np.zeros(shape, dtype)
        cells["a"], cells["b"] = number, number / 2
        return cells
    if dtype[:2] in ("<U", "S4"):
        return number.astype(dtype)
    cells = number.astype("i8").astype(np.dtype(dtype))
    if cells.dtype.kind == "f":
        cells = np.where(number == 3, -cells.dtype.type(0), cells).astype(dtype)
    cells[number == 2] = fill
    return cells


@st.composite
def arrays(draw: Any) -> dict[str, Any]:
    """Arguments of `zarr.create_array`."""
    kind = draw(st.sampled_from(sorted(DTYPES)))
    dtype, fill = DTYPES[kind]
    ndim = draw(st.integers(0, 3))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(ndim))
    chunks: Any = tuple(draw(st.integers(1, 5)) for _ in range(ndim))
    options: dict[str, Any] = {"shape": shape, "dtype": dtype, "chunks": chunks}
    default = {"structured": np.zeros((), dtype)[()], "text": ""}.get(kind, 0)
    if draw(st.booleans()):
        options["fill_value"] = fill[()] if kind == "structured" else fill
    layout = draw(st.sampled_from(["regular", "regular", "sharded", "rectilinear"]))
    # Older versions of Zarr cannot read shards of structured cells.
    if layout == "sharded" and ndim and (NEW or kind != "structured"):
        options["shards"] = tuple(size * draw(st.integers(1, 3)) for size in chunks)
    elif layout == "rectilinear" and ndim and NEW:
        edges = []
        for size in shape:
            first = draw(st.integers(1, size))
            edges.append([first, size - first] if first < size else [size])
        options["chunks"] = edges
    if ndim > 1 and draw(st.booleans()):
        order = tuple(draw(st.permutations(range(ndim))))
        options["filters"] = [TransposeCodec(order=order)]
    plain = kind not in ("text", "structured") and np.dtype(dtype).itemsize > 1
    if plain and draw(st.booleans()):
        options["serializer"] = BytesCodec(endian=draw(st.sampled_from(["little", "big"])))
    choices: list[Any] = [
        "auto",
        None,
        ZstdCodec(level=draw(st.sampled_from([-3, 0, 1, 7])), checksum=draw(st.booleans())),
        [Crc32cCodec(), ZstdCodec()],
        [ZstdCodec(), Crc32cCodec()],
        GzipCodec(level=1),
        BloscCodec(cname="lz4", typesize=4),
        [ZstdCodec(level=1), ZstdCodec()],
        zarr.codecs.numcodecs.Zlib(level=1),
    ]
    options["compressors"] = draw(st.sampled_from(choices))
    options["config"] = {
        "order": draw(st.sampled_from("CF")),
        "write_empty_chunks": draw(st.booleans()),
    }
    if kind == "text" and not NEW:
        # Older versions of Zarr mix up the cells of text that is in F order in memory.
        options["config"]["order"] = "C"
        options.pop("filters", None)
    return options | {"_kind": kind, "_fill": options.get("fill_value", default)}


def slices(size: int) -> st.SearchStrategy[slice]:
    """Slices that Zarr takes, empty ones included."""
    ends = st.one_of(st.none(), st.integers(-size, size))
    return st.builds(slice, ends, ends, st.one_of(st.none(), st.integers(1, 4)))


@st.composite
def selections(draw: Any, shape: tuple[int, ...]) -> tuple[str, Any]:
    """A way to select, and what."""
    if not shape:
        return "basic", draw(st.sampled_from([(), Ellipsis]))
    way = draw(
        st.sampled_from(["basic", "basic", "all", "orthogonal", "coordinate", "mask", "block"])
    )
    if way == "all":
        return "basic", Ellipsis
    if way == "basic":
        parts = [draw(st.one_of(slices(n), st.integers(-n, n - 1))) for n in shape]
        return way, tuple(parts[: draw(st.integers(1, len(shape)))])
    if way == "orthogonal":
        parts = []
        for n in shape:
            each = st.lists(st.integers(0, n - 1), min_size=1, max_size=6, unique=True)
            masks = st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)
            parts.append(
                draw(st.one_of(slices(n), st.integers(0, n - 1), each.map(np.array), masks))
            )
        return way, tuple(parts)
    if way == "coordinate":
        count = draw(st.integers(1, 6))
        cells = [
            draw(st.lists(st.integers(0, n - 1), min_size=count, max_size=count)) for n in shape
        ]
        return way, tuple(np.array(part) for part in cells)
    if way == "mask":
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        return way, rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    return way, ()


def get(array: Any, way: str, selection: Any) -> Any:
    """What Zarr returns."""
    return {
        "basic": lambda: array.get_basic_selection(selection),
        "orthogonal": lambda: array.get_orthogonal_selection(selection),
        "coordinate": lambda: array.get_coordinate_selection(selection),
        "mask": lambda: array.get_mask_selection(selection),
        "block": lambda: array.get_block_selection(selection),
    }[way]()


def put(array: Any, way: str, selection: Any, value: Any) -> None:
    """Write with Zarr."""
    {
        "basic": lambda: array.set_basic_selection(selection, value),
        "orthogonal": lambda: array.set_orthogonal_selection(selection, value),
        "coordinate": lambda: array.set_coordinate_selection(selection, value),
        "mask": lambda: array.set_mask_selection(selection, value),
        "block": lambda: array.set_block_selection(selection, value),
    }[way]()


def outcome(call: Any) -> Any:
    """The result of a call, or what kind of error it raises."""
    try:
        return call()
    except Exception as error:
        return type(error)


def same(ours: Any, theirs: Any) -> None:
    """Equal to the last bit, type and layout included."""
    if isinstance(theirs, type):
        assert ours is theirs
        return
    ours, theirs = np.asanyarray(ours), np.asanyarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.flags.f_contiguous == theirs.flags.f_contiguous
    if ours.dtype.kind in "OT":
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.tobytes() == theirs.tobytes()


def keys(store: Any) -> set[str]:
    """All keys of a store."""

    async def listed() -> set[str]:
        return {key async for key in store.list()}

    return zarr.core.sync.sync(listed())


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), options=arrays(), pipeline=st.sampled_from(PIPELINES))
def test_results_are_those_of_zarr(data: Any, options: dict[str, Any], pipeline: str) -> None:
    kind, fill = options.pop("_kind"), options.pop("_fill")
    dtype, shape = options["dtype"], options["shape"]
    changes = {"codec_pipeline.path": pipeline}
    if NEW:
        changes["array.rectilinear_chunks"] = True
    with warnings.catch_warnings(), zarr.config.set(changes):
        warnings.simplefilter("ignore")
        repo = frazil.Repository.create(frazil.in_memory_storage())
        session = repo.writable_session("main")
        theirs = outcome(lambda: zarr.create_array({}, **options))
        ours = outcome(lambda: zarr.create_array(session.store, name="group/a", **options))
        if isinstance(theirs, type):
            assert ours is theirs
            return
        config = options["config"]
        for _ in range(data.draw(st.integers(1, 3))):
            way, selection = data.draw(selections(shape))
            found = outcome(lambda: get(theirs, way, selection))  # noqa: B023
            if isinstance(found, type) or data.draw(st.integers(0, 3)) == 0:
                value: Any = values(data.draw, kind, dtype, (1,), fill)[0]
            else:
                value = values(data.draw, kind, dtype, np.shape(found), fill)
            done = outcome(lambda: put(theirs, way, selection, value))  # noqa: B023
            assert outcome(lambda: put(ours, way, selection, value)) == done  # noqa: B023
            if data.draw(st.booleans()):
                session.commit("so far", allow_empty=True)
                session = repo.writable_session("main")
                ours = zarr.open_array(session.store, path="group/a", config=config)
                theirs = zarr.open_array(theirs.store, config=config)
            for _ in range(2):
                way, selection = data.draw(selections(shape))
                expected = outcome(lambda: get(theirs, way, selection))  # noqa: B023
                same(outcome(lambda: get(ours, way, selection)), expected)  # noqa: B023
        assert keys(session.store) - {"zarr.json", "group/zarr.json"} == {
            f"group/a/{key}" for key in keys(theirs.store)
        }
        # What this pipeline has written, Zarr's reads; and the other way round.
        with zarr.config.set({"frazil.pipeline": False}):
            everything = ours[...]
            same(everything, theirs[...])
            put(ours, "basic", Ellipsis, everything)
        same(ours[...], everything)


@pytest.mark.parametrize("order", ["C", "F"])
def test_text_in_any_memory_order_is_read_as_written(order: Any) -> None:
    session = frazil.Repository.create(frazil.in_memory_storage()).writable_session("main")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = zarr.create_array(
            session.store, name="a", shape=(2, 3), chunks=(2, 2), dtype=str, config={"order": order}
        )
    cells = np.array([["ab", "c", ""], ["d", "", "e"]], object)
    for value in (cells, np.asfortranarray(cells)):
        array[...] = "x"
        array[...] = value
        assert array[...].tolist() == cells.tolist()
        array[1:, 1:] = value[1:, 1:]
        assert array[...].tolist() == cells.tolist()
