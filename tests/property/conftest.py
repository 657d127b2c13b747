"""Both ways to write tables, whatever their number of rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from frazil.format import flatbuf_writer


@pytest.fixture(scope="module", params=[0, 10**6], ids=["columns", "row-by-row"])
def each_writer(request: pytest.FixtureRequest) -> Iterator[None]:
    """Write all blocks in columns, or all of them row by row."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flatbuf_writer, "FEW", request.param)
        yield
