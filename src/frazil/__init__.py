"""Frazil: transactional, version-controlled storage for Zarr.

The public names are those of the `icechunk` package; `install_as_icechunk()` lets code that
imports it run on this one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from frazil._version import __version__
from frazil.compat import install_as_icechunk
from frazil.config import (
    Attribution,
    CachingConfig,
    CompressionAlgorithm,
    CompressionConfig,
    FeatureFlag,
    ManifestConfig,
    ManifestPreloadCondition,
    ManifestPreloadConfig,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
    ManifestSplittingConfig,
    ManifestVirtualChunkLocationCompressionConfig,
    PackConfig,
    RepositoryConfig,
)
from frazil.conflicts import (
    UNSOLVED,
    BasicConflictSolver,
    CallbackSolver,
    Conflict,
    ConflictDetector,
    ConflictSolver,
    ConflictType,
    MetadataMergeSolver,
    ThreeWay,
    VersionSelection,
)
from frazil.credentials import (
    AnyAzureCredential,
    AnyAzureStaticCredential,
    AnyCredential,
    AnyGcsCredential,
    AnyGcsStaticCredential,
    AnyS3Credential,
    AzureCredentials,
    AzureRefreshableCredential,
    AzureStaticCredentials,
    Credentials,
    GcsBearerCredential,
    GcsCredentials,
    GcsStaticCredentials,
    S3Credentials,
    S3StaticCredentials,
    azure_anonymous_credentials,
    azure_credentials,
    azure_from_env_credentials,
    azure_refreshable_credentials,
    azure_static_credentials,
    containers_credentials,
    gcs_credentials,
    gcs_from_env_credentials,
    gcs_refreshable_credentials,
    gcs_static_credentials,
    s3_anonymous_credentials,
    s3_credentials,
    s3_from_env_credentials,
    s3_refreshable_credentials,
    s3_static_credentials,
)
from frazil.debug import print_debug_info, user_agent
from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    FormatError,
    IcechunkError,
    InternalError,
    InvalidInputError,
    NodeNotFoundError,
    NotFoundError,
    ReadOnlyError,
    RebaseFailedError,
    RefNotFoundError,
    RepositoryNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
    StorageError,
)
from frazil.explaining import explain
from frazil.logs import initialize_logs, set_logs_filter, shutdown_telemetry
from frazil.opening import open, open_async
from frazil.ops import GCSummary, Update, UpdateType
from frazil.repository import Repository
from frazil.repository.migration import upgrade_icechunk_repository as upgrade_icechunk_repository
from frazil.session import ForkSession, Session
from frazil.snapshots import AncestryGraph, Diff, ManifestFileInfo, SnapshotInfo
from frazil.status import RepoStatus
from frazil.storage import (
    AnyObjectStoreConfig,
    ChecksumAlgorithm,
    ObjectStoreConfig,
    S3Options,
    Storage,
    StorageConcurrencySettings,
    StorageRetriesSettings,
    StorageSettings,
    StorageTimeoutSettings,
    azure_storage,
    gcs_storage,
    gcs_store,
    hf_storage,
    http_storage,
    http_store,
    in_memory_storage,
    local_filesystem_storage,
    local_filesystem_store,
    r2_storage,
    redirect_storage,
    s3_storage,
    s3_store,
    storage_from_url,
    tigris_storage,
)
from frazil.store import IcechunkStore
from frazil.types import (
    ChunkType,
    CommitMethod,
    RepoAvailability,
    SessionMode,
    SpecVersion,
    spec_version,
    supported_spec_versions,
)
from frazil.virtual import VirtualChunkContainer, VirtualChunkSpec

initialize_logs()

if TYPE_CHECKING:
    from frazil.interchange import export_netcdf as export_netcdf
    from frazil.interchange import export_zarr as export_zarr
    from frazil.interchange import import_netcdf as import_netcdf
    from frazil.interchange import import_zarr as import_zarr
    from frazil.xarray import open_dataset as open_dataset
    from frazil.xarray import open_datatree as open_datatree

# Not everybody needs these, or has what they need; they are imported when first used.
_LATER = {
    "export_netcdf": "frazil.interchange",
    "export_zarr": "frazil.interchange",
    "import_netcdf": "frazil.interchange",
    "import_zarr": "frazil.interchange",
    "open_dataset": "frazil.xarray",
    "open_datatree": "frazil.xarray",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "UNSOLVED",
    "AlreadyExistsError",
    "AncestryGraph",
    "AnyAzureCredential",
    "AnyAzureStaticCredential",
    "AnyCredential",
    "AnyGcsCredential",
    "AnyGcsStaticCredential",
    "AnyObjectStoreConfig",
    "AnyS3Credential",
    "Attribution",
    "AzureCredentials",
    "AzureRefreshableCredential",
    "AzureStaticCredentials",
    "BasicConflictSolver",
    "CachingConfig",
    "CallbackSolver",
    "ChecksumAlgorithm",
    "ChunkType",
    "CommitMethod",
    "CompressionAlgorithm",
    "CompressionConfig",
    "Conflict",
    "ConflictDetector",
    "ConflictError",
    "ConflictSolver",
    "ConflictType",
    "Credentials",
    "Diff",
    "ErrorKind",
    "FeatureFlag",
    "ForkSession",
    "FormatError",
    "GCSummary",
    "GcsBearerCredential",
    "GcsCredentials",
    "GcsStaticCredentials",
    "IcechunkError",
    "IcechunkStore",
    "InternalError",
    "InvalidInputError",
    "ManifestConfig",
    "ManifestFileInfo",
    "ManifestPreloadCondition",
    "ManifestPreloadConfig",
    "ManifestSplitCondition",
    "ManifestSplitDimCondition",
    "ManifestSplittingConfig",
    "ManifestVirtualChunkLocationCompressionConfig",
    "MetadataMergeSolver",
    "NodeNotFoundError",
    "NotFoundError",
    "ObjectStoreConfig",
    "PackConfig",
    "ReadOnlyError",
    "RebaseFailedError",
    "RefNotFoundError",
    "RepoAvailability",
    "RepoStatus",
    "Repository",
    "RepositoryConfig",
    "RepositoryNotFoundError",
    "S3Credentials",
    "S3Options",
    "S3StaticCredentials",
    "Session",
    "SessionMode",
    "SessionStateError",
    "SnapshotInfo",
    "SnapshotNotFoundError",
    "SpecVersion",
    "Storage",
    "StorageConcurrencySettings",
    "StorageError",
    "StorageRetriesSettings",
    "StorageSettings",
    "StorageTimeoutSettings",
    "ThreeWay",
    "Update",
    "UpdateType",
    "VersionSelection",
    "VirtualChunkContainer",
    "VirtualChunkSpec",
    "__version__",
    "azure_anonymous_credentials",
    "azure_credentials",
    "azure_from_env_credentials",
    "azure_refreshable_credentials",
    "azure_static_credentials",
    "azure_storage",
    "containers_credentials",
    "explain",
    "gcs_credentials",
    "gcs_from_env_credentials",
    "gcs_refreshable_credentials",
    "gcs_static_credentials",
    "gcs_storage",
    "gcs_store",
    "hf_storage",
    "http_storage",
    "http_store",
    "in_memory_storage",
    "initialize_logs",
    "install_as_icechunk",
    "local_filesystem_storage",
    "local_filesystem_store",
    "open",
    "open_async",
    "print_debug_info",
    "r2_storage",
    "redirect_storage",
    "s3_anonymous_credentials",
    "s3_credentials",
    "s3_from_env_credentials",
    "s3_refreshable_credentials",
    "s3_static_credentials",
    "s3_storage",
    "s3_store",
    "set_logs_filter",
    "shutdown_telemetry",
    "spec_version",
    "storage_from_url",
    "supported_spec_versions",
    "tigris_storage",
    "user_agent",
]
