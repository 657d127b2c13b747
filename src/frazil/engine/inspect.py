"""Single files of a repository as plain values, in the form in which Icechunk shows them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from frazil.engine.times import moment
from frazil.errors import ErrorKind, StorageError
from frazil.format.chunk_refs import INLINE, NATIVE, VIRTUAL
from frazil.format.header import FileType, decoded_size, peek
from frazil.format.manifest import Manifest, decode_manifest
from frazil.format.repo_info import decode_repo_info
from frazil.format.snapshot import Node, NodeKind, Snapshot, decode_snapshot
from frazil.format.transaction_log import TransactionLog, decode_transaction_log
from frazil.format.updates import Status, Update, UpdateKind
from frazil.ids import ManifestId, SnapshotId
from frazil.library.catalog import Catalog
from frazil.library.catalog_v2 import KEY, CatalogV2
from frazil.library.files import Library
from frazil.storage.pool import map_parallel

Document = dict[str, Any]

_TYPES: Final = {
    FileType.SNAPSHOT: "snapshot",
    FileType.MANIFEST: "manifest",
    FileType.TRANSACTION_LOG: "transaction-log",
    FileType.REPO: "repo-info",
}
_NOTE: Final = (
    "Synthetic composite: this snapshot's ancestry was collapsed by expiration; the log below "
    "merges its pruned-ancestor logs with its own log. `header` describes this snapshot's own "
    "log only."
)
_AVAILABILITY: Final = {1: "ReadOnly", 2: "Offline"}


def inspect_snapshot(library: Library, id_: SnapshotId) -> Document:
    """A snapshot file: its header, message, manifests and nodes."""
    key = f"snapshots/{id_}"
    data = library.backend.get(key)
    snapshot = decode_snapshot(data, where=key)
    infos = snapshot.manifests
    return {
        "id": str(snapshot.id),
        "header": _header(data, key),
        "flushed_at": _time(snapshot.flushed_at),
        "commit_message": snapshot.message,
        "metadata": snapshot.metadata,
        "manifests": [
            {"id": str(i.id), "size_bytes": i.size_bytes, "num_chunk_refs": i.num_refs}
            for i in map(infos.info, range(len(infos)))
        ],
        "nodes": _nodes(snapshot),
    }


def _nodes(snapshot: Snapshot) -> list[Document]:
    return [_node(node) for node in map(snapshot.nodes.node, range(len(snapshot.nodes)))]


def _node(node: Node) -> Document:
    shown: Document = {
        "id": str(node.id),
        "path": node.path,
        "node_type": node.kind.name.lower(),
    }
    if node.kind == NodeKind.ARRAY:
        names = node.dimension_names or (None,) * len(node.shape)
        shown["shape"] = [
            ({} if name is None else {"name": name})
            | {"array_length": length, "num_chunks": chunks}
            for name, (length, chunks) in zip(names, node.shape, strict=True)
        ]
        shown["manifest_refs"] = [
            {"id": str(ref.id), "extents": [list(extent) for extent in ref.extents]}
            for ref in node.manifests
        ]
    return shown


def inspect_manifest(library: Library, id_: ManifestId) -> Document:
    """A manifest file: its header, and how many references of which kind each array has.

    `size_bytes` is that of the file when decompressed.
    """
    key = f"manifests/{id_}"
    data = library.backend.get(key)
    manifest = decode_manifest(data, where=key)
    arrays = [
        {"node_id": str(node), "num_chunk_refs": len(refs)} | _kinds("num", refs.kind)
        for node, refs in manifest.arrays.items()
    ]
    every = np.concatenate([np.empty(0, np.uint8), *(r.kind for r in manifest.arrays.values())])
    return {
        "id": str(manifest.id),
        "header": _header(data, key),
        "size_bytes": decoded_size(data),
        "num_arrays": len(arrays),
        "total_chunk_refs": len(every),
        **_kinds("total", every),
        "arrays": arrays,
        "compression": _compression(manifest),
    }


def _compression(manifest: Manifest) -> Document:
    shown: Document = {"uses_location_compression": manifest.dictionary_bytes is not None}
    if manifest.dictionary_bytes is not None:
        shown["dictionary_size_bytes"] = manifest.dictionary_bytes
    return shown | {"num_compressed_refs": manifest.compressed_locations}


def inspect_transaction_log(library: Library, catalog: Catalog, id_: SnapshotId) -> Document:
    """What a commit changed, by node id; where history before it was expired, also that."""
    own, header = _read_log(library, id_)
    pruned = catalog.record(id_).pruned if isinstance(catalog, CatalogV2) else ()
    if not pruned:
        return {"header": header} | _log(own)
    found = map_parallel(lambda one: _log_if_any(library, one), pruned)
    merged = TransactionLog.union([*(log for log in found if log is not None), own], id=id_)
    return (
        {"header": header}
        | _log(merged)
        | {
            "synthetic_composite": {
                "note": _NOTE,
                "merged_pruned_ancestor_tx_logs": [
                    str(one) for one, log in zip(pruned, found, strict=True) if log is not None
                ],
                "missing_tx_logs": [
                    str(one) for one, log in zip(pruned, found, strict=True) if log is None
                ],
            }
        }
    )


def _read_log(library: Library, id_: SnapshotId) -> tuple[TransactionLog, Document]:
    key = f"transactions/{id_}"
    data = library.backend.get(key)
    return decode_transaction_log(data, where=key), _header(data, key)


def _log_if_any(library: Library, id_: SnapshotId) -> TransactionLog | None:
    try:
        return library.transaction_log(id_)
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return None


def _log(log: TransactionLog) -> Document:
    sets = (
        *("new_groups", "new_arrays", "deleted_groups", "deleted_arrays"),
        *("updated_groups", "updated_arrays"),
    )
    return {
        **{name: [str(id_) for id_ in sorted(getattr(log, name))] for name in sets},
        "updated_chunks": [
            {"node_id": str(id_), "chunks": coords.tolist()}
            for id_, coords in sorted(log.updated_chunks.items())
        ],
        "moved_nodes": [{"from": move.from_path, "to": move.to_path} for move in log.moves],
    }


def inspect_repo_info(library: Library) -> Document:
    """The `repo` file of a spec 2 repository."""
    data = library.backend.get(KEY)
    info = decode_repo_info(data, where=KEY)
    header = _header(data, KEY)
    records = map(info.snapshots.record, range(len(info.snapshots)))
    return {
        "header": header,
        "spec_version": f"{info.spec}.0",
        "branches": {name: str(tip) for name, tip in info.branches.items()},
        "tags": {name: str(tip) for name, tip in info.tags.items()},
        "deleted_tags": sorted(info.deleted_tags),
        "snapshots": [
            {"id": str(record.id)}
            | ({} if record.parent is None else {"parent_id": str(record.parent)})
            | {
                "flushed_at": _time(record.flushed_at),
                "message": record.message,
                "metadata": record.metadata,
            }
            for record in records
        ],
        "metadata": info.metadata,
        "latest_updates": [_update(info.updates.update(row)) for row in range(len(info.updates))],
    }


def _update(update: Update) -> Document:
    shown: Document = {
        "update_type": _update_type(update),
        "updated_at": _time(update.updated_at),
    }
    if update.backup_path is not None:
        shown["backup_path"] = update.backup_path
    return shown


def _update_type(update: Update) -> Document:
    name = "".join(part if part == "GC" else part.title() for part in update.kind.name.split("_"))
    flagged = update.kind == UpdateKind.FEATURE_FLAG_CHANGED
    shown: Document = {"type": name if flagged else f"{name}Update"}
    on_branch = update.kind in (UpdateKind.NEW_COMMIT, UpdateKind.COMMIT_AMENDED)
    values = {
        "from_version": _spec(update.from_version),
        "to_version": _spec(update.to_version),
        "branch" if on_branch else "name": update.name,
        "previous_snap_id": None if update.previous is None else str(update.previous),
        "new_snap_id": None if update.new is None else str(update.new),
        "id": update.flag_id,
        "status": None if update.status is None else _status(update.status),
    }
    shown |= {key: value for key, value in values.items() if value is not None}
    return shown | {"new_value": update.flag_value} if flagged else shown


def _spec(version: int | None) -> str | None:
    return None if version is None else f"{version}.0"


def _status(status: Status) -> Document:
    return {
        "availability": _AVAILABILITY.get(status.availability, "Online"),
        "limited_availability_reason": status.reason,
        "set_at": _time(status.set_at),
    }


def _header(data: bytes, where: str) -> Document:
    header = peek(data, where=where)
    name, _, version = header.written_by.partition("-")
    return {
        "written_by": header.written_by,
        "app_name": name,
        "app_version": version,
        "spec_version": f"{header.spec}.0",
        "file_type": _TYPES[header.file_type],
        "compression": "zstd",
    }


def _kinds(prefix: str, kind: npt.NDArray[np.uint8]) -> dict[str, int]:
    counts = np.bincount(kind, minlength=4)
    return {
        f"{prefix}_{name}": int(counts[value])
        for name, value in (("inline", INLINE), ("native", NATIVE), ("virtual", VIRTUAL))
    }


def _time(microseconds: int) -> str:
    """RFC 3339 with as few groups of three decimals as needed."""
    when = moment(microseconds)
    fraction = when.microsecond
    unit = "seconds" if not fraction else "milliseconds" if not fraction % 1000 else "microseconds"
    return when.isoformat(timespec=unit).replace("+00:00", "Z")
