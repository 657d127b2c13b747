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
from functools import lru_cache
from typing import Any

import zarr
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import MemoryStore

from frazil.format.columns import ByteColumn
from frazil.store.pipeline import zstd
from frazil.store.pipeline.chain import Chain, ChunkCoder

_BATCH_BYTES = 16 * 1024 * 1024
"""Decoded bytes of chunks that are tried together."""
_BATCH_CHUNKS = 256
_ITEM_BYTES = 16
"""What an element is taken to need in memory, for the batches."""

_BULK_CHUNKS = 4096
_KNOWN = 256
"""Documents for which is remembered how chunks are decoded."""

_quiet = threading.Lock()


def decodable(document: bytes, chunks: Sequence[bytes]) -> list[bool]:
    """Whether each of these chunks can be decoded.

    document: the `zarr.json` of an array of one chunk, see
    `frazil.model.zarr_metadata.document_of_chunk`.
    """
    fine = _plainly(document, chunks)
    left = [i for i, known in enumerate(fine) if not known]
    for i, one in zip(left, _by_zarr(document, [chunks[i] for i in left]), strict=True):
        fine[i] = one
    return fine


def _plainly(document: bytes, chunks: Sequence[bytes]) -> list[bool]:
    """Which chunks are known to be well without asking Zarr for each.

    Those that are cells in order, uncompressed or under Zarr's zstd, and of the right length.
    """
    coder = _coder(document)
    if coder is None or coder.stored is None:
        return [False] * len(chunks)
    if coder.chain.zstd is None:
        return [len(chunk) == coder.nbytes for chunk in chunks]
    # One that is damaged has Zarr try all that are decompressed with it.
    count = max(1, min(_BULK_CHUNKS, _BATCH_BYTES // max(coder.nbytes, 1)))
    found: list[bool] = []
    for start in range(0, len(chunks), count):
        batch = chunks[start : start + count]
        decoded = zstd.decompress(ByteColumn.of(batch), coder.nbytes)
        # What follows a frame is passed over there, and not by Zarr.
        found += [decoded is not None and zstd.frame_bytes(one) == len(one) for one in batch]
    return found


@lru_cache(_KNOWN)
def _coder(document: bytes) -> ChunkCoder | None:
    """How chunks are decoded; None where Zarr has to be asked."""
    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = ArrayV3Metadata.from_dict(json.loads(document))
        chain = Chain.of(meta.codecs)
        config = ArrayConfig(order="C", write_empty_chunks=False)
        prototype = default_buffer_prototype()
        spec = ArraySpec(meta.shape, meta.data_type, meta.fill_value, config, prototype)
        return None if chain is None or chain.sharded else ChunkCoder.of(chain, spec)
    except Exception:  # the metadata may be anything
        return None


def _by_zarr(document: bytes, chunks: Sequence[bytes]) -> list[bool]:
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
