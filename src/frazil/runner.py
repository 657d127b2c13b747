"""The steps of a plan, run somewhere: on threads of this process, in an executor, on a cluster.

    for result in run(copy_one, keys, on=client): ...

A plan is a list of items, decided on beforehand; a step is a function of one item, which may be
done twice (a cluster does that when a worker dies). On threads anything goes. Elsewhere, function,
items and results are pickled: a function of a module with `functools.partial` for what all steps
share, such as a `Repository`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from frazil.storage.pool import WORKERS, map_parallel

__all__ = ["Future", "Place", "run"]

T = TypeVar("T")
R = TypeVar("R")


class Future(Protocol):
    """A result to come."""

    def result(self) -> Any:
        """The result, or the error of the step, once there is one."""

    def cancel(self) -> Any:
        """Do not begin."""


class Place(Protocol):
    """Where steps are run: a `concurrent.futures.Executor`, or a `distributed.Client`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future:
        """Have `fn(*args)` run."""


def run(
    step: Callable[[T], R], items: Iterable[T], *, on: Place | None = None, ahead: int = 4 * WORKERS
) -> Generator[R, None, None]:
    """`step(item)` for each item, in the order of the items.

    on: an executor or a Dask client; None for the threads that Frazil has anyway. ahead: as many
    steps are under way or waiting to be consumed, so that a long plan takes little memory. The
    first error is raised; steps that have not begun are left out then, as they are when the
    iterator is closed.
    """
    return _here(step, items, ahead) if on is None else _there(step, items, on, ahead)


def _here(step: Callable[[T], R], items: Iterable[T], ahead: int) -> Generator[R, None, None]:
    rest = iter(items)
    while batch := list(islice(rest, ahead)):
        yield from map_parallel(step, batch)


def _there(
    step: Callable[[T], R], items: Iterable[T], place: Place, ahead: int
) -> Generator[R, None, None]:
    submit: Callable[..., Future] = place.submit
    if type(place).__module__.startswith("distributed"):
        # By default it would take equal calls for one, and remember what came of earlier ones.
        submit = partial(submit, pure=False)
    waiting: deque[Future] = deque()
    rest = iter(items)
    try:
        while True:
            waiting.extend(submit(step, item) for item in islice(rest, ahead - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
