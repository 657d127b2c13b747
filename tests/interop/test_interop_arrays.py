"""Arrays of every sort that Zarr offers, written by either library and changed by the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr

from tests.interop.libraries import Library, both_orders, every_spec, needs_spec_2, on_every_store
from tests.interop.place import Place
from tests.scenario.test_zarr_arrays import COMPRESSORS, DATA, FILTERS, HAS_RECTILINEAR, SHARDED

pytestmark = [
    # Data types and codecs beyond the Zarr v3 specification, and object arrays of bytes.
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
]

Cases = dict[str, tuple[npt.NDArray[Any], dict[str, Any]]]

TABLE = np.arange(600, dtype="i4").reshape(20, 30)
LARGE = np.arange(50 * 60, dtype="u4").reshape(50, 60)
NOISE = np.random.default_rng(7).integers(0, 2**32, 3000, dtype="u4")

DATA_TYPES: Cases = {
    name: (data, {"dtype": dtype, "chunks": (7,)}) for name, (dtype, data) in DATA.items()
}
CODECS: Cases = {
    **{
        f"compressor {name}": (TABLE, {"dtype": "i4", "chunks": (7, 8), "compressors": codec})
        for name, codec in COMPRESSORS.items()
    },
    **{
        f"filter {name}": (TABLE, {"dtype": "i4", "chunks": (7, 8), "filters": codec})
        for name, codec in FILTERS.items()
        # zarr 3.1.6 does not read this one back from any store.
        if name != "transpose-delta"
    },
    **{
        f"shards {name}": (LARGE, {"dtype": "u4", "compressors": None, **options})
        for name, options in SHARDED.items()
    },
}
LAYOUTS: Cases = {
    "no dimensions": (np.array(2.5), {"dtype": "f8"}),
    "nothing": (np.zeros((0,), "i2"), {"dtype": "i2", "chunks": (3,)}),
    "nothing in one axis": (np.zeros((4, 0, 2), "i2"), {"dtype": "i2", "chunks": (3, 3, 1)}),
    "six dimensions": (np.arange(3**6, dtype="i2").reshape((3,) * 6), {"chunks": (2,) * 6}),
    "one large chunk": (NOISE, {"dtype": "u4", "chunks": (9000,)}),
    "at the inline limit": (NOISE, {"dtype": "u4", "chunks": (128,), "compressors": None}),
    "above the inline limit": (NOISE, {"dtype": "u4", "chunks": (129,), "compressors": None}),
    "named dimensions": (TABLE, {"chunks": (6, 6), "dimension_names": ("x-axis", "Länge")}),
    "some named dimensions": (TABLE, {"chunks": (6, 6), "dimension_names": (None, "")}),
    "not a number": (np.full(9, np.nan), {"chunks": (4,), "fill_value": np.nan}),
    "fill values stored": (
        np.zeros(40, "i4"),
        {"chunks": (4,), "config": {"write_empty_chunks": True}},
    ),
}


def write(repo: Any, cases: Cases, message: str) -> None:
    session = repo.writable_session("main")
    for name, (data, options) in cases.items():
        array = zarr.create_array(
            session.store,
            name=name,
            shape=data.shape,
            **({"dtype": data.dtype} | options),
            attributes={"case": name, "values": [1, 2.5, None, {"ü": True}]},
        )
        array[...] = data
    session.commit(message)


def expect(repo: Any, cases: Cases) -> None:
    root = zarr.open_group(repo.readonly_session("main").store, mode="r")
    for name, (data, _) in cases.items():
        array = root[name]
        assert array.attrs["case"] == name
        np.testing.assert_array_equal(array[...], data, err_msg=name)


def reversed_in_part(cases: Cases) -> Iterator[tuple[str, npt.NDArray[Any], slice]]:
    """New data for each case: half of the first axis the other way round, and which half."""
    for name, (data, _) in cases.items():
        if data.ndim:
            part = slice(len(data) // 4, len(data) // 4 + len(data) // 2)
            changed = data.copy()
            changed[part] = data[part][::-1]
            yield name, changed, part


@every_spec
@both_orders
@pytest.mark.parametrize(
    "cases", [DATA_TYPES, CODECS, LAYOUTS], ids=["data types", "codecs", "layouts"]
)
def test_arrays_pass_from_one_to_the_other_and_back(
    place: Place, spec: int, first: Library, second: Library, cases: Cases
) -> None:
    write(place.create(first, spec), cases, "all arrays")
    repo = place.open(second)
    expect(repo, cases)
    session = repo.writable_session("main")
    changed = dict(cases)
    for name, data, part in reversed_in_part(cases):
        zarr.open_array(session.store, path=name)[part] = data[part]
        changed[name] = (data, cases[name][1])
    session.commit("changed in part")
    expect(place.open(first), changed)
    place.check()


@on_every_store
@every_spec
@both_orders
def test_arrays_shrink_grow_and_are_erased_in_turns(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    session = place.create(first, spec).writable_session("main")
    array = zarr.create_array(
        session.store, name="a", shape=(9, 9), chunks=(2, 2), dtype="i4", compressors=None
    )
    expected = np.arange(81, dtype="i4").reshape(9, 9) + 1
    array[...] = expected
    session.commit("nine by nine")

    session = place.open(second).writable_session("main")
    array = zarr.open_array(session.store, path="a")
    array.resize((4, 9))
    array.resize((9, 10))
    session.commit("shrunk and grown")
    after = np.zeros((9, 10), "i4")
    after[:4, :9] = expected[:4]

    session = place.open(first).writable_session("main")
    array = zarr.open_array(session.store, path="a")
    np.testing.assert_array_equal(array[...], after)
    array[0:4, 0:2] = after[0:4, 0:2] = 0  # whole chunks of the fill value are erased
    array.append(np.full((3, 10), 7, "i4"), axis=0)
    after = np.concatenate([after, np.full((3, 10), 7, "i4")])
    session.commit("erased and appended")

    root = zarr.open_group(place.open(second).readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root["a"][...], after)
    place.check()


@every_spec
@both_orders
def test_an_array_gives_way_to_another_of_its_name(
    place: Place, spec: int, first: Library, second: Library
) -> None:
    session = place.create(first, spec).writable_session("main")
    zarr.create_array(session.store, name="a", data=np.arange(1000), chunks=(10,))
    session.commit("one dimension")
    session = place.open(second).writable_session("main")
    zarr.create_array(session.store, name="a", data=np.eye(30), chunks=(10, 10), overwrite=True)
    session.commit("two dimensions")
    session = place.open(first).writable_session("main")
    root = zarr.open_group(session.store)
    np.testing.assert_array_equal(root["a"][...], np.eye(30))
    del root["a"]
    root.create_group("a/b")
    session.commit("a group")
    root = zarr.open_group(place.open(second).readonly_session("main").store, mode="r")
    assert {path for path, _ in root.members(max_depth=None)} == {"a", "a/b"}
    place.check()


@every_spec
@both_orders
@pytest.mark.parametrize("threshold", [0, 4000])
def test_the_inline_threshold_of_a_stored_configuration(
    place: Place, spec: int, first: Library, second: Library, threshold: int
) -> None:
    config = first.module.RepositoryConfig(inline_chunk_threshold_bytes=threshold)
    place.create(first, spec, config)
    for i, library in enumerate((first, second)):
        session = place.open(library).writable_session("main")
        data = np.arange(100 * i, 100 * i + 500)
        zarr.create_array(session.store, name=f"a{i}", data=data, chunks=500, compressors=None)
        session.commit(f"a{i}")
        kinds = [
            str(place.open(reader).readonly_session("main").chunk_type(f"/a{i}", [0]))
            for reader in (first, second)
        ]
        expected = "inline" if threshold else "native"
        assert [kind.rpartition(".")[2].lower() for kind in kinds] == [expected] * 2
    place.check()


@needs_spec_2
@both_orders
@pytest.mark.skipif(not HAS_RECTILINEAR, reason="this zarr has no rectilinear chunk grids")
def test_rectilinear_grids(place: Place, first: Library, second: Library) -> None:
    grids = {
        "uneven": [[2, 3, 5], [4, 4]],
        "repeated": [[5, 5], [1] * 8],
        "one chunk": [[10], [8]],
    }
    data = np.arange(80, dtype="i4").reshape(10, 8) + 1
    with zarr.config.set({"array.rectilinear_chunks": True}):
        session = place.create(first, 2).writable_session("main")
        for name, chunks in grids.items():
            array = zarr.create_array(
                session.store, name=name, shape=data.shape, chunks=chunks, dtype="i4"
            )
            array[...] = data
        session.commit("rectilinear")
        session = place.open(second).writable_session("main")
        data[4:9, 2:7] = -1
        for name in grids:
            zarr.open_array(session.store, path=name)[4:9, 2:7] = -1
        session.commit("changed")
        root = zarr.open_group(place.open(first).readonly_session("main").store, mode="r")
        for name in grids:
            np.testing.assert_array_equal(root[name][...], data, err_msg=name)
    place.check()


@needs_spec_2
@both_orders
def test_spec_1_refuses_rectilinear_grids_in_both(
    place: Place, first: Library, second: Library
) -> None:
    place.create(first, 1)
    document = (
        b'{"zarr_format":3,"node_type":"array","shape":[5],"data_type":"int8","fill_value":0,'
        b'"chunk_grid":{"name":"rectilinear","configuration":{"kind":"inline",'
        b'"chunk_shapes":[[2,3]]}},"chunk_key_encoding":{"name":"default"},'
        b'"codecs":[{"name":"bytes"}]}'
    )
    for library in (first, second):
        store = place.open(library).writable_session("main").store
        with pytest.raises(library.module.InvalidInputError) as caught:
            zarr.core.sync.sync(
                store.set("a/zarr.json", zarr.core.buffer.cpu.Buffer.from_bytes(document))
            )
        assert caught.value.kind == "bad-metadata"
    place.check()
