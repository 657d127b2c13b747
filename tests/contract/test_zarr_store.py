"""Zarr's own tests of stores.

They use keys such as `foo`, empty values and documents that are no JSON. A store of Zarr
hierarchies takes none of these, so the tests that do are repeated here with keys and values
that Zarr itself would write; what they assert is unchanged. `set` makes the array that a chunk
belongs to, because there are no chunks without one.
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, cpu, default_buffer_prototype
from zarr.core.sync import _collect_aiterator
from zarr.testing.store import StoreTests
from zarr.testing.utils import assert_bytes_equal

from frazil import Repository, in_memory_storage
from frazil.errors import InvalidInputError
from frazil.store import IcechunkStore
from frazil.store.keys import ChunkKey, MetadataKey, parse_key

GROUP = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
OTHER_GROUP = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"n": 1}}).encode()
DATA = b"\x01\x02\x03\x04"
PROTOTYPE = default_buffer_prototype()


def array_document(rank: int, **attributes: Any) -> bytes:
    """An array with 100 chunks of one byte along each of its dimensions."""
    grid = {"name": "regular", "configuration": {"chunk_shape": [1] * rank}}
    return json.dumps(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [100] * rank,
            "data_type": "uint8",
            "chunk_grid": grid,
            "chunk_key_encoding": {"name": "default"},
            "fill_value": 0,
            "codecs": [{"name": "bytes"}],
            "attributes": attributes,
        }
    ).encode()


def buffer(data: bytes) -> cpu.Buffer:
    return cpu.Buffer.from_bytes(data)


def make_array_for(store: IcechunkStore, key: str) -> None:
    """Make the array that a chunk key belongs to, if there is none."""
    target = parse_key(key)
    assert isinstance(target, ChunkKey)
    store.session._workspace.set_metadata_if_absent(target.path, array_document(len(target.coords)))


class TestIcechunkStore(StoreTests[IcechunkStore, cpu.Buffer]):
    store_cls = IcechunkStore
    buffer_cls = cpu.Buffer

    async def set(self, store: IcechunkStore, key: str, value: Buffer) -> None:
        target = parse_key(key)
        workspace = store.session._workspace
        if isinstance(target, ChunkKey):
            make_array_for(store, key)
            workspace.set_chunk(target.path, target.coords, value.to_bytes())
        else:
            assert isinstance(target, MetadataKey)
            workspace.set_metadata(target.path, value.to_bytes())

    async def get(self, store: IcechunkStore, key: str) -> Buffer:
        target = parse_key(key)
        assert isinstance(target, ChunkKey | MetadataKey)
        workspace = store.session._workspace
        node = workspace.node(target.path)
        assert node is not None
        if isinstance(target, MetadataKey):
            return buffer(node.user_data)
        data = workspace.get_chunk(node, target.coords)
        assert data is not None
        return buffer(data)

    @pytest.fixture
    def store_kwargs(self) -> dict[str, Any]:
        repo = Repository.create(in_memory_storage())
        return {"store": repo.writable_session("main"), "read_only": False}

    def test_store_repr(self, store: IcechunkStore) -> None:
        lines = repr(store).splitlines()
        assert lines[0].endswith("IcechunkStore>")
        assert lines[1:] == [
            "read_only: False",
            f"snapshot_id: {store.session.snapshot_id}",
            "branch: main",
        ]

    def test_store_supports_writes(self, store: IcechunkStore) -> None:
        assert store.supports_writes

    def test_store_supports_listing(self, store: IcechunkStore) -> None:
        assert store.supports_listing

    def test_store_supports_deletes(self, store: IcechunkStore) -> None:
        assert store.supports_deletes

    async def test_serializable_store(self, store: IcechunkStore) -> None:
        # A writable session is one of a kind and is not pickled. Of a read-only one arrives
        # another session with the same data, so the stores are not equal.
        with pytest.raises(ValueError, match="writable session cannot be pickled"):
            pickle.dumps(store)
        await self.set(store, "c/0", buffer(DATA))
        store.session.commit("first")
        new_store = pickle.loads(pickle.dumps(store))
        assert isinstance(new_store, IcechunkStore)
        assert new_store.read_only
        assert new_store.session.snapshot_id == store.session.snapshot_id
        assert_bytes_equal(await new_store.get("c/0", PROTOTYPE), buffer(DATA))

    async def test_with_read_only_store(self, open_kwargs: dict[str, Any]) -> None:
        store = await self.store_cls.open(**{**open_kwargs, "read_only": True})
        key, value = "foo/zarr.json", buffer(GROUP)
        refusal = "store was opened in read-only mode and does not support writing"
        with pytest.raises(ValueError, match=refusal):
            await store.set(key, value)
        writer = store.with_read_only(read_only=False)
        assert not writer._is_open
        assert not writer.read_only
        await writer.set(key, value)
        await writer.delete(key)
        reader = store.with_read_only(read_only=True)
        for refusing in (store, reader):
            assert refusing.read_only
            with pytest.raises(ValueError, match=refusal):
                await refusing.set(key, value)
            with pytest.raises(ValueError, match=refusal):
                await refusing.delete(key)

    @pytest.mark.parametrize("key", ["c/0", "foo/c/0/0", "foo/bar/c"])
    @pytest.mark.parametrize(
        "byte_range",
        [None, RangeByteRequest(1, 4), OffsetByteRequest(1), SuffixByteRequest(1)],
    )
    async def test_get(
        self, store: IcechunkStore, key: str, byte_range: ByteRequest | None
    ) -> None:
        await super().test_get(store, key, DATA, byte_range)

    async def test_get_many(self, store: IcechunkStore) -> None:
        keys = [f"c/{i}" for i in range(10)] + ["zarr.json"]
        for i, key in enumerate(keys[:10]):
            await self.set(store, key, buffer(str(i).encode()))
        found = await _collect_aiterator(
            store._get_many((key, PROTOTYPE, None) for key in [*keys, "c/11"])
        )
        values = {key: None if value is None else value.to_bytes() for key, value in found}
        assert values == {
            **{f"c/{i}": str(i).encode() for i in range(10)},
            "zarr.json": array_document(1),
            "c/11": None,
        }

    @pytest.mark.parametrize("key", ["c/0", "foo/c/0/0", "foo/bar/c"])
    @pytest.mark.parametrize("data", [DATA, bytes(10_000)])
    async def test_getsize(self, store: IcechunkStore, key: str, data: bytes) -> None:
        await super().test_getsize(store, key, data)

    async def test_getsize_prefix(self, store: IcechunkStore) -> None:
        for key in ["a/c/0/0", "a/c/0/1", "a/c/1/0", "ab/c/0/0"]:
            await self.set(store, key, buffer(DATA))
        document = len(array_document(2))
        assert await store.getsize_prefix("a") == document + 3 * len(DATA)
        assert await store.getsize_prefix("a/") == document + 3 * len(DATA)
        assert await store.getsize_prefix("") == 2 * document + 4 * len(DATA)

    @pytest.mark.parametrize(
        ("key", "data"),
        [("zarr.json", GROUP), ("foo/zarr.json", GROUP)]
        + [(key, data) for key in ("c/0", "foo/c/0/0", "foo/c") for data in (DATA, bytes(600_000))],
    )
    async def test_set(self, store: IcechunkStore, key: str, data: bytes) -> None:
        if not key.endswith("zarr.json"):
            make_array_for(store, key)
        await super().test_set(store, key, data)

    async def test_set_not_open(self, store_not_open: IcechunkStore) -> None:
        make_array_for(store_not_open, "c/0")
        await super().test_set_not_open(store_not_open)

    async def test_set_many(self, store: IcechunkStore) -> None:
        for key in ("c/0", "foo/c/0/0"):
            make_array_for(store, key)
        values = {"zarr.json": array_document(1, a=1), "c/0": b"0", "c/1": b"1", "foo/c/0/0": b"2"}
        await store._set_many((key, buffer(value)) for key, value in values.items())
        for key, value in values.items():
            assert (await self.get(store, key)).to_bytes() == value

    @pytest.mark.parametrize(
        "key_ranges",
        [
            [],
            [("zarr.json", RangeByteRequest(0, 2))],
            [("c/0", RangeByteRequest(0, 2)), ("zarr.json", None)],
            [("c/0", None), ("c/1", None), ("a/c/0/0", None), ("c/0", OffsetByteRequest(1))],
            [
                ("a/c/0/0", RangeByteRequest(0, 2)),
                ("a/c/0/1", SuffixByteRequest(2)),
                ("a/c/0/2", OffsetByteRequest(2)),
            ],
        ],
    )
    async def test_get_partial_values(
        self, store: IcechunkStore, key_ranges: list[tuple[str, ByteRequest]]
    ) -> None:
        await self.set(store, "zarr.json", buffer(array_document(1)))
        for key in {key for key, _ in key_ranges} - {"zarr.json"}:
            await self.set(store, key, buffer(key.encode()))
        found = await store.get_partial_values(PROTOTYPE, (item for item in key_ranges))
        assert len(found) == len(key_ranges)
        for (key, byte_range), value in zip(key_ranges, found, strict=True):
            alone = await store.get(key, PROTOTYPE, byte_range)
            assert value is not None
            assert alone is not None
            assert_bytes_equal(value, alone)

    async def test_get_partial_values_of_missing_keys(self, store: IcechunkStore) -> None:
        await self.set(store, "c/0", buffer(DATA))
        keys = ["c/1", "c/0", "c/1000", "c/0/0", "x/c/0", "x/zarr.json", ".zarray"]
        found = await store.get_partial_values(PROTOTYPE, [(key, None) for key in keys])
        assert [None if value is None else value.to_bytes() for value in found] == [
            None,
            DATA,
            *[None] * 5,
        ]

    async def test_exists(self, store: IcechunkStore) -> None:
        assert not await store.exists("foo/zarr.json")
        await store.set("foo/zarr.json", buffer(GROUP))
        assert await store.exists("foo/zarr.json")

    async def test_delete(self, store: IcechunkStore) -> None:
        await store.set("foo/zarr.json", buffer(GROUP))
        assert await store.exists("foo/zarr.json")
        await store.delete("foo/zarr.json")
        assert not await store.exists("foo/zarr.json")

    async def test_delete_dir(self, store: IcechunkStore) -> None:
        await store.set("zarr.json", buffer(GROUP))
        await store.set("foo-bar/zarr.json", buffer(GROUP))
        await self.set(store, "foo/c/0", buffer(DATA))
        await store.delete_dir("foo")
        assert await store.exists("zarr.json")
        assert await store.exists("foo-bar/zarr.json")
        assert not await store.exists("foo/zarr.json")
        assert not await store.exists("foo/c/0")

    async def test_delete_nonexistent_key_does_not_raise(self, store: IcechunkStore) -> None:
        await store.set("zarr.json", buffer(GROUP))
        for key in ("foo/zarr.json", "foo/c/0", "c/0", ".zarray"):
            await store.delete(key)
        assert await _collect_aiterator(store.list()) == ("zarr.json",)

    async def test_is_empty(self, store: IcechunkStore) -> None:
        assert await store.is_empty("")
        for key in ("zarr.json", "foo/zarr.json", "foo/bar/zarr.json"):
            await store.set(key, buffer(GROUP))
        assert not await store.is_empty("")
        assert await store.is_empty("fo")
        assert not await store.is_empty("foo/")
        assert not await store.is_empty("foo")
        assert await store.is_empty("spam/")

    async def test_clear(self, store: IcechunkStore) -> None:
        await self.set(store, "key/c/0", buffer(DATA))
        await self.set(store, "zarr.json", buffer(GROUP))
        await store.clear()
        assert await store.is_empty("")
        assert await _collect_aiterator(store.list()) == ()

    async def test_list(self, store: IcechunkStore) -> None:
        assert await _collect_aiterator(store.list()) == ()
        keys = {"foo/zarr.json", *(f"foo/c/{i}" for i in range(10))}
        for key in keys - {"foo/zarr.json"}:
            await self.set(store, key, buffer(DATA))
        found = await _collect_aiterator(store.list())
        assert len(found) == len(keys)
        assert set(found) == keys

    async def test_list_prefix(self, store: IcechunkStore) -> None:
        prefixes = ("", "a/", "a/b/", "a/b/c/")
        keys = [f"{prefix}zarr.json" for prefix in prefixes]
        await store._set_many((key, buffer(GROUP)) for key in keys)
        for prefix in prefixes:
            found = await _collect_aiterator(store.list_prefix(prefix))
            assert sorted(found) == sorted(key for key in keys if key.startswith(prefix))

    async def test_list_empty_path(self, store: IcechunkStore) -> None:
        keys = ["foo/bar/c/1", "foo/bar/zarr.json", "foo/baz/c/0", "foo/baz/zarr.json"]
        await self.set(store, "foo/bar/c/1", buffer(DATA))
        await self.set(store, "foo/baz/c/0", buffer(DATA))
        assert sorted(await _collect_aiterator(store.list())) == keys
        assert sorted(await _collect_aiterator(store.list_prefix(""))) == keys
        assert sorted(await _collect_aiterator(store.list_prefix("foo/bar/"))) == keys[:2]

    async def test_list_dir(self, store: IcechunkStore) -> None:
        assert await _collect_aiterator(store.list_dir("")) == ()
        for root, expected, keys in [
            ("foo", ["c", "zarr.json"], ["foo/c/1"]),
            ("bar", ["one", "two", "zarr.json"], ["bar/one/c", "bar/two/zarr.json"]),
        ]:
            assert await _collect_aiterator(store.list_dir(root)) == ()
            for key in keys:
                await self.set(store, key, buffer(GROUP))
            await store.set_if_not_exists(f"{root}/zarr.json", buffer(GROUP))
            assert sorted(await _collect_aiterator(store.list_dir(root))) == expected
            assert sorted(await _collect_aiterator(store.list_dir(f"{root}/"))) == expected

    async def test_set_if_not_exists(self, store: IcechunkStore) -> None:
        for key, old, new, other in [
            ("c/0", b"0000", b"1111", "c/1"),
            ("g/zarr.json", GROUP, OTHER_GROUP, "h/zarr.json"),
        ]:
            await self.set(store, key, buffer(old))
            await store.set_if_not_exists(key, buffer(new))
            assert (await self.get(store, key)).to_bytes() == old
            await store.set_if_not_exists(other, buffer(new))
            assert (await self.get(store, other)).to_bytes() == new

    @pytest.mark.skipif(not hasattr(Store, "_get_bytes"), reason="gone from newer zarr")
    async def test_get_bytes(self, store: IcechunkStore) -> None:
        await self.set(store, "zarr.json", buffer(GROUP))
        assert await store._get_bytes("zarr.json", prototype=PROTOTYPE) == GROUP
        assert await store._get_json("zarr.json", prototype=PROTOTYPE) == json.loads(GROUP)
        with pytest.raises(FileNotFoundError):
            await store._get_bytes("foo/zarr.json", prototype=PROTOTYPE)

    @pytest.mark.skipif(not hasattr(Store, "_get_bytes"), reason="gone from newer zarr")
    def test_get_bytes_sync(self, store: IcechunkStore) -> None:
        store.set_sync("zarr.json", buffer(GROUP))
        assert store._get_bytes_sync("zarr.json", prototype=PROTOTYPE) == GROUP

    @pytest.mark.skipif(not hasattr(Store, "_get_bytes"), reason="gone from newer zarr")
    async def test_get_json(self, store: IcechunkStore) -> None:
        await self.set(store, "zarr.json", buffer(GROUP))
        assert await store._get_json("zarr.json", prototype=PROTOTYPE) == json.loads(GROUP)

    @pytest.mark.skipif(not hasattr(Store, "_get_bytes"), reason="gone from newer zarr")
    def test_get_json_sync(self, store: IcechunkStore) -> None:
        store.set_sync("zarr.json", buffer(GROUP))
        assert store._get_json_sync("zarr.json", prototype=PROTOTYPE) == json.loads(GROUP)

    def test_get_sync(self, store: IcechunkStore) -> None:
        make_array_for(store, "c/0")
        store.session._workspace.set_chunk("/", (0,), DATA)
        for prototype in (None, PROTOTYPE):
            value = store.get_sync("c/0", prototype=prototype)
            assert value is not None
            assert_bytes_equal(value, buffer(DATA))

    def test_get_sync_missing(self, store: IcechunkStore) -> None:
        for key in ("foo/zarr.json", "foo/c/0", ".zgroup"):
            assert store.get_sync(key) is None

    async def test_set_sync(self, store: IcechunkStore) -> None:
        make_array_for(store, "c/0")
        store.set_sync("c/0", buffer(DATA))
        assert_bytes_equal(await self.get(store, "c/0"), buffer(DATA))

    def test_delete_sync(self, store: IcechunkStore) -> None:
        make_array_for(store, "c/0")
        for key, value in [("c/0", DATA), ("foo/zarr.json", GROUP)]:
            store.set_sync(key, buffer(value))
            store.delete_sync(key)
            assert store.get_sync(key) is None

    def test_delete_sync_missing(self, store: IcechunkStore) -> None:
        store.set_sync("zarr.json", buffer(GROUP))
        for key in ("foo/zarr.json", "foo/c/0", ".zgroup"):
            store.delete_sync(key)
        assert not store.session.status().is_empty()

    @pytest.mark.parametrize("direction", ["set_async_get_sync", "set_sync_get_async"])
    async def test_sync_async_set_get_parity(self, store: IcechunkStore, direction: str) -> None:
        make_array_for(store, "c/0")
        if direction == "set_async_get_sync":
            await store.set("c/0", buffer(DATA))
            value = store.get_sync("c/0")
        else:
            store.set_sync("c/0", buffer(DATA))
            value = await store.get("c/0", PROTOTYPE)
        assert value is not None
        assert_bytes_equal(value, buffer(DATA))

    async def test_delete_sync_visible_to_async_get(self, store: IcechunkStore) -> None:
        make_array_for(store, "c/0")
        await store.set("c/0", buffer(DATA))
        store.delete_sync("c/0")
        assert await store.get("c/0", PROTOTYPE) is None

    @pytest.mark.parametrize(
        "byte_range",
        [None, RangeByteRequest(1, 4), OffsetByteRequest(1), SuffixByteRequest(1)],
    )
    async def test_get_sync_byte_range_parity(
        self, store: IcechunkStore, byte_range: ByteRequest | None
    ) -> None:
        await self.set(store, "c/0", buffer(DATA))
        one = store.get_sync("c/0", byte_range=byte_range)
        other = await store.get("c/0", PROTOTYPE, byte_range)
        assert one is not None
        assert other is not None
        assert_bytes_equal(one, other)

    async def test_sync_byte_range_past_the_end(self, store: IcechunkStore) -> None:
        # Zarr lets stores clamp; this one refuses, by both ways alike.
        await self.set(store, "c/0", buffer(DATA))
        with pytest.raises(InvalidInputError, match="10 to 20"):
            store.get_sync("c/0", byte_range=RangeByteRequest(10, 20))
        with pytest.raises(InvalidInputError, match="10 to 20"):
            await store.get("c/0", PROTOTYPE, RangeByteRequest(10, 20))

    @pytest.mark.parametrize("gap", [0, 1 << 20])
    async def test_get_ranges(self, store: IcechunkStore, gap: int) -> None:
        value = bytes(range(256)) * 8
        await self.set(store, "c/0", buffer(value))
        requests: list[ByteRequest | None] = [
            RangeByteRequest(100, 200),
            None,
            RangeByteRequest(0, 10),
            SuffixByteRequest(5),
            OffsetByteRequest(2000),
            RangeByteRequest(1000, 2048),
            RangeByteRequest(150, 160),
        ]
        expected = [value[100:200], value, value[:10], value[-5:], value[2000:], value[1000:], None]
        expected[6] = value[150:160]
        found = dict(store.get_ranges_sync("c/0", requests, prototype=PROTOTYPE, max_gap_bytes=gap))
        assert [found[i].to_bytes() for i in range(len(requests))] == expected
        batches = store.get_ranges("c/0", requests, prototype=PROTOTYPE, max_gap_bytes=gap)
        found = {i: data async for batch in batches for i, data in batch}
        assert [found[i].to_bytes() for i in range(len(requests))] == expected

    async def test_get_no_ranges(self, store: IcechunkStore) -> None:
        assert [b async for b in store.get_ranges("c/0", [], prototype=PROTOTYPE)] == []
        assert list(store.get_ranges_sync("c/0", [], prototype=PROTOTYPE)) == []

    async def test_get_ranges_of_a_missing_value(self, store: IcechunkStore) -> None:
        make_array_for(store, "c/0")
        for key in ("c/0", "x/c/0", "x/zarr.json"):
            with pytest.raises(ExceptionGroup) as caught:
                store.get_ranges_sync(key, [RangeByteRequest(0, 2)], prototype=PROTOTYPE)
            assert caught.group_contains(FileNotFoundError)
            with pytest.raises(ExceptionGroup) as caught:
                async for _ in store.get_ranges(key, [None], prototype=PROTOTYPE):
                    pass
            assert caught.group_contains(FileNotFoundError)
