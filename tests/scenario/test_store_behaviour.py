"""What each store operation answers for each kind of key, in both spec versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype

import frazil
from frazil.errors import (
    AlreadyExistsError,
    IcechunkError,
    InvalidInputError,
    NodeNotFoundError,
    ReadOnlyError,
    SessionStateError,
)
from frazil.store import IcechunkStore

PROTOTYPE = default_buffer_prototype()
GROUP = b'{"zarr_format": 3, "node_type": "group"}'
VALUE = b"0123456789"


def array(shape: list[int], chunks: list[int], **members: Any) -> bytes:
    grid = {"name": "regular", "configuration": {"chunk_shape": chunks}}
    return json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": "uint8",
            "chunk_grid": grid,
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "bytes"}],
            **members,
        }
    ).encode()


GRID = array([4, 4], [2, 2])
SCALAR = array([], [])


def buffer(data: bytes) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(data)


def plain(value: Buffer | None) -> bytes | None:
    return None if value is None else value.to_bytes()


async def outcome(call: Awaitable[Any]) -> Any:
    """The result of a call, or the class and kind of its error."""
    try:
        result = await call
    except IcechunkError as error:
        for base in (
            AlreadyExistsError,
            InvalidInputError,
            NodeNotFoundError,
            ReadOnlyError,
            SessionStateError,
        ):
            if isinstance(error, base):
                return base, str(error.kind)
        raise
    return result.to_bytes() if isinstance(result, Buffer) else result


async def keys(store: IcechunkStore, prefix: str = "") -> list[str]:
    return sorted([key async for key in store.list_prefix(prefix)])


async def names(store: IcechunkStore, prefix: str) -> list[str]:
    return sorted([name async for name in store.list_dir(prefix)])


@pytest.fixture(params=[1, 2], ids=["spec1", "spec2"])
def repo(request: pytest.FixtureRequest) -> frazil.Repository:
    return frazil.Repository.create(frazil.in_memory_storage(), spec_version=request.param)


@pytest.fixture
async def store(repo: frazil.Repository) -> IcechunkStore:
    """/ and /g are groups, /a a 2 x 2 grid with chunk (0, 1), /s a scalar; nothing committed."""
    store: IcechunkStore = repo.writable_session("main").store
    for key, value in [
        ("zarr.json", GROUP),
        ("g/zarr.json", GROUP),
        ("a/zarr.json", GRID),
        ("s/zarr.json", SCALAR),
        ("a/c/0/1", VALUE),
    ]:
        await store.set(key, buffer(value))
    return store


ALL_KEYS = ["a/c/0/1", "a/zarr.json", "g/zarr.json", "s/zarr.json", "zarr.json"]

INVALID_KEY = (InvalidInputError, "invalid-key")
NOT_AN_ARRAY = (InvalidInputError, "not-an-array")
NO_NODE = (NodeNotFoundError, "node-not-found")
NO_KEY = (NodeNotFoundError, "key-not-found")
BAD_INDEX = (InvalidInputError, "invalid-chunk-index")
NO_V2 = (SessionStateError, "unimplemented")
READ_ONLY_STORE = (ReadOnlyError, "read-only-store")
READ_ONLY_SESSION = (ReadOnlyError, "read-only-session")

# key, get, exists, getsize, set, set_if_not_exists, delete
TABLE: list[tuple[Any, ...]] = [
    ("zarr.json", GROUP, True, len(GROUP), None, None, None),
    (
        "/a/zarr.json",
        GRID,
        True,
        len(GRID),
        (AlreadyExistsError, "node-already-exists"),
        None,
        None,
    ),
    (
        "a//zarr.json",
        GRID,
        True,
        len(GRID),
        (AlreadyExistsError, "node-already-exists"),
        None,
        None,
    ),
    ("g/zarr.json", GROUP, True, len(GROUP), None, None, None),
    ("new/zarr.json", None, False, NO_NODE, None, None, None),
    ("a/b/zarr.json", None, False, NO_NODE, None, None, None),
    ("x/y/z/zarr.json", None, False, NO_NODE, None, None, None),
    ("é/zarr.json", None, False, NO_NODE, None, None, None),
    ("a/c/0/1", VALUE, True, 10, None, None, None),
    ("/a/c/00/+1", VALUE, True, 10, None, None, None),
    ("a/c/1/1", None, False, 0, None, None, None),
    ("s/c", None, False, 0, None, None, None),
    ("a/c/2/0", None, False, 0, BAD_INDEX, BAD_INDEX, None),
    ("a/c/4294967295/0", None, False, 0, BAD_INDEX, BAD_INDEX, None),
    # Icechunk stores chunks of another rank than the array's, which its own readers then miss.
    ("a/c/0", None, False, 0, BAD_INDEX, BAD_INDEX, None),
    ("a/c", None, False, 0, BAD_INDEX, BAD_INDEX, None),
    ("s/c/0", None, False, 0, BAD_INDEX, BAD_INDEX, None),
    ("nope/c/0", None, False, NO_NODE, NO_NODE, NO_NODE, None),
    ("c", NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, None),
    ("g/c/0", NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, NOT_AN_ARRAY, None),
    (".zgroup", None, NO_KEY, NO_KEY, NO_V2, NO_KEY, None),
    ("a/.zarray", None, NO_KEY, NO_KEY, NO_V2, NO_KEY, None),
    ("nope/.zattrs", None, NO_KEY, NO_KEY, NO_V2, NO_KEY, None),
    (".zmetadata", None, NO_KEY, NO_KEY, NO_V2, NO_KEY, None),
    *(
        (key, *[INVALID_KEY] * 6)
        for key in ("foo", "", "a/0.0", "a/c.0.0", "a/c/", "a/c/-1/0", "a/zarr.json/", "ac/0/0")
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=[repr(row[0]) for row in TABLE])
async def test_reading_each_kind_of_key(store: IcechunkStore, row: tuple[Any, ...]) -> None:
    key, get, exists, getsize, *_ = row
    assert await outcome(store.get(key, PROTOTYPE)) == get
    assert await outcome(store.exists(key)) == exists
    assert await outcome(store.getsize(key)) == getsize
    assert await keys(store) == ALL_KEYS


@pytest.mark.parametrize("row", TABLE, ids=[repr(row[0]) for row in TABLE])
async def test_setting_each_kind_of_key(store: IcechunkStore, row: tuple[Any, ...]) -> None:
    key, *_, expected, _, _ = row
    value = GROUP if "json" in key else b"new"
    assert await outcome(store.set(key, buffer(value))) == expected
    if expected is None:
        assert await outcome(store.get(key, PROTOTYPE)) == value
    else:
        assert await keys(store) == ALL_KEYS


@pytest.mark.parametrize("row", TABLE, ids=[repr(row[0]) for row in TABLE])
async def test_setting_only_what_is_absent(store: IcechunkStore, row: tuple[Any, ...]) -> None:
    key, before, _, _, _, expected, _ = row
    value = GROUP if "json" in key else b"new"
    assert await outcome(store.set_if_not_exists(key, buffer(value))) == expected
    if expected is None:
        assert await outcome(store.get(key, PROTOTYPE)) == (value if before is None else before)
    else:
        assert await keys(store) == ALL_KEYS


@pytest.mark.parametrize("row", TABLE, ids=[repr(row[0]) for row in TABLE])
async def test_deleting_each_kind_of_key(store: IcechunkStore, row: tuple[Any, ...]) -> None:
    key, before, *_, expected = row
    assert await outcome(store.delete(key)) == expected
    if expected is None and isinstance(before, bytes):
        assert await outcome(store.get(key, PROTOTYPE)) is None
    else:
        assert await keys(store) == ALL_KEYS


async def test_deleting_a_node_deletes_what_is_under_it(store: IcechunkStore) -> None:
    for key in ("g/h/zarr.json", "g/h/i/zarr.json", "g-h/zarr.json", "gh/zarr.json"):
        await store.set(key, buffer(GROUP))
    await store.delete("g/zarr.json")
    assert [k for k in await keys(store) if k.startswith("g")] == ["g-h/zarr.json", "gh/zarr.json"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("a/c/0/0", b"", (InvalidInputError, "zero-length-chunk")),
        ("n/zarr.json", b"", (InvalidInputError, "bad-metadata")),
        ("n/zarr.json", b"no json", (InvalidInputError, "bad-metadata")),
        ("n/zarr.json", b'{"node_type": "tree"}', (InvalidInputError, "bad-metadata")),
        ("n/zarr.json", array([-1], [1]), (InvalidInputError, "bad-metadata")),
        ("n/zarr.json", array([4, 4], [2]), (InvalidInputError, "bad-metadata")),
        ("g/zarr.json", GRID, (AlreadyExistsError, "node-already-exists")),
    ],
)
async def test_refused_values(
    store: IcechunkStore, key: str, value: bytes, expected: object
) -> None:
    assert await outcome(store.set(key, buffer(value))) == expected
    assert await keys(store) == ALL_KEYS


async def test_values_must_be_buffers(store: IcechunkStore) -> None:
    for write in (store.set, store.set_if_not_exists):
        with pytest.raises(TypeError, match="Buffer"):
            await write("a/c/0/0", b"12")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Buffer"):
        store.set_sync("a/c/0/0", b"12")  # type: ignore[arg-type]


async def test_a_written_buffer_may_be_used_again(store: IcechunkStore) -> None:
    for size in (10, 5_000, 300_000, 2_000_000):
        value = buffer(bytearray(b"a" * size))  # type: ignore[arg-type]
        await store.set("a/c/0/0", value)
        value.as_numpy_array()[:] = 0
        assert plain(await store.get("a/c/0/0", PROTOTYPE)) == b"a" * size


async def test_partial_writes_are_refused(store: IcechunkStore) -> None:
    assert await outcome(store.set_partial_values([("a/c/0/1", 0, b"1")])) == NO_V2


RANGES = [
    (None, VALUE),
    (RangeByteRequest(0, 3), b"012"),
    (RangeByteRequest(3, 10), b"3456789"),
    (RangeByteRequest(0, 11), None),
    (RangeByteRequest(10, 12), None),
    (RangeByteRequest(5, 2), None),
    (RangeByteRequest(-1, 3), None),
    (OffsetByteRequest(0), VALUE),
    (OffsetByteRequest(9), b"9"),
    (OffsetByteRequest(10), None),
    (OffsetByteRequest(-1), None),
    (SuffixByteRequest(0), b""),
    (SuffixByteRequest(3), b"789"),
    (SuffixByteRequest(10), VALUE),
    (SuffixByteRequest(11), None),
    (SuffixByteRequest(-1), None),
    ((0, 2), None),
]


@pytest.mark.parametrize(("request_", "expected"), RANGES, ids=[str(r) for r, _ in RANGES])
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("factor", [1, 1000], ids=["inline", "native"])
async def test_byte_ranges(
    repo: frazil.Repository,
    store: IcechunkStore,
    request_: Any,
    expected: bytes | None,
    committed: bool,
    factor: int,
) -> None:
    """Of ten blocks of equal bytes; None stands for `invalid-byte-range`."""
    await store.set("a/c/1/1", buffer(b"".join(bytes([c]) * factor for c in VALUE)))
    if committed:
        await asyncio.to_thread(store.session.commit, "ten blocks")
        store = repo.readonly_session("main").store
    match request_:
        case RangeByteRequest(start, end):
            request_ = RangeByteRequest(start * factor, end * factor)
        case OffsetByteRequest(offset):
            request_ = OffsetByteRequest(offset * factor)
        case SuffixByteRequest(suffix):
            request_ = SuffixByteRequest(suffix * factor)
    found = await outcome(store.get("a/c/1/1", PROTOTYPE, request_))
    if expected is None:
        assert found == (InvalidInputError, "invalid-byte-range")
    else:
        assert found == b"".join(bytes([c]) * factor for c in expected)


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (RangeByteRequest(2, 13), slice(2, 13)),
        (OffsetByteRequest(5), slice(5, None)),
        (SuffixByteRequest(5), slice(-5, None)),
    ],
)
async def test_byte_ranges_of_documents(store: IcechunkStore, request_: Any, part: slice) -> None:
    # Icechunk answers a suffix request with everything but the suffix here.
    assert plain(await store.get("zarr.json", PROTOTYPE, request_)) == GROUP[part]
    one = await outcome(store.get("zarr.json", PROTOTYPE, RangeByteRequest(0, len(GROUP) + 1)))
    assert one == (InvalidInputError, "invalid-byte-range")


async def test_byte_ranges_of_nothing(store: IcechunkStore) -> None:
    for key in ("a/c/0/0", "a/c/9/9", "nope/c/0", "nope/zarr.json", ".zarray"):
        assert await store.get(key, PROTOTYPE, RangeByteRequest(0, 2)) is None


@pytest.fixture
async def tree(store: IcechunkStore) -> IcechunkStore:
    """The store with more nodes; /x has no document of its own, /a/sub is below an array."""
    for key in ("g/h/zarr.json", "g-h/zarr.json", "x/y/zarr.json", "a/sub/zarr.json"):
        await store.set(key, buffer(GROUP))
    await store.set("g/e/zarr.json", buffer(GRID))
    for key in ("a/c/0/0", "a/c/1/1", "s/c"):
        await store.set(key, buffer(VALUE))
    return store


A_CHUNKS = ["a/c/0/0", "a/c/0/1", "a/c/1/1"]
G_KEYS = ["g/e/zarr.json", "g/h/zarr.json", "g/zarr.json"]
BAD_PREFIX = (InvalidInputError, "bad-key-prefix")

# prefix, list_prefix (None: bad-key-prefix), list_dir
LISTINGS: list[tuple[str, list[str] | None, list[str]]] = [
    ("g", G_KEYS, ["e", "h", "zarr.json"]),
    ("g/", G_KEYS, ["e", "h", "zarr.json"]),
    ("/g", [], []),
    ("a", [*A_CHUNKS, "a/sub/zarr.json", "a/zarr.json"], ["c", "zarr.json"]),
    ("a/c", None, ["0", "1"]),
    ("a/c/", None, ["0", "1"]),
    ("a/c/0", None, ["0", "1"]),
    ("a/c/1/", None, ["1"]),
    ("a/c/5", None, []),
    ("a/c/0/1", None, []),
    ("a/c/0/1/2", None, []),
    ("a/c/x", None, []),
    ("a/c/00", None, []),
    ("g/e", ["g/e/zarr.json"], ["c", "zarr.json"]),
    ("g/e/c", None, []),
    ("s", ["s/c", "s/zarr.json"], ["c", "zarr.json"]),
    ("s/c", None, []),
    ("x", None, []),
    ("x/y", ["x/y/zarr.json"], ["zarr.json"]),
    ("nope", None, []),
    ("g/zarr.json", None, []),
    ("c", None, []),
]


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize(("prefix", "listed", "inside"), LISTINGS, ids=[r[0] for r in LISTINGS])
async def test_listing(
    repo: frazil.Repository,
    tree: IcechunkStore,
    prefix: str,
    listed: list[str] | None,
    inside: list[str],
    committed: bool,
) -> None:
    if committed:
        await asyncio.to_thread(tree.session.commit, "a tree")
        tree = repo.readonly_session("main").store
    assert await outcome(keys(tree, prefix)) == (BAD_PREFIX if listed is None else listed)
    assert await names(tree, prefix) == inside
    assert await tree.is_empty(prefix) is not bool(inside)
    size = await outcome(tree.getsize_prefix(prefix))
    if listed is None:
        assert size == BAD_PREFIX
    else:
        assert size == sum([await tree.getsize(key) for key in listed])


@pytest.mark.parametrize("prefix", ["", "/"])
async def test_listing_everything(tree: IcechunkStore, prefix: str) -> None:
    others = ["a/sub/zarr.json", "a/zarr.json", "g-h/zarr.json", "s/c", "s/zarr.json"]
    everything = sorted([*A_CHUNKS, *G_KEYS, *others, "x/y/zarr.json", "zarr.json"])
    assert await keys(tree, prefix) == everything
    assert sorted([key async for key in tree.list()]) == everything
    assert await names(tree, prefix) == ["a", "g", "g-h", "s", "zarr.json"]


async def test_no_path_leads_upwards(tree: IcechunkStore) -> None:
    for prefix in ("..", "a/..", "g/../a"):
        assert await outcome(keys(tree, prefix)) == BAD_PREFIX
        assert await outcome(tree.delete_dir(prefix)) == BAD_PREFIX
        for call in (names(tree, prefix), tree.is_empty(prefix)):
            assert await outcome(call) == (InvalidInputError, "invalid-path")


async def test_listing_shows_what_the_session_changed(
    repo: frazil.Repository, tree: IcechunkStore
) -> None:
    await asyncio.to_thread(tree.session.commit, "a tree")
    store = repo.writable_session("main").store
    await store.delete("a/c/0/0")
    await store.set("a/c/1/0", buffer(VALUE))
    await store.set("a/c/1/1", buffer(VALUE))
    await store.delete("g/zarr.json")
    await store.set("g/zarr.json", buffer(GRID))
    assert [k for k in await keys(store, "a") if "/c/" in k] == ["a/c/0/1", "a/c/1/0", "a/c/1/1"]
    assert await names(store, "a/c/0") == ["1"]
    assert await names(store, "g") == ["c", "zarr.json"]
    assert await keys(store, "g") == ["g/zarr.json"]


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize(
    ("prefix", "gone"),
    [
        ("g", G_KEYS),
        ("/g/", G_KEYS),
        ("a", [*A_CHUNKS, "a/sub/zarr.json", "a/zarr.json"]),
        ("a/c", A_CHUNKS),
        ("a/c/", A_CHUNKS),
        ("a/c/0", ["a/c/0/0", "a/c/0/1"]),
        ("a/c/0/1", ["a/c/0/1"]),
        ("a/c/5", []),
        ("a/c/00", []),
        ("a/c/0/1/2", []),
        ("s/c", ["s/c"]),
        ("x", ["x/y/zarr.json"]),
        ("nope", []),
        ("g/c/0", []),
        ("g/zarr.json", []),
    ],
)
async def test_delete_dir(
    repo: frazil.Repository, tree: IcechunkStore, prefix: str, gone: list[str], committed: bool
) -> None:
    before = await keys(tree)
    if committed:
        await asyncio.to_thread(tree.session.commit, "a tree")
        tree = repo.writable_session("main").store
    await tree.delete_dir(prefix)
    assert await keys(tree) == [key for key in before if key not in gone]


@pytest.mark.parametrize("prefix", ["", "/", "."])
async def test_delete_dir_of_everything(tree: IcechunkStore, prefix: str) -> None:
    await tree.delete_dir(prefix)
    assert await keys(tree) == []


async def test_clear(tree: IcechunkStore) -> None:
    await tree.clear()
    assert await keys(tree) == []
    await tree.set("zarr.json", buffer(GRID))
    tree.sync_clear()
    assert await keys(tree) == []


@pytest.fixture
async def read_only(repo: frazil.Repository, store: IcechunkStore) -> IcechunkStore:
    await asyncio.to_thread(store.session.commit, "first")
    read_only: IcechunkStore = repo.readonly_session("main").store
    return read_only


# key, set, set_if_not_exists, delete
READ_ONLY_TABLE: list[tuple[Any, ...]] = [
    ("zarr.json", READ_ONLY_STORE, None, READ_ONLY_SESSION),
    ("n/zarr.json", READ_ONLY_STORE, READ_ONLY_STORE, None),
    ("a/c/0/1", READ_ONLY_STORE, None, READ_ONLY_SESSION),
    ("a/c/0/0", READ_ONLY_STORE, READ_ONLY_STORE, READ_ONLY_SESSION),
    ("a/c/9/9", READ_ONLY_STORE, READ_ONLY_STORE, None),
    ("nope/c/0", READ_ONLY_STORE, READ_ONLY_STORE, None),
    (".zgroup", READ_ONLY_STORE, NO_KEY, None),
    ("foo", READ_ONLY_STORE, INVALID_KEY, INVALID_KEY),
]


@pytest.mark.parametrize("row", READ_ONLY_TABLE, ids=[row[0] for row in READ_ONLY_TABLE])
async def test_a_read_only_session(read_only: IcechunkStore, row: tuple[Any, ...]) -> None:
    key, set_, set_if_not_exists, delete = row
    assert read_only.read_only
    assert await outcome(read_only.set(key, buffer(GROUP))) == set_
    assert await outcome(read_only.set_if_not_exists(key, buffer(GROUP))) == set_if_not_exists
    assert await outcome(read_only.delete(key)) == delete
    assert await keys(read_only) == ALL_KEYS


async def test_a_read_only_session_keeps_its_tree(read_only: IcechunkStore) -> None:
    for prefix in ("", "a", "nope", "a/c/0"):
        assert await outcome(read_only.delete_dir(prefix)) == READ_ONLY_STORE
    assert await outcome(read_only.clear()) == READ_ONLY_SESSION
    writer = read_only.with_read_only(False)
    assert writer.read_only
    assert await outcome(writer.set("n/zarr.json", buffer(GROUP))) == READ_ONLY_STORE
    assert await keys(read_only) == ALL_KEYS


async def test_a_store_made_read_only_writes_nothing(store: IcechunkStore) -> None:
    # Icechunk lets these writes through to the session.
    view = store.with_read_only(True)
    assert view.read_only
    assert view == store
    assert not store.read_only
    for call in (
        view.set("n/zarr.json", buffer(GROUP)),
        view.set_if_not_exists("n/zarr.json", buffer(GROUP)),
        view.delete("g/zarr.json"),
        view.delete_dir("g"),
        view.clear(),
    ):
        assert await outcome(call) == READ_ONLY_STORE
    assert await keys(store) == ALL_KEYS
    await view.set_if_not_exists("g/zarr.json", buffer(GROUP))
    assert plain(await view.get("a/c/0/1", PROTOTYPE)) == VALUE


async def test_a_committed_session_is_read_only(store: IcechunkStore) -> None:
    assert not store.read_only
    await asyncio.to_thread(store.session.commit, "done")
    assert store.read_only
    assert await outcome(store.set("n/zarr.json", buffer(GROUP))) == READ_ONLY_STORE


def test_flags(store: IcechunkStore) -> None:
    for each in (store, store.with_read_only(True)):
        assert each.supports_writes
        assert each.supports_deletes
        assert each.supports_listing
        assert not each.supports_partial_writes
        assert not each.supports_consolidated_metadata


def test_equality_and_display(repo: frazil.Repository, store: IcechunkStore) -> None:
    assert store == store.session.store
    assert store != repo.writable_session("main").store
    assert store != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(store)
    lines = repr(repo.readonly_session("main").store).splitlines()
    assert lines[0] == "<frazil.IcechunkStore>"
    assert lines[1:] == [
        "read_only: True",
        f"snapshot_id: {store.session.snapshot_id}",
        "branch: None",
    ]
    assert "read_only" in store._repr_html_()


async def test_shrinking_hides_chunks_for_good(
    repo: frazil.Repository, store: IcechunkStore
) -> None:
    await store.set("a/c/1/1", buffer(VALUE))
    await asyncio.to_thread(store.session.commit, "four by four")
    store = repo.writable_session("main").store
    await store.set("a/zarr.json", buffer(array([4, 2], [2, 2])))
    assert await store.get("a/c/0/1", PROTOTYPE) is None
    assert await keys(store, "a") == ["a/zarr.json"]
    await store.set("a/zarr.json", buffer(GRID))
    assert await store.get("a/c/0/1", PROTOTYPE) is None
    assert await keys(store, "a") == ["a/zarr.json"]
    await asyncio.to_thread(store.session.commit, "and back")
    assert await keys(repo.readonly_session("main").store, "a") == ["a/zarr.json"]


async def test_the_same_document_again_is_no_change(
    repo: frazil.Repository, store: IcechunkStore
) -> None:
    await asyncio.to_thread(store.session.commit, "first")
    store = repo.writable_session("main").store
    await store.set("a/zarr.json", buffer(GRID))
    assert not store.session.has_uncommitted_changes
    await store.set("a/c/0/1", buffer(VALUE))
    assert store.session.has_uncommitted_changes


async def test_large_and_small_chunks_survive_a_commit(
    repo: frazil.Repository, store: IcechunkStore
) -> None:
    values = {
        "a/c/0/0": b"i" * 512,
        "a/c/0/1": b"n" * 513,
        "a/c/1/0": b"p" * 700_000,
        "a/c/1/1": b"l" * 3_000_000,
    }
    await asyncio.gather(*(store.set(key, buffer(value)) for key, value in values.items()))
    requests = [(key, None) for key in values]
    for when in ("before", "after"):
        found = await store.get_partial_values(PROTOTYPE, requests)
        assert [plain(value) for value in found] == list(values.values()), when
        if when == "before":
            await asyncio.to_thread(store.session.commit, "chunks")
            store = repo.readonly_session("main").store
            assert [await store.getsize(key) for key in values] == [512, 513, 700_000, 3_000_000]


@pytest.mark.parametrize("call", [zarr.create_group, zarr.open_group], ids=lambda f: f.__name__)
def test_zarr_v2_groups_are_refused(store: IcechunkStore, call: Callable[..., Any]) -> None:
    with pytest.raises(IcechunkError, match="use zarr_format=3"):
        call(store=store, path="v2", zarr_format=2)


def test_zarr_v2_arrays_are_refused(store: IcechunkStore) -> None:
    with pytest.raises(IcechunkError, match="use zarr_format=3"):
        zarr.create_array(store, name="v2", shape=(2,), dtype="i4", zarr_format=2)
