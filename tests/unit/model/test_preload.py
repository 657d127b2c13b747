"""Which manifests are fetched ahead."""

import pytest

from frazil.config import ManifestPreloadCondition as If
from frazil.config import ManifestPreloadConfig
from frazil.errors import InvalidInputError
from frazil.ids import ManifestId
from frazil.model.preload import DEFAULT_PRELOAD_IF, choose_manifests

A, B, C = (ManifestId(bytes([i]) * 12) for i in range(3))


def chosen(config: ManifestPreloadConfig | None, *sizes: int, path: str = "/data") -> list[int]:
    """Which of some manifests, one for each array, are chosen."""
    ids = [ManifestId(bytes([i]) * 12) for i in range(len(sizes))]
    arrays = [(f"{path}{i}", [(ids[i], size)]) for i, size in enumerate(sizes)]
    return [ids.index(manifest) for manifest in choose_manifests(config, arrays)]


def everything(**limits: int) -> ManifestPreloadConfig:
    return ManifestPreloadConfig(preload_if=If.true(), **limits)


def test_the_total_is_kept_and_smaller_ones_may_follow() -> None:
    assert chosen(everything(max_total_refs=10), 4, 7, 6, 1) == [0, 2]
    assert chosen(everything(max_total_refs=10), 11, 10) == [1]
    assert chosen(everything(max_total_refs=0), 0, 1) == []
    assert chosen(everything(), 10_000) == [0]
    assert chosen(everything(), 10_001) == []


def test_only_so_many_arrays_are_looked_at() -> None:
    assert chosen(everything(max_arrays_to_scan=2), 1, 1, 1) == [0, 1]
    assert chosen(everything(), *[1] * 51) == list(range(50))


def test_a_manifest_of_two_arrays_counts_once() -> None:
    arrays = [("/a", [(A, 6), (B, 3)]), ("/b", [(A, 6), (C, 1)])]
    assert choose_manifests(everything(max_total_refs=10), arrays) == [A, B, C]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (If.true(), True),
        (If.false(), False),
        (If.path_matches("^/grp"), True),
        (If.name_matches("grp"), False),
        (If.name_matches("^time$"), True),
        (If.num_refs(5, 6), True),
        (If.num_refs(4, 5), False),
        (If.num_refs(6, None), False),
        (If.num_refs(None, None), True),
        (If.true() & If.false(), False),
        (If.true() | If.false(), True),
        (If.or_conditions([]), False),
        (If.and_conditions([]), True),
    ],
    ids=str,
)
def test_conditions(condition: If, holds: bool) -> None:
    config = ManifestPreloadConfig(preload_if=condition)
    assert choose_manifests(config, [("/grp/time", [(A, 5)])]) == ([A] if holds else [])


@pytest.mark.parametrize(
    ("path", "size", "preloaded"),
    [
        ("/time", 5, True),
        ("/grp/time", 5, True),
        ("/time2", 5, True),
        ("/t", 5, True),
        ("/lat", 5, True),
        ("/nav_lon", 5, True),
        ("/ylat_bnds", 5, False),
        ("/x", 1000, True),
        ("/olev", 5, True),
        ("/depth_w", 5, True),
        ("/height2", 5, True),
        ("/longitude", 1001, False),
        ("/bigtime", 5, False),
        ("/time/data", 5, False),
        ("/data", 5, False),
    ],
)
def test_by_default_small_coordinates_are_preloaded(path: str, size: int, preloaded: bool) -> None:
    for config in (None, ManifestPreloadConfig(preload_if=DEFAULT_PRELOAD_IF)):
        assert choose_manifests(config, [(path, [(A, size)])]) == ([A] if preloaded else [])


def test_a_pattern_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="regular expression"):
        chosen(ManifestPreloadConfig(preload_if=If.path_matches("(")), 1)
