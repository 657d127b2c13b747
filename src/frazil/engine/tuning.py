"""What a configuration means for the layers below."""

from __future__ import annotations

from frazil.config import CachingConfig, RepositoryConfig
from frazil.engine.packs import PackSizes
from frazil.format.manifest import LocationCompression
from frazil.library.catalog_v2 import Retries
from frazil.library.files import Budgets

NODE_BYTES, REF_BYTES, CHANGE_BYTES = 512, 64, 64
"""What a node, a chunk reference and a change of a log are counted as in memory."""


def budgets(config: RepositoryConfig) -> Budgets:
    """Bytes for the numbers of things that the configuration speaks of."""
    caching, default = config.caching or CachingConfig(), Budgets()

    def pick(number: int | None, each: int, otherwise: int) -> int:
        return otherwise if number is None else number * each

    return Budgets(
        pick(caching.num_snapshot_nodes, NODE_BYTES, default.snapshots),
        pick(caching.num_chunk_refs, REF_BYTES, default.manifests),
        pick(caching.num_transaction_changes, CHANGE_BYTES, default.logs),
        pick(caching.num_bytes_chunks, 1, default.chunks),
    )


def location_compression(config: RepositoryConfig) -> LocationCompression:
    """How locations of virtual chunks are compressed."""
    given = config.effective("manifest").effective("virtual_chunk_location_compression")
    return LocationCompression(
        given.effective("min_num_chunks"),
        given.effective("dictionary_max_training_samples"),
        given.effective("dictionary_max_size_bytes"),
        given.effective("compression_level"),
    )


def pack_sizes(config: RepositoryConfig) -> PackSizes:
    """How small chunks share objects."""
    given = config.effective("packs")
    return PackSizes(given.effective("target_bytes"), given.effective("max_chunk_bytes"))


def retries(config: RepositoryConfig) -> Retries:
    """How often the repo object is tried to be replaced."""
    given = config.repo_update_retries and config.repo_update_retries.default
    defaults = Retries()
    if not given:
        return defaults

    def pick(value: int | None, default: int) -> int:
        return default if value is None else value

    return Retries(
        pick(given.max_tries, defaults.max_tries),
        pick(given.initial_backoff_ms, defaults.initial_backoff_ms),
        pick(given.max_backoff_ms, defaults.max_backoff_ms),
    )
