"""What is in the repositories whose files are written directly, without a library."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)
"""Between one snapshot and the next."""
CHUNKS = 1_000
"""Chunks of the array that a long history is about."""
REPLACED = 10
"""Chunks of the array that each commit replaces as a whole, in a history to collect garbage in."""
CHUNK_BYTES = 4
_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def name(id_: bytes) -> str:
    """The name of the file of a snapshot or chunk."""
    return base64.b32encode(id_).decode().rstrip("=").translate(_CROCKFORD)


def snapshot_bytes(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()[:12]


def snapshot_id(number: int) -> str:
    """Of a snapshot in a line of them, counted from the first."""
    return name(snapshot_bytes(number))


def put_chunks(folder: Path, ids: np.ndarray) -> None:
    """Files of zeros without blocks on the disk: upkeep looks at names, ages and sizes."""
    (folder / "chunks").mkdir(exist_ok=True)
    place = os.open(folder / "chunks", os.O_RDONLY)
    for row in ids:
        file = os.open(name(row.tobytes()), os.O_WRONLY | os.O_CREAT, dir_fd=place)
        os.ftruncate(file, CHUNK_BYTES)
        os.close(file)
    os.close(place)
