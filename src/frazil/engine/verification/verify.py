"""Looking whether everything that branches and tags lead to is there, and as it was written.

| level | what is looked at |
|---|---|
| metadata | the repo object, snapshots, logs, manifests, and what these say of each other |
| objects | as well: whether chunk objects are there, with enough bytes, and no chunks overlap |
| data | as well: the bytes of chunks, against the checksums in references and footers |

Everything is read from the storage, whatever is in memory. References are held as rows, as many
as memory allows; if these are not all, there are several passes, each of which reads the
manifests again and looks at the objects whose ids lie in a range (`rows`).
The steps (`steps`) run on threads, in an executor, or on a cluster.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frazil.engine.copying import End
from frazil.engine.repository_core import RepositoryCore
from frazil.engine.times import moment
from frazil.engine.verification.objects import Objects, evenly
from frazil.engine.verification.progress import Notes, Progress
from frazil.engine.verification.rows import BYTES_PER_ROW, END, Window
from frazil.engine.verification.steps import (
    ChunksFound,
    Claims,
    Decodable,
    Found,
    Look,
    ManifestItem,
    ObjectsItem,
    Range,
    check_chunks,
    check_manifests,
    check_snapshots,
    chunk_of,
)
from frazil.engine.verification.tips import ancestry, check_surroundings, find_tips
from frazil.errors import (
    ErrorKind,
    FormatError,
    NodeNotFoundError,
    NotFoundError,
    StorageError,
)
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.progress import task
from frazil.runner import Place, run
from frazil.verification import Finding, FindingKind, Level, VerifyReport

_AT_ONCE = 8
"""Steps at once on threads of this process; elsewhere, there are more, and memory, too."""
_AHEAD = 64
_SNAPSHOTS_PER_STEP = 16
_MANIFESTS_PER_STEP = 32
_REFS_PER_STEP = 1_000_000
_READS_AT_ONCE = 4

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look at: what these branches and tags lead to (None: all), below a path, since µs.

    sample: of the chunk objects this share is read at level "data".
    """

    branch: str | None = None
    tag: str | None = None
    path: str = "/"
    since: int = 0
    sample: float = 1.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing but chunk objects is left out."""
        return self == Scope(sample=self.sample)

    def question(self, level: Level) -> dict[str, Any]:
        """As plain values, with the level."""
        return {
            "level": level,
            "branch": self.branch,
            "tag": self.tag,
            "path": self.path,
            "since": self.since,
            "sample": self.sample,
        }


def verify(
    core: RepositoryCore,
    level: Level,
    scope: Scope,
    *,
    memory: int,
    decode: Decodable,
    on: Place | None = None,
    resume: Path | None = None,
) -> VerifyReport:
    """Look at a repository; nothing is changed.

    memory: bytes for references; resume: the file for notes of how far it has come. Raises
    errors of the storage other than of objects that are missing or too short, and
    `NodeNotFoundError` if nothing in the history has the path.
    """
    return _Verifier(core, level, scope, memory, decode, on).run(resume)


class _Verifier:
    def __init__(
        self,
        core: RepositoryCore,
        level: Level,
        scope: Scope,
        memory: int,
        decode: Decodable,
        on: Place | None,
    ) -> None:
        self._core = core
        self._level = level
        self._scope = scope
        self._rows = memory // BYTES_PER_ROW
        # Not through the caches, which would hide what is wrong.
        end = End(core.storage, core.config.storage)
        self._look = Look(end, scope.path, scope.since, decode if level == "data" else None)
        self._backend = end.open()
        self._on = on
        self._ahead = _AT_ONCE if on is None else _AHEAD
        self._findings: list[Finding] = []
        self._claims: dict[ManifestId, Claims] = {}
        self._sources: list[tuple[ManifestId, NodeId, str]] = []
        self._documents: dict[int, tuple[bytes, ...]] = {}
        self._inline = 0, 0
        """Chunks in manifests that were decoded, and that could not be tried."""

    def run(self, resume: Path | None) -> VerifyReport:
        core, scope, identity = self._core, self._scope, self._identity()
        question = {"repository": identity, **scope.question(self._level)}
        notes = None if resume is None else Notes(resume, question)
        progress = None if notes is None else notes.read()
        resumed = progress is not None
        if progress is None or not self._are_known(progress.tips):
            tips, found = find_tips(core.catalog, self._backend, scope.branch, scope.tag)
            self._note(found)
            progress, resumed = Progress(core.library.now(), tuple(tips)), False
        if not self._findings:
            self._note(check_surroundings(core.catalog, self._backend))
        snapshots = self._read_snapshots(progress.tips)
        items = self._items()
        try:
            self._passes(items, progress, notes)
        except BaseException:
            if notes is not None:
                notes.write(progress, now=True)
            raise
        if notes is not None:
            notes.remove()
        decoded, unchecked = self._inline
        order = list(FindingKind)
        every = [*self._findings, *progress.findings]
        every.sort(key=lambda one: (order.index(one.kind), one.object, one.chunk or ()))
        return VerifyReport(
            self._level,
            snapshots,
            len(items),
            progress.objects,
            progress.chunks,
            progress.checked,
            progress.unchecked + unchecked,
            tuple(every),
            progress.decoded + decoded,
            moment(progress.begun_at),
            moment(core.library.now()),
            resumed,
            identity,
        )

    def _identity(self) -> str | None:
        try:
            return str(self._core.catalog.identity())
        except (FormatError, NotFoundError, StorageError):
            return None  # what is wrong is among the findings

    def _are_known(self, tips: Iterable[SnapshotId]) -> bool:
        """Whether what a verification began with is still in the repository."""
        lookup = self._core.catalog.lookup()
        return all(self._backend.exists(f"snapshots/{id_}") and lookup(id_) for id_ in tips)

    def _note(self, found: Iterable[Found]) -> None:
        self._findings += self._resolved(found)

    def _resolved(self, found: Iterable[Found]) -> list[Finding]:
        """Findings that say which array and chunk they are about."""
        found = list(found)
        wanted: dict[ManifestId, list[tuple[int, NodeId, int]]] = defaultdict(list)
        paths: dict[int, str] = {}
        for i, one in enumerate(found):
            if one.place is not None:
                manifest, node, paths[i] = self._sources[one.place[0]]
                wanted[manifest].append((i, node, one.place[1]))
        chunks: dict[int, tuple[int, ...] | None] = {}
        for manifest, places in wanted.items():
            known = chunk_of(self._backend, manifest, [(node, row) for _, node, row in places])
            chunks |= {i: chunk for (i, _, _), chunk in zip(places, known, strict=True)}
        result = []
        for i, one in enumerate(found):
            path, chunk = one.chunk or (paths.get(i), chunks.get(i))
            result.append(Finding(one.kind, one.key, one.message, path, chunk, one.chunks))
        return result

    def _read_snapshots(self, tips: Sequence[SnapshotId]) -> int:
        wanted = ancestry(self._core.catalog, tips, self._scope.since)
        batches = iter(lambda: list(islice(wanted, _SNAPSHOTS_PER_STEP)), [])
        step = partial(check_snapshots, self._look)
        count, has_path = 0, self._scope.path == "/"
        with task("Verifying snapshots") as progress:
            for result in run(step, batches, on=self._on, ahead=self._ahead):
                self._note(result.found)
                has_path |= result.has_path
                for id_, claims in result.claims.items():
                    self._claims.setdefault(id_, claims).add(claims)
                count += result.count
                progress.step(result.count)
        if count and not has_path and not self._findings:
            raise NodeNotFoundError(
                f"no version that was to be looked at has a node at {self._scope.path}",
                ErrorKind.NODE_NOT_FOUND,
            )
        return count

    def _items(self) -> list[ManifestItem]:
        """The manifests in the order of their ids, with their arrays numbered."""
        items = []
        for id_, claims in sorted(self._claims.items()):
            items.append(ManifestItem(id_, claims, len(self._sources)))
            for node, claim in sorted(claims.arrays.items()):
                if claim.documents:
                    self._documents[len(self._sources)] = claim.documents
                self._sources.append((id_, node, claim.path))
        return items

    def _passes(self, items: list[ManifestItem], progress: Progress, notes: Notes | None) -> None:
        again = False
        while True:
            window = Window(progress.frontier, self._rows)
            self._read_manifests(items, window, again=again)
            if self._level != "metadata":
                self._check_objects(window, progress, notes)
            if window.stop == END:
                return
            again = True

    def _read_manifests(self, items: list[ManifestItem], window: Window, *, again: bool) -> None:
        # Below level "objects" no reference is needed.
        start = END if self._level == "metadata" else window.start
        with task("Verifying manifests", len(items)) as progress:
            step = partial(check_manifests, self._look)
            # The range becomes narrower as the pass goes on.
            steps = ((Range(start, window.stop, again), batch) for batch in _batches(items))
            for result in run(step, steps, on=self._on, ahead=self._ahead):
                for rows in result.rows:
                    window.add(rows)
                result.rows.clear()
                self._note(result.found)
                decoded, unchecked = self._inline
                self._inline = decoded + result.decoded, unchecked + result.unchecked
                progress.step(result.count)

    def _check_objects(self, window: Window, progress: Progress, notes: Notes | None) -> None:
        objects = Objects.of(self._backend, window.rows())
        found, readable = objects.check()
        found.reverse()
        done = 0

        def advance(upto: int, more: Sequence[Found] = ()) -> None:
            """The objects before object `upto` are done."""
            nonlocal done
            every = list(more)
            while found and found[-1][0] < upto:
                every.append(found.pop()[1])
            progress.findings += self._resolved(every)
            progress.objects += upto - done
            progress.chunks += objects.chunks_before(upto) - objects.chunks_before(done)
            progress.frontier = objects.high(upto) if upto < len(objects) else window.stop
            done = upto
            if notes is not None:
                notes.write(progress)

        if self._level == "data":
            chosen = evenly(progress.objects, len(objects), self._scope.sample) & readable
            for upto, result in self._read_chunks(objects, chosen):
                progress.checked += result.checked
                progress.decoded += result.decoded
                progress.unchecked += result.unchecked
                advance(upto, result.found)
        advance(len(objects))

    def _read_chunks(self, objects: Objects, chosen: Mask) -> Iterator[tuple[int, ChunksFound]]:
        """What came of the chosen objects, and how far that is."""
        ends: deque[int] = deque()

        def steps() -> Iterator[ObjectsItem]:
            for upto, item in objects.steps(chosen, self._documents):
                ends.append(upto)
                yield item

        step = partial(check_chunks, self._look)
        ahead = _READS_AT_ONCE if self._on is None else _AHEAD
        with task("Verifying chunks", len(objects)) as progress:
            before = 0
            for result in run(step, steps(), on=self._on, ahead=ahead):
                upto = ends.popleft()
                progress.step(upto - before)
                before = upto
                yield upto, result


def _batches(items: Sequence[ManifestItem]) -> Iterator[list[ManifestItem]]:
    """Manifests of one step: few, and with not too many references."""
    batch: list[ManifestItem] = []
    refs = 0
    for item in items:
        count = item.claims.info.num_refs
        if batch and (refs + count > _REFS_PER_STEP or len(batch) == _MANIFESTS_PER_STEP):
            yield batch
            batch, refs = [], 0
        batch.append(item)
        refs += count
    if batch:
        yield batch
