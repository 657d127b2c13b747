"""The store answers as Icechunk's does, key by key, apart from the differences listed here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import icechunk
import pytest
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype

import frazil
from tests.scenario import trees

pytestmark = pytest.mark.skipif(
    icechunk.__version__.startswith("1."), reason="errors have no kinds before icechunk 2"
)

PROTOTYPE = default_buffer_prototype()
GROUP = b'{"zarr_format": 3, "node_type": "group"}'
VALUE = b"0123456789"
INVALID_KEY = ("InvalidInputError", "invalid-key")
BAD_INDEX = ("InvalidInputError", "invalid-chunk-index")


def array(shape: list[int]) -> bytes:
    return trees.array(shape, [2] * len(shape))


async def everything(iterator: Any) -> list[str]:
    return sorted([item async for item in iterator])


async def outcome(call: Callable[[Any], Awaitable[Any]], store: Any) -> Any:
    """What a call returns, or the name and kind of its error; None for nothing."""
    try:
        result = await call(store)
    except (icechunk.IcechunkError, frazil.IcechunkError) as error:
        names = [base.__name__ for base in type(error).__mro__]
        public = next(name for name in names if hasattr(icechunk, name))
        return public, str(error.kind)
    if isinstance(result, Buffer):
        return result.to_bytes()
    return None if result == () else result


async def make_store(module: Any, spec: int) -> Any:
    repo = module.Repository.create(module.in_memory_storage(), spec_version=spec)
    store = repo.writable_session("main").store
    for key, value in [
        ("zarr.json", GROUP),
        ("g/zarr.json", GROUP),
        ("g/h/zarr.json", GROUP),
        ("g-h/zarr.json", GROUP),
        ("a/zarr.json", array([4, 4])),
        ("e/zarr.json", array([4])),
        ("s/zarr.json", array([])),
        ("x/y/zarr.json", GROUP),
        ("a/c/0/0", VALUE * 100),
        ("a/c/0/1", VALUE),
    ]:
        await store.set(key, cpu.Buffer.from_bytes(value))
    return store


async def compare(
    spec: int,
    call: Callable[[Any], Awaitable[Any]],
    ours: Any = ...,
    writes: bool = False,
) -> None:
    """Both stores answer alike and then hold the same; `ours` is the answer if it differs."""
    here, there = [await make_store(module, spec) for module in (frazil, icechunk)]
    answer, reference = [await outcome(call, store) for store in (here, there)]
    if ours is not ...:
        assert reference != ours, "no difference any more"
        assert answer == ours
    else:
        assert answer == reference
    if writes and ours is ...:
        assert await everything(here.list()) == await everything(there.list())


KEYS = [
    *("zarr.json", "/zarr.json", "//zarr.json", "./zarr.json", "zarr.json/", "xzarr.json"),
    *("g/zarr.json", "/g/zarr.json", "g/h/zarr.json", "n/zarr.json", "a/n/zarr.json"),
    *("a/zarr.json/", "../zarr.json", "a/../zarr.json", "é/zarr.json", "c/zarr.json"),
    *("a/c/zarr.json", "a/c/0/zarr.json", "zarr.json/c/0"),
    *("a/c/0/0", "/a/c/0/0", "a//c/0/0", "a/c/0/1", "a/c/1/1", "a/c/00/+1", "a/c/9/9"),
    *("a/c/4294967295/0", "a/c/4294967296/0", "a/c/-1/0", "a/c/", "a/c/0/1/", "a/c//0"),
    *("a/c/0//1", "a/c/ 1/0", "a/c/1_0/0", "a/c/٣/0", "a/c/+", "a/c/0x1", "a/c/0/c/1"),
    *("e/c/0", "e/c/1", "s/c", "n/c/0", "n/c", "g/c/0", "g/c", "c", "c/0", "/c", "/c/0"),
    *(".zgroup", "/.zgroup", "a/.zarray", "n/.zattrs", ".zmetadata", "a/c/.zarray", "x.zgroup"),
    *(".zgroup/", "foo", "", " ", "/", "a", "a/", "..", "a/..", "a/0.0", "a/c.0.0", "c/", "c/a"),
]

# Icechunk takes the "c" at the end of a name for the marker of a chunk.
OTHER_ARRAYS = ["ac/0/0", "ac/1/1", "ac"]
# Icechunk does not check the number of coordinates.
OTHER_RANKS = ["a/c", "a/c/0", "a/c/0/1/0", "e/c", "s/c/0"]


@pytest.fixture(params=[1, 2], ids=["spec1", "spec2"])
def spec(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_reading(spec: int, key: str) -> None:
    await compare(spec, lambda store: store.get(key, PROTOTYPE))
    await compare(spec, lambda store: store.exists(key))
    await compare(spec, lambda store: store.getsize(key))


@pytest.mark.parametrize("key", KEYS, ids=ascii)
async def test_writing(spec: int, key: str) -> None:
    value = cpu.Buffer.from_bytes(GROUP)
    await compare(spec, lambda store: store.set(key, value), writes=True)
    await compare(spec, lambda store: store.set_if_not_exists(key, value), writes=True)
    await compare(spec, lambda store: store.delete(key), writes=True)


@pytest.mark.parametrize("key", OTHER_ARRAYS)
async def test_chunks_of_other_arrays_are_not_written(spec: int, key: str) -> None:
    value = cpu.Buffer.from_bytes(VALUE)
    for call in (
        lambda store: store.get(key, PROTOTYPE),
        lambda store: store.set(key, value),
        lambda store: store.delete(key),
    ):
        await compare(spec, call, ours=INVALID_KEY)


@pytest.mark.parametrize("key", OTHER_RANKS)
async def test_chunks_of_another_rank_are_not_written(spec: int, key: str) -> None:
    value = cpu.Buffer.from_bytes(VALUE)
    await compare(spec, lambda store: store.get(key, PROTOTYPE))
    await compare(spec, lambda store: store.set(key, value), ours=BAD_INDEX)
    await compare(spec, lambda store: store.set_if_not_exists(key, value), ours=BAD_INDEX)
    await compare(spec, lambda store: store.delete(key), writes=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a/c/0/0", b""),
        ("n/zarr.json", b""),
        ("n/zarr.json", b"{}"),
        ("n/zarr.json", b"[1]"),
        ("n/zarr.json", b'{"node_type": "tree"}'),
        ("n/zarr.json", array([-1])),
        ("g/zarr.json", array([4])),
        ("a/zarr.json", GROUP),
        ("a/zarr.json", array([4, 8])),
    ],
)
async def test_values(spec: int, key: str, value: bytes) -> None:
    await compare(spec, lambda store: store.set(key, cpu.Buffer.from_bytes(value)), writes=True)


@pytest.mark.parametrize("shape", [[2, 2], [4, 2]])
async def test_other_shapes_hide_chunks(spec: int, shape: list[int]) -> None:
    # Icechunk still lists them and says that they exist, until the commit.
    async def reshape(store: Any) -> list[bool]:
        await store.set("a/zarr.json", cpu.Buffer.from_bytes(array(shape)))
        found = [await store.get(key, PROTOTYPE) for key in ("a/c/0/0", "a/c/0/1")]
        return [value is not None for value in found]

    await compare(spec, reshape)


@pytest.mark.parametrize("key", ["a/c/0/1", "a/c/0/0", "a/c/1/1", "n/c/0", "n/zarr.json"])
@pytest.mark.parametrize(
    "part",
    [
        RangeByteRequest(0, 3),
        RangeByteRequest(3, 10),
        RangeByteRequest(0, 1001),
        RangeByteRequest(1000, 1001),
        OffsetByteRequest(0),
        OffsetByteRequest(9),
        OffsetByteRequest(1000),
        SuffixByteRequest(3),
        SuffixByteRequest(10),
        SuffixByteRequest(1001),
    ],
    ids=str,
)
async def test_byte_ranges(spec: int, key: str, part: Any) -> None:
    await compare(spec, lambda store: store.get(key, PROTOTYPE, part))


async def test_the_end_of_a_document(spec: int) -> None:
    end = SuffixByteRequest(3)
    await compare(spec, lambda store: store.get("g/zarr.json", PROTOTYPE, end), ours=GROUP[-3:])
    await compare(spec, lambda store: store.get("g/zarr.json", PROTOTYPE, OffsetByteRequest(3)))


PREFIXES = [
    *("", "/", "g", "g/", "/g", "/g/", "g-h", "g/h", "a", "a/", "a/c", "a/c/", "a/c/0", "a/c/0/"),
    *("a/c/1", "a/c/5", "a/c/0/1", "a/c/0/1/2", "a/c/x", "a/c/00", "e", "e/c", "s", "s/c"),
    *("x", "x/", "x/y", "n", "n/", "zarr.json", "g/zarr.json", "c", "c/0", "g/c", "..", "g/.."),
]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_listing(spec: int, prefix: str) -> None:
    await compare(spec, lambda store: everything(store.list_dir(prefix)))
    await compare(spec, lambda store: store.is_empty(prefix))
    await compare(spec, lambda store: everything(store.list_prefix(prefix)))


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if p not in ("x", "x/")])
async def test_deleting_folders(spec: int, prefix: str) -> None:
    await compare(spec, lambda store: store.delete_dir(prefix), writes=True)


async def test_clearing(spec: int) -> None:
    await compare(spec, lambda store: store.clear(), writes=True)


async def test_many_reads(spec: int) -> None:
    keys = ["a/c/0/0", "a/c/0/1", "zarr.json", "a/c/0/1"]

    async def read(store: Any) -> list[bytes]:
        parts = [(key, RangeByteRequest(1, 9)) for key in keys]
        found = await store.get_partial_values(PROTOTYPE, parts)
        return [value.to_bytes() for value in found]

    await compare(spec, read)


@pytest.mark.parametrize(
    "key",
    [
        *("zarr.json", "n/zarr.json", "a/c/0/1", "a/c/1/1", "a/c/9/9", "n/c/0"),
        *(".zgroup", "foo", "g/c/0"),
    ],
)
async def test_read_only_sessions(spec: int, key: str) -> None:
    value = cpu.Buffer.from_bytes(GROUP)

    def read_only(store: Any) -> Any:
        module = frazil if isinstance(store, frazil.IcechunkStore) else icechunk
        repo = module.Repository.create(module.in_memory_storage(), spec_version=spec)
        session = repo.writable_session("main")
        for name, content in [
            ("zarr.json", GROUP),
            ("g/zarr.json", GROUP),
            ("a/zarr.json", array([4, 4])),
            ("a/c/0/1", VALUE),
        ]:
            session.store._sync(session.store.set(name, cpu.Buffer.from_bytes(content)))
        session.commit("a commit")
        return repo.readonly_session("main").store

    await compare(spec, lambda store: read_only(store).set(key, value))
    await compare(spec, lambda store: read_only(store).set_if_not_exists(key, value))
    await compare(spec, lambda store: read_only(store).delete(key))
    await compare(spec, lambda store: read_only(store).delete_dir(key))
    await compare(spec, lambda store: read_only(store).clear())
