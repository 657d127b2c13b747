"""Virtual references that one library sets are the same for the other, and survive its commits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

from tests.interop.libraries import FRAZIL, REAL, SPECS, Library, every_spec, icechunk, needs_spec_2
from tests.interop.place import Place

FEW = 40
MANY = 1100
"""Chunks of the large array; the real library compresses the locations of 1000 and more."""
SIZE = 8


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file whose bytes the virtual chunks are."""
    folder = tmp_path / "source"
    folder.mkdir()
    data = np.arange(MANY * SIZE, dtype="u2")
    (folder / "data é.bin").write_bytes(data.tobytes())
    return folder


@pytest.fixture
def place(tmp_path: Path, source: Path) -> Place:
    access = (
        icechunk.credentials.LocalFileSystemAccess
        if hasattr(icechunk.credentials, "LocalFileSystemAccess")
        else None
    )
    authorize = {_prefix(source): access}
    return Place(tmp_path / "repository", authorize_virtual_chunk_access=authorize)


def _prefix(source: Path) -> str:
    return f"file://{source}/"


def _config(source: Path) -> Any:
    config = icechunk.RepositoryConfig()
    store = icechunk.local_filesystem_store(str(source))
    config.set_virtual_chunk_container(
        icechunk.VirtualChunkContainer(_prefix(source), store, "local files")
        if SPECS == [1, 2]
        else icechunk.VirtualChunkContainer(_prefix(source), store)
    )
    return config


def _create_array(store: Any, name: str, chunks: int) -> zarr.Array:
    return zarr.create_array(
        store, name=name, shape=(chunks * SIZE,), chunks=(SIZE,), dtype="u2", compressors=None
    )


def _specs(url: str, cells: range, checksum: dict[str, Any] | None = None) -> list[Any]:
    return [
        icechunk.VirtualChunkSpec([i], url, i * SIZE * 2, SIZE * 2, **(checksum or {}))
        for i in cells
    ]


def _build(place: Place, source: Path, spec: int, chunks: int = FEW) -> np.ndarray:
    """The real library's repository; returns what its array `large` holds."""
    repo = REAL.create(place.path, spec, _config(source))
    url = _prefix(source) + "data%20%C3%A9.bin"
    session = repo.writable_session("main")
    checked = {
        "plain": {},
        "with an etag": {"etag_checksum": "an etag é"},
        "with a time": {"last_updated_at_checksum": datetime.now(UTC) + timedelta(days=1)},
    }
    for name, checksum in checked.items():
        _create_array(session.store, name, 9)
        session.store.set_virtual_refs(f"/{name}", _specs(url, range(0, 9, 2), checksum))
    large = _create_array(session.store, "large", chunks)
    session.store.set_virtual_refs("/large", _specs(url, range(chunks)))
    large[SIZE : 2 * SIZE] = 7  # one inline chunk among them
    if SPECS == [1, 2]:
        _create_array(session.store, "relative", 3)
        relative = "vcc://local files/data%20%C3%A9.bin"
        session.store.set_virtual_refs("/relative", _specs(relative, range(3)))
    session.commit("virtual references")
    expected = np.arange(chunks * SIZE, dtype="u2")
    expected[SIZE : 2 * SIZE] = 7
    return expected


def _locations(place: Place) -> list[str]:
    session = place.open(REAL).readonly_session("main")
    return sorted(session.all_virtual_chunk_locations())


def _references(place: Place, name: str) -> list[Any]:
    """All references of an array as the real library states them (2.x only)."""

    async def collect() -> list[Any]:
        session = place.open(REAL).readonly_session("main")
        rows = []
        if SPECS == [1, 2]:
            async for batch in session.store.array_chunk_iterator(f"/{name}"):
                index, kinds, locations, offsets, lengths, inline = batch
                rows += [
                    (tuple(index[i]), kinds[i], locations[i], offsets[i], lengths[i], inline.get(i))
                    for i in range(len(index))
                ]
        return sorted(rows)

    return sync(collect())


def _elsewhere(root: zarr.Group, expected: np.ndarray) -> None:
    root.create_array("another", data=np.arange(5000), chunks=500)


def _same_manifest(root: zarr.Group, expected: np.ndarray) -> None:
    root["large"][5 * SIZE : 6 * SIZE] = expected[5 * SIZE : 6 * SIZE] = 1


def _attributes(root: zarr.Group, expected: np.ndarray) -> None:
    root["large"].attrs["units"] = "m"


def _erased(root: zarr.Group, expected: np.ndarray) -> None:
    root["large"][2 * SIZE : 4 * SIZE] = expected[2 * SIZE : 4 * SIZE] = 0


def _resized(root: zarr.Group, expected: np.ndarray) -> None:
    root["large"].resize((FEW // 2 * SIZE,))
    root["large"].resize((FEW * SIZE,))
    expected[FEW // 2 * SIZE :] = 0


@every_spec
@pytest.mark.parametrize(
    ("change", "chunks"),
    [
        (_elsewhere, FEW),
        (_same_manifest, FEW),
        (_same_manifest, MANY),
        (_attributes, FEW),
        (_erased, FEW),
        (_resized, FEW),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_virtual_chunks_survive_a_change(
    place: Place,
    source: Path,
    spec: int,
    change: Callable[[zarr.Group, np.ndarray], None],
    chunks: int,
) -> None:
    expected = _build(place, source, spec, chunks)
    small = {name: _references(place, name) for name in ("plain", "with an etag", "with a time")}
    locations, before = _locations(place), _references(place, "large")

    session = place.open(FRAZIL).writable_session("main")
    assert session.chunk_type("/large", [0]) == FRAZIL.module.ChunkType.virtual
    change(zarr.open_group(session.store), expected)
    session.commit("changed by frazil")

    root = zarr.open_group(place.open(REAL).readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root["large"][...], expected)
    for name in ("plain", "with a time"):
        filled = np.arange(9 * SIZE).reshape(9, SIZE) * ((np.arange(9) + 1) % 2)[:, None]
        np.testing.assert_array_equal(root[name][...], filled.ravel())
    assert {name: _references(place, name) for name in small} == small
    after = {row[0]: row for row in _references(place, "large")}
    changed = {row[0] for row in before if after.get(row[0]) != row}
    if change in (_elsewhere, _attributes):
        assert not changed
        assert _locations(place) == locations
    elif change is _resized:
        assert all(index[0] >= FEW // 2 for index in changed)
    else:
        assert all(index[0] in range(2, 6) for index in changed)
    if SPECS == [1, 2]:
        np.testing.assert_array_equal(root["relative"][...], np.arange(3 * SIZE))
    place.check()


@every_spec
def test_both_rewrite_the_same_virtual_manifest_in_turns(
    place: Place, source: Path, spec: int
) -> None:
    expected = _build(place, source, spec)
    for i, library in enumerate((FRAZIL, REAL, FRAZIL, FRAZIL, REAL)):
        session = place.open(library).writable_session("main")
        cells = slice((10 + i) * SIZE, (11 + i) * SIZE)
        zarr.open_array(session.store, path="large")[cells] = expected[cells] = i
        session.commit(f"turn {i}")
    root = zarr.open_group(place.open(REAL).readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root["large"][...], expected)
    place.check()


@every_spec
def test_containers_stay_in_the_configuration(place: Place, source: Path, spec: int) -> None:
    _build(place, source, spec)
    before = REAL.module.Repository.fetch_config(REAL.storage(place.path))
    assert before is not None
    session = place.open(FRAZIL).writable_session("main")
    zarr.create_group(session.store, path="g")
    session.commit("a group")
    place.open(FRAZIL).save_config()
    after = REAL.module.Repository.fetch_config(REAL.storage(place.path))
    assert list(after.virtual_chunk_containers) == list(before.virtual_chunk_containers)
    assert [str(c.store) for c in after.virtual_chunk_containers.values()] == [
        str(c.store) for c in before.virtual_chunk_containers.values()
    ]
    place.check()


# Locations: many, compressed, long, relative


def _many(library: Library, store: Any, name: str, urls: list[str]) -> None:
    zarr.create_array(
        store, name=name, shape=(len(urls) * SIZE,), chunks=(SIZE,), dtype="u2", compressors=None
    )
    offsets = np.arange(len(urls), dtype="u8") * (SIZE * 2)
    lengths = np.full(len(urls), SIZE * 2, "u8")
    assert store.set_virtual_refs_arr(name, (len(urls),), urls, offsets, lengths) is None


@needs_spec_2
@pytest.mark.parametrize("writer", [REAL, FRAZIL], ids=str)
@pytest.mark.parametrize(
    ("count", "least", "compressed"),
    [(999, None, 0), (1000, None, 1000), (50, 20, 50), (50, 51, 0)],
)
def test_compressed_locations(
    place: Place, source: Path, writer: Library, count: int, least: int | None, compressed: int
) -> None:
    config = _config(source)
    if least is not None:
        how = icechunk.ManifestVirtualChunkLocationCompressionConfig(least)
        config.manifest = icechunk.ManifestConfig(virtual_chunk_location_compression=how)
    REAL.create(place.path, 2, config)
    session = _open(writer, place, source).writable_session("main")
    relative = "vcc://local files/data%20%C3%A9.bin"
    urls = [_prefix(source) + "data%20%C3%A9.bin", relative]
    _many(writer, session.store, "a", [urls[i % 2] for i in range(count)])
    session.commit("many")
    repo = place.open(FRAZIL)
    (info,) = repo.list_manifest_files(repo.lookup_branch("main"))
    assert repo.inspect_manifest(info.id)["compression"]["num_compressed_refs"] == compressed
    for reader in (REAL, FRAZIL):
        session = _open(reader, place, source).readonly_session("main")
        found = session.all_virtual_chunk_locations()
        assert len(found) == count
        array = zarr.open_array(session.store, path="a", mode="r")
        np.testing.assert_array_equal(array[...], np.arange(count * SIZE))


@needs_spec_2
@pytest.mark.parametrize("writer", [REAL, FRAZIL], ids=str)
def test_long_urls_are_read(place: Place, source: Path, writer: Library) -> None:
    """The real library compresses them as well, and then cannot read them itself."""
    folder = source / ("long " * 50) / ("er" * 120) / ("é" * 110)
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes((source / "data é.bin").read_bytes())
    long = (folder / "data.bin").as_uri()
    assert len(long) > 1024
    REAL.create(place.path, 2, _config(source))
    session = _open(writer, place, source).writable_session("main")
    _many(writer, session.store, "a", [long] * MANY)
    session.commit("long")
    readers = (FRAZIL,) if writer is REAL else (FRAZIL, REAL)
    for reader in readers:
        store = _open(reader, place, source).readonly_session("main").store
        array = zarr.open_array(store, path="a", mode="r")
        np.testing.assert_array_equal(array[...], np.arange(MANY * SIZE))


def _open(library: Library, place: Place, source: Path) -> Any:
    access = library.module.credentials.LocalFileSystemAccess
    return library.open(place.path, authorize_virtual_chunk_access={_prefix(source): access})


@needs_spec_2
def test_setting_references_gives_the_same(place: Place, source: Path) -> None:
    """Both libraries are asked the same things, and what they answer and store is compared."""
    url, relative = _prefix(source) + "data%20%C3%A9.bin", "vcc://local files/x/../data é.bin"
    outcomes = {}
    for library in (REAL, FRAZIL):
        path = place.path.with_name(library.name)
        REAL.create(path, 2, _config(source))
        repo = library.open(path)
        session = repo.writable_session("main")
        store, spec = session.store, library.module.VirtualChunkSpec
        zarr.create_array(store, name="a", shape=(8, 8), chunks=(2, 2), dtype="u2")
        got: list[Any] = []
        got.append(store.set_virtual_refs("a", [spec([0, 0], url, 1, 2)]))
        got.append(store.set_virtual_refs("/a", [spec([0, 1], "s3://no/x", 1, 2)]))
        got.append(
            store.set_virtual_refs(
                "a",
                [spec([0, 2], "s3://no/x", 1, 2, "tag"), spec([0, 3], relative, 1, 2)],
                validate_containers=False,
            )
        )
        numbers = np.arange(1, 5, dtype="u8")
        for options in ({}, {"validate_containers": False}, {"arr_offset": (1, 2)}):
            locations = [url, "", "gs://no/y", relative.replace("x/../", "")]
            got.append(
                store.set_virtual_refs_arr("a", (2, 2), locations, numbers, numbers, **options)
            )
        got.append(sorted(session.all_virtual_chunk_locations()))
        session.commit("set")
        session = repo.readonly_session("main")
        got.append(sorted(session.all_virtual_chunk_locations()))
        got.append(sync(_iterated(session.store)))
        outcomes[library.name] = got
    assert outcomes["frazil"] == outcomes["real"]


async def _iterated(store: Any) -> list[Any]:
    rows = []
    async for index, kinds, locations, offsets, lengths, inline in store.array_chunk_iterator("a"):
        assert (index.dtype, kinds.dtype) == (np.uint32, np.uint8)
        assert (offsets.dtype, lengths.dtype) == (np.uint64, np.uint64)
        rows += zip(index.tolist(), kinds.tolist(), locations, offsets, lengths, strict=True)
        assert inline == {}
    return sorted(rows)


@every_spec
def test_materialized_chunks(place: Place, source: Path, spec: int) -> None:
    expected = _build(place, source, spec)
    local = FRAZIL.module.credentials.LocalFileSystemAccess
    repo = FRAZIL.open(place.path, authorize_virtual_chunk_access={_prefix(source): local})
    session = repo.writable_session("main")
    assert session.materialize("/large", (slice(0, 10 * SIZE),)) == 9  # one was not virtual
    session.commit("some are materialized")
    session = repo.writable_session("main")
    assert session.materialize("/large") == FEW - 10
    session.commit("all are")
    for library in (FRAZIL, REAL):  # without the file, and without leave to read it
        store = library.open(place.path).readonly_session("main").store
        np.testing.assert_array_equal(zarr.open_array(store, path="large", mode="r")[...], expected)
    place.check()
