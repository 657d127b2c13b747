"""Helpers for programs that write one commit with many processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from frazil.session import ForkSession, Session

if TYPE_CHECKING:
    import zarr
    from zarr.core.metadata import ArrayV3Metadata

__all__ = ["extract_session", "merge_sessions"]


def extract_session(
    zarray: zarr.Array[ArrayV3Metadata], axis: object = None, keepdims: object = None
) -> Session:
    """The session behind an array; the parameters are those of a reduction in Dask."""
    session: Session = zarray.store.session  # type: ignore[attr-defined]
    return session


def merge_sessions(
    *sessions: ForkSession | list[ForkSession] | list[list[ForkSession]],
) -> ForkSession:
    """Merge all these forks, in order, into the first one, and return that.

    Lists are flattened. Raises `TypeError` for anything that is no fork, `ValueError` without
    any, and what `Session.merge` raises.
    """
    forks = list(_flat(sessions))
    if not forks:
        raise ValueError("there are no sessions to merge")
    first, *others = forks
    first.merge(*others)
    return first


def _flat(sessions: Iterable[Any]) -> Iterator[ForkSession]:
    for item in sessions:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        elif isinstance(item, ForkSession):
            yield item
        else:
            raise TypeError(
                f"merge_sessions takes ForkSession objects, not {type(item).__name__}: to merge "
                "forks into a session, use session.merge(*forks)"
            )
