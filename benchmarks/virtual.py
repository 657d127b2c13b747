"""Virtual chunks: setting, changing and finding references by the million, and reading them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from benchmarks.common import Case, Clock, Goal, Lib, Peer, Sizes
from benchmarks.many import has_server
from tests.servers.s3 import BUCKET, KEY, S3, SECRET, ministack

PREFIX = "s3://archive/observations/"
PER_FILE = 1_000
"""Chunks that are in one file of the archive."""
CHUNK = 2_048
"""Bytes of a chunk that is read."""


def _create(lib: Lib, folder: Path, prefix: str, store: Any) -> Any:
    config = lib.RepositoryConfig()
    config.set_virtual_chunk_container(lib.VirtualChunkContainer(prefix, store))
    return lib.Repository.create(lib.local_filesystem_storage(str(folder)), config)


def _archive(lib: Lib, folder: Path) -> Any:
    return _create(lib, folder, PREFIX, lib.s3_store(region="us-east-1"))


def _open(lib: Lib, folder: Path, access: Any = None) -> Any:
    storage = lib.local_filesystem_storage(str(folder))
    return lib.Repository.open(storage, authorize_virtual_chunk_access=access)


def set_and_commit(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """References from columns, all in one call, and their commit."""
    count = sizes.references
    files = [f"{PREFIX}{i // 365 + 1990}/day-{i % 365 + 1:03}.nc" for i in range(count // PER_FILE)]
    locations = [files[i // PER_FILE] for i in range(count)]
    offsets = np.arange(count, dtype="u8") % PER_FILE * 30_000
    lengths = np.full(count, 30_000, "u8")
    session = _archive(lib, folder).writable_session("main")
    zarr.create_array(session.store, name="x", shape=(count,), chunks=(1,), dtype="u1")
    clock = Clock()
    with clock.running():
        session.store.set_virtual_refs_arr("x", (count,), locations, offsets, lengths)
        session.commit("set")
    return clock


def prepare_references(lib: Lib, folder: Path, sizes: Sizes) -> None:
    set_and_commit(lib, folder, sizes)


def change_one(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """One reference of them, in a session of a repository that was just opened."""
    session = _open(lib, folder).writable_session("main")
    clock = Clock()
    with clock.running():
        key = f"x/c/{sizes.references // 2}"
        session.store.set_virtual_ref(key, PREFIX + "corrected.nc", offset=0, length=30_000)
        session.commit("change")
    return clock


def open_and_find(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """From nothing in memory to where one chunk is."""
    clock = Clock()
    with clock.running():
        session = _open(lib, folder).readonly_session("main")
        kind = session.chunk_type("/x", [sizes.references // 3])
    if kind != lib.ChunkType.virtual:
        raise AssertionError(f"the chunk is {kind}")
    return clock


def _data(sizes: Sizes) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, sizes.virtual_reads * CHUNK, "u1")


def _create_array(store: Any, count: int) -> Any:
    """Of chunks that are stored as they are."""
    return zarr.create_array(
        store, name="x", shape=count * CHUNK, chunks=CHUNK, dtype="u1", compressors=None
    )


def _refer(lib: Lib, folder: Path, prefix: str, store: Any, sizes: Sizes) -> None:
    session = _create(lib, folder, prefix, store).writable_session("main")
    count = sizes.virtual_reads
    _create_array(session.store, count)
    offsets, lengths = np.arange(count, dtype="u8") * CHUNK, np.full(count, CHUNK, "u8")
    session.store.set_virtual_refs_arr("x", (count,), [prefix + "x.bin"] * count, offsets, lengths)
    session.commit("set")


def _read(lib: Lib, folder: Path, access: Any, sizes: Sizes) -> Clock:
    session = _open(lib, folder, access).readonly_session("main")
    return _read_store(session.store, sizes)


def _read_store(store: Any, sizes: Sizes) -> Clock:
    array = zarr.open_array(store, path="x", mode="r")
    array[:CHUNK]  # the manifest is read
    clock = Clock()
    with clock.running():
        found = array[...]
    if not np.array_equal(found, _data(sizes)):
        raise AssertionError("what was read is not what is in the file")
    return clock


def _of(folder: Path) -> str:
    return (folder / "source").absolute().as_uri() + "/"


def prepare_local(lib: Lib, folder: Path, sizes: Sizes) -> None:
    """The repository, and beside it the file that its chunks are in."""
    (folder / "source").mkdir(parents=True)
    (folder / "source" / "x.bin").write_bytes(_data(sizes).tobytes())
    store = lib.local_filesystem_store(str(folder / "source"))
    _refer(lib, folder / "repository", _of(folder), store, sizes)


def read_local(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    access = {_of(folder): lib.credentials.LocalFileSystemAccess}
    return _read(lib, folder / "repository", access, sizes)


def read_s3(lib: Lib, folder: Path, sizes: Sizes) -> Clock:
    """From a server on this machine, which is started and ended here."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server: S3 = stack.enter_context(ministack(place))
        server.client("source").put("x.bin", _data(sizes).tobytes())
        prefix = f"s3://{BUCKET}/source/"
        store = lib.s3_store(
            region="us-east-1",
            endpoint_url=f"http://{server.address}",
            allow_http=True,
            s3_compatible=True,
            force_path_style=True,
        )
        _refer(lib, folder, prefix, store, sizes)
        keys = lib.s3_credentials(access_key_id=KEY, secret_access_key=SECRET)
        return _read(lib, folder, lib.containers_credentials({prefix: keys}), sizes)


def prepare_files(folder: Path, sizes: Sizes) -> None:
    _create_array(str(folder), sizes.virtual_reads)[...] = _data(sizes)


def read_files(folder: Path, sizes: Sizes) -> Clock:
    """As many chunks in files of their own, by Zarr: the time and memory that it takes itself."""
    return _read_store(str(folder), sizes)


_READS = (
    Case(
        "virtual-read",
        lambda s: f"read {s.virtual_reads:,} virtual chunks of {CHUNK // 1024} KiB, one local file",
        read_local,
        prepare_local,
        goal=Goal(1, memory=0.5),
        peers=(Peer("Zarr", "zarr", read_files, prepare_files),),
    ),
    Case(
        "virtual-read-s3",
        lambda s: f"read {s.virtual_reads:,} virtual chunks of {CHUNK // 1024} KiB from S3",
        read_s3,
        goal=Goal(1, memory=0.5),
    ),
)

# Locations and lengths in columns, and credentials for files, came with icechunk 2.
CASES = (
    Case(
        "virtual-set",
        lambda s: f"set {s.references:,} virtual references and commit",
        set_and_commit,
        commits=True,
        goal=Goal(2, memory=0.5),
    ),
    Case(
        "virtual-change",
        lambda s: f"change one of {s.references:,} virtual references and commit",
        change_one,
        prepare_references,
        commits=True,
        goal=Goal(5, memory=0.5),
    ),
    Case(
        "virtual-open",
        lambda s: f"open the repository with {s.references:,} virtual references and find one",
        open_and_find,
        shares="virtual-change",
        goal=Goal(1, memory=0.5),
    ),
    *(_READS if has_server() else _READS[:1]),
)
IS_MEASURED = int(version("icechunk").split(".")[0]) >= 2
