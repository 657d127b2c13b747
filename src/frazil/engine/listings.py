"""Reading of snapshots only what says which files are needed, and which snapshot came before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from frazil.errors import IcechunkError, InvalidInputError
from frazil.format.snapshot import Listing, decode_listing
from frazil.ids import SnapshotId
from frazil.library.files import Library
from frazil.storage.pool import map_parallel

_FEW = 4


def read_listing(library: Library, id_: SnapshotId) -> Listing:
    """The listing of a snapshot as it is stored now; `StorageError` if there is no such file."""
    key = f"snapshots/{id_}"
    return decode_listing(library.backend.get(key), where=key)


def with_ancestors(
    library: Library, tips: Iterable[SnapshotId], *, known: Collection[SnapshotId], limit: int
) -> Iterator[Listing]:
    """These snapshots of a spec 1 repository and all before them, but for the `known` ones.

    Only a snapshot's file says which one came before it. Not to wait for one at a time, up to
    `limit` are read at once: those that are needed, and those that may be next by the times of
    their files, as many as have turned out to be needed.
    """
    done = set(known)
    wanted = set(tips) - done
    likely, guesses = _newest_first(library), _FEW
    while wanted:
        needed = list(islice(wanted, limit))
        free = min(guesses, limit - len(needed))
        guessed = list(islice((id_ for id_ in likely if id_ not in wanted | done), free))
        found = dict(map_parallel(lambda id_: (id_, _read(library, id_)), [*needed, *guessed]))
        hits = 0
        while needed:
            id_ = needed.pop()
            listing = found.pop(id_)
            if isinstance(listing, IcechunkError):
                raise listing
            wanted.discard(id_)
            done.add(id_)
            parent = listing.parent_id
            if parent is not None and parent not in wanted and parent not in done:
                wanted.add(parent)
                if parent in found:
                    hits += 1
                    needed.append(parent)
            yield listing
        if guessed:
            guesses = 2 * guesses if 2 * hits >= len(guessed) else max(1, guesses // 2)


def _read(library: Library, id_: SnapshotId) -> Listing | IcechunkError:
    try:
        return read_listing(library, id_)
    except IcechunkError as error:
        return error  # of a file that perhaps nobody needs


def _newest_first(library: Library) -> Iterator[SnapshotId]:
    stored = sorted(library.backend.list("snapshots"), key=lambda info: info.last_modified)
    for info in reversed(stored):
        try:
            yield SnapshotId.parse(info.key.rpartition("/")[2])
        except InvalidInputError:
            continue  # not ours
