"""Fetching manifests that readers nearly always want when a session starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from frazil.config import ManifestPreloadConfig
from frazil.errors import FormatError, StorageError
from frazil.format.snapshot import NodeKind, Snapshot
from frazil.ids import ManifestId
from frazil.library.files import Library
from frazil.model.manifest_growth import volume
from frazil.model.preload import choose_manifests
from frazil.storage.pool import io_pool


def preload(library: Library, base: Snapshot, config: ManifestPreloadConfig | None) -> None:
    """Begin to fetch the manifests that the configuration chooses, and return at once.

    From a local disk only where the configuration says so: there it saves nothing. Failures
    are told to whoever needs the manifest.
    """
    if library.backend.local and config is None:
        return
    for id_ in choose_manifests(config, _arrays(base)):
        if library.known_manifest(id_) is None:
            with suppress(RuntimeError):  # the interpreter is on its way out
                io_pool().submit(_fetch, library, id_)


def _fetch(library: Library, id_: ManifestId) -> None:
    with suppress(StorageError, FormatError):
        library.manifest(id_)


def _arrays(base: Snapshot) -> Iterator[tuple[str, list[tuple[ManifestId, int]]]]:
    """The arrays with their manifests, and how many references they have in each at most.

    A file that arrays share holds more than that.
    """
    nodes = base.nodes
    for row in np.flatnonzero(nodes.kind == NodeKind.ARRAY).tolist():
        node = nodes.node(row)
        yield (
            node.path,
            [
                (one.id, min(volume(one.extents), base.manifests.get(one.id).num_refs))
                for one in node.manifests
            ],
        )
