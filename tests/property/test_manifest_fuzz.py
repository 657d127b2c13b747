"""Damaged manifests are read as some value or refused with FormatError: nothing else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frazil.errors import ErrorKind, FormatError
from frazil.format.header import FileType, unwrap
from frazil.format.manifest import decode_manifest

GOLDEN = Path(__file__).parents[1] / "golden" / "manifests"
FILES = [
    path for path in sorted(GOLDEN.glob("*/*-v*")) if "2.3.0" in str(path) or "-many" in path.name
]
KINDS = {
    ErrorKind.INVALID_FILE_FORMAT,
    ErrorKind.UNSUPPORTED_SPEC_VERSION,
}
MEMORY = 8 << 20
"""Far above what the files take, far below what damaged lengths announce."""

POSITION = st.integers(0, 2**31)
BLOWN_UP = st.sampled_from([2**32 - 1, 2**31, 2**31 - 1, 2**24, 2**16, 1, 0])
MUTATION = st.one_of(
    st.tuples(st.just("flip"), POSITION, st.integers(0, 7)),
    st.tuples(st.just("byte"), POSITION, st.integers(0, 255)),
    st.tuples(st.just("number"), POSITION, BLOWN_UP),
    st.tuples(st.just("aligned"), POSITION, BLOWN_UP),
    st.tuples(st.just("aligned"), POSITION, st.integers(0, 300)),
    st.tuples(st.just("splice"), POSITION, POSITION),
    st.tuples(st.just("cut"), POSITION, st.just(0)),
    st.tuples(st.just("drop"), POSITION, st.integers(1, 16)),
)


def mutate(data: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    for what, where, value in mutations:
        if not data:
            break
        at = where % len(data)
        if what == "flip":
            data = data[:at] + bytes([data[at] ^ 1 << value]) + data[at + 1 :]
        elif what == "byte":
            data = data[:at] + bytes([value]) + data[at + 1 :]
        elif what in ("number", "aligned"):
            at -= at % 4 if what == "aligned" else 0
            data = data[:at] + value.to_bytes(4, "little") + data[at + 4 :]
        elif what == "splice":
            other = value % len(data)
            data = data[:at] + data[other : other + 24] + data[at + 24 :]
        elif what == "cut":
            data = data[:at]
        else:
            data = data[:at] + data[at + value :]
    return data


def read_whatever(data: bytes) -> None:
    """Read it all; only a FormatError of a known kind is allowed, and little memory."""
    manifest = refused = None
    tracemalloc.start()
    try:
        manifest = decode_manifest(data, where="file")
    except FormatError as error:
        refused = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY
    if refused is not None:
        assert refused.kind in KINDS
        assert refused.message.startswith("file: ")
    if manifest is not None:
        for refs in manifest.arrays.values():
            assert refs.is_sorted()
            refs.bounds()
            for row in range(0, len(refs), 1 + len(refs) // 50):
                assert refs.find(refs.index[row].tolist()) == row
                assert refs.row(row) is not None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.lists(MUTATION, min_size=1, max_size=4))
def test_damaged_files(path: Path, mutations: list[tuple[str, int, int]]) -> None:
    read_whatever(mutate(path.read_bytes(), mutations))


BODIES = [
    (path.read_bytes()[:39], unwrap(path.read_bytes(), FileType.MANIFEST, where=path.name)[1])
    for path in FILES
]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(BODIES), st.lists(MUTATION, min_size=1, max_size=4))
@example(BODIES[0], [])
def test_damaged_bodies(file: tuple[bytes, bytes], mutations: list[tuple[str, int, int]]) -> None:
    header, body = file
    read_whatever(header + zstandard.compress(mutate(body, mutations)))


@pytest.mark.parametrize("value", [0, 1, 4, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
def test_every_number_of_a_small_file_replaced(value: int) -> None:
    header, body = BODIES[[path.name for path in FILES].index("mixed-v2")]
    for at in range(0, len(body) - 3, 2):
        damaged = body[:at] + value.to_bytes(4, "little") + body[at + 4 :]
        read_whatever(header + zstandard.compress(damaged))


def test_every_cut_of_a_small_file() -> None:
    header, body = BODIES[[path.name for path in FILES].index("native-v2")]
    file = header + zstandard.compress(body)
    for length in range(len(file)):
        read_whatever(file[:length])
    for length in range(len(body)):
        read_whatever(header + zstandard.compress(body[:length]))
