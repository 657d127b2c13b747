"""A folder, or a prefix in an object store, with a repository that both libraries use."""

from __future__ import annotations

import json
import shutil
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore

from tests.interop.libraries import FRAZIL, REAL, Bucket, Library, Repo
from tests.interop.view import Tree, history, tree, view

FAR_FUTURE = timedelta(days=1)


class Place:
    """One folder; `check` is the end of every test."""

    def __init__(self, path: Path, **real_options: Any) -> None:
        """real_options: what the real library needs to open the repository."""
        self.path = path
        self.where: Path | Bucket = path
        self.real_options = real_options

    def create(self, library: Library, spec: int, config: Any = None) -> Repo:
        return library.create(self.where, spec, config)

    def open(self, library: Library, config: Any = None) -> Repo:
        options = self.real_options if library is REAL else {}
        return library.open(self.where, config, **options)

    def files(self, folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.path / folder).glob("*")}

    def check(self) -> None:
        """Both libraries show the same, and the real one has nothing to complain about."""
        trees = self.agree()
        verify_with_real(self.path, trees, **self.real_options)

    def agree(self) -> dict[str, Tree]:
        """Both libraries show the same repository; returns the contents of its snapshots."""
        theirs, ours = view(self.open(REAL)), view(self.open(FRAZIL))
        for versions, diff in theirs["diffs"].items():
            _settle_anew(diff, ours["diffs"][versions])
        assert theirs.keys() == ours.keys()
        for part, value in theirs.items():
            assert ours[part] == value, part
        trees: dict[str, Tree] = theirs["trees"]
        return trees


class CloudPlace(Place):
    """A prefix in an object store; `path` is a folder for copies."""

    def __init__(self, bucket: Bucket, path: Path, **real_options: Any) -> None:
        super().__init__(path, **real_options)
        self.where = bucket
        self._client = bucket.cloud.client(bucket.prefix)

    def files(self, folder: str) -> dict[str, bytes]:
        self._copy()
        return super().files(folder)

    def check(self) -> None:
        """As in a folder; the real library inspects a copy, which must be the same repository."""
        self.agree()
        self._copy()
        Place(self.path, **self.real_options).check()

    def _copy(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        for page in obstore.list(self._client):
            for item in page:
                file = self.path / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(bytes(obstore.get(self._client, item["path"]).bytes()))


def _settle_anew(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Leave out the chunks of arrays that were deleted and made again between two versions.

    Such a path stands for two arrays. The real library shows the chunks of one of them, either
    one; Frazil shows those of both.
    """
    anew = set(theirs.get("deleted_arrays", [])) & set(theirs.get("new_arrays", []))
    for path in anew:
        shown = theirs.get("updated_chunks", {}).pop(path, [])
        known = ours.get("updated_chunks", {}).pop(path, [])
        assert all(chunk in known for chunk in shown), path
    for diff in (theirs, ours):
        if not diff.get("updated_chunks", True):
            del diff["updated_chunks"]


def _json(inspected: Any) -> Any:
    return json.loads(inspected) if isinstance(inspected, str) else inspected


def verify_with_real(path: Path, trees: dict[str, Tree], **options: Any) -> None:
    """Let the real library inspect every file, and collect garbage in a copy.

    A collection that drops everything unreachable must leave all that is reachable as it is:
    `trees`, by snapshot.
    """
    repo = REAL.open(path, **options)
    known = history(repo)
    for id_ in known:
        inspected = _json(repo.inspect_snapshot(id_))
        assert inspected["id"] == id_
        listed = {entry["id"] for entry in inspected["manifests"]}
        nodes = inspected["nodes"]
        assert listed == {ref["id"] for node in nodes for ref in node.get("manifest_refs", [])}
        assert [n["path"] for n in nodes] == sorted((n["path"] for n in nodes), key=str.encode)
        for entry in inspected["manifests"]:
            assert (path / "manifests" / entry["id"]).stat().st_size == entry["size_bytes"]
            if hasattr(repo, "inspect_manifest"):
                manifest = repo.inspect_manifest(entry["id"])
                assert manifest["total_chunk_refs"] == entry["num_chunk_refs"]
        if hasattr(repo, "inspect_transaction_log") and known[id_].parent_id is not None:
            log = repo.inspect_transaction_log(id_)
            assert log["header"]["file_type"] == "transaction-log"
        repo.readonly_session(snapshot_id=id_).all_virtual_chunk_locations()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        stored = sum(file.stat().st_size for file in (path / "chunks").glob("*"))
        assert 0 <= repo.total_chunks_storage() <= stored
        assert 0 <= repo.chunk_storage_stats().native_bytes <= stored
    if getattr(repo, "spec_version", 1) == 2:
        info = repo.inspect_repo_info()
        assert info["branches"] == {b: repo.lookup_branch(b) for b in repo.list_branches()}
        assert {entry["id"] for entry in info["snapshots"]} >= set(known)
        assert list(repo.ops_log())
        str(repo.ancestry_graph(plain=True))
    _verify_collection(path, trees, options)


def _verify_collection(path: Path, before: dict[str, Tree], options: dict[str, Any]) -> None:
    copy = path.with_name(f"{path.name}-collected")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    repo = REAL.open(copy, **options)
    if getattr(repo, "spec_version", 1) == 2:
        repo.set_status(REAL.module.RepoStatus(REAL.module.RepoAvailability.online))
    repo.garbage_collect(datetime.now(UTC) + FAR_FUTURE)
    repo = REAL.open(copy, **options)
    after = {id_: tree(repo.readonly_session(snapshot_id=id_)) for id_ in history(repo)}
    assert after == before
    shutil.rmtree(copy)
