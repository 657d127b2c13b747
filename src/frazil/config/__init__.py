"""The configuration of a repository, as users write it.

RepositoryConfig          config/repository.py
  CompressionConfig, CachingConfig, RepoUpdateRetryConfig
  ManifestConfig          config/manifests.py
    preloading, splitting, compression of locations
      conditions          config/conditions.py
  StorageSettings         storage/settings.py
  VirtualChunkContainer   virtual.py
Attribution, FeatureFlag  config/attribution.py
"""

from frazil.config.attribution import Attribution, FeatureFlag
from frazil.config.conditions import (
    ManifestPreloadCondition,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
)
from frazil.config.manifests import (
    ManifestConfig,
    ManifestPreloadConfig,
    ManifestSplittingConfig,
    ManifestSplitValues,
    ManifestVirtualChunkLocationCompressionConfig,
    SplitSizesDict,
    from_dict,
    to_dict,
)
from frazil.config.packs import PackConfig
from frazil.config.repository import (
    CachingConfig,
    CompressionAlgorithm,
    CompressionConfig,
    RepositoryConfig,
    RepoUpdateRetryConfig,
)
from frazil.logs import initialize_logs, set_logs_filter, shutdown_telemetry
from frazil.storage.object_stores import ObjectStoreConfig

__all__ = [
    "Attribution",
    "CachingConfig",
    "CompressionAlgorithm",
    "CompressionConfig",
    "FeatureFlag",
    "ManifestConfig",
    "ManifestPreloadCondition",
    "ManifestPreloadConfig",
    "ManifestSplitCondition",
    "ManifestSplitDimCondition",
    "ManifestSplitValues",
    "ManifestSplittingConfig",
    "ManifestVirtualChunkLocationCompressionConfig",
    "ObjectStoreConfig",
    "PackConfig",
    "RepoUpdateRetryConfig",
    "RepositoryConfig",
    "SplitSizesDict",
    "from_dict",
    "initialize_logs",
    "set_logs_filter",
    "shutdown_telemetry",
    "to_dict",
]
