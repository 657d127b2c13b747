"""How manifests are preloaded, split and compressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, ClassVar, TypeAlias

from frazil.config.conditions import (
    ManifestPreloadCondition,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
    conditions_of,
    dimension_condition,
    preload_condition,
    split_condition,
)
from frazil.settings import I32, U16, U32, Group, Instance, Kind, Settings

SplitSizes: TypeAlias = Sequence[
    tuple[ManifestSplitCondition, Sequence[tuple[ManifestSplitDimCondition, int]]]
]
ManifestSplitValues: TypeAlias = dict[ManifestSplitDimCondition, int]
SplitSizesDict: TypeAlias = dict[ManifestSplitCondition, ManifestSplitValues]

UNSPLIT = 2**32 - 1
"""The split size of a dimension that is not split."""


class _PreloadIf(Instance[ManifestPreloadCondition]):
    def __init__(self) -> None:
        super().__init__(ManifestPreloadCondition)

    def encode(self, value: ManifestPreloadCondition) -> Any:
        return value.document()

    def decode(self, name: str, document: object) -> ManifestPreloadCondition:
        return preload_condition(name, document)


@dataclass(eq=False, repr=False, slots=True)
class ManifestPreloadConfig(Settings):
    """Which manifests to fetch when a session starts, and at most how many references."""

    max_total_refs: Annotated[int | None, U32(10_000)] = None
    preload_if: Annotated[ManifestPreloadCondition | None, _PreloadIf()] = None
    max_arrays_to_scan: Annotated[int | None, U32(50)] = None

    _public_name: ClassVar[str] = "frazil.config.ManifestPreloadConfig"


class _SplitSizes(Kind):
    """Lists of (array condition, list of (dimension condition, number of chunks))."""

    _size = U32()

    def accept(self, name: str, value: object) -> Any:
        rules = _pairs(name, value)
        conditions_of(name, ManifestSplitCondition, [array for array, _ in rules])
        return [(array, self._sizes(name, sizes)) for array, sizes in rules]

    def _sizes(self, name: str, value: object) -> list[tuple[ManifestSplitDimCondition, int]]:
        sizes = _pairs(name, value)
        conditions_of(name, ManifestSplitDimCondition, [dimension for dimension, _ in sizes])
        return [(dimension, self._size.accept(name, size)) for dimension, size in sizes]

    def encode(self, value: Any) -> list[Any]:
        return [
            [
                array.document(),
                [{"condition": d.document(), "num_chunks": size} for d, size in sizes],
            ]
            for array, sizes in value
        ]

    def decode(self, name: str, document: object) -> Any:
        rules = []
        for array, sizes in _pairs(name, document):
            if not isinstance(sizes, list) or not all(isinstance(s, dict) for s in sizes):
                raise ValueError(f"{name} takes a list of maps for each array, not {sizes!r}")
            rules.append(
                (
                    split_condition(name, array),
                    [
                        (
                            dimension_condition(name, size.get("condition")),
                            self._size.decode(name, size.get("num_chunks")),
                        )
                        for size in sizes
                    ],
                )
            )
        return rules


def _pairs(name: str, value: object) -> list[tuple[Any, Any]]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"{name} takes a sequence of pairs, not {type(value).__name__}")
    for pair in value:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError(f"{name} takes pairs, not {pair!r}")
    return [(first, second) for first, second in value]


@dataclass(eq=False, repr=False, slots=True)
class ManifestSplittingConfig(Settings):
    """How the references of arrays are divided among manifests.

    split_sizes: (array condition, ((dimension condition, number of chunks), ...)) pairs. For
    each dimension the first size counts whose two conditions both hold, over all pairs in
    their order; a dimension without one is not split.
    """

    split_sizes: Annotated[SplitSizes | None, _SplitSizes()] = None

    _public_name: ClassVar[str] = "frazil.config.ManifestSplittingConfig"

    @staticmethod
    def from_dict(split_sizes: SplitSizesDict) -> ManifestSplittingConfig:
        """Rules from a dict of dicts, in its order."""
        return ManifestSplittingConfig(
            [(array, list(sizes.items())) for array, sizes in split_sizes.items()]
        )

    def to_dict(self) -> SplitSizesDict:
        """The rules as a dict of dicts."""
        return {array: dict(sizes) for array, sizes in self.split_sizes or ()}


def from_dict(split_sizes: SplitSizesDict) -> ManifestSplittingConfig:
    """`ManifestSplittingConfig.from_dict`."""
    return ManifestSplittingConfig.from_dict(split_sizes)


def to_dict(config: ManifestSplittingConfig) -> SplitSizesDict:
    """`ManifestSplittingConfig.to_dict`."""
    return config.to_dict()


@dataclass(eq=False, repr=False, slots=True)
class ManifestVirtualChunkLocationCompressionConfig(Settings):
    """When and how the locations of virtual chunks are compressed with a dictionary."""

    min_num_chunks: Annotated[int | None, U16(1000)] = None
    _: KW_ONLY
    dictionary_max_training_samples: Annotated[int | None, U16(100)] = None
    dictionary_max_size_bytes: Annotated[int | None, U32(2048)] = None
    compression_level: Annotated[int | None, I32(3)] = None

    _public_name: ClassVar[str] = "frazil.config.ManifestVirtualChunkLocationCompressionConfig"


@dataclass(eq=False, repr=False, slots=True)
class ManifestConfig(Settings):
    """Everything about manifests."""

    preload: Annotated[
        ManifestPreloadConfig | None,
        Group(ManifestPreloadConfig, ManifestPreloadConfig(), whole=True),
    ] = None
    splitting: Annotated[
        ManifestSplittingConfig | None,
        Group(
            ManifestSplittingConfig,
            ManifestSplittingConfig(
                [(ManifestSplitCondition.AnyArray(), [(ManifestSplitDimCondition.Any(), UNSPLIT)])]
            ),
            whole=True,
        ),
    ] = None
    virtual_chunk_location_compression: Annotated[
        ManifestVirtualChunkLocationCompressionConfig | None,
        Group(
            ManifestVirtualChunkLocationCompressionConfig,
            ManifestVirtualChunkLocationCompressionConfig(),
        ),
    ] = None
    max_concurrent_manifest_fetches_during_commit: Annotated[int | None, U16(1)] = None

    _public_name: ClassVar[str] = "frazil.config.ManifestConfig"
