import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest

from frazil.errors import InvalidInputError
from frazil.store.ranges import Bounds, Read, bounds_of, plan_reads


def test_requests_as_bounds() -> None:
    assert bounds_of(None) == Bounds(None, None, None)
    assert bounds_of(RangeByteRequest(2, 5)) == Bounds(start=2, end=5)
    assert bounds_of(OffsetByteRequest(0)) == Bounds(start=0)
    assert bounds_of(SuffixByteRequest(3)) == Bounds(suffix=3)


def test_other_objects_are_no_byte_range() -> None:
    with pytest.raises(InvalidInputError, match="Unexpected byte_range, got") as caught:
        bounds_of((0, 2))  # type: ignore[arg-type]
    assert caught.value.kind == "invalid-byte-range"


def test_near_ranges_share_a_read() -> None:
    requests = [RangeByteRequest(30, 40), RangeByteRequest(0, 10), RangeByteRequest(12, 20)]
    assert plan_reads(requests, max_gap=2, max_size=100) == [
        Read(Bounds(0, 20), ((1, slice(0, 10)), (2, slice(12, 20)))),
        Read(Bounds(30, 40), ((0, None),)),
    ]


def test_a_shared_read_stays_small() -> None:
    requests = [RangeByteRequest(0, 60), RangeByteRequest(60, 120)]
    assert len(plan_reads(requests, max_gap=10, max_size=119)) == 2
    assert len(plan_reads(requests, max_gap=10, max_size=120)) == 1


def test_overlapping_and_nested_ranges() -> None:
    requests = [RangeByteRequest(0, 50), RangeByteRequest(10, 20), RangeByteRequest(40, 60)]
    assert plan_reads(requests, max_gap=0, max_size=100) == [
        Read(Bounds(0, 60), ((0, slice(0, 50)), (1, slice(10, 20)), (2, slice(40, 60))))
    ]


def test_open_requests_are_read_alone() -> None:
    requests = [None, SuffixByteRequest(3), OffsetByteRequest(4)]
    assert plan_reads(requests, max_gap=100, max_size=1000) == [
        Read(Bounds(), ((0, None),)),
        Read(Bounds(suffix=3), ((1, None),)),
        Read(Bounds(start=4), ((2, None),)),
    ]


@given(
    st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), max_size=12),
    st.integers(0, 30),
    st.integers(1, 120),
)
def test_every_plan_answers_every_request(
    spans: list[tuple[int, int]], gap: int, size: int
) -> None:
    value = bytes(range(256)) * 2
    requests = [RangeByteRequest(start, start + n) for start, n in spans]
    answers = {}
    for read in plan_reads(requests, max_gap=gap, max_size=size):
        data = value[read.bounds.start : read.bounds.end]
        assert len(read.answers) == 1 or len(data) <= size
        for index, part in read.answers:
            assert index not in answers
            answers[index] = data if part is None else data[part]
    assert answers == {i: value[r.start : r.end] for i, r in enumerate(requests)}
