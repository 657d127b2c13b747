"""Gathering small chunk objects of existing history into larger ones.

The order: read what the versions refer to, decide what moves where, store the new objects, then
make versions refer to them (`frazil.engine.repacking.publish`). Nothing is deleted. A process that
dies leaves objects that nothing refers to, which a repetition finds again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from frazil.engine.census import Budget
from frazil.engine.collection.leases import Lease
from frazil.engine.copying import End
from frazil.engine.expire import check_writable
from frazil.engine.packs import PACK_BYTES, PACK_CHUNKS, PACKED_CHUNK_BYTES
from frazil.engine.repacking.move import (
    Built,
    How,
    Pack,
    Source,
    build,
    build_there,
    derived_id,
    equal,
    equal_there,
    read_chunks,
    reading,
)
from frazil.engine.repacking.publish import Note, Relocator, commit, rewrite_older
from frazil.engine.repacking.recompress import Recoder, ratio
from frazil.engine.repacking.survey import Survey, stored_chunks, survey
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.tuning import pack_sizes
from frazil.errors import ErrorKind, SnapshotNotFoundError
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.ragged import sort_keys
from frazil.ids import ChunkId, NodeId, SnapshotId
from frazil.library.catalog_v2 import CatalogV2
from frazil.model.keys import Keys
from frazil.model.moments import last_collection
from frazil.model.refs import CLOCK_TOLERANCE
from frazil.model.relocation import Moved, place_keys
from frazil.model.repacking import Chunks, Criteria, Plan, Rows, Sizes, plan
from frazil.model.sweep import Objects
from frazil.progress import task
from frazil.repacking import RepackSummary
from frazil.runner import Place, run
from frazil.storage.pool import map_parallel

MEMORY: Final = 256 * 1024 * 1024
"""Bytes of chunks that are on their way at once, in this process."""
RETAKEN_WITHIN: Final = timedelta(days=1)
"""Objects of an interrupted repack that are younger are taken up again. The lease reaches back so
far."""
_LEASED_SECONDS: Final = 3600
"""What a repack that died has stored is kept from collections for so long."""
_COMPARED_AT_ONCE: Final = 16
"""Pieces of copies, of a few MiB each."""
_SAMPLE: Final = 16
"""Chunks of an array that are compressed anew to see whether it is worth it."""


@dataclass(frozen=True, slots=True)
class Anew:
    """Compress at this level, where that saves a share of at least `saves` of the bytes."""

    level: int
    saves: float


@dataclass(frozen=True, slots=True)
class Options:
    """What to repack. branch: None for all of them; snapshots: older ones, None for every one.

    older: also the snapshots before the tips; chosen: which arrays, by path; together: paths of
    those whose chunks lie side by side; smaller_than: bytes of an object, None for a quarter of
    a full one; dead, before, after: as in `Criteria`.
    """

    branch: str | None
    older: bool
    snapshots: frozenset[SnapshotId] | None
    chosen: Callable[[str], bool]
    together: tuple[str, ...]
    smaller_than: int | None
    dead: float | None
    before: int | None
    after: int | None
    anew: Anew | None
    note: Note
    dry_run: bool


def repack(core: RepositoryCore, options: Options, on: Place | None) -> RepackSummary:
    """See `Repository.repack`."""
    if not options.dry_run:
        check_writable(core.library)
    library = core.library
    began = core.catalog.new_moment()
    versions = _versions(core, options)
    found = survey(library, map(library.snapshot, versions), options.together)
    # After the survey: what was there then is listed now.
    work = _Work.of(core, options, found, stored_chunks(library))
    summary = work.foreseen()
    if options.dry_run:
        return replace(summary, dry_run=True)
    if not len(work.plan.rows) and not len(work.plan.copies):
        return summary
    with Lease(library, _LEASED_SECONDS, reach=RETAKEN_WITHIN):
        moved, summary = work.carry_out(summary, on)
        return _publish(core, options, Relocator(core, moved, began, versions), summary)


def _publish(
    core: RepositoryCore, options: Options, relocator: Relocator, summary: RepackSummary
) -> RepackSummary:
    """Make the versions refer to what has moved."""
    catalog = core.catalog
    commits = {}
    for branch in _branches(core, options):
        if options.snapshots is None or catalog.branch(branch) in options.snapshots:
            id_ = commit(core, branch, relocator, options.note)
            if id_ is not None:
                commits[branch] = str(id_)
    rewritten = 0
    if options.older:
        versions = _versions(core, options)
        rewritten, more = rewrite_older(core, versions, relocator, options.note)
        commits |= more
    return replace(summary, commits=commits, snapshots_rewritten=rewritten)


def _versions(core: RepositoryCore, options: Options) -> list[SnapshotId]:
    """The snapshots to look at, the newest first.

    Raises `SnapshotNotFoundError` if one that was asked for is not in the history.
    """
    catalog = core.catalog
    starts = {catalog.branch(name) for name in _branches(core, options)}
    if not options.older:
        return sorted(starts)
    if options.branch is None:
        starts |= set(catalog.tags().values())
    times: dict[SnapshotId, int] = {}
    for start in sorted(starts):
        for record in catalog.ancestry(start):
            if record.id in times:
                break
            times[record.id] = record.flushed_at
    wanted = times.keys() if options.snapshots is None else options.snapshots
    for id_ in sorted(wanted - times.keys()):
        raise SnapshotNotFoundError(
            f"snapshot {id_} is not in the history of what is to be repacked",
            ErrorKind.SNAPSHOT_NOT_FOUND,
        )
    return sorted(wanted, key=lambda id_: (-times[id_], id_))


def _branches(core: RepositoryCore, options: Options) -> list[str]:
    return sorted(core.catalog.branches()) if options.branch is None else [options.branch]


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A plan, and what it is about. recoders: of the runs that are compressed anew."""

    core: RepositoryCore
    found: Survey
    stored: Objects
    plan: Plan
    recoders: dict[int, Recoder]
    saved: int

    @classmethod
    def of(cls, core: RepositoryCore, options: Options, found: Survey, stored: Objects) -> _Work:
        chosen = np.array([options.chosen(one.node.path) for one in found.runs], np.bool_)
        recoders, ratios = _trials(core, found, chosen, options.anew)
        anew = np.array([i in recoders for i in range(len(found.runs))], np.bool_)
        group = np.array([one.group for one in found.runs], np.int64)
        empty = not len(found)
        chunks = Chunks(
            found.object,
            found.offset,
            found.length,
            found.run if empty else group[found.run],
            np.zeros(0, np.bool_) if empty else chosen[found.run],
            np.zeros(0, np.bool_) if empty else anew[found.run],
            found.twins(),
        )
        target, largest = pack_sizes(core.config)
        # Whoever has turned packs off for what is written asks for them here.
        sizes = Sizes(target, largest or PACKED_CHUNK_BYTES, PACK_CHUNKS)
        smaller = options.smaller_than
        criteria = Criteria(
            max(target // 4, 1) if smaller is None else smaller,
            options.dead,
            options.before,
            options.after,
        )
        made = plan(chunks, stored, criteria, sizes, reading(core.library.backend))
        saved = 0.0
        for i, share in ratios.items():
            own = made.rows[found.run[made.rows] == i]
            saved += float(found.length[own].sum()) * (1 - share)
        return cls(core, found, stored, made, recoders, int(saved))

    def foreseen(self) -> RepackSummary:
        """What it will come to, as far as that is known before."""
        before, after, rows = self.plan.before, self.plan.after, self.plan.rows
        anew = np.isin(self.found.run[rows], list(self.recoders))
        return RepackSummary(
            chunks_moved=len(rows),
            bytes_moved=int(self.found.length[rows].sum()),
            chunks_shared=len(self.plan.copies),
            objects_written=len(self.plan),
            objects_before=before.objects,
            objects_after=after.objects,
            bytes_before=before.nbytes,
            bytes_after=after.nbytes - self.saved,
            requests_before=before.requests,
            requests_after=after.requests,
            dead_bytes=self.plan.dead,
            chunks_recompressed=int(anew.sum()),
            bytes_saved=self.saved,
            objects_missing=self.plan.missing,
        )

    def carry_out(self, summary: RepackSummary, on: Place | None) -> tuple[Moved, RepackSummary]:
        """Store the new objects; where everything is then."""
        library, core = self.core.library, self.core
        budget = Budget(MEMORY)
        written = found = nbytes = saved = anew = 0
        parts: list[Moved] = []

        how = How(library.verify_reads, core.catalog.identity().bytes)

        def here(pack: Pack) -> Built:
            with budget.held(2 * pack.nbytes):
                return build(library.backend, how, pack)

        step: Callable[[Pack], Built] = here
        if on is not None:
            end = End(core.storage, core.config.storage)
            step = partial(build_there, end, how)
        with task("Moving chunks", len(self.plan.rows)) as progress:
            for built in run(step, self.packs(), on=on):
                parts.append(built.moved)
                written += not built.was_there
                found += built.was_there
                nbytes += built.nbytes
                saved += built.saved
                anew += built.anew
                progress.step(len(built.moved))
        library.backend.sync()
        moved = Moved.of(parts)
        shared = self._shared(moved, on)
        left = summary.bytes_after + self.saved - summary.bytes_moved
        return Moved.of([moved, shared]), replace(
            summary,
            objects_written=written,
            objects_found=found,
            chunks_shared=len(shared),
            bytes_after=left + nbytes,
            chunks_recompressed=anew,
            bytes_saved=saved,
        )

    def _shared(self, moved: Moved, on: Place | None) -> Moved:
        """What stands for copies, as far as they are such."""
        core, copies = self.core, self.plan.copies
        compare = partial(equal, core.library.backend)
        if on is not None:
            compare = partial(equal_there, End(core.storage, core.config.storage))
        equals = [np.empty(0, np.bool_)]
        with task("Comparing copies", len(copies)) as progress:
            for mask in run(compare, self._pairs(), on=on, ahead=_COMPARED_AT_ONCE):
                equals.append(mask)
                progress.step(len(mask))
        copies = copies[np.concatenate(equals)]
        refs, others = self.found.refs(copies[:, 0]), self.found.refs(copies[:, 1])
        now = moved.apply(others) or others
        assert now.checksum is not None
        old = place_keys(refs.object, refs.offset, refs.length)
        return Moved(old, now.object, now.offset, now.length, now.checksum)

    def _pairs(self) -> Iterator[tuple[ChunkRefs, ChunkRefs]]:
        """Copies and what may stand for them, a few bytes at a time."""
        copies = self.plan.copies
        end = np.cumsum(self.found.length[copies[:, 0]])
        for part in np.split(copies, np.flatnonzero(np.diff(end // np.uint64(PACK_BYTES))) + 1):
            if len(part):
                yield self.found.refs(part[:, 0]), self.found.refs(part[:, 1])

    def packs(self) -> Iterator[Pack]:
        """The steps."""
        library, stored = self.core.library, self.stored
        young = stored.too_new(self._retaken_since())
        usable = np.union1d(young, np.intersect1d(sort_keys(self.found.object), stored.ids))
        there = np.sort(stored.ids)
        for rows in self.plan.packs():
            sources, source, refs = self._contents(rows)
            id_ = derived_id(sources, source, refs)
            if any(one.recoder is not None for one in sources):
                # Another version of a compressor makes other bytes: not one id for both.
                yield Pack(library.new_id(ChunkId), sources, source, refs)
            elif not _has(there, id_):
                yield Pack(id_, sources, source, refs)
            elif _has(usable, id_):
                yield Pack(id_, sources, source, refs, is_there=True)
            else:
                # Somebody may be about to collect it.
                yield Pack(library.new_id(ChunkId), sources, source, refs)

    def _retaken_since(self) -> int:
        """What was stored since then (us) by a repack that died is taken up again.

        Not what a collection has seen: it may be about to delete it.
        """
        core = self.core
        since = core.library.now() - RETAKEN_WITHIN // timedelta(microseconds=1)
        if isinstance(core.catalog, CatalogV2):
            since = max(since, last_collection(core.catalog.info()) + CLOCK_TOLERANCE)
        return since

    def _contents(self, rows: Rows) -> tuple[tuple[Source, ...], npt.NDArray[np.int64], ChunkRefs]:
        found = self.found
        runs, source = np.unique(found.run[rows], return_inverse=True)
        sources = []
        for i, run_ in enumerate(runs.tolist()):
            one = found.runs[run_]
            index = one.index[found.row[rows[source == i]]]
            sources.append(Source(one.node.id, one.node.path, index, self.recoders.get(run_)))
        return tuple(sources), source.astype(np.int64), found.refs(rows)


def _has(ids: Keys, id_: ChunkId) -> bool:
    key = np.frombuffer(id_, "S12")[0]
    at = int(np.searchsorted(ids, key))
    return at < len(ids) and bool(ids[at] == key)


def _trials(
    core: RepositoryCore, found: Survey, chosen: npt.NDArray[np.bool_], anew: Anew | None
) -> tuple[dict[int, Recoder], dict[int, float]]:
    """The runs that are compressed anew, by number; and how much remains of each.

    One sample of each array, of its newest version, decides for all of it.
    """
    recoders: dict[int, Recoder] = {}
    ratios: dict[int, float] = {}
    if anew is None:
        return recoders, ratios
    runs: dict[tuple[NodeId, Recoder], list[int]] = {}
    for i in np.flatnonzero(chosen).tolist():
        node = found.runs[i].node
        recoder = Recoder.of(node.user_data, anew.level)
        if recoder is not None:
            runs.setdefault((node.id, recoder), []).append(i)

    def trial(item: tuple[tuple[NodeId, Recoder], list[int]]) -> float:
        (_, recoder), own = item
        rows = np.flatnonzero(found.run == own[0])
        some = rows[np.unique(np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64))]
        data = read_chunks(core.library.backend, found.refs(some))
        return ratio(recoder, [data[i] or b"" for i in range(len(data))])

    with task("Trying compression", len(runs)) as progress:
        for (key, own), share in zip(runs.items(), map_parallel(trial, runs.items()), strict=True):
            if share <= 1 - anew.saves:
                for i in own:
                    recoders[i], ratios[i] = key[1], share
            progress.step()
    return recoders, ratios
