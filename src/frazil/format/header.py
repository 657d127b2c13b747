"""The envelope that all metadata files share.

file    = magic name spec type compression frame
magic   = 12 bytes  49 43 45 f0 9f a7 8a 43 48 55 4e 4b ("ICE", U+1F9CA, "CHUNK")
name    = 24 bytes  the writer, padded with spaces (read: any bytes)
spec    = 1 byte    1 or 2 (2.1 also writes 2)
type    = 1 byte    1 snapshot, 2 manifest, 4 transaction log, 6 repository info
compression = 1 byte  always 1: zstd (0 is refused by other readers)
frame   = one zstd frame; written with content size, without checksum and dictionary.
          Read also: without content size, with checksum, followed by skippable frames.
"""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import zstandard

from frazil._version import __version__
from frazil.errors import ErrorKind, FormatError

MAGIC: Final = b"ICE\xf0\x9f\xa7\x8aCHUNK"
IMPLEMENTATION: Final = f"fz-{__version__}"[:24]
"""What Frazil writes as the name of the writer."""

_LAYOUT = struct.Struct("<12s24sBBB")
_NAME = IMPLEMENTATION.encode().ljust(24)
_ZSTD = 1
_SPECS = (1, 2)
_UNKNOWN_SIZE = 2**64 - 1
_SMALL = 1 << 16
_PLAUSIBLE = 100
"""How many times a metadata file may be larger than its frame before that is doubted."""
_PIECE = 1 << 22
_KEPT_UNTIL = 1 << 18
"""Body size up to which the memory of the compressor, which grows with it, is kept."""
_THREADED_FROM = 1 << 23
"""Body size from which compression is shared between threads."""


class FileType(IntEnum):
    """What a file holds."""

    SNAPSHOT = 1
    MANIFEST = 2
    TRANSACTION_LOG = 4
    REPO = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes beyond which a file is refused before memory is spent on it.

    FlatBuffers addresses 2 GiB, so no valid file is larger when decompressed.
    """

    max_file_bytes: int = 1 << 31
    max_decoded_bytes: int = 1 << 31


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of a file: who wrote it, by which specification, what it is."""

    written_by: str
    spec: int
    file_type: FileType
    compression: int


def peek(data: bytes | memoryview, *, where: str = "file") -> Header:
    """Read the header alone; `FormatError` if these bytes do not begin with one."""
    if len(data) < _LAYOUT.size:
        raise _bad(where, f"{len(data)} bytes are too few for a header of {_LAYOUT.size} bytes")
    magic, name, spec, file_type, compression = _LAYOUT.unpack_from(data)
    if magic != MAGIC:
        raise _bad(where, f"does not begin with the Icechunk magic bytes, but with {magic.hex()}")
    if spec not in _SPECS:
        raise FormatError(
            f"{where}: specification version {spec} is not supported (supported: 1, 2); "
            "a newer release may read it",
            ErrorKind.UNSUPPORTED_SPEC_VERSION,
        )
    try:
        kind = FileType(file_type)
    except ValueError:
        raise _bad(where, f"unknown file type {file_type} at byte 37") from None
    text = name.decode("utf-8", "replace").strip(" \0")
    return Header(text, spec, kind, compression)


def decoded_size(data: bytes | memoryview) -> int:
    """Bytes that the body of a file takes when decompressed, as it says itself; 0 if it doesn't."""
    try:
        size = zstandard.get_frame_parameters(memoryview(data)[_LAYOUT.size :]).content_size
    except zstandard.ZstdError:
        return 0
    return 0 if size == _UNKNOWN_SIZE else size


def has_checksum(data: bytes | memoryview) -> bool:
    """Whether the frame of a file has a checksum of its content, which `unwrap` compares."""
    try:
        return zstandard.get_frame_parameters(memoryview(data)[_LAYOUT.size :]).has_checksum
    except zstandard.ZstdError:
        return False


def wrap(body: bytes | memoryview, file_type: FileType, *, spec: int, level: int) -> bytes:
    """A whole file: header and the body as one zstd frame of this compression level."""
    if len(body) >= _THREADED_FROM:
        compressor = _new_compressor(level, threads=min(4, os.cpu_count() or 1))
    elif len(body) > _KEPT_UNTIL:
        compressor = _new_compressor(level)
    else:
        compressor = _contexts.compressor(level)
    header = _LAYOUT.pack(MAGIC, _NAME, spec, file_type, _ZSTD)
    return header + compressor.compress(body)


def _new_compressor(level: int, *, threads: int = 0) -> zstandard.ZstdCompressor:
    # Whoever decompresses the frame compares its checksum: a flipped bit is noticed.
    return zstandard.ZstdCompressor(
        level=level, threads=threads, write_checksum=True, write_content_size=True
    )


class _Contexts(threading.local):
    """The memory of zstd for small files, one for each thread: to make it anew takes longer
    than to compress one."""

    def __init__(self) -> None:
        self._compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()

    def compressor(self, level: int) -> zstandard.ZstdCompressor:
        """The compressor of this level."""
        known = self._compressors.get(level)
        if known is None:
            known = self._compressors[level] = _new_compressor(level)
        return known


_contexts = _Contexts()


def unwrap(
    data: bytes | memoryview,
    expected: FileType,
    *,
    where: str,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Header, bytes]:
    """Header and decompressed body of a file; `where` names it in errors.

    `FormatError` if it is no such file, of another type, damaged, or larger than `limits`:
    that is found before more than `limits.max_decoded_bytes` are decompressed.
    """
    if len(data) > limits.max_file_bytes:
        raise _bad(where, f"{len(data)} bytes exceed the limit of {limits.max_file_bytes}")
    header = peek(data, where=where)
    if header.file_type != expected:
        raise _bad(where, f"is a {_name(header.file_type)}, expected a {_name(expected)}")
    if header.compression != _ZSTD:
        raise _bad(where, f"unknown compression {header.compression} at byte 38, expected 1 (zstd)")
    try:
        body = _decompress(memoryview(data)[_LAYOUT.size :], limits.max_decoded_bytes, where)
    except (zstandard.ZstdError, MemoryError) as error:
        limit = limits.max_decoded_bytes
        raise _bad(
            where, f"its zstd frame is damaged, cut off or beyond {limit} bytes: {error}"
        ) from None
    return header, body


def _decompress(frame: memoryview, limit: int, where: str) -> bytes:
    size = zstandard.get_frame_parameters(frame).content_size
    if size == _UNKNOWN_SIZE:
        body = _decompress_doubtful(frame, limit)
    elif size > limit:
        raise _bad(where, f"decompresses to {size} bytes, the limit is {limit}")
    elif size > _PLAUSIBLE * len(frame) + _SMALL:
        body = _decompress_doubtful(frame, size)
    else:
        try:
            return _contexts.decompressor.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError:
            # Perhaps only something after the frame is wrong; if not, this fails as well.
            body = _contexts.decompressor.decompress(frame, allow_extra_data=True)
    # The frame is not too large, so it may be run again to see where it ends.
    stream = zstandard.ZstdDecompressor().decompressobj()
    stream.decompress(frame)
    if not stream.eof:
        raise zstandard.ZstdError("unexpected end")
    rest = stream.unused_data
    while len(rest) >= 8 and rest[1:4] == b"\x2a\x4d\x18" and rest[0] >> 4 == 5:
        rest = rest[8 + int.from_bytes(rest[4:8], "little") :]
    if rest:
        raise _bad(where, f"{len(rest)} bytes follow its zstd frame")
    return body


def _decompress_doubtful(frame: memoryview, limit: int) -> bytes:
    """A frame that claims no size or an enormous one: memory is taken as bytes appear."""
    pieces = []
    total = 0
    with zstandard.ZstdDecompressor().stream_reader(frame) as stream:
        while total <= limit:
            piece = stream.read(_PIECE)
            pieces.append(piece)
            total += len(piece)
            if len(piece) < _PIECE:
                # The end of the frame; another call would look for a second one.
                return b"".join(pieces)
    raise zstandard.ZstdError(f"more than {limit} bytes")


def _name(file_type: FileType) -> str:
    return file_type.name.lower().replace("_", " ")


def _bad(where: str, what: str) -> FormatError:
    return FormatError(f"{where}: {what}", ErrorKind.INVALID_FILE_FORMAT)
