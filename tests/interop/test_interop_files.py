"""Files beside arrays, and the real library: it reads, changes and makes them as arrays."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import zarr

from frazil.model.file_arrays import CHUNK_BYTES, MARK
from tests.interop.libraries import FRAZIL, REAL, SPECS
from tests.interop.place import Place


@pytest.mark.parametrize("spec", SPECS)
def test_files_and_the_real_library(place: Place, spec: int) -> None:
    large = random.Random(1).randbytes(CHUNK_BYTES + 10)
    repo = place.create(FRAZIL, spec)
    session = repo.writable_session("main")
    files = session.files("/notes")
    files["README.md"] = b"# Read me"
    files["empty"] = b""
    files.put("large.bin", io.BytesIO(large), attributes={"station": 7})
    session.commit("files")

    session = place.open(REAL).writable_session("main")
    group = zarr.open_group(session.store, path="notes", mode="r+")
    for name, data in (("README.md", b"# Read me"), ("empty", b""), ("large.bin", large)):
        assert np.asarray(group[name][:]).tobytes() == data
        assert group[name].attrs[MARK]["version"] == 1
    assert group["large.bin"].attrs["station"] == 7
    group.create_array(
        "made.txt",
        data=np.frombuffer(b"by the real one", "u1"),
        attributes={MARK: {"version": 1, "media_type": "text/plain"}},
    )
    session.commit("another")

    files = place.open(FRAZIL).at().files("/notes")
    assert list(files) == ["README.md", "empty", "large.bin", "made.txt"]
    assert files.get_text("made.txt") == "by the real one"
    assert files.get("large.bin") == large
    with files.open("large.bin") as file:
        file.seek(CHUNK_BYTES - 3)
        assert file.read(6) == large[CHUNK_BYTES - 3 : CHUNK_BYTES + 3]
