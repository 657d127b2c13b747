"""Where repositories live: the public names.

Behind them: `base` is the port, `memory`, `local`, `objects` and `http` are the backends,
`doubles` the wrappers for tests, `pool` the threads for requests.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frazil.storage.api import (
    Storage,
    http_storage,
    in_memory_storage,
    local_filesystem_storage,
    redirect_storage,
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

if TYPE_CHECKING:
    from frazil.storage.buckets import (
        azure_storage,
        gcs_storage,
        hf_storage,
        r2_storage,
        s3_object_store_storage,
        s3_storage,
        tigris_storage,
    )
    from frazil.storage.from_url import storage_from_url
    from frazil.storage.object_stores import (
        AnyObjectStoreConfig,
        ObjectStoreConfig,
        azure_store,
        gcs_store,
        http_store,
        local_filesystem_store,
        s3_store,
    )

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

# What not every program needs is imported when it is first used.
_LATER = {
    "AnyObjectStoreConfig": "frazil.storage.object_stores",
    "ObjectStoreConfig": "frazil.storage.object_stores",
    "azure_storage": "frazil.storage.buckets",
    "azure_store": "frazil.storage.object_stores",
    "gcs_storage": "frazil.storage.buckets",
    "gcs_store": "frazil.storage.object_stores",
    "hf_storage": "frazil.storage.buckets",
    "http_store": "frazil.storage.object_stores",
    "local_filesystem_store": "frazil.storage.object_stores",
    "r2_storage": "frazil.storage.buckets",
    "s3_object_store_storage": "frazil.storage.buckets",
    "s3_storage": "frazil.storage.buckets",
    "s3_store": "frazil.storage.object_stores",
    "storage_from_url": "frazil.storage.from_url",
    "tigris_storage": "frazil.storage.buckets",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
