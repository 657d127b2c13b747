"""Whether the bytes of chunks are what the codecs of their array make of values.

The only proof of chunks that came without a checksum. It is as good as the codecs: those that
compare a checksum of their own (crc32c, gzip) notice any change, others at least a wrong length.
"""

from __future__ import annotations

import json
import math
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

_BATCH_BYTES = 16 * 1024 * 1024
"""Decoded bytes of chunks that are tried together."""
_BATCH_CHUNKS = 256
_ITEM_BYTES = 16
"""What an element is taken to need in memory, for the batches."""

_quiet = threading.Lock()


def decodable(document: bytes, chunks: Sequence[bytes]) -> list[bool]:
    """Whether each of these chunks can be decoded.

    document: the `zarr.json` of an array of one chunk, see
    `frazil.model.zarr_metadata.document_of_chunk`.
    """
    meta = json.loads(document)
    size = _ITEM_BYTES * math.prod(meta["shape"])
    count = max(1, min(_BATCH_CHUNKS, _BATCH_BYTES // max(size, 1)))
    if not meta["shape"] or not meta["shape"][0]:
        count = 1
    found: list[bool] = []
    for start in range(0, len(chunks), count):
        batch = chunks[start : start + count]
        if _decodes(meta, batch):
            found += [True] * len(batch)
        else:
            found += [_decodes(meta, [chunk]) for chunk in batch]
    return found


def _decodes(meta: dict[str, Any], chunks: Sequence[bytes]) -> bool:
    """Whether an array of these chunks, one after the other along its first axis, can be read."""
    shape = list(meta["shape"])
    rest = "/0" * (len(shape) - 1)
    if shape:
        shape[0] *= len(chunks)
    files = {"zarr.json": json.dumps(meta | {"shape": shape}).encode()}
    if shape:
        files |= {f"c/{i}{rest}": chunk for i, chunk in enumerate(chunks)}
    else:
        files["c"] = chunks[0]
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({key: make(data) for key, data in files.items()})
    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of data types: whoever wrote the array was told
            array = zarr.open_array(store, mode="r", zarr_format=3)
        array[...]
    except Exception:  # whatever codecs raise; the metadata may be anything, too
        return False
    return True
