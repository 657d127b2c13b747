"""Building a lost manifest anew from what is left, if it can be proven to be the same.

Its references come from the snapshots before and after, as far as transaction logs say that
chunks did not change in between, and from the footers of chunk objects. There is proof if

- the digest of the references is that which a snapshot has of the manifest, or
- snapshots and logs tell of each chunk, and there are as many as a snapshot says.

Otherwise nothing is written. Chunks of the same array and coordinates may be in several objects:
those that other manifests refer to are others'; of the rest, which ones belong to the manifest is
tried out, newest first, and the digest decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from frazil.engine.repairing.candidates import Candidates
from frazil.engine.repairing.history import History, Part
from frazil.format.chunk_refs import ChunkRefs
from frazil.format.manifest import Manifest, encode_manifest
from frazil.format.manifest_digest import digest_of
from frazil.format.snapshot import ManifestInfo
from frazil.ids import ManifestId, NodeId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.files import Library
from frazil.model.rebuilding import completions, exclusions
from frazil.verification import LostManifest, Proof, RebuiltManifest

_TRIES = 4096
_TRIED_REFS = 50_000_000
"""References that are put together in all tries for one manifest."""
_LEVELS = (3, 9, 15, 19)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The bytes of a manifest that is proven to be the lost one, and what to tell of it."""

    manifest: Manifest
    data: bytes
    told: RebuiltManifest

    @property
    def id(self) -> ManifestId:
        """The manifest's."""
        return self.manifest.id


def rebuild(
    library: Library, catalog: Catalog, tips: Sequence[SnapshotId], lost: Iterable[ManifestId]
) -> tuple[list[Rebuilt], list[LostManifest]]:
    """Those of the lost manifests that can be proven, as they are to be stored; and the others."""
    history = History(library, catalog, tips, set(lost))
    candidates: Candidates | None = None
    result: list[Rebuilt] = []
    parts: dict[ManifestId, tuple[ManifestInfo, list[Part]]] = {}
    while history.lost:
        parts = {id_: found for id_ in sorted(history.lost) if (found := history.parts(id_))}
        if candidates is None:
            candidates = Candidates(library, history, parts)
        new = [
            rebuilt
            for id_, (info, arrays) in parts.items()
            if (rebuilt := _prove(library, id_, info, arrays, candidates)) is not None
        ]
        if not new:
            break
        # What is proven tells of others.
        for one in new:
            history.add(one.manifest)
        candidates.leave_out_used(history)
        result += new
    left = [_lost(id_, parts.get(id_), candidates) for id_ in sorted(history.lost)]
    return sorted(result, key=lambda one: one.id), left


def _lost(
    id_: ManifestId, told: tuple[ManifestInfo, list[Part]] | None, candidates: Candidates | None
) -> LostManifest:
    if told is None or candidates is None:
        return LostManifest(str(id_), None, 0, ())
    info, parts = told
    known = 0
    for part in parts:
        one = part.drafts[0]
        refs, rank = candidates.of(part, one)
        known += len(completions(one.known, refs, rank, rank[:0], first=False))
    ranges = tuple(
        (part.node.path, box or tuple((0, count) for count in part.grid))
        for part in parts
        for box in part.boxes
    )
    return LostManifest(str(id_), info.num_refs, min(known, info.num_refs), ranges)


def _prove(
    library: Library,
    id_: ManifestId,
    info: ManifestInfo,
    parts: list[Part],
    candidates: Candidates,
) -> Rebuilt | None:
    for way in range(2):
        drafts = [part.drafts[way] for part in parts]
        if not info.digest and any(one.open is None or len(one.open) for one in drafts):
            continue  # nothing but a digest could tell which candidates are the right ones
        options = [candidates.of(part, one) for part, one in zip(parts, drafts, strict=True)]
        objects = np.unique(np.concatenate([rank for _, rank in options]))
        budget = min(_TRIES, max(16, _TRIED_REFS // max(info.num_refs, 1)))
        for out, first in product(exclusions(len(objects), budget), (False, True)):
            leave = objects[list(out)]
            arrays = {
                part.node.id: completions(one.known, refs, rank, leave, first=first)
                for part, one, (refs, rank) in zip(parts, drafts, options, strict=True)
            }
            if sum(map(len, arrays.values())) == info.num_refs and (
                not info.digest or digest_of(arrays) == info.digest
            ):
                return _encoded(library, id_, info, parts, arrays)
    return None


def _encoded(
    library: Library,
    id_: ManifestId,
    info: ManifestInfo,
    parts: list[Part],
    arrays: dict[NodeId, ChunkRefs],
) -> Rebuilt | None:
    """The file; None if it does not become as small as snapshots say, as nobody reads more."""
    bare = {node: replace(refs, checksum=None) for node, refs in arrays.items()}
    for held in (arrays, bare):
        for level in (library.level, *_LEVELS):
            data = encode_manifest(
                Manifest(id_, held),
                spec=library.spec,
                level=level,
                location_compression=library.location_compression,
            )
            if not info.size_bytes or len(data) <= info.size_bytes:
                paths = tuple(sorted(part.node.path for part in parts))
                proof: Proof = "digest" if info.digest else "transaction logs"
                manifest = Manifest(id_, held)
                return Rebuilt(
                    manifest, data, RebuiltManifest(str(id_), paths, info.num_refs, proof)
                )
    return None
