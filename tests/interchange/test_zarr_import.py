"""Plain Zarr hierarchies come into a session as they are."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec

import frazil
from frazil import Repository, RepositoryConfig, Session
from frazil.errors import ErrorKind, IcechunkError, InvalidInputError
from frazil.interchange import import_zarr

RANDOM = np.random.default_rng(1)


def fill_v2(root: zarr.Group) -> None:
    a = root.create_array(
        "deep/er/a", shape=(10, 20), chunks=(3, 7), dtype=">f4", order="F", attributes={"u": "K"}
    )
    a[...] = RANDOM.random((10, 20))
    a.attrs["_ARRAY_DIMENSIONS"] = ["y", "x"]
    nested = root.create_array(
        "nested",
        shape=(9, 4),
        chunks=(2, 2),
        dtype="i2",
        chunk_key_encoding={"name": "v2", "separator": "/"},
        fill_value=None,
    )
    nested[:4] = 7
    root.create_array("scalar", shape=(), dtype="i8", fill_value=None)[...] = 5
    root.create_array("empty", shape=(3, 3), chunks=(1, 1), dtype="u1", fill_value=9)
    root.create_array("none", shape=(0, 3), chunks=(1, 3), dtype="u1")
    time = root.create_array("time", shape=(4,), dtype="M8[ns]", chunks=(2,))
    time[...] = np.array(["2020-01-01", "2021-01-01", "NaT", "2022-01-01"], "M8[ns]")
    root.create_array("flags", shape=(5,), dtype="?")[...] = [True, False, True, True, False]
    codecs: dict[str, Any] = {
        "gzip": numcodecs.GZip(3),
        "zstd": numcodecs.Zstd(2),
        "lz4": numcodecs.LZ4(),
        "zlib": numcodecs.Zlib(),
        "blosc": numcodecs.Blosc("zstd", shuffle=2),
        "plain": None,
    }
    for name, compressor in codecs.items():
        array = root.create_array(
            f"codecs/{name}",
            shape=(50,),
            chunks=(20,),
            dtype="i4",
            compressors=compressor,
            filters=[numcodecs.Delta("i4")],
        )
        array[...] = np.arange(50)
    root.create_array("strings", shape=(3,), chunks=(2,), dtype=str)[...] = ["a", "bb", "ç日"]
    root.attrs["title"] = "tëst"


def fill_v3(root: zarr.Group, *, plain: bool = True) -> None:
    a = root.create_array(
        "deep/er/a",
        shape=(10, 20),
        chunks=(3, 7),
        dtype=">f4",
        dimension_names=["y", None],
        filters=[TransposeCodec(order=(1, 0))],
        compressors=[ZstdCodec(), Crc32cCodec()],
        attributes={"u": "K"},
    )
    a[...] = RANDOM.random((10, 20))
    sharded = root.create_array(
        "sharded", shape=(20, 20), shards=(8, 8), chunks=(2, 4), dtype="f8", compressors=GzipCodec()
    )
    sharded[3:9, 2:17] = RANDOM.random((6, 15))
    if plain:  # in a repository all keys are alike
        other_keys = root.create_array(
            "keys",
            shape=(4, 4),
            chunks=(2, 2),
            dtype="i4",
            chunk_key_encoding={"name": "default", "separator": "."},
        )
        other_keys[...] = np.arange(16).reshape(4, 4)
    root.create_array("scalar", shape=(), dtype="i8")[...] = 5
    root.create_array("empty", shape=(3, 3), chunks=(1, 1), dtype="u1", fill_value=9)
    root.create_array("strings", shape=(3,), chunks=(2,), dtype=str)[...] = ["a", "bb", "ç日"]
    root.create_array("ünï/日本", shape=(3,), dtype="c16")[...] = [1, 2j, 3]
    root.attrs["title"] = "tëst"


def make(path: Path, zarr_format: int, consolidated: bool = False) -> zarr.Group:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types that have no specification
        root = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
        fill_v2(root) if zarr_format == 2 else fill_v3(root)
        if consolidated:
            zarr.consolidate_metadata(path)
    return zarr.open_group(path, mode="r", use_consolidated=False)


def same(ours: zarr.Group, theirs: zarr.Group) -> None:
    assert dict(ours.attrs) == dict(theirs.attrs)
    mine, other = dict(ours.members(max_depth=None)), dict(theirs.members(max_depth=None))
    assert mine.keys() == other.keys()
    for path, node in other.items():
        copy = mine[path]
        attributes = dict(node.attrs)
        names = attributes.pop("_ARRAY_DIMENSIONS", None)
        assert dict(copy.attrs) == attributes
        if isinstance(node, zarr.Array):
            assert isinstance(copy, zarr.Array)
            assert (copy.shape, copy.chunks, copy.shards) == (node.shape, node.chunks, node.shards)
            if names is None and node.metadata.zarr_format == 3:
                names = node.metadata.dimension_names
            assert copy.metadata.dimension_names == (tuple(names) if names else None)
            np.testing.assert_array_equal(copy[...], node[...])


@pytest.fixture
def session() -> Session:
    return Repository.create(frazil.in_memory_storage()).writable_session("main")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_whole_hierarchies(
    tmp_path: Path, session: Session, zarr_format: int, consolidated: bool
) -> None:
    plain = make(tmp_path / "plain", zarr_format, consolidated)
    summary = import_zarr(tmp_path / "plain", session)
    session.commit("imported")
    same(zarr.open_group(session.store, mode="r"), plain)
    arrays = sum(isinstance(node, zarr.Array) for _, node in plain.members(max_depth=None))
    assert summary.arrays == arrays
    assert summary.recoded == (("/strings",) if zarr_format == 2 else ())
    assert summary.present == 0


def test_encoded_bytes_stay_as_they_are(tmp_path: Path, session: Session) -> None:
    make(tmp_path / "plain", 3)
    import_zarr(str(tmp_path / "plain"), session, "/a/b")
    store, files = session.store, tmp_path / "plain"
    for file in files.rglob("c/**/*"):
        if file.is_file():
            key = f"a/b/{file.relative_to(files).as_posix()}"
            buffer = store.get_sync(key) if hasattr(store, "get_sync") else None
            assert buffer is not None
            assert buffer.to_bytes() == file.read_bytes()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_part_of_a_hierarchy(tmp_path: Path, session: Session, zarr_format: int) -> None:
    plain = make(tmp_path / "plain", zarr_format)
    import_zarr(tmp_path / "plain", session, "/here", source_path="deep/er/a")
    array = zarr.open_array(session.store, path="here", mode="r")
    np.testing.assert_array_equal(array[...], plain["deep/er/a"][...])


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_import_goes_on(tmp_path: Path, session: Session) -> None:
    plain = make(tmp_path / "plain", 3)
    import_zarr(tmp_path / "plain", session)
    for key in ("deep/er/a/c/0/0", "sharded/c/0/1"):
        zarr.core.sync.sync(session.store.delete(key))
    again = import_zarr(tmp_path / "plain", session)
    assert again.chunks == 2
    assert again.present > 20
    same(zarr.open_group(session.store, mode="r"), plain)


def test_what_is_there_and_different_is_refused(tmp_path: Path, session: Session) -> None:
    make(tmp_path / "plain", 3)
    zarr.create_array(session.store, name="sharded", shape=(2,), dtype="i4")[...] = 1
    with pytest.raises(InvalidInputError, match="/sharded") as caught:
        import_zarr(tmp_path / "plain", session)
    assert caught.value.kind == ErrorKind.BAD_METADATA
    assert zarr.open_array(session.store, path="sharded", mode="r")[:].tolist() == [1, 1]


def test_no_hierarchy(tmp_path: Path, session: Session) -> None:
    with pytest.raises(InvalidInputError, match="no Zarr group or array"):
        import_zarr(tmp_path / "nowhere", session)
    make(tmp_path / "plain", 3)
    with pytest.raises(InvalidInputError, match="'nothing'"):
        import_zarr(tmp_path / "plain", session, source_path="nothing")
    with pytest.raises(TypeError, match="not by int"):
        import_zarr(5, session)  # type: ignore[arg-type]
    with pytest.raises(IcechunkError):
        import_zarr("nosuchscheme://x/y", session)


def repository_for(folder: Path) -> Repository:
    config = RepositoryConfig.default()
    prefix = f"{folder.as_uri()}/"
    config.set_virtual_chunk_container(
        frazil.VirtualChunkContainer(prefix, frazil.local_filesystem_store(str(folder)))
    )
    return Repository.create(
        frazil.in_memory_storage(),
        config,
        authorize_virtual_chunk_access=frazil.containers_credentials({prefix: None}),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_references_to_the_source(tmp_path: Path, zarr_format: int) -> None:
    plain = make(tmp_path / "plain", zarr_format)
    session = repository_for(tmp_path).writable_session("main")
    path = "deep/er/a"
    summary = import_zarr(tmp_path / "plain", session, "/a", source_path=path, by_reference=True)
    assert (summary.chunks, summary.bytes) == (12, 0)
    scalar = import_zarr(tmp_path / "plain", session, "/s", source_path="scalar", by_reference=True)
    assert scalar.chunks == 1
    session.commit("referred to")
    array = zarr.open_array(session.store, path="a", mode="r")
    np.testing.assert_array_equal(array[...], plain[path][...])
    assert zarr.open_array(session.store, path="s", mode="r")[()] == 5
    assert len(session.all_virtual_chunk_locations()) == 13
    # what changes at the source is noticed
    file = next(file for file in (tmp_path / "plain" / path).rglob("*0") if file.is_file())
    os.utime(file, (4e9, 4e9))
    with pytest.raises(IcechunkError, match="modified"):
        array[...]


def test_references_need_a_container_and_a_description(tmp_path: Path, session: Session) -> None:
    make(tmp_path / "plain", 2)
    with pytest.raises(InvalidInputError, match="no virtual chunk container covers file://"):
        import_zarr(tmp_path / "plain", session, source_path="flags", by_reference=True)
    with pytest.raises(InvalidInputError, match="import it by copy"):
        import_zarr(tmp_path / "plain", session, source_path="strings", by_reference=True)
    memory = zarr.storage.MemoryStore()
    zarr.open_group(memory, mode="w")
    with pytest.raises(InvalidInputError, match="have no URLs"):
        import_zarr(memory, session, by_reference=True)


@pytest.mark.filterwarnings("ignore")
def test_zip_files_stores_and_storages(tmp_path: Path, session: Session) -> None:
    plain = make(tmp_path / "plain", 3)
    with zarr.storage.ZipStore(tmp_path / "plain.zip", mode="w") as archive:
        for file in sorted((tmp_path / "plain").rglob("*")):
            if file.is_file():
                key = file.relative_to(tmp_path / "plain").as_posix()
                buffer = zarr.core.buffer.cpu.Buffer.from_bytes(file.read_bytes())
                zarr.core.sync.sync(archive.set(key, buffer))
    sources: list[Any] = [
        tmp_path / "plain.zip",
        zarr.storage.LocalStore(tmp_path / "plain"),
        frazil.local_filesystem_storage(str(tmp_path / "plain")),
        (tmp_path / "plain").as_uri(),
    ]
    for number, source in enumerate(sources):
        import_zarr(source, session, f"/copy{number}", source_path="sharded")
        array = zarr.open_array(session.store, path=f"copy{number}", mode="r")
        np.testing.assert_array_equal(array[...], plain["sharded"][...])


def test_progress_is_told(tmp_path: Path, session: Session) -> None:
    make(tmp_path / "plain", 3)
    seen: list[Any] = []
    with frazil.progress.report(seen.append):
        import_zarr(tmp_path / "plain", session, source_path="deep")
    last = {progress.task: (progress.done, progress.total) for progress in seen}
    assert last == {"Importing /er/a": (12, 12), "Importing arrays": (1, 1)}


def test_documents_are_those_of_the_source(tmp_path: Path, session: Session) -> None:
    make(tmp_path / "plain", 3, consolidated=True)
    import_zarr(tmp_path / "plain", session)
    ours = zarr.open_group(session.store, mode="r")
    assert ours.metadata.consolidated_metadata is None
    stored = json.loads((tmp_path / "plain/sharded/zarr.json").read_text())
    array = ours["sharded"]
    assert isinstance(array, zarr.Array)
    assert (
        array.metadata.to_dict()["codecs"]
        == zarr.open_array(tmp_path / "plain", path="sharded", mode="r").metadata.to_dict()[
            "codecs"
        ]
    )
    assert stored["shape"] == list(array.shape)
