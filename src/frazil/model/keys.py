"""Many ids at once, as columns: their text, and sets of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from frazil.ids import ALPHABET, ObjectId

Keys = npt.NDArray[np.bytes_]
"""Ids of 12 bytes, S12[n], sorted and unique; of equal length, so NULs do no harm."""

_DIGITS = 20
_BITS = ObjectId.SIZE * 8
_BLOCK = 1 << 16
_MERGE = 1 << 20
_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)
_VALUES = np.full(256, 255, np.uint8)
_VALUES[_LETTERS] = np.arange(32)


def parse_ids(
    names: Sequence[str] | Sequence[bytes],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The ids uint8[n, 12] that these texts are, and which of the texts are ids at all."""
    ids = np.zeros((len(names), ObjectId.SIZE), np.uint8)
    valid = np.fromiter(map(len, names), np.int64, len(names)) == _DIGITS
    rows = np.flatnonzero(valid)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        digits = _VALUES[_letters([names[row] for row in block.tolist()])]
        # Eight digits are five bytes; the last four are two bytes and four bits of nothing.
        d = np.zeros((len(block), 24), np.uint8)
        d[:, :_DIGITS] = digits & 31
        a, b, c, e, f, g, h, i = np.moveaxis(d.reshape(-1, 3, 8), 2, 0)
        five = np.empty((len(block), 3, 5), np.uint8)
        five[..., 0] = a << 3 | b >> 2
        five[..., 1] = b << 6 | c << 1 | e >> 4
        five[..., 2] = e << 4 | f >> 1
        five[..., 3] = f << 7 | g << 2 | h >> 3
        five[..., 4] = h << 5 | i
        raw = five.reshape(-1, 15)
        valid[block] = (digits < 32).all(axis=1) & (raw[:, ObjectId.SIZE] == 0)
        ids[block] = raw[:, : ObjectId.SIZE]
    return ids, valid


def _letters(names: list[str | bytes]) -> npt.NDArray[np.uint8]:
    """uint8[n, 20] of texts of 20 letters; what is not ASCII is no digit either."""
    try:
        text = b"".join(names)  # type: ignore[arg-type]
    except TypeError:
        text = "".join(names).encode("ascii", "replace")  # type: ignore[arg-type]
    return np.frombuffer(text, np.uint8).reshape(-1, _DIGITS)


class KeySet:
    """A set of byte strings of one width, gathered from many threads."""

    def __init__(self, width: int = ObjectId.SIZE) -> None:
        self._merged: Keys = np.empty(0, f"S{width}")
        self._new: list[Keys] = []
        self._count = 0
        self._lock = threading.Lock()

    def add(self, keys: Keys) -> None:
        """Add these, in any order."""
        with self._lock:
            self._new.append(keys)
            self._count += len(keys)
            if self._count > max(_MERGE, len(self._merged)):
                self._merge()

    def keys(self) -> Keys:
        """All of them, sorted, each once."""
        with self._lock:
            self._merge()
            return self._merged

    def _merge(self) -> None:
        self._merged = np.unique(np.concatenate([self._merged, *self._new]))
        self._new.clear()
        self._count = 0


def format_ids(keys: Keys) -> list[str]:
    """The texts of these ids."""
    texts: list[str] = []
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        bits = np.zeros((len(block), _DIGITS, 8), np.uint8)
        raw = block.view(np.uint8).reshape(len(block), ObjectId.SIZE)
        padded = np.zeros((len(block), _DIGITS * 5), np.uint8)
        padded[:, :_BITS] = np.unpackbits(raw, axis=1)
        bits[:, :, 3:] = padded.reshape(len(block), _DIGITS, 5)
        letters = _LETTERS[np.packbits(bits, axis=2)[:, :, 0]]
        texts += letters.view(f"S{_DIGITS}").reshape(-1).astype(str).tolist()
    return texts


def raw_ids(keys: Keys) -> list[bytes]:
    """The ids as bytes of full length."""
    data = keys.tobytes()
    return [data[i : i + ObjectId.SIZE] for i in range(0, len(data), ObjectId.SIZE)]
