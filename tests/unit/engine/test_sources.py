"""How ranges of foreign files are read together, and who is told what is wrong."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from frazil.credentials import LocalFileSystemAccess
from frazil.engine.sources.reading import Chunk, VirtualSources, mismatch
from frazil.engine.sources.source import Found, Source, Stamp, bare_etag
from frazil.engine.sources.table import SourceTable
from frazil.errors import ErrorKind, IcechunkError, StorageError
from frazil.format.chunk_refs import ChunkRefs, VirtualRef
from frazil.storage.object_stores import local_filesystem_store
from frazil.virtual import VirtualChunkContainer

PREFIX = "file:///data/"
DATA = np.random.default_rng(0).integers(0, 256, 5_000_000, "u1").tobytes()


@dataclass(frozen=True, slots=True)
class Counted(Source):
    """Files in memory; remembers what was read of them."""

    files: dict[str, bytes]
    reads: list[tuple[str, int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    gap = 100
    piece = 1_000_000

    def read(self, key: str, start: int, end: int) -> Found:
        with self.lock:
            self.reads.append((key, start, end))
        found = self.stat(key)
        return Found(self.files[key][start:end], found.size, found.stamp)

    def stat(self, key: str) -> Found:
        if key not in self.files:
            raise StorageError("nothing", ErrorKind.OBJECT_NOT_FOUND)
        return Found(b"", len(self.files[key]), Stamp("tag", 1000.5))


@pytest.fixture
def source() -> Counted:
    return Counted({"data/a": DATA, "data/b": DATA[::-1]})


@pytest.fixture
def sources(source: Counted, monkeypatch: pytest.MonkeyPatch) -> VirtualSources:
    monkeypatch.setattr("frazil.engine.sources.kinds.open_source", lambda *_: source)
    container = VirtualChunkContainer(PREFIX, local_filesystem_store("/data"))
    return VirtualSources(SourceTable([container], {PREFIX: LocalFileSystemAccess}))


def refs_of(*rows: tuple[str, int, int]) -> ChunkRefs:
    refs = {(i,): VirtualRef(PREFIX + name, at, size) for i, (name, at, size) in enumerate(rows)}
    return ChunkRefs.of(1, refs)


def test_near_ranges_of_a_file_are_read_together(sources: VirtualSources, source: Counted) -> None:
    rows = [
        ("a", 500, 50),
        ("b", 0, 10),
        ("a", 0, 10),
        ("a", 100, 50),
        ("a", 120, 300),
        ("b", 5, 9),
    ]
    found = sources.read_many(refs_of(*rows), "/x")
    assert list(found) == [source.files[f"data/{name}"][at : at + size] for name, at, size in rows]
    assert sorted(source.reads) == [("data/a", 0, 550), ("data/b", 0, 14)]


def test_far_ranges_are_not(sources: VirtualSources, source: Counted) -> None:
    rows = [("a", 0, 10), ("a", 111, 10), ("a", 221, 10), ("a", 900_000, 999_999)]
    sources.read_many(refs_of(*rows), "/x")
    assert sorted(source.reads) == [
        ("data/a", 0, 10),
        ("data/a", 111, 231),
        ("data/a", 900_000, 1_899_999),
    ]
    assert len(sources.read_many(refs_of(), "/x")) == 0


def test_large_ranges_come_in_pieces(sources: VirtualSources, source: Counted) -> None:
    rows = [("a", 7, 3_300_000), ("b", 0, 10)]
    found = sources.read_many(refs_of(*rows), "/x")
    assert list(found) == [DATA[7:3_300_007], DATA[::-1][:10]]
    assert len(source.reads) == 5
    assert sources.read(VirtualRef(PREFIX + "a", 0, 4_000_000), 10, 2_000_010) == DATA[10:2_000_010]


@pytest.mark.parametrize("size", [1 << 40, (1 << 64) - 1])
def test_a_length_beyond_belief_takes_one_request(
    sources: VirtualSources, source: Counted, size: int
) -> None:
    with pytest.raises(StorageError, match=r"chunk \(0,\) of /x.*has 5000000 bytes") as caught:
        sources.read_many(refs_of(("a", 0, size)), "/x")
    assert caught.value.kind == "invalid-object-size"
    assert len(source.reads) == 1


def test_the_chunk_that_is_wrong_is_named(sources: VirtualSources) -> None:
    rows = [("a", 4_999_000, 10), ("a", 4_999_010, 10), ("a", 4_999_995, 10), ("a", 4_999_020, 5)]
    with pytest.raises(StorageError, match=r"chunk \(2,\) of /x"):
        sources.read_many(refs_of(*rows), "/x")
    with pytest.raises(StorageError, match=r"chunk \(1,\) of /x: the file file:///data/c is not"):
        sources.read_many(refs_of(("a", 0, 1), ("c", 0, 1)), "/x")
    with pytest.raises(IcechunkError, match=r"chunk \(1,\) of /x: .*no location"):
        sources.read_many(refs_of(("a", 0, 1), ("..%2fc", 0, 1)), "/x")
    with pytest.raises(StorageError, match=r"^the file file:///data/c"):
        sources.read(VirtualRef(PREFIX + "c", 0, 9), 0, 9)


def test_a_file_that_changes_between_pieces(
    sources: VirtualSources, source: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Counted.read

    def changing(self: Counted, key: str, start: int, end: int) -> Found:
        found = read(self, key, start, end)
        return Found(found.data, found.size, Stamp(str(start), None))

    monkeypatch.setattr(Counted, "read", changing)
    with pytest.raises(StorageError, match="was changed while it was read") as caught:
        sources.read(VirtualRef(PREFIX + "a", 0, 4_000_000), 0, 4_000_000)
    assert caught.value.kind == "virtual-chunk-modified"


@pytest.mark.parametrize(
    ("etag", "modified", "differs"),
    [
        (None, None, False),
        ("tag", None, False),
        ('"tag"', None, False),
        ('W/"tag"', 1001, False),
        ("tag", 1000, True),
        (None, 1001, False),
        ("other", None, True),
    ],
)
def test_what_differs(etag: str | None, modified: int | None, differs: bool) -> None:
    assert (mismatch(Stamp("tag", 1000.5), etag, modified) is not None) is differs


def test_what_is_not_known_differs() -> None:
    assert "none" in (mismatch(Stamp(None, None), "tag", None) or "")
    assert "unknown" in (mismatch(Stamp(None, None), None, 5) or "")
    assert bare_etag(None) is None
    assert str(Chunk("/x", (1, 2))) == "chunk (1, 2) of /x"


def test_a_forked_child_opens_its_own(source: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    forks = [0]

    def open_source(target: object, *_: object) -> Source:
        opened.append(str(target))
        return source

    monkeypatch.setattr("frazil.engine.sources.kinds.open_source", open_source)
    monkeypatch.setattr("frazil.engine.sources.table.generation", lambda: forks[0])
    container = VirtualChunkContainer(PREFIX, local_filesystem_store("/data"))
    table = SourceTable([container], {PREFIX.rstrip("/"): LocalFileSystemAccess})
    for _ in range(2):
        table.find(PREFIX + "a")
        table.find(PREFIX + "b")
    assert len(opened) == 1
    forks[0] = 1
    table.find(PREFIX + "a")
    assert len(opened) == 2
