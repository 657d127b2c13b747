"""Identifiers: fixed numbers of random bytes, written in Crockford base 32.

    SnapshotId, ManifestId, ChunkId   12 bytes, 20 characters
    NodeId                             8 bytes, 13 characters

The bits are padded on the right with zeros to a multiple of five. Text is upper case;
reading accepts either case.
"""

from __future__ import annotations

import os
from typing import ClassVar, Self

from frazil.errors import ErrorKind, InvalidInputError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
_VALUE = {c: i for i, c in enumerate(ALPHABET)} | {c.lower(): i for i, c in enumerate(ALPHABET)}


class ObjectId(bytes):
    """Bytes with a fixed length and a base 32 text form; compares and hashes as bytes."""

    __slots__ = ()
    SIZE: ClassVar[int] = 12

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != cls.SIZE:
            raise InvalidInputError(
                f"{cls.__name__} takes {cls.SIZE} bytes, got {len(raw)}",
                ErrorKind.INVALID_SNAPSHOT_ID,
            )
        return super().__new__(cls, raw)

    @classmethod
    def random(cls) -> Self:
        """A new id from the operating system's source of randomness."""
        return cls(os.urandom(cls.SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; `InvalidInputError` unless it has exactly this id's length."""
        bits = cls.SIZE * 8
        digits = -(-bits // 5)
        value = 0
        try:
            if len(text) != digits:
                raise KeyError(text)
            for char in text:
                value = value << 5 | _VALUE[char]
        except KeyError:
            raise InvalidInputError(
                f"invalid {cls.__name__} {text!r}: expected {digits} characters of {ALPHABET}",
                ErrorKind.INVALID_SNAPSHOT_ID,
            ) from None
        return cls((value >> (digits * 5 - bits)).to_bytes(cls.SIZE, "big"))

    def __str__(self) -> str:
        bits = len(self) * 8
        shift = -(-bits // 10) * 10
        value = int.from_bytes(self, "big") << (shift - bits)
        text = "".join([_PAIRS[value >> i & 1023] for i in range(shift - 10, -1, -10)])
        return text[: -(-bits // 5)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class SnapshotId(ObjectId):
    """Names a snapshot file and its transaction log."""

    __slots__ = ()


class ManifestId(ObjectId):
    """Names a manifest file."""

    __slots__ = ()


class ChunkId(ObjectId):
    """Names a chunk object, which may hold many chunks."""

    __slots__ = ()


class NodeId(ObjectId):
    """Names a group or array for its whole life, across updates and moves."""

    __slots__ = ()
    SIZE = 8


INITIAL_SNAPSHOT = SnapshotId(bytes.fromhex("0b1cc8d6787580f0e33a6534"))
"""The first snapshot of every repository (`1CECHNKREP0F1RSTCMT0`)."""
