"""Where repositories live: the public names.

Behind them: `base` is the port, `memory`, `local`, `objects` and `http` are the backends,
`doubles` the wrappers for tests, `pool` the threads for requests.
"""

from frazil.storage.api import (
    Storage,
    http_storage,
    in_memory_storage,
    local_filesystem_storage,
    redirect_storage,
)
from frazil.storage.buckets import (
    azure_storage,
    gcs_storage,
    r2_storage,
    s3_object_store_storage,
    s3_storage,
    tigris_storage,
)
from frazil.storage.from_url import storage_from_url
from frazil.storage.hugging_face import hf_storage
from frazil.storage.object_stores import (
    AnyObjectStoreConfig,
    ObjectStoreConfig,
    azure_store,
    gcs_store,
    http_store,
    local_filesystem_store,
    s3_store,
)
from frazil.storage.settings import (
    ChecksumAlgorithm,
    S3Options,
    StorageConcurrencySettings,
    StorageObjectInfo,
    StorageRetriesSettings,
    StorageSettings,
    StorageTimeoutSettings,
)
from frazil.types import ChunkType

__all__ = [
    "AnyObjectStoreConfig",
    "ChecksumAlgorithm",
    "ChunkType",
    "ObjectStoreConfig",
    "S3Options",
    "Storage",
    "StorageConcurrencySettings",
    "StorageObjectInfo",
    "StorageRetriesSettings",
    "StorageSettings",
    "StorageTimeoutSettings",
    "azure_storage",
    "azure_store",
    "gcs_storage",
    "gcs_store",
    "hf_storage",
    "http_storage",
    "http_store",
    "in_memory_storage",
    "local_filesystem_storage",
    "local_filesystem_store",
    "r2_storage",
    "redirect_storage",
    "s3_object_store_storage",
    "s3_storage",
    "s3_store",
    "storage_from_url",
    "tigris_storage",
]
