"""Chunks that are large enough to be decompressed where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr

import frazil

SHAPE = (3, 150, 300)
DATA = np.arange(np.prod(SHAPE), dtype="f4").reshape(SHAPE) % 1000


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("chunks", [(1, 150, 300), (1, 100, 300), (2, 150, 200), (1, 40, 100)])
def test_selections_of_them(chunks: tuple[int, ...], order: Any) -> None:
    session = frazil.Repository.create(frazil.in_memory_storage()).writable_session("main")
    made: Any = zarr.create_array(
        session.store,
        name="a",
        shape=SHAPE,
        chunks=chunks,
        dtype="f4",
        config={"order": order},
    )
    made[:2] = DATA[:2]
    for on in (True, False):
        with zarr.config.set({"frazil.pipeline": on}):
            for selection in (np.s_[:2], np.s_[0], np.s_[1, 10:], np.s_[:2, ::2], np.s_[1:2]):
                np.testing.assert_array_equal(made[selection], DATA[selection])
            assert not made[2].any()


def test_a_chunk_of_another_length_is_an_error() -> None:
    session = frazil.Repository.create(frazil.in_memory_storage()).writable_session("main")
    made: Any = zarr.create_array(session.store, name="a", shape=40_000, chunks=20_000, dtype="f8")
    made[:] = 1.5
    other: Any = zarr.create_array(session.store, name="b", shape=30_000, chunks=30_000, dtype="f8")
    other[:] = 2.5
    node = session._workspace.node("/b")
    assert node is not None
    session._workspace.set_chunk("/a", (1,), session._workspace.get_chunk(node, (0,)))
    errors = []
    for on in (True, False):
        with zarr.config.set({"frazil.pipeline": on}), pytest.raises(Exception) as caught:  # noqa: PT011
            made[:]
        errors.append(type(caught.value))
    assert errors[0] is errors[1]
