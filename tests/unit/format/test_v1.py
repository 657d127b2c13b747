"""What only spec 1 has: references in JSON and metadata in MessagePack."""

from __future__ import annotations

import math

import msgpack
import pytest

from frazil.errors import FormatError, InvalidInputError
from frazil.format.v1 import decode_msgpack, decode_ref, encode_msgpack, encode_ref
from frazil.ids import INITIAL_SNAPSHOT


def test_ref_json_is_what_icechunk_writes() -> None:
    assert encode_ref(INITIAL_SNAPSHOT) == b'{"snapshot":"1CECHNKREP0F1RSTCMT0"}'
    assert decode_ref(b'{"snapshot":"1CECHNKREP0F1RSTCMT0"}', where="ref") == INITIAL_SNAPSHOT


def test_ref_json_may_be_spaced_and_hold_more() -> None:
    data = b'{ "snapshot" : "1cechnkrep0f1rstcmt0", "later": [1] }\n'
    assert decode_ref(data, where="ref") == INITIAL_SNAPSHOT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'"1CECHNKREP0F1RSTCMT0"',
        b'{"snapshot":null}',
        b'{"snapshot":["1CECHNKREP0F1RSTCMT0"]}',
        b'{"snapshot":"1CECHNKREP0F1RSTCMT"}',
        b'{"snapshot":"\xff"}',
        b'{"snapshot":"1CECHNKREP0F1RSTCMT0"' + b" " * 5000 + b"}",
        b"[" * 4000,
    ],
)
def test_a_damaged_ref_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^refs/branch\.main/ref\.json: "):
        decode_ref(data, where="refs/branch.main/ref.json")


def test_msgpack_is_what_icechunk_writes() -> None:
    assert encode_msgpack({"is_root": True}).hex() == "81a769735f726f6f74c3"
    assert encode_msgpack({"b": 1.5, "a": [1, 300, -1, None]}).hex() == (
        "82a16194 01 cd012c ff c0 a162 cb3ff8000000000000".replace(" ", "")
    )


@pytest.mark.parametrize(
    "value",
    [None, True, 2**64 - 1, -(2**63), 0.1, 1.5, "é", [], {}, {"a": [{"b": None}]}, ["x" * 70_000]],
)
def test_msgpack_round_trip(value: object) -> None:
    assert decode_msgpack(encode_msgpack(value), where="test") == value


def test_msgpack_without_numbers_that_json_lacks() -> None:
    assert decode_msgpack(encode_msgpack([math.nan, 2**64]), where="test") == [None, 2.0**64]
    assert decode_msgpack(msgpack.packb([math.inf]), where="test") == [None]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\x01\x02",
        b"\xa1\xff",
        msgpack.packb(b"bytes"),
        msgpack.packb([b"bytes"]),
        msgpack.packb({b"a": 1}),
        msgpack.packb({1: 2}),
        msgpack.packb(msgpack.ExtType(1, b"")),
        msgpack.packb(msgpack.Timestamp(1)),
        b"\x91" * 2000 + b"\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
    ],
)
def test_damaged_msgpack_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^some file: "):
        decode_msgpack(data, where="some file")


def test_msgpack_refuses_what_json_lacks() -> None:
    with pytest.raises(InvalidInputError):
        encode_msgpack({"a": {1, 2}})
