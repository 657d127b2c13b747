"""Datasets into a session: metadata and what is in memory at once, then what Dask computes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from typing import Any, Literal, TypeAlias

import xarray as xr
import zarr
from xarray import conventions
from xarray.backends.common import ArrayWriter
from xarray.backends.zarr import ZarrStore

from frazil.errors import ErrorKind
from frazil.session import ForkSession, Session
from frazil.store import IcechunkStore
from frazil.store.errors import ReadOnlyStoreError

ZarrWriteModes: TypeAlias = Literal["w", "w-", "a", "a-", "r+"]
Region: TypeAlias = Mapping[str, "slice | Literal['auto']"] | Literal["auto"] | None
Writable: TypeAlias = "xr.Dataset | xr.DataArray | xr.DataTree"

UNNAMED_ARRAY = "__xarray_dataarray_variable__"
"""What xarray calls a variable whose name is taken or missing, and reads back as what it was."""
ORIGINAL_NAME = "__xarray_dataarray_name__"


def to_icechunk(
    obj: Writable,
    session: Session,
    *,
    group: str | None = None,
    mode: ZarrWriteModes | None = None,
    safe_chunks: bool = True,
    align_chunks: bool = False,
    append_dim: Hashable | None = None,
    region: Region = None,
    encoding: Mapping[Any, Any] | None = None,
    chunkmanager_store_kwargs: MutableMapping[Any, Any] | None = None,
    split_every: int | None = None,
    write_empty_chunks: bool | None = None,
) -> None:
    """Write a Dataset, DataArray or DataTree into a session, which is yet to be committed.

    Variables in memory are written at once. For those that Dask computes, the threads of this
    process share the session; the workers of a cluster or of a pool of processes get forks of it,
    which are merged. Either way all is in the session when this returns. If it raises, a part may
    be: `session.discard_changes()`, and begin again.

    - mode: "w" replaces a group, "w-" makes one that is not there yet, "a" adds and overwrites
      variables, "a-" appends and overwrites none, "r+" changes values only. By default "a" with
      `append_dim`, "r+" with `region`, otherwise "w-".
    - append_dim: the dimension along which to append. The nodes of a tree that do not have it are
      written as they are.
    - region: where to write, a slice for each dimension. "auto" looks it up by the coordinate.
    - encoding: by variable; of a tree by group, then by variable.
    - safe_chunks: refuse Dask chunks that overlap in a Zarr chunk or shard (`ValueError`).
      align_chunks: rechunk instead.
    - split_every: the number of forks that one task merges.
    - chunkmanager_store_kwargs: for `dask.compute`, such as `scheduler`.
    - write_empty_chunks: store chunks that only hold the fill value, too.

    Raises `ReadOnlyError`, which here is a `ValueError` too, for a read-only session;
    `InvalidInputError` if Dask's workers are other processes and the repository is in memory;
    `FileExistsError` for "w-" and a group that is there; otherwise what `Dataset.to_zarr` raises.
    """
    check_session(session)
    writer = LazyArrayWriter()
    for path, dataset, node_encoding in _datasets(obj, group, encoding):
        has_dim = not isinstance(obj, xr.DataTree) or append_dim in dataset.dims
        store = ZarrStore.open_group(
            session.store,
            group=path,
            mode=_default_mode(mode, append_dim, region),
            zarr_format=3,
            consolidated=False,
            consolidate_on_close=False,
            append_dim=append_dim if has_dim else None,
            write_region=dict(region) if isinstance(region, Mapping) else region,
            safe_chunks=safe_chunks,
            align_chunks=align_chunks,
            write_empty=write_empty_chunks,
        )
        _dump(dataset, store, writer, node_encoding)
    writer.write_eager()
    writer.write_lazy(session, split_every, chunkmanager_store_kwargs or {})


to_frazil = to_icechunk


class LazyArrayWriter(ArrayWriter):
    """Gathers arrays and where they go, so that all metadata is written before any chunk."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.eager_sources: list[Any] = []
        self.eager_targets: list[zarr.Array[Any]] = []
        self.eager_regions: list[tuple[slice, ...] | None] = []

    def add(self, source: Any, target: Any, region: Any = None) -> Any:
        """Take an array that is to be written to `target`, or to a region of it."""
        if is_dask_collection(source):
            self.sources.append(source)
            self.targets.append(target)
            self.regions.append(region)
        else:
            self.eager_sources.append(source)
            self.eager_targets.append(target)
            self.eager_regions.append(region)

    def write_eager(self) -> None:
        """Write the arrays that are in memory."""
        arrays = zip(self.eager_sources, self.eager_targets, self.eager_regions, strict=True)
        for source, target, region in arrays:
            target[region or ...] = source
        self.eager_sources, self.eager_targets, self.eager_regions = [], [], []

    def write_lazy(
        self, session: Session, split_every: int | None, store_kwargs: Mapping[Any, Any]
    ) -> None:
        """Have Dask compute and write the others."""
        if not self.sources:
            return
        from frazil import dask as with_dask

        if with_dask.runs_here(self.sources, **store_kwargs):
            with_dask.store_here(self.sources, self.targets, self.regions, **store_kwargs)
        else:
            with_dask.check_shared(session)
            fork = session.fork()
            session.merge(
                with_dask.store_dask(
                    sources=self.sources,
                    targets=[_on_fork(target, fork) for target in self.targets],
                    regions=self.regions,
                    split_every=split_every,
                    **store_kwargs,
                )
            )
        self.sources, self.targets, self.regions = [], [], []


def is_dask_collection(x: Any) -> bool:
    """Whether Dask computes this; False without Dask."""
    try:
        from dask.base import is_dask_collection as is_one
    except ImportError:
        return False
    return bool(is_one(x))


def _on_fork(array: zarr.Array[Any], fork: ForkSession) -> zarr.Array[Any]:
    return zarr.open_array(fork.store, path=array.path, mode="r+").with_config(array.config)


def check_session(session: Session) -> None:
    """Raise `TypeError` or `ReadOnlyError` unless this is a session that can be written."""
    if isinstance(session, IcechunkStore):
        raise TypeError("to_icechunk takes a session, not its store: leave out `.store`")
    if not isinstance(session, Session):
        raise TypeError(
            f"to_icechunk takes a session, not a {type(session).__name__}: "
            'repo.writable_session("main") makes one'
        )
    if session.read_only:
        raise ReadOnlyStoreError(
            "the session is read-only: write to one of repo.writable_session(branch) (a session "
            "becomes read-only when it is committed)",
            ErrorKind.READ_ONLY_SESSION,
        )


def _default_mode(
    mode: ZarrWriteModes | None, append_dim: Hashable | None, region: Region
) -> ZarrWriteModes:
    if mode is None:
        return "a" if append_dim is not None else "r+" if region is not None else "w-"
    if mode not in ("w", "w-", "a", "a-", "r+"):
        raise ValueError(f"mode is one of 'w', 'w-', 'a', 'a-' and 'r+', not {mode!r}")
    if append_dim is not None and not mode.startswith("a"):
        raise ValueError(f"append_dim goes with mode='a' or 'a-', not {mode!r}")
    if region is not None and mode.startswith("w"):
        raise ValueError(f"region goes with mode='r+', 'a' or 'a-', not {mode!r}")
    return mode


def _datasets(
    obj: Writable, group: str | None, encoding: Mapping[Any, Any] | None
) -> Iterator[tuple[str | None, xr.Dataset, Mapping[Any, Any]]]:
    """What to write: (group, dataset, encoding of its variables)."""
    encoding = {} if encoding is None else encoding
    if isinstance(obj, xr.DataTree):
        unknown = {path.strip("/") for path in encoding} - {p.strip("/") for p in obj.groups}
        if unknown:
            raise ValueError(
                f"encoding names groups that the tree does not have: {sorted(unknown)}"
            )
        by_group = {path.strip("/"): value for path, value in encoding.items()}
        for path, node in obj.subtree_with_keys:
            name = "" if path == "." else path
            full = "/".join(part for part in ((group or "").strip("/"), name) if part)
            yield full or None, node.to_dataset(inherit=node is obj), by_group.get(name, {})
    elif isinstance(obj, xr.DataArray):
        yield group, _as_dataset(obj), encoding
    elif isinstance(obj, xr.Dataset):
        yield group, obj, encoding
    else:
        raise TypeError(
            f"to_icechunk takes a Dataset, DataArray or DataTree, not a {type(obj).__name__}"
        )


def _as_dataset(array: xr.DataArray) -> xr.Dataset:
    """A dataset that `xarray.open_dataarray` turns into this array again."""
    if array.name is None:
        return array.to_dataset(name=UNNAMED_ARRAY)
    if array.name in array.coords or array.name in array.dims:
        dataset = array.to_dataset(name=UNNAMED_ARRAY)
        dataset.attrs[ORIGINAL_NAME] = array.name
        return dataset
    return array.to_dataset()


def _dump(
    dataset: xr.Dataset, store: ZarrStore, writer: ArrayWriter, encoding: Mapping[Any, Any]
) -> None:
    dataset = store._validate_and_autodetect_region(dataset)
    store._validate_encoding(encoding)
    encode_into(dataset, store, writer, encoding)


def encode_into(
    dataset: xr.Dataset,
    store: ZarrStore,
    writer: ArrayWriter,
    encoding: Mapping[Any, Any] | None = None,
) -> None:
    """Write metadata, and give the writer the values as they are to be stored."""
    encoding = {} if encoding is None else encoding
    for name in dataset.variables:
        if not isinstance(name, str) and name is not None:
            raise TypeError(f"a name of a variable is a string or None, not {name!r}")
        if name == "":
            raise ValueError("'' is no name of a variable: the string must be length 1 or more")
    variables, attributes = conventions.encode_dataset_coordinates(dataset)
    for name, value in encoding.items():
        if name not in variables:
            raise KeyError(f"encoding names a variable that is not there: {name!r}")
        variables[name].encoding = value
    for name, variable in variables.items():
        if variable.size == 0:  # its Dask chunks have no length, which no Zarr chunk can have
            variables[name] = variable.compute()
    store.store(variables, attributes, set(encoding), writer)
