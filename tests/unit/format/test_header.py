from __future__ import annotations

import os
import tracemalloc

import pytest
import zstandard

from frazil.errors import ErrorKind, FormatError
from frazil.format.header import IMPLEMENTATION, FileType, Header, Limits, peek, unwrap, wrap

BODY = b"some text, some text, some more text" * 100
FILE = wrap(BODY, FileType.SNAPSHOT, spec=2, level=3)
HEAD = FILE[:39]
SKIPPABLE = b"\x53\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"


def read(data: bytes, **options: Limits) -> bytes:
    return unwrap(data, FileType.SNAPSHOT, where="snapshots/X", **options)[1]


def test_layout() -> None:
    assert HEAD[:12].hex() == "494345f09fa78a4348554e4b"
    assert HEAD[12:36].decode() == IMPLEMENTATION.ljust(24)
    assert HEAD[36:] == bytes([2, 1, 1])
    frame = zstandard.get_frame_parameters(FILE[39:])
    assert frame.content_size == len(BODY)
    assert frame.has_checksum
    assert frame.dict_id == 0


@pytest.mark.parametrize("size", [0, 1, 1000, 9_000_000])
@pytest.mark.parametrize("spec", [1, 2])
def test_round_trip(size: int, spec: int) -> None:
    body = os.urandom(size // 3) + bytes(size - size // 3)
    file = wrap(memoryview(body), FileType.REPO, spec=spec, level=1)
    header, found = unwrap(file, FileType.REPO, where="repo")
    assert header == Header(IMPLEMENTATION, spec, FileType.REPO, 1)
    assert found == body
    frame = zstandard.get_frame_parameters(file[39:])
    assert (frame.content_size, frame.has_checksum) == (size, True)


@pytest.mark.parametrize("name", [bytes(24), b"\xff" * 24, b"ic-2.3.0".ljust(24, b"\0")])
def test_any_writer_name_is_read(name: bytes) -> None:
    file = FILE[:12] + name + FILE[36:]
    assert read(file) == BODY
    assert peek(file).written_by == name.decode("utf-8", "replace").strip("\0 ")


@pytest.mark.parametrize(
    "frame",
    [
        zstandard.ZstdCompressor(write_content_size=False).compress(BODY),
        zstandard.ZstdCompressor(write_checksum=True).compress(BODY),
        zstandard.ZstdCompressor(level=19).compress(BODY) + SKIPPABLE,
        zstandard.ZstdCompressor(write_content_size=False).compress(BODY) + SKIPPABLE * 2,
    ],
    ids=["no-size", "checksum", "skippable", "no-size-skippable"],
)
def test_other_frames_are_read(frame: bytes) -> None:
    assert read(HEAD + frame) == BODY


FRAME = FILE[39:]
UNSIZED = zstandard.ZstdCompressor(write_content_size=False).compress(BODY)
DAMAGE = {
    "empty": (b"", "0 bytes are too few"),
    "short": (HEAD[:38], "38 bytes are too few"),
    "no-frame": (HEAD, "damaged"),
    "magic": (b"X" + FILE[1:], "magic"),
    "type": (FILE[:37] + b"\x02" + FILE[38:], "is a manifest, expected a snapshot"),
    "unused-type": (FILE[:37] + b"\x03" + FILE[38:], "unknown file type 3"),
    "compression": (FILE[:38] + b"\x00" + FILE[39:], "unknown compression 0"),
    "cut": (FILE[:-3], "damaged"),
    "cut-unsized": (HEAD + UNSIZED[:-3], "damaged"),
    "not-zstd": (HEAD + b"junk" * 9, "damaged"),
    "junk": (FILE + b"junk", "4 bytes follow"),
    "junk-unsized": (HEAD + UNSIZED + b"junk", "4 bytes follow"),
    "two-frames": (FILE + FRAME, "bytes follow"),
    "skippable-then-junk": (FILE + SKIPPABLE + b"x", "1 bytes follow"),
    "skippable-first": (HEAD + SKIPPABLE + FRAME, "damaged"),
    "dictionary": (
        HEAD
        + zstandard.ZstdCompressor(
            dict_data=zstandard.train_dictionary(
                400, [f"a sample of text, number {i}, {i * i}".encode() for i in range(200)]
            )
        ).compress(BODY),
        "damaged",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_a_format_error(case: str) -> None:
    data, message = DAMAGE[case]
    with pytest.raises(FormatError, match=message) as info:
        read(data)
    assert info.value.kind == ErrorKind.INVALID_FILE_FORMAT
    assert info.value.message.startswith("snapshots/X: ")


@pytest.mark.parametrize("spec", [0, 3, 255])
def test_other_specifications_are_not_supported(spec: int) -> None:
    with pytest.raises(FormatError, match=f"version {spec} ") as info:
        read(FILE[:36] + bytes([spec]) + FILE[37:])
    assert info.value.kind == ErrorKind.UNSUPPORTED_SPEC_VERSION


def bomb(mib: int) -> bytes:
    """A frame of zeros that does not say how many they are."""
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return b"".join(writer.compress(bytes(1 << 20)) for _ in range(mib)) + writer.flush()


@pytest.mark.parametrize(
    "frame", [zstandard.compress(bytes(1 << 24)), bomb(16)], ids=["sized", "unsized"]
)
def test_bombs_are_refused_at_the_limit(frame: bytes) -> None:
    with pytest.raises(FormatError, match=str((1 << 24) - 1)):
        read(HEAD + frame, limits=Limits(max_decoded_bytes=(1 << 24) - 1))
    assert len(read(HEAD + frame, limits=Limits(max_decoded_bytes=1 << 24))) == 1 << 24


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    small = zstandard.compress(bytes(1000))
    large = zstandard.compress(bytes(2000))
    assert (small[4], large[4]) == (0x60, 0x60)  # content size of two bytes, at 5
    for frame in (large[:5] + small[5:7] + large[7:], small[:5] + large[5:7] + small[7:]):
        with pytest.raises(FormatError, match="damaged"):
            read(HEAD + frame)


def test_memory_is_taken_for_what_is_there_not_for_what_is_claimed() -> None:
    frame = zstandard.compress(bytes(1 << 24))
    assert frame[4] == 0x80  # content size of four bytes, at 6
    claims = {
        "less": (1 << 24) - 1,
        "more": (1 << 24) + 1,
        "much more": (1 << 31) - 1,
    }
    for claim in claims.values():
        tracemalloc.start()
        try:
            with pytest.raises(FormatError, match="damaged"):
                read(HEAD + frame[:6] + claim.to_bytes(4, "little") + frame[10:])
            assert tracemalloc.get_traced_memory()[1] < 1 << 26
        finally:
            tracemalloc.stop()
    assert read(HEAD + frame) == bytes(1 << 24)
    with pytest.raises(FormatError, match="damaged"):
        read(HEAD + frame + b"junk")


def test_large_files_are_refused_unread() -> None:
    with pytest.raises(FormatError, match="exceed the limit of 50"):
        read(FILE, limits=Limits(max_file_bytes=50))
