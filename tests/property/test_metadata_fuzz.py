"""Damaged metadata files are values or a `FormatError`: nothing else, whatever is broken."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from frazil.errors import FormatError
from frazil.format import flexbuf
from frazil.format.repo_info import RepoInfo, decode_repo_info
from frazil.format.snapshot import Snapshot, decode_snapshot
from frazil.format.transaction_log import TransactionLog, decode_transaction_log
from frazil.format.v1 import decode_msgpack, decode_ref, encode_msgpack, load_config

GOLDEN = Path(__file__).parent.parent / "golden" / "metadata"
HEADER = 39
ROUNDS = 250
EXTREMES = [0, 1, 4, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1]


def files(pattern: str) -> list[Path]:
    return sorted(GOLDEN.glob(pattern))


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` with one to three wounds."""
    wounded = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(wounded)) if wounded else 0
        match rng.randrange(6):
            case 0:
                del wounded[at:]
            case 1 if wounded:
                wounded[at] ^= 1 << rng.randrange(8)
            case 2 if wounded:
                wounded[at] = rng.randrange(256)
            case 3 if len(wounded) >= 4:
                struct.pack_into(
                    "<I",
                    wounded,
                    at // 4 * 4 % (len(wounded) - 3),
                    rng.choice([*EXTREMES, rng.randrange(len(wounded))]),
                )
            case 4:
                start = rng.randrange(len(wounded) + 1)
                part = wounded[start : start + rng.randrange(1, 40)]
                wounded[at : at + len(part)] = part
            case _:
                wounded[at:at] = bytes(rng.randrange(1, 9))
    return bytes(wounded)


def read_or_refused(read: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        read(data)
    except FormatError:
        return False
    return True


def read_snapshot(data: bytes) -> Snapshot:
    snapshot = decode_snapshot(data, where="fuzz")
    nodes = snapshot.nodes
    for i in range(len(nodes)):
        node = nodes.node(i)
        assert nodes.find(node.path) == i
        list(nodes.children(node.path))
    nodes.manifest_ids()
    nodes.compact()
    return snapshot


def read_repo_info(data: bytes) -> RepoInfo:
    info = decode_repo_info(data, where="fuzz")
    for i in range(len(info.snapshots)):
        for read in (
            lambda i=i: info.snapshots.record(i),
            lambda i=i: list(info.snapshots.ancestry(i)),
        ):
            read_or_refused(lambda _: read(), b"")  # noqa: B023
    for i in range(len(info.updates)):
        read_or_refused(lambda _, i=i: info.updates.update(i), b"")
    return info


def read_log(data: bytes) -> TransactionLog:
    return decode_transaction_log(data, where="fuzz")


CASES = [
    *((path, read_snapshot) for path in files("*/snapshots/*")),
    *((path, read_log) for path in files("*/transactions/*")),
    *((path, read_repo_info) for path in [*files("*/repo"), *files("*/overwritten/*")]),
]


@pytest.mark.parametrize(
    ("path", "read"), CASES, ids=["-".join(path.parts[-3:]) for path, _ in CASES]
)
def test_damaged_files(path: Path, read: Callable[[bytes], Any]) -> None:
    """Mostly the content is damaged, before compression: a damaged frame hardly gets far."""
    rng = random.Random(path.name)
    data = path.read_bytes()
    body = zstandard.ZstdDecompressor().decompress(data[HEADER:])
    compressor = zstandard.ZstdCompressor(level=1)
    assert read_or_refused(read, data)
    survived = 0
    for i in range(ROUNDS):
        if i % 10 == 0:
            wounded = damaged(data, rng)
        else:
            wounded = data[:HEADER] + compressor.compress(damaged(body, rng))
        survived += read_or_refused(read, wounded)
    # Some wounds only change a value; if none does, the wounds are too deep to test much.
    assert 0 < survived < ROUNDS


METADATA = {
    "text": "é" * 10,
    "numbers": list(range(30)),
    "mixed": [1, -1, 0.1, None, True, {"a": {"b": [[], {}]}}],
    "float": [1.5, 2.5, 0.1],
}


@pytest.mark.parametrize(
    ("data", "decode"),
    [
        (flexbuf.encode(METADATA), flexbuf.decode),
        (encode_msgpack(METADATA), decode_msgpack),
        ((GOLDEN / "spec1" / "config.yaml").read_bytes(), load_config),
        (b'{"snapshot":"1CECHNKREP0F1RSTCMT0"}', decode_ref),
    ],
    ids=["flexbuffers", "messagepack", "yaml", "ref"],
)
def test_damaged_values(data: bytes, decode: Callable[..., Any]) -> None:
    rng = random.Random(5)
    assert read_or_refused(lambda one: decode(one, where="fuzz"), data)
    for _ in range(ROUNDS):
        wounded = damaged(data, rng)
        read_or_refused(lambda one: decode(one, where="fuzz"), wounded)
