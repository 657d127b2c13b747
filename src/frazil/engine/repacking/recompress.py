"""Compressing chunks anew, so that the array's own codec reads them as before.

Only where the last codec of an array is one whose decoder does not care about the level. Whatever
is unexpected leaves a chunk as it is, and nothing is used that does not decompress to the same.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import zstandard

_BLOSC_LEVEL: Final = 9
_DEFLATE_LEVEL: Final = 9
_ZSTD_LEVEL: Final = 22


@dataclass(frozen=True, slots=True)
class Recoder:
    """One codec at one level. family: "zstd", "gzip", "zlib" or "blosc"; checksum: zstd's own."""

    family: str
    level: int
    checksum: bool = False

    @classmethod
    def of(cls, document: bytes, level: int) -> Recoder | None:
        """For the array with this `zarr.json`; None if its chunks are not to be touched.

        level: as far as the codec goes so high.
        """
        try:
            codecs = json.loads(document)["codecs"]
            last = codecs[-1]
            name = last["name"] if isinstance(last, dict) else last
            options = last.get("configuration") or {} if isinstance(last, dict) else {}
        except (ValueError, LookupError, TypeError):
            return None
        family = str(name).removeprefix("numcodecs.")
        if family not in _CODERS:
            return None
        return cls(family, min(level, _CODERS[family][0]), bool(options.get("checksum", False)))

    def smaller(self, chunk: bytes) -> bytes | None:
        """The chunk compressed anew; None if that is not smaller, or is not possible."""
        _, decode, encode = _CODERS[self.family]
        try:
            plain = decode(chunk)
            data = encode(chunk, plain, self)
            if len(data) >= len(chunk) or decode(data) != plain:
                return None
        except Exception:  # what codecs raise about bytes they do not know has no common class
            return None
        return data


def ratio(recoder: Recoder, sample: Sequence[bytes]) -> float:
    """How large the chunks would be, compressed anew, as a share of what they are."""
    before = sum(map(len, sample))
    after = sum(len(recoder.smaller(chunk) or chunk) for chunk in sample)
    return after / before if before else 1.0


def _from_zstd(data: bytes) -> bytes:
    # As the codec: the size of the content need not be told.
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def _from_blosc(data: bytes) -> bytes:
    from numcodecs import blosc

    return bytes(blosc.decompress(data))


def _to_zstd(_: bytes, plain: bytes, how: Recoder) -> bytes:
    return zstandard.ZstdCompressor(level=how.level, write_checksum=how.checksum).compress(plain)


def _to_gzip(_: bytes, plain: bytes, how: Recoder) -> bytes:
    return gzip.compress(plain, how.level, mtime=0)


def _to_zlib(_: bytes, plain: bytes, how: Recoder) -> bytes:
    return zlib.compress(plain, how.level)


def _to_blosc(chunk: bytes, plain: bytes, how: Recoder) -> bytes:
    from numcodecs import blosc

    # The header: two versions, flags, and the size of an element.
    flags, typesize = chunk[2], chunk[3]
    shuffle = 2 if flags & 4 else flags & 1
    name = _BLOSC[flags >> 5]
    return bytes(blosc.compress(plain, name, how.level, shuffle, typesize=typesize))


_BLOSC: Final = {0: b"blosclz", 1: b"lz4hc", 3: b"zlib", 4: b"zstd"}
"""Compressors by the number of the format they write. LZ4 has two for one format."""

_CODERS: dict[
    str, tuple[int, Callable[[bytes], bytes], Callable[[bytes, bytes, Recoder], bytes]]
] = {
    "zstd": (_ZSTD_LEVEL, _from_zstd, _to_zstd),
    "gzip": (_DEFLATE_LEVEL, gzip.decompress, _to_gzip),
    "zlib": (_DEFLATE_LEVEL, zlib.decompress, _to_zlib),
    "blosc": (_BLOSC_LEVEL, _from_blosc, _to_blosc),
}
"""Highest level, decoder, encoder (of the chunk as it was, and its content)."""
