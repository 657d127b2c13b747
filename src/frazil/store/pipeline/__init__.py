"""Reading and writing whole selections of Zarr arrays at once.

Zarr has one coroutine fetch and decode each chunk. For arrays in a Frazil store this package
takes the selection as a whole: chunks are looked up together, read in few requests, and decoded
by threads into the result; and the other way round.

    switch      what puts it in Zarr's way, and when
    pipeline    the codec pipeline that Zarr calls
    batch       what Zarr asks for, in columns
    chain       the codecs of an array, and chunks through them, one by one
    zstd        many chunks through zstd in one call
    reading, writing, sharded      selections (`shard_index`: where inner chunks are)
    held        chunks in memory, for codecs that only Zarr's own pipelines can run

Codecs that are not Zarr's are run as Zarr runs them.
"""

from frazil.store.pipeline.switch import install

__all__ = ["install"]
