"""The names that Icechunk keeps in its native module, for code that imports them from there."""

from frazil import *  # noqa: F403
from frazil.config import RepoUpdateRetryConfig
from frazil.stats import ChunkStorageStats
from frazil.storage import StorageObjectInfo

__all__ = ["ChunkStorageStats", "RepoUpdateRetryConfig", "StorageObjectInfo"]
