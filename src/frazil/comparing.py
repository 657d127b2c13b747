"""How far the values of two versions are apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import zarr

from frazil.display import Displayed, Shown, record
from frazil.progress import task
from frazil.session import Session
from frazil.snapshots import Diff


@dataclass(frozen=True, repr=False, slots=True)
class ValueChanges(Displayed):
    """How the values of one array differ between two versions.

    elements: those that were compared, in the chunks that were written; changed: of these, those
    that differ, NaN being equal to NaN and NaT to NaT. The rest is of changed elements that are
    finite in both, after minus before, None where there are none or the values are no numbers:
    the smallest, the largest, their mean and their root mean square. before_shape,
    after_shape: elements that only one version has are not compared.
    """

    path: str
    before_shape: tuple[int, ...]
    after_shape: tuple[int, ...]
    elements: int
    changed: int
    smallest: float | None
    largest: float | None
    mean: float | None
    rms: float | None

    _public_name: ClassVar[str] = "frazil.comparing.ValueChanges"

    def _shown(self) -> Iterable[Shown]:
        return record([f.name for f in fields(self)], self)


def value_changes(before: Session, after: Session, diff: Diff) -> Iterator[ValueChanges]:
    """Compare the values of arrays that both versions have, where `diff` says they were written.

    before, after: read-only sessions on the versions that `diff` is between. Reads the chunks
    that were written, of both versions, and holds few at a time.
    """
    for path, coordinates in sorted(diff.updated_chunks.items()):
        if path in before and path in after:
            old, new = before[path], after[path]
            if isinstance(old, zarr.Array) and isinstance(new, zarr.Array):
                yield _compare(path, old, new, coordinates)


@dataclass(slots=True)
class _Sums:
    elements: int = 0
    changed: int = 0
    finite: int = 0
    total: float = 0.0
    squares: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")

    def add(self, other: _Sums) -> None:
        """Count what `other` counted as well."""
        for name in ("elements", "changed", "finite", "total", "squares"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)


def _compare(
    path: str, old: zarr.Array[Any], new: zarr.Array[Any], chunks: list[list[int]]
) -> ValueChanges:
    sums = _Sums()
    if old.ndim == new.ndim:
        grid = new.shards or new.chunks
        common = [min(pair) for pair in zip(old.shape, new.shape, strict=True)]
        with task(f"Comparing {path}", len(chunks)) as progress:
            for index in chunks:
                box = tuple(
                    slice(i * size, min((i + 1) * size, stop))
                    for i, size, stop in zip(index, grid, common, strict=True)
                )
                if all(part.start < part.stop for part in box):
                    sums.add(_sums(np.asarray(old[box]), np.asarray(new[box])))
                progress.step()
    count = sums.finite
    return ValueChanges(
        path,
        tuple(old.shape),
        tuple(new.shape),
        sums.elements,
        sums.changed,
        sums.smallest if count else None,
        sums.largest if count else None,
        sums.total / count if count else None,
        float(np.sqrt(sums.squares / count)) if count else None,
    )


def _sums(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> _Sums:
    # NaN and NaT are not equal to themselves.
    differ = np.asarray(old != new) & ~np.asarray((old != old) & (new != new))
    numbers = old.dtype.kind in "biuf" and new.dtype.kind in "biuf"
    sums = _Sums(differ.size, int(np.count_nonzero(differ)))
    if numbers and sums.changed:
        # Doubles hold the difference of whatever is stored, unsigned integers included.
        by = new[differ].astype(np.float64) - old[differ].astype(np.float64)
        by = by[np.isfinite(by)]
        if by.size:
            sums.finite, sums.total = by.size, float(by.sum())
            sums.squares = float(np.square(by).sum())
            sums.smallest, sums.largest = float(by.min()), float(by.max())
    return sums
