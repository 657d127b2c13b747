"""PNG files of arrays, and colours for numbers."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Stops = tuple[tuple[float, int], ...]
"""Colours, 0xRRGGBB, at places from 0 to 1."""

SEQUENTIAL: Final[Stops] = (
    (0.00, 0x0B1F3F),
    (0.20, 0x17487C),
    (0.40, 0x2A7AA6),
    (0.60, 0x55AEB5),
    (0.80, 0xA6D9BE),
    (1.00, 0xF6F7D6),
)
"""Dark to light, so that it can be read in grey: deep water to ice."""
DIVERGING: Final[Stops] = (
    (0.00, 0x174A86),
    (0.25, 0x6AA5CF),
    (0.50, 0xF5F5F3),
    (0.75, 0xE79577),
    (1.00, 0x9B2226),
)
"""Less, the same, more."""
DIVERGING_DARK: Final[Stops] = (
    (0.00, 0x8CCBF2),
    (0.25, 0x3F7BA6),
    (0.50, 0x1C272E),
    (0.75, 0xB0573F),
    (1.00, 0xF7A889),
)
"""The same on a dark background, from which what did not change should not stand out."""
MISSING: Final = 0x8A949B
"""Where there is no number."""


def png(pixels: Pixels) -> bytes:
    """The file of uint8[height, width, 3]."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # filter 0 in front of each line
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _piece(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _piece(b"IDAT", zlib.compress(lines.tobytes(), 6)),
            _piece(b"IEND", b""),
        ]
    )


def _piece(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    )


def coloured(
    values: npt.NDArray[np.float64], low: float, high: float, stops: Stops = SEQUENTIAL
) -> Pixels:
    """uint8[..., 3]: colours of numbers from low to high; those beyond have the last colour."""
    table = scale(256, stops)
    known = np.isfinite(values)
    span = (high - low) or 1.0
    at = np.clip((np.where(known, values, low) - low) / span, 0.0, 1.0)
    pixels = table[np.rint(at * 255).astype(np.intp)]
    pixels[~known] = _parts(MISSING)
    return pixels


def scale(steps: int, stops: Stops) -> Pixels:
    """uint8[steps, 3]: the colours from the lowest to the highest number."""
    at = np.linspace(0.0, 1.0, steps)
    colours = np.array([_parts(colour) for _, colour in stops], np.float64)
    columns = [np.interp(at, [place for place, _ in stops], colours[:, i]) for i in range(3)]
    return np.rint(np.stack(columns, axis=1)).astype(np.uint8)


def _parts(colour: int) -> tuple[int, int, int]:
    return colour >> 16 & 255, colour >> 8 & 255, colour & 255
