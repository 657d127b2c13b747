"""What a session holds is written as plain Zarr that any reader takes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import frazil
from frazil import Repository, Session
from frazil.errors import AlreadyExistsError, InvalidInputError
from frazil.interchange import export_zarr, import_zarr
from tests.interchange.test_zarr_import import fill_v3, same


@pytest.fixture
def session() -> Session:
    session = Repository.create(frazil.in_memory_storage()).writable_session("main")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fill_v3(zarr.open_group(session.store, mode="w"), plain=False)
    return session


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("consolidated", [None, True])
def test_format_3_is_the_same_bytes(
    tmp_path: Path, session: Session, consolidated: bool | None
) -> None:
    summary = export_zarr(session, tmp_path / "out", consolidated=consolidated)
    plain = zarr.open_group(tmp_path / "out", mode="r", zarr_format=3)
    assert (plain.metadata.consolidated_metadata is not None) == bool(consolidated)
    same(
        zarr.open_group(tmp_path / "out", mode="r", use_consolidated=False),
        zarr.open_group(session.store, mode="r"),
    )
    assert summary.recoded == ()
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    files = [file for file in files if file.name != "zarr.json"]
    assert summary.bytes == sum(file.stat().st_size for file in files)


class Insensitive(dict[str, Any]):
    """As a folder of macOS or Windows."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key.lower())

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key.lower(), value)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).lower())


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["array", "group"])
def test_places_that_do_not_tell_case_apart(kind: str, zarr_format: Literal[2, 3]) -> None:
    session = Repository.create(frazil.in_memory_storage()).writable_session("main")
    root = zarr.create_group(session.store)
    for name in ("A", "a"):
        if kind == "group":
            root.create_group(name).create_array(f"of_{name}", shape=1, dtype="i4")
        else:
            root.create_array(name, shape=1, dtype="i4")
    export_zarr(session, MemoryStore(), zarr_format=zarr_format)
    with pytest.raises(AlreadyExistsError, match="does not tell 'a' from another node"):
        export_zarr(session, MemoryStore(Insensitive()), zarr_format=zarr_format)


@pytest.mark.filterwarnings("ignore")
def test_format_2(tmp_path: Path, session: Session) -> None:
    summary = export_zarr(session, tmp_path / "out", zarr_format=2)
    assert (tmp_path / "out/.zmetadata").exists()
    assert not list((tmp_path / "out").rglob("zarr.json"))
    plain = zarr.open_group(tmp_path / "out", mode="r", zarr_format=2)
    ours = dict(zarr.open_group(session.store, mode="r").arrays())
    for name, array in ours.items():
        copy = plain[name]
        assert isinstance(copy, zarr.Array)
        np.testing.assert_array_equal(copy[...], array[...])
    assert len(summary.recoded) == summary.arrays


def test_a_part(tmp_path: Path, session: Session) -> None:
    export_zarr(session, str(tmp_path / "out"), "/deep")
    assert sorted(zarr.open_group(tmp_path / "out", mode="r").members(max_depth=None))[-1][0] == (
        "er/a"
    )
    export_zarr(session, tmp_path / "one", "sharded")
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "one", mode="r")[...],
        zarr.open_array(session.store, path="sharded", mode="r")[...],
    )


def test_what_is_there_is_kept(tmp_path: Path, session: Session) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("dear to me")
    with pytest.raises(AlreadyExistsError, match="overwrite=True"):
        export_zarr(session, tmp_path / "out", "sharded")
    assert (tmp_path / "out/mine").read_text() == "dear to me"
    export_zarr(session, tmp_path / "out", "sharded", overwrite=True)
    assert not (tmp_path / "out/mine").exists()


def test_no_such_node(tmp_path: Path, session: Session) -> None:
    with pytest.raises(InvalidInputError, match="'nowhere'"):
        export_zarr(session, tmp_path / "out", "nowhere")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore")
def test_to_a_storage_of_any_kind(session: Session) -> None:
    storage = frazil.in_memory_storage()
    export_zarr(session, storage, "/deep", consolidated=True)
    other = Repository.create(frazil.in_memory_storage()).writable_session("main")
    import_zarr(storage, other, "/deep")
    np.testing.assert_array_equal(
        zarr.open_array(other.store, path="deep/er/a", mode="r")[...],
        zarr.open_array(session.store, path="deep/er/a", mode="r")[...],
    )


@st.composite
def arrays(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    shape = tuple(draw(st.lists(st.integers(0, 7), max_size=3)))
    chunks = tuple(draw(st.integers(1, max(n, 1))) for n in shape)
    dtype = draw(st.sampled_from(["i1", ">u2", "f4", "c8", "?", "M8[s]", "S3", "U2"]))
    values = np.arange(int(np.prod(shape))).reshape(shape)
    return values.astype("i8").astype(dtype), chunks


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(case=arrays(), zarr_format=st.sampled_from([2, 3]))
def test_there_and_back(
    case: tuple[np.ndarray[Any, Any], tuple[int, ...]], zarr_format: Literal[2, 3]
) -> None:
    values, chunks = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = Repository.create(frazil.in_memory_storage()).writable_session("main")
        zarr.create_array(
            first.store, name="a", shape=values.shape, chunks=chunks, dtype=values.dtype
        )[...] = values
        plain = zarr.storage.MemoryStore()
        export_zarr(first, plain, zarr_format=zarr_format)
        second = Repository.create(frazil.in_memory_storage()).writable_session("main")
        import_zarr(plain, second)
        copy = zarr.open_array(second.store, path="a", mode="r")
    assert copy.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")
    assert copy.chunks == chunks
    np.testing.assert_array_equal(copy[...], values)
