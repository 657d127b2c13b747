"""Rewriting the manifests that a change touches, and as few others as possible.

What is to be read is decided before anything is: all of it is fetched at once. Small manifests
of many arrays go into one file; see `frazil.model.manifest_growth` and `manifest_sharing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, islice

import numpy as np
import numpy.typing as npt

from frazil.format.chunk_refs import ChunkRefs
from frazil.format.manifest import Manifest
from frazil.format.snapshot import ManifestInfo, ManifestRef, ManifestTable, Node, NodeTable
from frazil.ids import ManifestId, NodeId
from frazil.library.files import Library
from frazil.library.uploads import Uploads
from frazil.model.changes import ChunkEdits
from frazil.model.manifest_growth import meet, reached, rewritten
from frazil.model.manifest_plan import Layout, cells_of, cut, merge, merged, touched
from frazil.model.manifest_sharing import PART_REFS, gather, scattered
from frazil.model.overlay import Box, bounding_box, within
from frazil.storage.pool import WORKERS, map_parallel

LayoutOf = Callable[[Node], Layout]
Placed = tuple[ManifestRef, ManifestInfo]

_FETCHED_AHEAD = 4_000_000
"""References that are brought into memory before they are needed."""
_PARTS_AT_ONCE = 4
"""Large manifests that are encoded at the same time."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Arrays with the manifests they have after a change, and the files that are new."""

    nodes: tuple[Node, ...]
    new: tuple[ManifestInfo, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    """What an array's edits were put into, and the manifests that are gone with that."""

    source: object
    consumed: tuple[ManifestRef, ...]
    placed: tuple[Placed, ...]


@dataclass(slots=True)
class _Task:
    """One array to be rewritten. chosen: of its manifests those to read, as far as is known."""

    node: Node
    edits: ChunkEdits
    layout: Layout
    base: tuple[ManifestRef, ...]
    chosen: npt.NDArray[np.bool_]
    known: _Written | None = None

    @property
    def source(self) -> object:
        # The edits themselves, not their id: that may be given to another object.
        return self.edits, self.edits.generation, self.layout


@dataclass(slots=True)
class Plan:
    """What a commit is going to do with manifests."""

    tasks: list[_Task]
    moves: list[tuple[Node, ManifestRef]]
    """References of unchanged arrays that are gathered with what is written."""
    sizes: dict[ManifestId, int] = field(default_factory=dict)
    """References of each file to be read."""


class ManifestWriter:
    """Writes the manifests of one session.

    What it wrote for one try of a commit serves the next: a rebase over commits that leave the
    touched manifests alone writes none.
    """

    def __init__(self, library: Library, layout: LayoutOf, fetches: int | None = None) -> None:
        """fetches: how many manifests are fetched at the same time, if that is limited."""
        self._library = library
        self._fetches = fetches or WORKERS + 1
        self._layout = layout
        self._written: dict[NodeId, _Written] = {}
        self._moved: dict[tuple[NodeId, ManifestRef], Placed] = {}

    def forget(self) -> None:
        """Write everything anew at the next try: what was written may not be stored."""
        self._written, self._moved = {}, {}

    def plan(
        self,
        arrays: Iterable[tuple[Node, ChunkEdits]],
        nodes: NodeTable,
        manifests: ManifestTable,
        current: Callable[[Node], Node | None] = lambda node: node,
    ) -> Plan:
        """Decide what to read and to write, without reading.

        arrays: those with edits; nodes, manifests: of the snapshot that the edits are made to;
        current: what has become of an array of it, None if it is gone.
        """
        counts = _Counts(manifests)
        tasks = [self._task(node, edits, counts) for node, edits in arrays]
        moves: list[tuple[Node, ManifestRef]] = []
        if any(not task.layout.exact and task.known is None for task in tasks) or self._moved:
            changed = {task.node.id for task in tasks}
            moves = self._moves(nodes, manifests, changed, current)
        plan = Plan(tasks, moves)
        for task in tasks:
            if task.known is None:
                for manifest in compress(task.base, task.chosen):
                    plan.sizes[manifest.id] = counts.of(manifest.id)
        for node, manifest in moves:
            if (node.id, manifest) not in self._moved:
                plan.sizes[manifest.id] = counts.of(manifest.id)
        return plan

    def _task(self, node: Node, edits: ChunkEdits, counts: _Counts) -> _Task:
        layout = self._layout(node)
        # An array whose rank has changed keeps nothing of what it had.
        base = tuple(m for m in node.manifests if len(m.extents) in (0, len(node.shape)))
        columns = edits.columns()
        task = _Task(node, edits, layout, base, np.zeros(len(base), np.bool_))
        known = self._written.get(node.id)
        if known is not None and known.source != task.source:
            known = None
        if layout.exact:
            cells = cells_of(columns.index, layout.sizes)
            task.chosen = touched(base, cells, layout.sizes, edits.visible)
            return task
        if known is not None and _still_fits(known, base, columns, edits):
            task.known = known
        else:
            task.chosen = rewritten(
                base, columns, layout.sizes, edits.visible, lambda m: counts.of(m.id)
            )
        return task

    def _moves(
        self,
        nodes: NodeTable,
        manifests: ManifestTable,
        changed: set[NodeId],
        current: Callable[[Node], Node | None],
    ) -> list[tuple[Node, ManifestRef]]:
        if self._moved:
            # At a later try only what has been gathered already.
            again = []
            for id_, manifest in self._moved:
                row = nodes.find_id(id_)
                node = current(nodes.node(row)) if row >= 0 and id_ not in changed else None
                if node is not None and manifest in node.manifests:
                    again.append((node, manifest))
            return again
        found = []
        for file, rows in scattered(nodes, manifests, changed):
            own = [node for row in rows if (node := current(nodes.node(row))) is not None]
            if not any(self._layout(node).exact for node in own):
                found += [(node, m) for node in own for m in node.manifests if m.id == file]
        return found

    def fetch(self, plan: Plan) -> None:
        """Bring into memory, in parallel, what a plan reads, unless that is very much."""
        missing = [id_ for id_ in plan.sizes if self._library.known_manifest(id_) is None]
        if sum(plan.sizes[id_] for id_ in missing) <= _FETCHED_AHEAD:
            map_parallel(self._library.manifest, missing, limit=self._fetches)

    def write(self, plan: Plan, uploads: Uploads | None = None) -> Rewritten:
        """Store what the plan says; returns the arrays that refer to it.

        With `uploads` the files are stored in the background.
        """
        self.fetch(plan)
        store = _Store(self._library, uploads)
        consumed = [self._cut(task, store) for task in plan.tasks]
        first_move = len(plan.tasks)
        for i, (node, manifest) in enumerate(plan.moves, first_move):
            known = self._moved.get((node.id, manifest))
            if known is not None:
                store.placed.setdefault(i, []).append(known)
            else:
                store.add(i, node, [within(self._refs(node, manifest), manifest.extents)])
        store.finish()
        nodes = []
        for i, (task, gone) in enumerate(zip(plan.tasks, consumed, strict=True)):
            placed = tuple(store.placed.get(i, ()))
            self._written[task.node.id] = _Written(task.source, gone, placed)
            nodes.append(_with(task.node, [m for m in task.base if m not in gone], placed))
        moved: dict[NodeId, tuple[Node, list[ManifestRef], list[Placed]]] = {}
        for i, (node, manifest) in enumerate(plan.moves, first_move):
            placed = tuple(store.placed.get(i, ()))
            for one in placed:
                self._moved[node.id, manifest] = one
            _, gone_, new = moved.setdefault(node.id, (node, [], []))
            gone_.append(manifest)
            new += placed
        for node, gone_, new in moved.values():
            nodes.append(_with(node, [m for m in node.manifests if m not in gone_], new))
        infos = {info.id: info for placed_ in store.placed.values() for _, info in placed_}
        return Rewritten(tuple(nodes), tuple(infos.values()))

    def _cut(self, task: _Task, store: _Store) -> tuple[ManifestRef, ...]:
        """Hand the new manifests of an array to `store`; returns those that they replace."""
        i = store.next()
        if task.known is not None:
            store.placed[i] = list(task.known.placed)
            return task.known.consumed
        columns, visible, sizes = task.edits.columns(), task.edits.visible, task.layout.sizes
        reached = self._reached(task)
        consumed = tuple(compress(task.base, task.chosen))
        known = self._written.get(task.node.id)
        if known is not None and (known.source, known.consumed) == (task.source, consumed):
            store.placed[i] = list(known.placed)
            return consumed
        stored = list(zip(consumed, reached, strict=True))
        store.add(i, task.node, merged(stored, columns, sizes, visible), alone=task.layout.exact)
        return consumed

    def _reached(self, task: _Task) -> list[ChunkRefs]:
        """The references of the chosen manifests.

        In an exact layout these may lie in further cells, whose manifests are then chosen too.
        """
        node, base, sizes = task.node, task.base, task.layout.sizes
        while True:
            reached = [self._refs(node, manifest) for manifest in compress(base, task.chosen)]
            if not task.layout.exact or task.chosen.all():
                return reached
            index = [task.edits.columns().index, *(refs.index for refs in reached)]
            cells = cells_of(np.concatenate(index), sizes)
            more = touched(base, cells, sizes, task.edits.visible)
            if (more == task.chosen).all():
                return reached
            task.chosen = more
            wanted = {m.id for m in compress(base, more)}
            map_parallel(self._library.manifest, wanted, limit=self._fetches)

    def cut_anew(self, nodes: Sequence[Node]) -> Rewritten:
        """Store all manifests of arrays as they are cut now, unless they are cut so already.

        Several arrays are such as may share a file.
        """
        store = _Store(self._library, None)
        counts = []
        for node in nodes:
            sizes = self._layout(node).sizes
            grid = [count for _, count in node.shape]
            base = [m for m in node.manifests if len(m.extents) in (0, len(grid))]
            map_parallel(self._library.manifest, {m.id for m in base})
            stored = [(m, self._refs(node, m)) for m in base]
            parts = cut(merge(stored, ChunkRefs.empty(len(grid)), grid), sizes)
            counts.append({bounding_box(refs): {node.id: len(refs)} for refs in parts})
            store.add(store.next(), node, parts, alone=self._layout(node).exact)
        if self._is_cut(nodes, counts):
            return Rewritten(tuple(nodes), ())
        store.finish()
        result = []
        for i, node in enumerate(nodes):
            placed = store.placed.get(i, ())
            result.append(replace(node, manifests=tuple(ref for ref, _ in placed)))
        infos = {info.id: info for placed in store.placed.values() for _, info in placed}
        return Rewritten(tuple(result), tuple(infos.values()))

    def _is_cut(
        self, nodes: Sequence[Node], counts: Sequence[Mapping[Box, Mapping[NodeId, int]]]
    ) -> bool:
        """Whether the arrays have just these manifests, and nobody else is in them."""
        if len(nodes) == 1:
            (node,) = nodes
            return {m.extents: self._counts(m) for m in node.manifests} == counts[0]
        files = {manifest.id for node in nodes for manifest in node.manifests}
        if len(files) != 1 or any(len(node.manifests) > 1 for node in nodes):
            return False
        held = self._library.manifest(files.pop()).arrays
        return held.keys() == {node.id for node in nodes if node.manifests}

    def _counts(self, manifest: ManifestRef) -> dict[NodeId, int]:
        arrays = self._library.manifest(manifest.id).arrays
        return {id_: len(refs) for id_, refs in arrays.items()}

    def _refs(self, node: Node, manifest: ManifestRef) -> ChunkRefs:
        refs = self._library.manifest(manifest.id).arrays.get(node.id)
        if refs is None or refs.ndim != len(node.shape):
            return ChunkRefs.empty(len(node.shape))
        return refs


def _still_fits(
    known: _Written, base: tuple[ManifestRef, ...], columns: ChunkRefs, edits: ChunkEdits
) -> bool:
    """Whether what was written for another base does for this one."""
    if not set(known.consumed) <= set(base):
        return False
    left = [manifest for manifest in base if manifest not in known.consumed]
    return not reached(left, columns, edits.visible).any() and not any(
        meet(manifest.extents, ref.extents) for manifest in left for ref, _ in known.placed
    )


def _with(node: Node, kept: Iterable[ManifestRef], placed: Iterable[Placed]) -> Node:
    manifests = [*kept, *(ref for ref, _ in placed)]
    manifests.sort(key=lambda manifest: [start for start, _ in manifest.extents])
    return replace(node, manifests=tuple(manifests))


class _Counts:
    """The number of references in each file of a snapshot."""

    def __init__(self, manifests: ManifestTable) -> None:
        self._manifests = manifests
        self._known: dict[bytes, int] | None = None

    def of(self, id_: ManifestId) -> int:
        if self._known is None:
            rows = self._manifests.rows
            self._known = dict(zip(rows["id"].tolist(), rows["refs"].tolist(), strict=True))
        return self._known.get(bytes(id_), 0)


class _Store:
    """Puts references of arrays into files: large parts at once, small ones together at the end.

    placed: for each number given to `add`, where its parts are.
    """

    def __init__(self, library: Library, uploads: Uploads | None) -> None:
        self._library = library
        self._uploads = uploads
        self._small: list[tuple[int, Node, ChunkRefs]] = []
        self._next = 0
        self.placed: dict[int, list[Placed]] = {}

    def next(self) -> int:
        """A number for the next array."""
        self._next += 1
        return self._next - 1

    def add(self, i: int, node: Node, parts: Iterable[ChunkRefs], *, alone: bool = False) -> None:
        """Take the parts of an array; `alone`: each into a file of its own."""
        large: Iterator[ChunkRefs] = self._sort_out(i, node, parts, alone)
        while batch := list(islice(large, _PARTS_AT_ONCE)):
            placed = map_parallel(lambda refs: self._write([(node, refs)])[0], batch)
            self.placed.setdefault(i, []).extend(placed)

    def _sort_out(
        self, i: int, node: Node, parts: Iterable[ChunkRefs], alone: bool
    ) -> Iterator[ChunkRefs]:
        for refs in parts:
            if alone or len(refs) > PART_REFS:
                yield refs
            elif len(refs):
                self._small.append((i, node, refs))

    def finish(self) -> None:
        """Store what was held back."""
        small = sorted(self._small, key=lambda part: part[1].path)
        self._small = []
        files = gather([(node.id, len(refs), _payload(refs)) for _, node, refs in small])
        written = map_parallel(
            lambda file: self._write([(small[k][1], small[k][2]) for k in file]), files
        )
        for file, placed in zip(files, written, strict=True):
            for k, one in zip(file, placed, strict=True):
                self.placed.setdefault(small[k][0], []).append(one)

    def _write(self, parts: Sequence[tuple[Node, ChunkRefs]]) -> list[Placed]:
        arrays = {node.id: refs for node, refs in parts}
        manifest = Manifest(self._library.new_id(ManifestId), dict(sorted(arrays.items())))
        info = self._library.write_manifest(manifest, self._uploads)
        return [(ManifestRef(manifest.id, bounding_box(refs)), info) for _, refs in parts]


def _payload(refs: ChunkRefs) -> int:
    return 0 if refs.payload is None else int(np.maximum(refs.payload.size, 0).sum())
