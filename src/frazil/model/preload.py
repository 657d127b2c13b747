"""Which manifests are worth fetching before anybody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from frazil.config.conditions import (
    ManifestPreloadCondition,
    PreloadAnd,
    PreloadFalse,
    PreloadNameMatches,
    PreloadNumRefs,
    PreloadOr,
    PreloadPathMatches,
    PreloadTrue,
)
from frazil.config.manifests import ManifestPreloadConfig
from frazil.ids import ManifestId
from frazil.model.patterns import compile_pattern

COORDINATE_NAMES = (
    # time, vertical, y, latitude, longitude, x: the usual spellings of models and of CF
    r"^t$",
    r"^(time|min|hour|day|week|month|year)[0-9]*$",
    r"^(z|nav_lev|gdep|lv_|o*lev|bottom_top|sigma|h(ei)?ght|altitude|depth|isobaric|pres|isotherm)"
    r"[a-z_]*[0-9]*$",
    r"^(y|j|nlat|rlat|nj)$",
    r"^y?(nav_lat|lat|gphi)[a-z0-9]*$",
    r"^x?(nav_lon|lon|glam)[a-z0-9]*$",
    r"^(x|i|nlon|rlon|ni)$",
)
"""Names of arrays that hold coordinates, which nearly every reader wants."""

DEFAULT_PRELOAD_IF: ManifestPreloadCondition = PreloadAnd(
    (
        PreloadNumRefs(None, 1001),
        PreloadOr([PreloadNameMatches(regex) for regex in COORDINATE_NAMES]),
    )
)
"""Coordinates whose manifest has at most 1000 references."""


def choose_manifests(
    config: ManifestPreloadConfig | None,
    arrays: Iterable[tuple[str, Sequence[tuple[ManifestId, int]]]],
) -> list[ManifestId]:
    """The manifests to fetch, in the order of the arrays.

    arrays: (path, ((manifest id, number of references in it), ...)) in the order of paths; no
    more are looked at than the configuration says. A manifest that does not fit into the
    total any more is left out, smaller ones may follow. `InvalidInputError` for a regular
    expression that cannot be used.
    """
    config = config or ManifestPreloadConfig()
    room: int = config.effective("max_total_refs")
    condition = config.preload_if or DEFAULT_PRELOAD_IF
    if room == 0 or isinstance(condition, PreloadFalse):
        return []
    chosen: dict[ManifestId, None] = {}
    for path, manifests in islice(arrays, config.effective("max_arrays_to_scan")):
        for manifest, num_refs in manifests:
            fits = num_refs <= room and manifest not in chosen
            if fits and _holds(condition, path, num_refs):
                chosen[manifest] = None
                room -= num_refs
    return list(chosen)


def _holds(condition: ManifestPreloadCondition, path: str, num_refs: int) -> bool:
    match condition:
        case PreloadTrue():
            return True
        case PreloadFalse():
            return False
        case PreloadOr(conditions=several):
            return any(_holds(one, path, num_refs) for one in several)
        case PreloadAnd(conditions=several):
            return all(_holds(one, path, num_refs) for one in several)
        case PreloadNumRefs(from_refs=low, to_refs=high):
            return (low is None or low <= num_refs) and (high is None or num_refs < high)
        case PreloadPathMatches(regex=regex):
            return compile_pattern(regex).search(path) is not None
        case PreloadNameMatches(regex=regex):
            return compile_pattern(regex).search(path.rpartition("/")[2]) is not None
    raise TypeError(f"unknown condition {condition!r}")
