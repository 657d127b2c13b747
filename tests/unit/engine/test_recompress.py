"""Chunks that are compressed anew, for the codecs that Zarr has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numcodecs import GZip, Zlib, Zstd
from numcodecs.blosc import AUTOSHUFFLE, BITSHUFFLE, NOSHUFFLE, SHUFFLE, Blosc

from frazil.engine.repacking.recompress import Recoder, ratio

PLAIN = np.cumsum(np.random.default_rng(0).integers(0, 4, 20_000)).astype("<i4").tobytes()


def document(*codecs: Any) -> bytes:
    return json.dumps({"codecs": [{"name": "bytes"}, *codecs]}).encode()


def recoder(*codecs: Any, level: int = 99) -> Recoder | None:
    return Recoder.of(document(*codecs), level)


def remade(how: Recoder | None, chunk: bytes) -> bytes:
    assert how is not None
    smaller = how.smaller(chunk)
    assert smaller is not None
    assert len(smaller) < len(chunk)
    assert how.smaller(smaller) is None  # there is nothing more to be had
    return smaller


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("name", ["zstd", "numcodecs.zstd"])
def test_zstd(name: str, checksum: bool) -> None:
    how = recoder({"name": name, "configuration": {"level": 0, "checksum": checksum}})
    assert how == Recoder("zstd", 22, checksum)
    chunk = bytes(Zstd(level=1, checksum=checksum).encode(PLAIN))
    smaller = remade(how, chunk)
    assert Zstd().decode(smaller) == PLAIN
    assert smaller[4] & 4 == 4 * checksum  # the flag in a frame's header


def test_gzip_and_zlib() -> None:
    how = recoder({"name": "gzip", "configuration": {"level": 1}})
    assert GZip().decode(remade(how, GZip(1).encode(PLAIN))) == PLAIN
    how = recoder({"name": "numcodecs.zlib", "configuration": {"level": 1}}, level=8)
    assert how == Recoder("zlib", 8)
    assert Zlib().decode(remade(how, Zlib(1).encode(PLAIN))) == PLAIN


@pytest.mark.parametrize("shuffle", [NOSHUFFLE, SHUFFLE, BITSHUFFLE, AUTOSHUFFLE])
@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "blosclz", "zlib", "zstd"])
def test_blosc(cname: str, shuffle: int) -> None:
    how = recoder({"name": "blosc", "configuration": {"cname": cname, "clevel": 1}})
    assert how is not None
    chunk = bytes(Blosc(cname, 1, shuffle).encode(np.frombuffer(PLAIN, "<i4")))
    smaller = how.smaller(chunk)
    if smaller is not None:
        assert Blosc().decode(smaller) == PLAIN
        assert smaller[3] == chunk[3] == 4
        assert (smaller[2] & 0b11100101) == (chunk[2] & 0b11100101)  # format and shuffling
    if cname == "zstd":
        assert smaller is not None


@pytest.mark.parametrize(
    "codecs",
    [
        [],
        [{"name": "zstd"}, {"name": "crc32c"}],
        [{"name": "sharding_indexed", "configuration": {"codecs": [{"name": "zstd"}]}}],
        [{"name": "numcodecs.lzma"}],
        ["unheard-of"],
    ],
)
def test_other_arrays_are_left_alone(codecs: list[Any]) -> None:
    assert recoder(*codecs) is None


@pytest.mark.parametrize("what", [b"", b"{}", b"[1]", b'{"codecs": []}', b'{"codecs": [null]}'])
def test_no_document_is_an_error(what: bytes) -> None:
    assert Recoder.of(what, 3) is None


def test_what_cannot_be_decoded_stays() -> None:
    for family in ("zstd", "gzip", "zlib", "blosc"):
        for chunk in (b"", b"garbage", PLAIN, bytes(40)):
            assert Recoder(family, 9).smaller(chunk) is None


def test_frames_one_behind_the_other_and_without_size() -> None:
    import zstandard

    half = len(PLAIN) // 2
    writer = zstandard.ZstdCompressor(level=1, write_content_size=False)
    chunk = writer.compress(PLAIN[:half]) + writer.compress(PLAIN[half:])
    assert Zstd().decode(remade(Recoder("zstd", 19), chunk)) == PLAIN


def test_the_ratio_of_a_sample() -> None:
    how = Recoder("zstd", 19)
    loose, tight = bytes(Zstd(1).encode(PLAIN)), bytes(Zstd(19).encode(PLAIN))
    assert ratio(how, [tight, tight]) == 1.0
    assert ratio(how, [loose]) == len(tight) / len(loose) < 1
    assert ratio(how, []) == 1.0
