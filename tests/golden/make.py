"""Write the golden manifests with the installed icechunk, through its public interface alone.

    python tests/golden/make.py

Run it with each release whose files are to be kept. It replaces
`tests/golden/manifests/icechunk-<release>/`: one file per case, and `expected.json`, which
says what was put into them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import icechunk
import zarr
from zarr.core.buffer import cpu

HERE = Path(__file__).parent / "manifests"
URL = "s3://bucket/a/rather/long/prefix/that/all/locations/share/file-{:05d}.nc"
Refs = dict[tuple[int, ...], Any]


def inline(i: int) -> bytes:
    return bytes([i % 251]) * (1 + i % 5)


def native(i: int) -> bytes:
    """Bytes of a length that no other chunk of a case has, which tells the objects apart."""
    return bytes([i % 251]) * (600 + i)


def bytes_case(shape: tuple[int, ...], cells: list[tuple[int, ...]], data: Any) -> Any:
    return shape, {cell: data(i) for i, cell in enumerate(cells)}


def virtual_case(n: int, checksum: Any = None) -> Any:
    return (n,), {
        (i,): {"location": URL.format(i), "offset": i, "length": 100 + i} | (checksum or {})
        for i in range(n)
    }


CUBE = [(z, y, x) for z in range(2) for y in range(3) for x in range(2)]
CASES: dict[str, Any] = {
    "inline": bytes_case((300,), [(0,), (1,), (255,), (256,), (299,)], inline),
    "scalar": bytes_case((), [()], inline),
    "native": bytes_case((2, 3, 2), CUBE, native),
    "mixed": ((4, 4), {(0, 3): inline(1), (1, 0): native(2), (3, 3): inline(3), (3, 1): native(4)}),
    "virtual": virtual_case(5),
    "virtual-etag": virtual_case(2, {"etag": "abc-é"}),
    "virtual-modified": virtual_case(2, {"modified": 1_700_000_000}),
    "virtual-many": virtual_case(1000),
}


def write(root: Path, spec: int | None, shape: tuple[int, ...], refs: Refs) -> str | None:
    """A repository with one array of one-element chunks; its node id where the release tells."""
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(
        icechunk.VirtualChunkContainer("s3://bucket/", icechunk.s3_store(region="us-east-1"))
    )
    storage = icechunk.local_filesystem_storage(str(root))
    options = {} if spec is None else {"spec_version": spec}
    repo = icechunk.Repository.create(storage, config=config, **options)
    session = repo.writable_session("main")
    zarr.create_array(
        session.store,
        name="a",
        shape=shape,
        chunks=(1,) * len(shape),
        dtype="u1",
        compressors=None,
        filters=None,
    )
    for cell, ref in refs.items():
        key = "/".join(["a/c", *map(str, cell)])
        if isinstance(ref, bytes):
            asyncio.run(session.store.set(key, cpu.Buffer.from_bytes(ref)))
        else:
            modified = ref.get("modified")
            session.store.set_virtual_ref(
                key,
                ref["location"],
                offset=ref["offset"],
                length=ref["length"],
                checksum=ref.get("etag") or (modified and datetime.fromtimestamp(modified, UTC)),
            )
    node = session.get_node_id("/a") if hasattr(session, "get_node_id") else None
    session.commit("golden")
    return node


def describe(refs: Refs, objects: dict[int, str]) -> list[dict[str, Any]]:
    """The references as JSON; `objects` are the names of the chunk objects by size."""
    described = []
    for cell, ref in sorted(refs.items()):
        if not isinstance(ref, bytes):
            entry = dict(ref)
        elif len(ref) in objects:
            entry = {"object": objects[len(ref)], "offset": 0, "length": len(ref)}
        else:
            entry = {"data": ref.hex()}
        described.append({"index": list(cell)} | entry)
    return described


def main() -> None:
    release = icechunk.__version__
    target = HERE / f"icechunk-{release}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    expected = {}
    for spec in [None] if release.startswith("1.") else [1, 2]:
        for case, (shape, refs) in CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                node = write(Path(folder), spec, shape, refs)
                chunks = Path(folder) / "chunks"
                objects = {p.stat().st_size: p.name for p in chunks.glob("*")}
                (manifest,) = (Path(folder) / "manifests").glob("*")
                name = f"{case}-v{spec or 1}"
                shutil.copy(manifest, target / name)
                expected[name] = {
                    "spec": spec or 1,
                    "id": manifest.name,
                    "node": node,
                    "refs": describe(refs, objects),
                }
    # The 1000 locations of the last case would be most of the file: three tell enough.
    for entry in expected.values():
        entry["count"] = len(entry["refs"])
        if entry["count"] > 100:
            entry["refs"] = [entry["refs"][i] for i in (0, 500, 999)]
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in expected.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (target / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
