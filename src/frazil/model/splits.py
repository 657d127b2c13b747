"""Into which manifests the references of an array go.

An array's chunk grid is cut along each axis every `size` chunks; one manifest holds the
references of one box. For each axis the first size counts whose array condition and
dimension condition both hold, over all rules in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

from frazil.config.conditions import (
    ManifestSplitCondition,
    ManifestSplitDimCondition,
    SplitAnd,
    SplitAnyArray,
    SplitAnyDimension,
    SplitAxis,
    SplitDimensionName,
    SplitNameMatches,
    SplitOr,
    SplitPathMatches,
)
from frazil.config.manifests import UNSPLIT, ManifestSplittingConfig
from frazil.errors import ErrorKind, InvalidInputError
from frazil.model.patterns import compile_pattern


def split_sizes(
    config: ManifestSplittingConfig | None,
    path: str,
    dimension_names: Sequence[str | None] | None,
    num_chunks: Sequence[int],
) -> tuple[int, ...]:
    """The number of chunks between cuts, for each axis; `UNSPLIT` for no cuts.

    path: the array's; num_chunks: of its grid, one for each axis. `InvalidInputError` for a
    size of 0 or a regular expression that cannot be used.
    """
    rules = () if config is None else config.split_sizes or ()
    sizes = [size for condition, several in rules if _holds(condition, path) for size in several]
    names = dimension_names or ()
    return tuple(
        _size(sizes, axis, names[axis] if axis < len(names) else None, path)
        for axis in range(len(num_chunks))
    )


def _size(
    sizes: Sequence[tuple[ManifestSplitDimCondition, int]], axis: int, name: str | None, path: str
) -> int:
    for condition, size in sizes:
        if _is_for(condition, axis, name):
            if size == 0:
                raise InvalidInputError(
                    f"manifests of {path} cannot be split every 0 chunks: "
                    "give a positive number in manifest.splitting",
                    ErrorKind.INVALID_MANIFEST_SPLIT_INDEX,
                )
            return size
    return UNSPLIT


def _holds(condition: ManifestSplitCondition, path: str) -> bool:
    match condition:
        case SplitAnyArray():
            return True
        case SplitOr(conditions=several):
            return any(_holds(one, path) for one in several)
        case SplitAnd(conditions=several):
            return all(_holds(one, path) for one in several)
        case SplitPathMatches(regex=regex):
            return compile_pattern(regex).search(path) is not None
        case SplitNameMatches(regex=regex):
            return compile_pattern(regex).search(path.rpartition("/")[2]) is not None
    raise TypeError(f"unknown condition {condition!r}")


def _is_for(condition: ManifestSplitDimCondition, axis: int, name: str | None) -> bool:
    match condition:
        case SplitAnyDimension():
            return True
        case SplitAxis(axis=wanted):
            return wanted == axis
        case SplitDimensionName(regex=regex):
            return name is not None and compile_pattern(regex).search(name) is not None
    raise TypeError(f"unknown condition {condition!r}")
