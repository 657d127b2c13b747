"""Coroutine twins of blocking methods: the same call on the I/O pool."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from frazil.storage.pool import io_pool

P = ParamSpec("P")
R = TypeVar("R")


async def in_pool(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a blocking call, which runs on the I/O pool."""
    call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(io_pool(), call)


def twin(method: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """The coroutine function that runs `method` on the I/O pool; same signature and errors."""

    @functools.wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await in_pool(method, *args, **kwargs)

    run.__name__ = f"{method.__name__}_async"
    run.__qualname__ = f"{method.__qualname__}_async"
    run.__doc__ = f"As `{method.__name__}`, awaitable.\n\n{method.__doc__ or ''}"
    return run
