"""What puts Frazil's codec pipeline in the way of Zarr, and takes it out again.

Zarr asks the class of the configured pipeline to choose one for an array and its store
(`CodecPipeline.from_array_metadata_and_store`); the classes that come with Zarr leave that to
their base class, which declines. Here, the base class answers for Frazil's stores, and declines
for all others as before. So the configuration of Zarr stays the user's: whatever
`codec_pipeline.path` says, before or after the import, does its work for other stores, and in
Frazil's for the codecs that need it.

The switch is in Zarr's configuration as well, as `frazil.pipeline`:

    zarr.config.set({"frazil.pipeline": False})      # also as a context manager
    ZARR_FRAZIL__PIPELINE=false                      # environment
"""

from __future__ import annotations

from typing import Any

import zarr
from zarr.abc.codec import CodecPipeline
from zarr.abc.store import Store

_decline = CodecPipeline.__dict__["from_array_metadata_and_store"].__func__


def enabled() -> bool:
    """Whether selections are read and written at once; looked at with every one of them."""
    return bool(zarr.config.get("frazil.pipeline", True))


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
