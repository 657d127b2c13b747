"""References to files of every kind of place: either library sets them, both read them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.interop import sources
from tests.interop.libraries import FRAZIL, LIBRARIES, REAL, Library, needs_spec_2
from tests.interop.sources import Files
from tests.servers.azurite import azurite
from tests.servers.fixtures import Servers
from tests.servers.gcs import gcs_standin
from tests.servers.nginx import nginx
from tests.servers.s3 import ministack

pytestmark = needs_spec_2

SIZE = 8
CHUNKS = 40
DATA = np.arange(CHUNKS * SIZE, dtype="u2")
NAME = "a folder/data é.bin"
URL_NAME = "a%20folder/data%20%C3%A9.bin"

PLACES: dict[str, Callable[[Servers, Path], Files]] = {
    "file": lambda servers, path: sources.of_folder(path / "source"),
    "http": lambda servers, path: sources.of_web(servers.get(nginx)),
    "s3": lambda servers, path: sources.of_s3(servers.get(ministack)),
    "gcs": lambda servers, path: sources.of_gcs(servers.get(gcs_standin)),
    "azure": lambda servers, path: sources.of_azure(servers.get(azurite)),
}


@pytest.fixture(params=PLACES)
def files(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Files:
    found = PLACES[request.param](servers, tmp_path)
    found.put(NAME, DATA.tobytes())
    found.put("small.bin", b"12")
    return found


def _open(library: Library, path: Path, files: Files) -> Any:
    access = files.authorize(library.module)
    return library.open(path, authorize_virtual_chunk_access=access)


def _array(store: Any, name: str, chunks: int = CHUNKS) -> zarr.Array:
    return zarr.create_array(
        store, name=name, shape=(chunks * SIZE,), chunks=(SIZE,), dtype="u2", compressors=None
    )


def _read(repo: Any, name: str) -> np.ndarray:
    return zarr.open_array(repo.readonly_session("main").store, path=name, mode="r")[...]


@pytest.mark.parametrize("writer", LIBRARIES)
def test_both_read_what_either_set(files: Files, tmp_path: Path, writer: str) -> None:
    library, path = LIBRARIES[writer], tmp_path / "repository"
    spec = 1 if files.prefix.startswith("http") else 2
    module = library.module
    library.create(path, spec, files.config(module))
    session = _open(library, path, files).writable_session("main")
    url = files.prefix + URL_NAME
    etag, modified = files.stamp(NAME)
    store = session.store
    for name, checksum in {"none": None, "etag": etag, "time": modified}.items():
        _array(store, name, 3)
        for i in range(3):
            at = {"offset": i * SIZE * 2, "length": SIZE * 2}
            store.set_virtual_ref(f"{name}/c/{i}", url, checksum=checksum, **at)
    _array(store, "many")
    offsets = np.arange(CHUNKS, dtype="u8") * (SIZE * 2)
    lengths = np.full(CHUNKS, SIZE * 2, "u8")
    assert store.set_virtual_refs_arr("many", (CHUNKS,), [url] * CHUNKS, offsets, lengths) is None
    session.commit("virtual")
    for reader in (FRAZIL, REAL):
        repo = _open(reader, path, files)
        np.testing.assert_array_equal(_read(repo, "many"), DATA)
        for name in ("none", "etag", "time"):
            strict = reader is REAL and name == "etag" and files.prefix.startswith(("http", "file"))
            if not strict:  # it strips the quotes that these compare
                np.testing.assert_array_equal(_read(repo, name), DATA[: 3 * SIZE])


@pytest.mark.parametrize("library", LIBRARIES)
def test_both_refuse_what_has_changed_or_is_not_there(
    files: Files, tmp_path: Path, library: str
) -> None:
    module, path = LIBRARIES[library].module, tmp_path / "repository"
    LIBRARIES[library].create(path, 2, files.config(module))
    session = _open(LIBRARIES[library], path, files).writable_session("main")
    modified = files.stamp(NAME)[1]
    url = files.prefix + URL_NAME
    cases: dict[str, tuple[str, dict[str, Any], str]] = {
        "other-tag": (url, {"checksum": "another"}, "virtual-chunk-modified"),
        "older": (url, {"checksum": modified - timedelta(days=1)}, "virtual-chunk-modified"),
        "missing": (files.prefix + "nothing.bin", {}, "virtual-chunk-fetch"),
        "beyond": (files.prefix + "small.bin", {"offset": 4}, "virtual-chunk-fetch"),
        "short": (files.prefix + "small.bin", {}, "invalid-object-size virtual-chunk-fetch"),
    }
    for name, (location, options, kinds) in cases.items():
        _array(session.store, name, 1)
        given = {"offset": 0, "length": SIZE * 2} | options
        session.store.set_virtual_ref(f"{name}/c/0", location, **given)
        with pytest.raises(module.IcechunkError) as caught:
            zarr.open_array(session.store, path=name, mode="r")[...]
        assert caught.value.kind in kinds, name
        assert LIBRARIES[library] is REAL or location in str(caught.value)


@pytest.mark.parametrize("files", ["http", "s3"], indirect=True)
def test_a_large_chunk_comes_in_pieces(files: Files) -> None:
    data = np.random.default_rng(0).integers(0, 255, 20_000_000, "u1")
    files.put("large.bin", data.tobytes())
    module = FRAZIL.module
    repo = module.Repository.create(
        module.in_memory_storage(), files.config(module), files.authorize(module)
    )
    session = repo.writable_session("main")
    zarr.create_array(
        session.store, name="a", shape=data.shape, chunks=data.shape, dtype="u1", compressors=None
    )
    session.store.set_virtual_ref("a/c/0", files.prefix + "large.bin", offset=0, length=data.size)
    assert bool((zarr.open_array(session.store, path="a", mode="r")[...] == data).all())
