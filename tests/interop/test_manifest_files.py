"""icechunk reads the manifests that Frazil writes, in both specification versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import zarr
from zarr.core.buffer import cpu, default_buffer_prototype

from frazil.format.chunk_refs import ChunkRefs, InlineRef, NativeRef, Ref, VirtualRef
from frazil.format.manifest import Manifest, decode_manifest, encode_manifest
from frazil.format.snapshot import ManifestTable, decode_snapshot, encode_snapshot
from frazil.ids import ChunkId, ManifestId, NodeId

IS_V1_RELEASE = icechunk.__version__.startswith("1.")
SPECS = [1] if IS_V1_RELEASE else [1, 2]


def create(folder: Path, spec: int, source: Path | None = None) -> icechunk.Repository:
    """A repository on disk, whose array files in `source` may be referred to."""
    config = icechunk.RepositoryConfig.default()
    options: dict[str, Any] = {} if IS_V1_RELEASE else {"spec_version": spec}
    if source is not None:
        prefix = f"file://{source}/"
        store = icechunk.local_filesystem_store(str(source))
        config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, store))
        options["authorize_virtual_chunk_access"] = access(source)
    storage = icechunk.local_filesystem_storage(str(folder))
    return icechunk.Repository.create(storage, config=config, **options)


def reopen(folder: Path, source: Path | None = None) -> icechunk.Repository:
    storage = icechunk.local_filesystem_storage(str(folder))
    options = {} if source is None else {"authorize_virtual_chunk_access": access(source)}
    return icechunk.Repository.open(storage, **options)


def access(source: Path) -> dict[str, Any]:
    credentials = None if IS_V1_RELEASE else icechunk.credentials.LocalFileSystemAccess
    return {f"file://{source}/": credentials}


def new_array(session: Any, name: str, shape: tuple[int, ...], chunk: int = 1) -> Any:
    return zarr.create_array(
        session.store,
        name=name,
        shape=shape,
        chunks=(chunk,) * len(shape),
        dtype="u1",
        compressors=None,
        filters=None,
        fill_value=0,
    )


def rewrite_all(folder: Path, spec: int) -> int:
    """Replace all manifests by what Frazil makes of them; how many locations are compressed."""
    compressed = 0
    for path in (folder / "manifests").iterdir():
        old = path.read_bytes()
        new = encode_manifest(decode_manifest(old, where=path.name), spec=spec)
        assert new != old
        compressed += decode_manifest(new, where=path.name).compressed_locations
        path.write_bytes(new)
    state_sizes(folder, spec)
    return compressed


def state_sizes(folder: Path, spec: int) -> None:
    """icechunk reads as many bytes of a manifest as the snapshot says: say how many there are."""
    for path in (folder / "snapshots").iterdir():
        snapshot = decode_snapshot(path.read_bytes(), where=path.name)
        infos = [snapshot.manifests.info(i) for i in range(len(snapshot.manifests))]
        sizes = [(folder / "manifests" / str(info.id)).stat().st_size for info in infos]
        table = ManifestTable.of(
            replace(info, size_bytes=size) for info, size in zip(infos, sizes, strict=True)
        )
        path.write_bytes(encode_snapshot(replace(snapshot, manifests=table), spec=spec))


@pytest.mark.parametrize("spec", SPECS)
def test_inline_and_native_chunks_are_read(tmp_path: Path, spec: int) -> None:
    session = create(tmp_path / "repo", spec).writable_session("main")
    values = np.arange(1000, dtype="u1").reshape(10, 10, 10)
    new_array(session, "inline", values.shape)[:] = values
    large = np.random.default_rng(1).integers(1, 255, (60, 60, 12), dtype="u1")
    new_array(session, "native", large.shape, chunk=12)[:] = large
    session.commit("data")

    assert rewrite_all(tmp_path / "repo", spec) == 0

    store = reopen(tmp_path / "repo").readonly_session("main").store
    np.testing.assert_array_equal(zarr.open_array(store, path="inline", mode="r")[:], values)
    np.testing.assert_array_equal(zarr.open_array(store, path="native", mode="r")[:], large)


@pytest.mark.parametrize("spec", SPECS)
def test_icechunk_commits_on_top_of_a_rewritten_manifest(tmp_path: Path, spec: int) -> None:
    session = create(tmp_path, spec).writable_session("main")
    values = np.arange(400, dtype="u1").reshape(20, 20)
    new_array(session, "a", values.shape)[:] = values
    session.commit("data")
    rewrite_all(tmp_path, spec)

    session = reopen(tmp_path).writable_session("main")
    zarr.open_array(session.store, path="a")[3, 4] = 77
    session.commit("one more")

    values[3, 4] = 77
    store = reopen(tmp_path).readonly_session("main").store
    np.testing.assert_array_equal(zarr.open_array(store, path="a", mode="r")[:], values)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("count", [300, 1500])
def test_virtual_chunks_are_read(tmp_path: Path, spec: int, count: int) -> None:
    source = tmp_path / "source"
    source.mkdir()
    data = np.random.default_rng(2).integers(1, 255, count, dtype="u1")
    for half in range(2):
        (source / f"part-{half}.bin").write_bytes(data.tobytes())
    repo = create(tmp_path / "repo", spec, source)
    session = repo.writable_session("main")
    new_array(session, "v", (count,))
    for i in range(count):
        session.store.set_virtual_ref(
            f"v/c/{i}", f"file://{source}/part-{i % 2}.bin", offset=i, length=1
        )
    session.commit("data")
    repo.save_config()

    compressed = rewrite_all(tmp_path / "repo", spec)

    assert compressed == (count if spec == 2 and count >= 1000 else 0)
    store = reopen(tmp_path / "repo", source).readonly_session("main").store
    np.testing.assert_array_equal(zarr.open_array(store, path="v", mode="r")[:], data)


def every_kind(n: int) -> dict[tuple[int, ...], Ref]:
    """References of all kinds and with all optional fields, mixed."""
    kinds = [
        lambda i: InlineRef(bytes([i % 256]) * (i % 7)),
        lambda i: NativeRef(ChunkId(i.to_bytes(12, "big")), i, i + 1),
        lambda i: VirtualRef(f"s3://bucket/päth/{i}", i, i + 1),
        lambda i: VirtualRef(f"s3://bucket/{i}", i, i + 1, f"etag-{i}", None),
        lambda i: VirtualRef(f"s3://bucket/{i}", i, i + 1, None, 1_700_000_000 + i),
    ]
    return {(i // 10, i): kinds[i % 5](i) for i in range(n)}


@pytest.mark.skipif(IS_V1_RELEASE, reason="this release has no inspect_manifest")
@pytest.mark.parametrize("spec", SPECS)
def test_the_verifier_accepts_all_shapes_of_manifests(tmp_path: Path, spec: int) -> None:
    repo = create(tmp_path, spec)
    (tmp_path / "manifests").mkdir(exist_ok=True)
    many = ChunkRefs.of(2, every_kind(4000))
    shapes = {
        "nothing": {},
        "scalar": {b"a": ChunkRefs.of(0, {(): InlineRef(b"x")})},
        "native": {b"a": many.take(many.kind == 1)},
        "many kinds": {b"a": many},
        "few kinds": {b"a": many.take(slice(0, 50))},
        "ranks": {
            b"c": ChunkRefs.of(4, {(1, 2, 3, 4): NativeRef(ChunkId.random(), 0, 1)}),
            b"a": many,
            b"b": ChunkRefs.of(1, {(i,): InlineRef(b"ab" * i) for i in range(9)}),
        },
    }
    for name, arrays in shapes.items():
        id_ = ManifestId.random()
        manifest = Manifest(id_, {NodeId(k * 8): refs for k, refs in arrays.items()})
        (tmp_path / "manifests" / str(id_)).write_bytes(encode_manifest(manifest, spec=spec))

        seen = repo.inspect_manifest(str(id_))

        refs = list(arrays.values())
        assert seen["total_chunk_refs"] == sum(len(r) for r in refs), name
        for kind, key in enumerate(["total_native", "total_virtual", "total_inline"], start=1):
            assert seen[key] == sum(int((r.kind == kind).sum()) for r in refs), (name, key)
        uses = spec == 2 and seen["total_virtual"] >= 1000
        assert seen["compression"]["uses_location_compression"] == uses, name
        assert seen["compression"]["num_compressed_refs"] == uses * seen["total_virtual"], name


@pytest.mark.parametrize("spec", SPECS)
def test_offsets_into_shared_objects_are_kept(tmp_path: Path, spec: int) -> None:
    session = create(tmp_path, spec).writable_session("main")
    new_array(session, "a", (300 * 4,), chunk=4)
    for i in range(300):
        asyncio.run(session.store.set(f"a/c/{i}", cpu.Buffer.from_bytes(bytes(4))))
    session.commit("data")
    (path,) = (tmp_path / "manifests").iterdir()
    manifest = decode_manifest(path.read_bytes(), where=path.name)
    ((node, _),) = manifest.arrays.items()
    pack = ChunkId.random()
    data = np.random.default_rng(3).integers(0, 255, 300 * 4 + 16, dtype="u1")
    (tmp_path / "chunks").mkdir(exist_ok=True)
    (tmp_path / "chunks" / str(pack)).write_bytes(data.tobytes())
    refs = ChunkRefs.of(1, {(i,): NativeRef(pack, 16 + 4 * i, 4) for i in range(300)})
    path.write_bytes(encode_manifest(Manifest(manifest.id, {node: refs}), spec=spec))
    state_sizes(tmp_path, spec)

    store = reopen(tmp_path).readonly_session("main").store
    np.testing.assert_array_equal(zarr.open_array(store, path="a", mode="r")[:], data[16:])
    one = asyncio.run(store.get("a/c/7", default_buffer_prototype()))
    assert one.to_bytes() == data[16 + 28 : 16 + 32].tobytes()
