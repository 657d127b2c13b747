"""Which of the stored objects are needed, found out by reading what branches and tags lead to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from frazil.engine.census import Census, Limits, by_manifest, tips_of
from frazil.engine.copying import End
from frazil.engine.inventory import look_at
from frazil.errors import ConflictError, ErrorKind
from frazil.format.manifest import decode_owned_objects, object_blocks
from frazil.format.ragged import sort_keys
from frazil.format.repo_info import RepoInfo
from frazil.format.updates import Update, UpdateKind
from frazil.ids import ManifestId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import CatalogV2
from frazil.library.files import Library
from frazil.model.keys import Keys, raw_ids
from frazil.model.listed import Listed, raw_rows
from frazil.model.refs import UNSTAMPED, note_collection
from frazil.model.sweep import Depends, drop, kept_rows, logs_to_keep, reached_rows
from frazil.model.uses import NO_PARTS, Tally, Uses
from frazil.runner import Place, run


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where manifests are read, if not here: on a cluster or in an executor."""

    end: End
    on: Place

    def uses(self, parts: Keys) -> Iterator[Uses]:
        """Of the chunk objects of these parts, for each manifest."""
        return run(partial(_uses_of, self.end), by_manifest(parts), on=self.on)


def _uses_of(end: End, item: tuple[ManifestId, frozenset[bytes]]) -> Uses:
    id_, nodes = item
    key = f"manifests/{id_}"
    _, owner, ids = decode_owned_objects(end.open().get(key), where=key, nodes=nodes)
    return Uses.of_arrays(owner, ids)


@dataclass
class ChunkMarks:
    """Reads the manifests of parts once each, and marks the chunk objects that they name.

    chunks: where they are marked, if they are listed. counted: whether uses are counted too, in
    `uses`, one for each manifest. elsewhere: who reads. known: parts that need not be read.
    """

    chunks: Listed | None
    counted: bool = False
    elsewhere: Elsewhere | None = None
    known: Keys = field(default_factory=lambda: NO_PARTS)
    uses: list[Uses] = field(default_factory=list)

    def update(self, census: Census) -> None:
        """Read what the snapshots of the census need and has not been read.

        What a shared file holds of arrays that have left it needs no chunks.
        """
        parts = census.parts()
        new = parts[~np.isin(parts, self.known)]
        if self.elsewhere is None:
            census.read_manifests(new, self.use)
        else:
            for uses in self.elsewhere.uses(new):
                self._take(uses)
        self.known = np.union1d(self.known, parts)

    def use(self, data: bytes, where: str, nodes: frozenset[bytes]) -> None:
        """Mark what these arrays in one manifest file name."""
        if self.counted:
            _, owner, ids = decode_owned_objects(data, where=where, nodes=nodes)
            self._take(Uses.of_arrays(owner, ids))
        elif self.chunks is not None:
            for ids in object_blocks(data, where=where, nodes=nodes):
                self.chunks.need(ids)

    def _take(self, uses: Uses) -> None:
        if self.counted:
            self.uses.append(uses)
        if self.chunks is not None:
            self.chunks.need(uses.ids)


@dataclass(frozen=True, slots=True)
class Rules:
    """How to mark.

    cutoff: us since the epoch; dry_run: change nothing; unread: snapshots that need not be read, as
    their parts are `known`; the rest as in `ChunkMarks`.
    """

    cutoff: int
    dry_run: bool
    limits: Limits
    counted: bool = False
    elsewhere: Elsewhere | None = None
    known: Keys = field(default_factory=lambda: NO_PARTS)
    unread: Keys = field(default_factory=lambda: np.empty(0, "S12"))


@dataclass(frozen=True, slots=True)
class Marked:
    """What has been read; logs: S12[n], the transaction logs that are needed, sorted."""

    census: Census
    chunks: ChunkMarks
    tally: Tally
    logs: Keys

    def need(self, stored: dict[str, Listed]) -> None:
        """Mark it in the listings of these folders."""
        needed = {
            "snapshots": self.census.snapshots(),
            "transactions": self.logs,
            "manifests": self.census.manifests()[0],
        }
        for folder, ids in needed.items():
            if folder in stored:
                stored[folder].need(raw_rows(ids))


def mark(library: Library, catalog: Catalog, stored: dict[str, Listed], rules: Rules) -> Marked:
    """Mark what is needed in the listings of the folders.

    Not in a dry run, the list of snapshots of a spec 2 repository forgets those that are not
    needed, in one change with which nothing is lost that appeared meanwhile.
    """
    if isinstance(catalog, CatalogV2):
        return _mark_v2(library, catalog, stored, rules)
    return _mark_v1(library, catalog, stored, rules)


def _chunks(stored: dict[str, Listed], rules: Rules) -> ChunkMarks:
    listed = stored.get("chunks")
    if listed is not None:
        listed.forget()
    return ChunkMarks(listed, rules.counted, rules.elsewhere, rules.known)


def _mark_v1(library: Library, catalog: Catalog, stored: dict[str, Listed], rules: Rules) -> Marked:
    census, chunks = Census(library, rules.limits), _chunks(stored, rules)
    tips = tips_of(catalog)
    while tips:
        census.follow(tips)
        chunks.update(census)
        # Somebody may have moved a branch or made one meanwhile.
        tips = {tip for tip in tips_of(catalog) if tip not in set(raw_ids(census.snapshots()))}
    marked = Marked(census, chunks, Tally(), census.snapshots())
    marked.need(stored)
    return marked


def _read(census: Census, ids: Keys, rules: Rules) -> None:
    known = np.isin(ids, rules.unread)
    census.skip(ids[known])
    census.read_snapshots(ids[~known])


def _mark_v2(
    library: Library, catalog: CatalogV2, stored: dict[str, Listed], rules: Rules
) -> Marked:
    tries = 0
    snapshots = stored["snapshots"]
    # What is stored from now on is in no listing, even if the cutoff is later.
    cutoff = min(rules.cutoff, library.now())
    while True:
        info = catalog.info()
        keys = sort_keys(info.snapshots.rows["id"])
        unreached = snapshots.others(raw_rows(keys[reached_rows(info)]))
        lost = look_at(library.backend, "snapshots", snapshots, unreached)
        kept = kept_rows(info, lost, rules.cutoff)
        tally = Tally()
        census = Census(library, rules.limits, tally if rules.counted else None)
        chunks = _chunks(stored, rules)
        _read(census, keys[kept], rules)
        chunks.update(census)
        gone = keys[~kept]
        garbage = lost.ids[lost.garbage(keys[kept], rules.cutoff)]

        def edit(
            info: RepoInfo, known: Keys = keys, gone: Keys = gone, garbage: Keys = garbage
        ) -> tuple[RepoInfo, Update]:
            # So that a writer in whose place this is can tell what is about to be deleted.
            left = note_collection(drop(info, known, gone, garbage), cutoff)
            return left, Update(UpdateKind.GC_RAN, UNSTAMPED)

        try:
            after = edit(info)[0] if rules.dry_run else catalog.update(edit)
        except Depends as error:
            tries += 1
            if tries >= catalog.retries.max_tries:
                raise ConflictError(
                    message="branches, tags or snapshots that need what was about to be deleted "
                    f"appeared at each of {tries} tries: try again",
                    kind=ErrorKind.UPDATE_ATTEMPTS_EXHAUSTED,
                ) from error
            time.sleep(catalog.retries.pause(tries))
            continue
        while not rules.dry_run:
            # New snapshots may repeat what was judged, as a cherry-pick of a lost commit does.
            after = catalog.info()
            new = np.setdiff1d(sort_keys(after.snapshots.rows["id"]), census.snapshots())
            if not len(new):
                break
            _read(census, new, rules)
            chunks.update(census)
        marked = Marked(census, chunks, tally, logs_to_keep(after.snapshots))
        marked.need(stored)
        return marked
