"""A footer as version 1 of the format has it, byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frazil.format.pack import Contents, checksum, decode_footer, footer_bytes
from frazil.ids import NodeId

HERE = Path(__file__).parent / "packs"
ONE, OTHER = NodeId(b"\1" * 8), NodeId(b"\2" * 8)
OWNER = bytes(range(16))


def pack() -> tuple[bytes, Contents]:
    """The chunks that the file was made of."""
    data, contents = b"", Contents()
    for i in range(20):
        chunk = bytes([i]) * (i + 1)
        contents.add(ONE, (i // 5, i % 5), len(chunk), checksum(chunk))
        data += chunk
    contents.add(OTHER, (), 3, checksum(b"end"))
    return data + b"end", contents


def test_one_chunk_is_written_like_this() -> None:
    contents = Contents()
    contents.add(ONE, (2, 3), 3, checksum(b"abc"))
    assert b"abc" + contents.footer(OWNER) == (HERE / "one.pack").read_bytes()


def test_many_chunks_are_read() -> None:
    stored = (HERE / "many.pack").read_bytes()
    data, _ = pack()
    size = footer_bytes(stored)
    packed = decode_footer(stored[-size:], size=len(stored), where="many.pack")
    assert stored[:-size] == data
    assert packed.repository == OWNER
    assert [bytes(node) for node in packed.node] == [ONE] * 20 + [OTHER]
    assert packed.coords.reshape(-1, 2).tolist() == [[i // 5, i % 5] for i in range(20)]
    assert packed.rank.tolist() == [2] * 20 + [0]
    ends = (packed.offset + packed.length).tolist()
    chunks = [data[a:b] for a, b in zip(packed.offset.tolist(), ends, strict=True)]
    assert chunks == [*(bytes([i]) * (i + 1) for i in range(20)), b"end"]
    assert packed.checksum.tolist() == [checksum(chunk) for chunk in chunks]
    assert np.array_equal(packed.length, [*range(1, 21), 3])
