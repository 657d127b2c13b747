"""Rows of a dataset into a stored one, by their labels: overwritten, inserted, appended.

    1. The labels say where each row goes (`frazil.model.insertion`).
    2. Arrays are made longer, and chunks whose rows stay together are moved, by reference.
    3. The chunks that have other rows are written: from the dataset, and from what was there.

Values that were stored are copied as they are stored, without decoding.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
import zarr
from xarray.backends.zarr import ZarrStore

from frazil.display import Displayed, Shown, record
from frazil.engine.reindexing import take_along
from frazil.errors import AlreadyExistsError, ErrorKind, InvalidInputError
from frazil.format.snapshot import NodeKind
from frazil.model.insertion import ChunkPlan, Placement, place, plan_chunks
from frazil.session import Session
from frazil.xarray.opening import open_dataset
from frazil.xarray.writing import (
    LazyArrayWriter,
    check_session,
    encode_into,
    is_dask_collection,
    to_icechunk,
)

BATCH_BYTES = 64 * 1024 * 1024
"""As much is put together in memory at a time, or one row of chunks if that is more."""

Existing = Literal["overwrite", "keep", "error"]


@dataclass(frozen=True, slots=True)
class Upserted(Displayed):
    """What an upsert did: rows along the dimension, and chunks of all variables.

    chunks_moved: by their references alone; chunks_written: those with rows that were put in.
    """

    _public_name = "frazil.xarray.Upserted"

    overwritten: int
    inserted: int
    appended: int
    kept: int
    chunks_moved: int
    chunks_written: int

    def _shown(self) -> tuple[Shown, ...]:
        return record(self.__dataclass_fields__, self)


def upsert(
    ds: xr.Dataset,
    session: Session,
    dim: str,
    *,
    group: str | None = None,
    existing: Existing = "overwrite",
    encoding: Mapping[Any, Any] | None = None,
    chunkmanager_store_kwargs: MutableMapping[Any, Any] | None = None,
    split_every: int | None = None,
) -> Upserted:
    """Write the rows of a dataset along `dim` where their labels belong.

    Rows with labels that are stored overwrite these; others come between those that are stored, if
    these are in order, ascending or descending, or else after them. So the result is that of
    `xarray.concat` and `sortby`. Chunks are moved by reference where rows stay together, such as
    with insertions of whole chunks; all others from an insertion on are written anew.

    existing: what to do with labels that are stored: "overwrite"; "keep" what is stored, as for a
    backfill; or raise an "error", as for an insertion. encoding: for a group that is made by this.
    Variables without `dim` are written only then.

    `InvalidInputError` where datasets do not go together: without labels or with some twice, with
    other variables or other coordinates along other dimensions, or with labels that the stored
    encoding cannot express (hours in whole days, say). `AlreadyExistsError` for labels that are
    stored and `existing="error"`. If writing fails, `session.discard_changes()` and begin again.
    """
    check_session(session)
    if existing not in ("overwrite", "keep", "error"):
        raise ValueError(f'existing is "overwrite", "keep" or "error", not {existing!r}')
    labels = _labels(ds, dim, "the dataset")
    path = "/" + (group or "").strip("/")
    if not _is_dataset(session, path, dim):
        to_icechunk(
            ds,
            session,
            group=group,
            mode="a",
            encoding=encoding,
            chunkmanager_store_kwargs=chunkmanager_store_kwargs,
            split_every=split_every,
        )
        return Upserted(0, 0, len(labels), 0, 0, _count_chunks(session, path, ds, dim))
    stored = open_dataset(session, group=group)
    known = _labels(stored, dim, "the stored dataset")
    matches = _matches(known, labels, dim)
    kept = 0
    if existing != "overwrite" and (there := np.flatnonzero(matches >= 0)).size:
        if existing == "error":
            raise AlreadyExistsError(
                f"{len(there)} labels along {dim!r} are stored already, such as "
                f"{labels[there[0]]}: write them with existing='overwrite' or 'keep'",
                ErrorKind.NODE_ALREADY_EXISTS,
            )
        kept, fresh = len(there), np.flatnonzero(matches < 0)
        ds, labels, matches = ds.isel({dim: fresh}), labels[fresh], matches[fresh]
    if not len(labels):
        return Upserted(0, 0, 0, kept, 0, 0)
    placement = place(matches, _order(known, labels, matches), len(known))
    ds = _checked(ds, stored, dim, complete=len(placement) > len(known))
    work = _Work(session, path, ds, dim, placement)
    moved, written = work.do(chunkmanager_store_kwargs or {}, split_every)
    return Upserted(
        placement.overwritten, placement.inserted, placement.appended, kept, moved, written
    )


# Labels


def _labels(ds: xr.Dataset, dim: str, whose: str) -> pd.Index:
    index = ds.indexes.get(dim)
    if index is None or isinstance(index, pd.MultiIndex):
        raise InvalidInputError(
            f"{whose} has no labels along {dim!r}: rows go where their labels belong, so a "
            "coordinate of that name is needed",
            ErrorKind.NOT_ALLOWED,
        )
    if not index.is_unique:
        raise InvalidInputError(
            f"{whose} has the label {index[index.duplicated()][0]} along {dim!r} more than once",
            ErrorKind.NOT_ALLOWED,
        )
    return index


def _matches(known: pd.Index, labels: pd.Index, dim: str) -> npt.NDArray[np.int64]:
    if len(known) and len(labels):
        try:
            known[0] < labels[0]  # noqa: B015  # unlike labels never match, and are in no order
        except TypeError as error:
            raise InvalidInputError(
                f"labels along {dim!r} cannot be compared: {known.dtype} are stored, these are "
                f"{labels.dtype} ({error})",
                ErrorKind.NOT_ALLOWED,
            ) from error
    return np.asarray(known.get_indexer(labels), np.int64)


def _order(
    known: pd.Index, labels: pd.Index, matches: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Which row each place gets: stored ones, followed by the new ones without match."""
    both = known.append(labels[matches < 0])
    one = len(known) < 2  # which has no direction: that of the new rows is taken, if any
    of = labels if one else known
    if of.is_monotonic_decreasing and not of.is_monotonic_increasing:
        return np.asarray(both.argsort()[::-1], np.int64)
    if one or of.is_monotonic_increasing:
        return np.asarray(both.argsort(), np.int64)
    return np.arange(len(both), dtype=np.int64)


# Whether they go together


def _is_dataset(session: Session, path: str, dim: str) -> bool:
    node = session._workspace.node("/".join(["" if path == "/" else path, dim]))
    return node is not None and node.kind is NodeKind.ARRAY


def _checked(ds: xr.Dataset, stored: xr.Dataset, dim: str, *, complete: bool) -> xr.Dataset:
    """The variables to write: those with the dimension."""
    for name, index in ds.indexes.items():
        other = stored.indexes.get(name)
        if name != dim and other is not None and not index.equals(other):
            raise InvalidInputError(
                f"the dataset has other labels along {name!r} than the stored one: align them "
                f"first, for example with ds.reindex_like(stored)",
                ErrorKind.NOT_ALLOWED,
            )
    names = {name for name, v in ds.variables.items() if dim in v.dims}
    wanted = {name for name, v in stored.variables.items() if dim in v.dims}
    if unknown := names - wanted:
        raise InvalidInputError(
            f"the stored dataset has no variables {_listed(unknown)} along {dim!r}: add them with "
            "to_icechunk first",
            ErrorKind.NOT_ALLOWED,
        )
    if complete and (missing := wanted - names):
        raise InvalidInputError(
            f"the dataset has no variables {_listed(missing)}, which would lack values for the new "
            f"labels along {dim!r}",
            ErrorKind.NOT_ALLOWED,
        )
    return ds.drop_vars(set(ds.variables) - names)


def _listed(names: set[Hashable]) -> str:
    return ", ".join(sorted(map(repr, names)))


# Doing it


class _Work:
    """One upsert into a group that is there."""

    def __init__(
        self, session: Session, path: str, ds: xr.Dataset, dim: str, placement: Placement
    ) -> None:
        self._session = session
        self._path = path
        self._ds = ds
        self._dim = dim
        self._placement = placement

    def do(self, store_kwargs: Mapping[Any, Any], split_every: int | None) -> tuple[int, int]:
        """Returns the number of chunks that were moved, and of those that were written."""
        self._check_labels()
        before = self._session.fork()  # shows what is stored now, whatever is written
        writer, moved, written = LazyArrayWriter(), 0, 0
        for name in map(str, self._ds.variables):
            array = self._array(self._session, name)
            axis = _axis(array, self._dim)
            shape = (*array.shape[:axis], len(self._placement), *array.shape[axis + 1 :])
            if shape != array.shape:
                array.resize(shape)
        for name, source in self._encoded().items():
            array = self._array(self._session, name)
            axis = _axis(array, self._dim)
            plan = plan_chunks(self._placement, _chunk(array)[axis])
            if plan.moves:
                node = self._session._array(f"/{array.path}")
                moved += take_along(self._session._workspace, node, axis, plan.sources)
            rows = _Rows(source, self._array(before, name), array, axis, self._placement)
            written += rows.write(plan, writer)
        writer.write_lazy(self._session, split_every, store_kwargs)
        return moved, written

    def _array(self, session: Session, name: str) -> zarr.Array[Any]:
        return cast("zarr.Array[Any]", session[f"{self._path}/{name}"])

    def _store(self) -> ZarrStore:
        store: ZarrStore = ZarrStore.open_group(
            self._session.store,
            group=self._path,
            mode="r+",
            zarr_format=3,
            consolidated=False,
            write_region={self._dim: slice(0, self._ds.sizes[self._dim])},
            safe_chunks=False,
        )
        return store

    def _encoded(self) -> dict[str, Any]:
        """The values of each variable as they are to be stored."""
        writer = LazyArrayWriter()
        encode_into(self._ds, self._store(), writer)
        sources = [*writer.eager_sources, *writer.sources]
        targets = [*writer.eager_targets, *writer.targets]
        names = [target.path.rpartition("/")[2] for target in targets]
        return dict(zip(names, sources, strict=True))

    def _check_labels(self) -> None:
        """Raise `InvalidInputError` unless the labels will be the same when they are read."""
        store, dim = self._store(), self._dim
        stored = store.open_store_variable(dim)
        labels = self._ds[dim].variable.copy(deep=False)
        labels.encoding = xr.conventions.decode_cf_variable(dim, stored).encoding
        encoded = store.encode_variable(labels, name=dim).values
        again = xr.conventions.decode_cf_variable(
            dim,
            xr.Variable(stored.dims, encoded.astype(stored.dtype), stored.attrs, stored.encoding),
        )
        if not pd.Index(again.values).equals(pd.Index(labels.values)):
            raise InvalidInputError(
                f"the labels along {dim!r} cannot be stored in the encoding that is there "
                f"({stored.attrs.get('units') or stored.dtype}): {labels.values[0]} would become "
                f"{again.values[0]}",
                ErrorKind.NOT_ALLOWED,
            )


class _Rows:
    """The rows of one array along the dimension, from the dataset and from what was stored."""

    def __init__(
        self,
        source: Any,
        old: zarr.Array[Any],
        target: zarr.Array[Any],
        axis: int,
        placement: Placement,
    ) -> None:
        self._source = source
        self._old = old
        self._target = target
        self._axis = axis
        self._placement = placement

    def write(self, plan: ChunkPlan, writer: LazyArrayWriter) -> int:
        """Write the chunks that the plan says, with Dask have the writer do it; their number."""
        size = _chunk(self._target)[self._axis]
        lazy = is_dask_collection(self._source)
        row_bytes = self._target.dtype.itemsize * int(np.prod(self._across(), dtype=np.int64))
        most = max(1, BATCH_BYTES // max(1, row_bytes * size))
        for first, last in _runs(plan.written, len(plan.written) if lazy else most):
            start, stop = first * size, min(last * size, len(self._placement))
            region = tuple(
                slice(start, stop) if i == self._axis else slice(0, n)
                for i, n in enumerate(self._target.shape)
            )
            if lazy:
                writer.add(self._lazy_block(start, stop), self._target, region)
            else:
                self._target[region] = self._block(start, stop)
        return int(plan.written.sum()) * _chunks_across(self._target, self._axis)

    def _across(self) -> tuple[int, ...]:
        return self._target.shape[: self._axis] + self._target.shape[self._axis + 1 :]

    def _parts(self, start: int, stop: int) -> tuple[slice, npt.NDArray[np.int64], Any]:
        """Stored rows and new rows that make up a block, and the order in which they do.

        All stored rows in a block are next to each other in the stored array.
        """
        old, new = self._placement.old[start:stop], self._placement.new[start:stop]
        stays = new < 0
        rows = old[stays]
        low, high = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        order = np.empty(stop - start, np.int64)
        order[stays] = rows - low
        order[~stays] = (high - low) + np.arange(int((~stays).sum()))
        return slice(low, high), new[~stays], order

    def _block(self, start: int, stop: int) -> npt.NDArray[Any]:
        stored, new, order = self._parts(start, stop)
        values = np.take(np.asarray(self._source), new, self._axis)
        if stored.stop > stored.start:
            values = np.concatenate(
                [np.asarray(self._old[self._slice(stored)]), values], self._axis
            )
        block: npt.NDArray[Any] = np.take(values, order, self._axis)
        return block

    def _lazy_block(self, start: int, stop: int) -> Any:
        import dask.array as da

        stored, new, order = self._parts(start, stop)
        values = da.take(self._source, new, self._axis)
        if stored.stop > stored.start:
            before = da.from_array(self._old, chunks=_chunk(self._old))[self._slice(stored)]
            values = da.concatenate([before, values], self._axis)
        return da.take(values, order, self._axis).rechunk(_chunk(self._target))

    def _slice(self, rows: slice) -> tuple[slice, ...]:
        return (slice(None),) * self._axis + (rows,)


def _runs(mask: npt.NDArray[np.bool_], most: int) -> Iterator[tuple[int, int]]:
    """Where the mask is set, as (first, last + 1), at most so many at a time."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    for first, last in edges.reshape(-1, 2).tolist():
        for start in range(first, last, most):
            yield start, min(start + most, last)


def _axis(array: zarr.Array[Any], dim: str) -> int:
    names: Any = array.metadata.dimension_names  # type: ignore[union-attr]  # always of format 3
    return list(names or ()).index(dim)


def _chunk(array: zarr.Array[Any]) -> tuple[int, ...]:
    """The shape of what is written as a whole: shards if there are any, otherwise chunks."""
    return array.shards or array.chunks


def _chunks_across(array: zarr.Array[Any], axis: int) -> int:
    """The number of chunks that have the same place along an axis."""
    counts = [-(-n // c) for n, c in zip(array.shape, _chunk(array), strict=True)]
    return int(np.prod(counts[:axis] + counts[axis + 1 :], dtype=np.int64))


def _count_chunks(session: Session, path: str, ds: xr.Dataset, dim: str) -> int:
    names = [str(name) for name, v in ds.variables.items() if dim in v.dims]
    arrays = (cast("zarr.Array[Any]", session[f"{path}/{name}"]) for name in names)
    return sum(
        int(np.prod([-(-n // c) for n, c in zip(a.shape, _chunk(a), strict=True)])) for a in arrays
    )
