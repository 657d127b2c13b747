"""What puts Frazil's codec pipeline in the way of Zarr.

Zarr asks the class of the configured pipeline to choose one for an array and its store
(`CodecPipeline.from_array_metadata_and_store`); the classes that come with Zarr leave that to
their base class, which declines. Here, the base class answers for Frazil's stores, and declines
for all others as before. So the configuration of Zarr stays the user's: whatever
`codec_pipeline.path` says, before or after the import, does its work for other stores, and in
Frazil's for the codecs that need it.
"""

from __future__ import annotations

from typing import Any

from zarr.abc.codec import CodecPipeline
from zarr.abc.store import Store

_decline = CodecPipeline.__dict__["from_array_metadata_and_store"].__func__


def install() -> None:
    """Have Zarr use the pipeline for arrays in Frazil stores; again does nothing."""
    CodecPipeline.from_array_metadata_and_store = classmethod(_choose)  # type: ignore[method-assign, assignment]


def _choose(cls: type[CodecPipeline], array_metadata: Any, store: Store) -> CodecPipeline:
    from frazil.store.store import IcechunkStore

    if not isinstance(store, IcechunkStore):
        declined: CodecPipeline = _decline(cls, array_metadata, store)
        return declined
    from frazil.store.pipeline.pipeline import SelectionPipeline

    return SelectionPipeline.of_array(array_metadata)
