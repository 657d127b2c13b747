"""FlexBuffers: byte for byte what Icechunk writes, tolerant and bounded in what is read."""

from __future__ import annotations

import math
import struct

import pytest

from frazil.errors import FormatError, InvalidInputError
from frazil.format import flexbuf
from frazil.format.jsonvalue import MAX_DEPTH

# Written by icechunk 2.3.0 as commit metadata.
WRITTEN = [
    (None, "000001"),
    (True, "016801"),
    (False, "006801"),
    (1, "010801"),
    (256, "00010902"),
    (-1, "ff0401"),
    (1.5, "0000c03f0e04"),
    (0.1, "9a9999999999b93f0f08"),
    ("a", "016100021401"),
    ("", "0000011401"),
    ([], "00002801"),
    ([1], "0101013001"),
    ([1.5, 2.5], "0000c03f00002040084a01"),
    (["a", "b"], "0161000162000206041414042801"),
    ([True, False], "020100029001"),
    ([1, 2, 3], "010203035001"),
    ([1, 2, 3, 4, 5], "050102030405053001"),
    ([1, "a", None], "01610003010400081400062801"),
    (2**40, "00000000000100000b08"),
    (-300, "d4fe0502"),
    ({"b": [{"c": 1}]}, "6200630001030101010108010324010f0101010728022401"),
    ({}, "00000100002401"),
    ({"a": 1}, "610001030101010108022401"),
    ({"is_root": True}, "69735f726f6f740001090101010168022401"),
    ([1, -1], "0201ff0804042801"),
    ([-1, -300, 5], "0300ffffd4fe0500050509092901"),
    ([None, None], "0200000000042801"),
    ([[1, 2], [3, 4]], "010203040205044444042801"),
    ([[1], ["a"], []], "01010161000103140003090503302828062801"),
    (2**63, "00000000000000800b08"),
    (2**64 - 1, "ffffffffffffffff0b08"),
    (-(2**63), "00000000000000800708"),
    ([2**40, 1], "00000000000100000100000000000000104701"),
    (-0.0, "000000800e04"),
    ([1.5, 1], "020000000000c03f010000000e0a0a2a01"),
    ([300, 1, 2], "2c0101000200065101"),
    ([0.1, "s"], "017300000000000002000000000000009a9999999999b93f17000000000000000f14122b01"),
    (
        [{"a": 1, "bb": "x"}, {"a": 2, "bb": "x"}],
        "610062620001780002090802010201090814017800021615020102020908140212062424042801",
    ),
    (
        {"a": 2**40, "b": "s"},
        "610062000173000208070000000000000800000000000000010000000000000002000000000000000000"
        "0000000100002b000000000000000b14122701",
    ),
]


@pytest.mark.parametrize(("value", "written"), WRITTEN)
def test_writes_what_icechunk_writes(value: object, written: str) -> None:
    assert flexbuf.encode(value).hex() == written


@pytest.mark.parametrize(("value", "written"), WRITTEN)
def test_reads_what_icechunk_writes(value: object, written: str) -> None:
    assert flexbuf.decode(bytes.fromhex(written), where="test") == value


def test_types_survive() -> None:
    value = flexbuf.decode(flexbuf.encode([1, 1.0, True, None, "1"]), where="test")
    assert [type(v) for v in value] == [int, float, bool, type(None), str]


def test_sorts_keys_by_their_bytes_and_shares_them() -> None:
    data = flexbuf.encode({"é": {"z": 1}, "z": {"é": 2}, "": 0})
    assert list(flexbuf.decode(data, where="test")) == ["", "z", "é"]
    assert data.count("é".encode()) == 1


def test_wide_offsets() -> None:
    value = {"text": "x" * 70_000, "list": ["y" * 300] * 300, "numbers": list(range(70_000))}
    assert flexbuf.decode(flexbuf.encode(value), where="test") == value


def test_what_json_lacks_becomes_what_icechunk_makes_of_it() -> None:
    value = [math.nan, math.inf, 2**64, (1, 2)]
    assert flexbuf.decode(flexbuf.encode(value), where="test") == [None, None, 2.0**64, [1, 2]]


@pytest.mark.parametrize("value", [{1: 2}, {"a\0b": 1}, "\ud800", {"x": b"bytes"}, 10**400])
def test_refuses_what_cannot_be_written(value: object) -> None:
    with pytest.raises(InvalidInputError):
        flexbuf.encode(value)


def test_refuses_to_write_deeper_than_it_reads() -> None:
    value: list[object] = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert flexbuf.decode(flexbuf.encode(value), where="test") == value
    with pytest.raises(InvalidInputError):
        flexbuf.encode([value])


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("05 04 01", 5),  # a signed number
        ("07 01 18 01", 7),  # a signed number, stored indirectly
        ("07 01 1c 01", 7),  # unsigned
        ("00003e41 04 22 01", 11.875),  # a float of four bytes, indirectly
        ("003e 0d 02", 1.5),  # a float of two bytes
        ("6162 00 03 10 01", "ab"),  # a key as a value
        ("02 01 05 02 2c 01", [1, 5]),  # a typed vector of signed numbers
        ("fffe 02 40 01", [-1, -2]),  # two signed numbers
        ("6100 6200 02 05 04 02 38 01", ["a", "b"]),  # a vector of keys
        ("0161 00 01 03 01 3c 01", ["a"]),  # a vector of strings
        ("0000c07f 0e 04", None),  # not a number
    ],
)
def test_reads_what_other_writers_store(data: str, value: object) -> None:
    assert flexbuf.decode(bytes.fromhex(data), where="test") == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        "0000",
        "000003",  # no such width
        "010865",
        "0161 00 02 64 01",  # a blob
        "01 fc 01",  # no such type
        "00 28 01",  # a vector before the start
        "ff00 ff 28 01",  # a size beyond the end
        "01ff 00 02 14 01",  # not UTF-8
        "0161 00 ff 14 01",  # an offset beyond the start
        "61 01 01 01 01 01 01 08 02 24 01",  # keys without an end
        "01 0c 01",  # a float of one byte
    ],
)
def test_damage_is_a_format_error(data: str) -> None:
    with pytest.raises(FormatError, match=r"^some file: "):
        flexbuf.decode(bytes.fromhex(data), where="some file")


def test_a_vector_that_holds_itself_is_a_format_error() -> None:
    with pytest.raises(FormatError):
        flexbuf.decode(bytes.fromhex("02 00 01 28 28 04 28 01"), where="test")


def test_shared_vectors_cannot_expand_without_bound() -> None:
    # Each vector holds the one before twice: 2 ** 60 values in 240 bytes.
    data = bytearray([0])
    target = 1
    for _ in range(60):
        data.append(2)
        start = len(data)
        data += bytes([start - target, start + 1 - target, 0x28, 0x28])
        target = start
    data += bytes([len(data) - target, 0x28, 1])
    with pytest.raises(FormatError, match="repeats"):
        flexbuf.decode(bytes(data), where="test")


def test_overlapping_strings_cannot_expand_without_bound() -> None:
    # Sizes of four bytes that are themselves the text of the strings before them.
    count = 5000
    text = struct.pack("<I", 4 * count - 100) * (2 * count)
    slots = b"".join(struct.pack("<I", len(text) + 4) for _ in range(count))
    vector = struct.pack("<I", count) + slots + bytes([5 << 2 | 2]) * count
    data = text + vector
    data += struct.pack("<I", len(data) - len(text) - 4) + bytes([10 << 2 | 2, 4])
    with pytest.raises(FormatError):
        flexbuf.decode(data, where="test")
