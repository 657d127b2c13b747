"""What happens to a repository on bad storage: damage is noticed, never read."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import zarr

import frazil
from frazil import Repository, RepositoryConfig
from frazil.errors import FormatError
from frazil.format.chunk_refs import NativeRef
from frazil.session import Session
from tests.scenario.trees import array, change, get, group, tip

SIDE = 30


def numbers(spec: int, verify_reads: bool | None = None) -> Repository:
    """An array of chunks in one object."""
    config = RepositoryConfig()
    config.verify_reads = verify_reads
    repo = Repository.create(frazil.in_memory_storage(), config=config, spec_version=spec)
    session = repo.writable_session("main")
    there = zarr.create_array(
        session.store, name="a", shape=(40 * SIDE, SIDE), chunks=(SIDE, SIDE), dtype="i4"
    )
    there[:] = np.random.default_rng(1).integers(0, 1 << 30, there.shape)
    session.commit("numbers")
    return repo


def place(session: Session, coords: tuple[int, ...]) -> NativeRef:
    node = session._workspace.node("/a")
    assert node is not None
    ref = session._workspace.locate(node, coords)
    assert isinstance(ref, NativeRef)
    return ref


def flip(repo: Repository, ref: NativeRef, at: int) -> None:
    backend = repo.storage.backend()
    key = f"chunks/{ref.object}"
    data = bytearray(backend.get(key))
    data[ref.offset + at] ^= 1
    backend.put(key, bytes(data))


def read(session: Session, what: slice) -> object:
    return zarr.open_array(session.store, path="a", mode="r")[what]


@pytest.mark.parametrize("many", [False, True])
def test_a_flipped_bit_is_an_error(spec: int, many: bool) -> None:
    repo = numbers(spec)
    session = repo.readonly_session("main")
    ref = place(session, (7, 0))
    flip(repo, ref, 5)
    with pytest.raises(FormatError) as caught:
        read(session, slice(0, 900) if many else slice(7 * SIDE, 8 * SIDE))
    assert caught.value.kind == "chunk-corrupted"
    message = str(caught.value)
    assert "chunk (7, 0) of /a is damaged" in message
    assert f"chunks/{ref.object}" in message
    assert f"{ref.checksum:016x} was written" in message
    (found,) = re.findall("have the checksum ([0-9a-f]{16})", message)
    assert int(found, 16) != ref.checksum
    # Others are still there.
    assert read(session, slice(0, 7 * SIDE)) is not None


def test_a_key_of_the_store_is_checked_as_a_whole(spec: int) -> None:
    repo = numbers(spec)
    session = repo.readonly_session("main")
    flip(repo, place(session, (3, 0)), 0)
    with pytest.raises(FormatError, match=r"\(3, 0\) of /a"):
        get(session, "a/c/3/0")


def test_checks_can_be_turned_off(spec: int) -> None:
    repo = numbers(spec, verify_reads=False)
    session = repo.readonly_session("main")
    sound = get(session, "a/c/3/0")
    flip(repo, place(session, (3, 0)), 0)
    assert get(session, "a/c/3/0") != sound
    copied = pickle.loads(pickle.dumps(repo))
    assert get(tip(copied), "a/c/3/0") != sound
    with pytest.raises(FormatError):
        get(tip(Repository.open(repo.storage)), "a/c/3/0")


def test_changed_places_keep_their_checksums() -> None:
    repo = numbers(2)
    session = repo.writable_session("main")
    session.shift_array("/a", (1, 0))
    session.commit("shifted")
    moved = repo.readonly_session("main")
    ref = place(moved, (4, 0))
    assert ref.checksum
    flip(repo, ref, 1)
    with pytest.raises(FormatError, match=r"\(4, 0\) of /a"):
        get(moved, "a/c/4/0")


def test_a_fork_hands_its_checksums_over() -> None:
    repo = Repository.create(frazil.in_memory_storage())
    session = change(repo.writable_session("main"), {"": group(), "a": array([3])})
    session.commit("array")
    session = repo.writable_session("main")
    fork = session.fork()
    change(fork, {"a/c/1": b"x" * 900})
    session.merge(fork)
    session.commit("chunk")
    ref = place(tip(repo), (1,))
    assert ref.checksum
    flip(repo, ref, 0)
    with pytest.raises(FormatError, match="damaged"):
        get(tip(repo), "a/c/1")
