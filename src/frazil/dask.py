"""Dask arrays into the arrays of a session.

Workers of a cluster cannot share a session. Each task writes through a fork of it, which goes with
the array it writes to, and what it returns is merged in a tree of tasks: what reaches the caller is
one fork with all changes. Threads of this process share the session itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import dask
import dask.array as da
from dask.base import get_scheduler
from dask.core import flatten
from typing_extensions import ParamSpec

from frazil.distributed import extract_session, merge_sessions
from frazil.errors import ErrorKind, InvalidInputError
from frazil.session import ForkSession, Session

if TYPE_CHECKING:
    import zarr
    from dask.array.core import Array
    from zarr.core.metadata import ArrayV3Metadata

    Target: TypeAlias = zarr.Array[ArrayV3Metadata]

__all__ = [
    "SimpleGraph",
    "computing_meta",
    "merge_sessions_array_kwargs",
    "session_merge_reduction",
    "store_dask",
]

P = ParamSpec("P")

SimpleGraph: TypeAlias = Mapping[tuple[str, int], tuple[Any, ...]]
"""Tasks by key."""

SPLIT_EVERY = 16
"""Forks that one task merges, if not told otherwise."""

OLDEST_DASK = (2025, 2)


def store_dask(
    *,
    sources: list[Array],
    targets: list[Target],
    regions: list[tuple[slice, ...]] | None = None,
    split_every: int | None = None,
    **store_kwargs: Any,
) -> ForkSession:
    """Write Dask arrays into Zarr arrays that were opened on the store of a fork.

    Returns a fork that holds all that was written, to be merged into the session. regions: where in
    each target its source goes. split_every: the number of forks that one task merges.
    store_kwargs: go to `dask.compute`, such as `scheduler`.

    Dask chunks that write to one Zarr chunk (or shard) overwrite each other: align them.
    `TypeError` for a target of a session that is not a fork; `InvalidInputError` for the workers of
    a cluster and a repository in memory, which they would not see.
    """
    _check_version()
    if not sources:
        raise ValueError("there is nothing to store: sources is empty")
    _check(sources, store_kwargs)
    sessions = [extract_session(target) for target in targets]
    for session in sessions:
        if not isinstance(session, ForkSession):
            raise TypeError(
                "store_dask takes arrays on the store of a fork, not of a "
                f"{type(session).__name__}: open them on session.fork().store, and merge the fork "
                "that store_dask returns into the session"
            )
    if runs_here(sources, **store_kwargs):
        store_here(sources, targets, regions, **store_kwargs)
        forks = cast(list[ForkSession], sessions)
        return merge_sessions(list({id(fork): fork for fork in forks}.values()))
    check_shared(sessions[0])
    stored = da.store(
        sources,
        targets,
        regions=regions,
        lock=False,
        compute=False,
        return_stored=True,
        load_stored=False,
    )
    arrays = list(stored) if isinstance(stored, tuple) else [stored]
    return session_merge_reduction(arrays, split_every=split_every, **store_kwargs)


def store_here(
    sources: Sequence[Any],
    targets: Sequence[Target],
    regions: Sequence[tuple[slice, ...]] | None,
    **store_kwargs: Any,
) -> None:
    """Write with threads of this process, which share the sessions of the targets."""
    da.store(list(sources), list(targets), regions=regions, lock=False, **store_kwargs)


def session_merge_reduction(
    arrays: Array | list[Array], *, split_every: int | None, **store_kwargs: Any
) -> ForkSession:
    """One fork with the changes of all those behind arrays whose blocks are Zarr arrays.

    That is what `dask.array.store` gives with `return_stored=True, load_stored=False`. The tasks
    merge `split_every` forks each, in a tree. `TypeError` for anything that is no Dask array.
    """
    _check_version()
    arrays = arrays if isinstance(arrays, list) else [arrays]
    for array in arrays:
        if not isinstance(array, da.Array):
            raise TypeError(f"expected a dask array, received {type(array)}")
    every = SPLIT_EVERY if split_every is None else int(split_every)
    if every < 2:
        raise ValueError(f"split_every is {split_every}: a task merges at least two forks")
    from dask.delayed import Delayed
    from dask.highlevelgraph import HighLevelGraph

    arrays = list(dask.base.optimize(*arrays, **store_kwargs))  # together: they may share tasks
    keys = [key for array in arrays for key in flatten(array.__dask_keys__())]
    name = f"merge-forks-{dask.base.tokenize(keys, every)}"
    graph, top = _merging_tree(keys, every, name)
    layers = HighLevelGraph.from_collections(name, graph, dependencies=arrays)
    result: ForkSession = Delayed(top, layers, layer=name).compute(**store_kwargs)
    return result


def _merging_tree(keys: list[Any], every: int, name: str) -> tuple[SimpleGraph, tuple[str, int]]:
    """Tasks that merge what these keys stand for, and the key of the last one."""
    graph: dict[tuple[str, int], tuple[Any, ...]] = {}
    while True:
        level = [keys[start : start + every] for start in range(0, len(keys), every)]
        keys = []
        for group in level:
            key = (name, len(graph))
            graph[key] = (merged, group)
            keys.append(key)
        if len(keys) == 1:
            return graph, keys[0]


def merged(parts: list[Any]) -> ForkSession:
    """One fork with the changes of all of these: forks, or arrays on the stores of forks."""
    forks = [part if isinstance(part, ForkSession) else extract_session(part) for part in parts]
    return merge_sessions(cast(list[ForkSession], forks))


def computing_meta(func: Callable[P, Any]) -> Callable[P, Any]:
    """A decorator for steps of a reduction: returns a dummy while Dask works out types."""

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        return [object()] if kwargs.get("computing_meta", False) else func(*args, **kwargs)

    return wrapper


def merge_sessions_array_kwargs(
    *sessions: Any, axis: object = None, keepdims: object = None
) -> ForkSession:
    """`merge_sessions` with the parameters of a reduction in Dask, which it ignores."""
    return merge_sessions(*sessions)


def runs_here(sources: Sequence[Any], **store_kwargs: Any) -> bool:
    """Whether Dask would compute these with threads of this process."""
    scheduler = get_scheduler(scheduler=store_kwargs.get("scheduler"), collections=list(sources))
    return scheduler in (None, dask.threaded.get, dask.local.get_sync)


def check_shared(session: Session) -> None:
    """Raise `InvalidInputError` if other processes do not see the storage of a session."""
    if session._core.storage.in_this_process and not _workers_are_here():
        raise InvalidInputError(
            "the repository is in the memory of this process, and Dask's workers are other "
            "processes, which cannot write there: keep it in a folder or a bucket, or compute "
            'with threads (dask.config.set(scheduler="threads"))',
            ErrorKind.NOT_ALLOWED,
        )


def _workers_are_here() -> bool:
    """Whether there is a cluster whose workers are threads of this process."""
    try:
        from distributed import get_client

        found = get_client().run(os.getpid)
    except (ImportError, ValueError):
        return False
    return set(found.values()) <= {os.getpid()}


def _check(sources: Sequence[Any], store_kwargs: Mapping[str, Any]) -> None:
    fixed = {"compute", "return_stored", "load_stored", "lock"} & set(store_kwargs)
    if fixed:
        raise TypeError(f"store_dask decides on {', '.join(sorted(fixed))} itself: leave that out")
    for source in sources:
        if not isinstance(source, da.Array):
            raise ValueError(f"all sources are dask arrays, not {type(source).__name__}")


def _check_version() -> None:
    found = version("dask")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_DASK:
        raise ValueError(f"writing with dask needs version 2025.2.0 or newer, this is {found}")
