"""Each library reads, by way of a web server, what the other one has written into a folder."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import zarr

from tests.interop.libraries import Library, both_orders, every_spec
from tests.servers.nginx import Static


def _by_url(library: Library, static: Static, name: str, way: str) -> Any:
    module = library.module
    if not hasattr(module, f"{way}_storage"):
        pytest.skip(f"icechunk {module.__version__} has no {way}_storage")
    if way == "http":
        return module.http_storage(f"http://{static.address}/{name}", {"allow_http": "true"})
    return module.redirect_storage(f"http://{static.address}/go/{name}")


@pytest.mark.parametrize("way", ["http", "redirect"])
@both_orders
@every_spec
def test_what_one_writes_the_other_reads(
    static: Static, first: Library, second: Library, way: str, spec: int
) -> None:
    name = uuid4().hex
    repo = first.create(static.folder / name, spec)
    session = repo.writable_session("main")
    numbers = np.arange(100_000, dtype="i4")
    zarr.create_array(session.store, name="a", data=numbers, chunks=(30_000,), compressors=None)
    session.commit("one")
    repo.create_tag("t ü 100%", repo.lookup_branch("main"))

    storage = _by_url(second, static, name, way)
    module = second.module
    assert module.Repository.exists(storage)
    served = module.Repository.open(storage)
    assert [s.id for s in served.ancestry(branch="main")] == [
        s.id for s in repo.ancestry(branch="main")
    ]
    for version in ({"branch": "main"}, {"tag": "t ü 100%"}):
        store = served.readonly_session(**version).store
        assert (zarr.open_array(store, path="a", mode="r")[:] == numbers).all()
    with pytest.raises(module.IcechunkError) as caught:
        served.writable_session("main")
    if module.__version__ >= "2":
        assert caught.value.kind == "read-only-storage"

    session = repo.writable_session("main")
    zarr.open_array(session.store, path="a")[:2] = [7, 8]
    new = session.commit("two")
    assert served.lookup_branch("main") == new
    store = served.readonly_session("main").store
    assert zarr.open_array(store, path="a", mode="r")[:3].tolist() == [7, 8, 2]
