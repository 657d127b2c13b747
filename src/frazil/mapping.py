"""The nodes of a session by path, for whoever needs neither xarray nor Zarr's stores.

session["ocean/salinity"][0, :10]             an array, and some of its values
session["ocean"].attrs["source"]              a group; session[""] is the root
session["ocean/depth"] = np.arange(10.0)      makes an array, or replaces what is there
del session["ocean"]                          with all below it
"ocean" in session, list(session)             which paths there are
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from frazil.errors import ErrorKind, NodeNotFoundError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL, ChunkRefs
from frazil.format.snapshot import Node, NodeKind
from frazil.paths import check_path

if TYPE_CHECKING:
    import numpy.typing as npt

    from frazil.engine.workspace import Workspace
    from frazil.nodes import NodeInfo
    from frazil.stats import ChunkStorageStats
    from frazil.store import IcechunkStore


class NodeMapping:
    """Groups and arrays by path, `/` between the parts and none needed in front."""

    @property
    def _workspace(self) -> Workspace:
        raise NotImplementedError

    @property
    def store(self) -> IcechunkStore:
        """The Zarr store: give it to `zarr.open_group`, `xarray.open_zarr` and the like."""
        raise NotImplementedError

    def __getitem__(self, path: str) -> zarr.Array[Any] | zarr.Group:
        """The array or group at a path; `NodeNotFoundError`, a `KeyError`, if there is none."""
        node = self._existing(path)
        mode: Any = "r" if self.store.read_only else "r+"
        name = node.path.strip("/")
        if node.kind is NodeKind.ARRAY:
            return zarr.open_array(self.store, path=name, mode=mode)
        return zarr.open_group(self.store, path=name, mode=mode, use_consolidated=False)

    def __setitem__(self, path: str, values: npt.ArrayLike) -> None:
        """Make an array of these values, and the groups above it, in the place of what was there.

        For chunks, compression and dimension names: `session["group"].create_array(...)`.
        """
        name = _absolute(path).strip("/")
        self._workspace.check_editable()
        zarr.create_array(self.store, name=name, data=np.asarray(values), overwrite=True)

    def __delitem__(self, path: str) -> None:
        """Delete a node and all below it; `NodeNotFoundError` if there is none."""
        self._workspace.delete_node(self._existing(path).path)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._find(path) is not None

    def __iter__(self) -> Iterator[str]:
        """The paths of all nodes but the root, in order."""
        paths = [node.path.strip("/") for node in self._workspace.nodes_under("/")]
        return iter(path for path in paths if path)

    def nodes(self, path: str = "") -> Iterator[NodeInfo]:
        """The node at a path and all below it, in the order of their paths, from metadata alone.

        `NodeNotFoundError` if there is none; a version without a root has no nodes.
        """
        from frazil.nodes import NodeInfo

        for node in self._under(path):
            is_array = node.kind is NodeKind.ARRAY
            yield NodeInfo.of(node.path, is_array=is_array, metadata=bytes(node.user_data))

    def storage_of(self, path: str = "") -> dict[str, ChunkStorageStats]:
        """The bytes of the chunks of each array at a path or below it, by the array's path.

        Chunks of earlier versions do not count. Reads all manifests of these arrays.
        """
        from frazil.progress import task
        from frazil.stats import ChunkStorageStats

        workspace = self._workspace
        arrays = [node for node in self._under(path) if node.kind is NodeKind.ARRAY]
        with task("Adding up arrays", len(arrays)) as progress:
            found = {}
            for node in arrays:
                parts = map(_sizes, workspace.ref_batches(node))
                found[node.path] = sum(parts, ChunkStorageStats())
                progress.step()
        return found

    def _under(self, path: str) -> Iterator[Node]:
        top = self._existing(path).path if path.strip("/") else "/"
        return self._workspace.nodes_under(top)

    def _existing(self, path: str) -> Node:
        node = self._find(path)
        if node is None:
            raise NodeNotFoundError(f"there is no node at {path!r}", ErrorKind.NODE_NOT_FOUND)
        return node

    def _find(self, path: str) -> Node | None:
        return self._workspace.node(_absolute(path))


def _sizes(refs: ChunkRefs) -> ChunkStorageStats:
    from frazil.stats import ChunkStorageStats

    kinds = (NATIVE, VIRTUAL, INLINE)
    return ChunkStorageStats(*(int(refs.length[refs.kind == kind].sum()) for kind in kinds))


def _absolute(path: str) -> str:
    return check_path("/" + path.strip("/"))
