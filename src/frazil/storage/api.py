"""`Storage`: says where a repository is, and opens that place when it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from typing_extensions import override

from frazil.arguments import instance_of
from frazil.display import Displayed, Shown
from frazil.errors import ErrorKind, InvalidInputError
from frazil.storage.base import Backend, ObjectInfo
from frazil.storage.location import Folder, Location, new_memory
from frazil.storage.settings import S3Options, StorageObjectInfo, StorageSettings

if TYPE_CHECKING:
    from frazil.credentials import AnyAzureCredential, AnyGcsCredential, AnyS3Credential

Texts: TypeAlias = dict[str, str] | None

MIN_CACHE_BYTES = 1024 * 1024
"""The smallest budget of a cache on disk."""


class Storage(Displayed):
    """Where a repository is: a value that can be compared, pickled and sent to workers.

    Made by the functions of this package, such as `local_filesystem_storage`.
    """

    __slots__ = ("_location",)
    _public_name: ClassVar[str] = "frazil.Storage"
    _location: Location

    def __init__(self) -> None:
        raise TypeError(
            "a Storage is made by in_memory_storage(), local_filesystem_storage(path) and others"
        )

    @classmethod
    def new_in_memory(cls) -> Storage:
        """A new, empty place in the memory of this process."""
        return storage_at(new_memory())

    @classmethod
    def new_local_filesystem(cls, path: str) -> Storage:
        """A folder of this machine, which is made when something is written to it."""
        given = instance_of(str, "path", os.fspath(path))
        if not given:
            raise InvalidInputError(
                "the path of a local storage is empty: name a folder", ErrorKind.INVALID_PATH
            )
        return storage_at(Folder(os.path.abspath(given), given))

    @classmethod
    def new_s3(
        cls,
        config: S3Options,
        bucket: str,
        prefix: str | None,
        credentials: AnyS3Credential | None = None,
        legacy_rooted_keys: bool | None = None,
        *,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in S3; without credentials, those of the environment are used."""
        from frazil.storage import cloud

        sent = cloud.Headers.of(read_headers, write_headers, headers)
        return storage_at(
            cloud.s3_place(
                config, bucket, prefix, credentials, sent, legacy_rooted_keys=legacy_rooted_keys
            )
        )

    @classmethod
    def new_s3_object_store(
        cls,
        config: S3Options,
        bucket: str,
        prefix: str | None,
        credentials: AnyS3Credential | None = None,
        *,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in S3, with keys spelled as by Icechunk's other client for it."""
        from frazil.storage import cloud

        sent = cloud.Headers.of(read_headers, write_headers, headers)
        return storage_at(cloud.s3_place(config, bucket, prefix, credentials, sent, native=False))

    @classmethod
    def new_tigris(
        cls,
        config: S3Options,
        bucket: str,
        prefix: str | None,
        use_weak_consistency: bool,
        credentials: AnyS3Credential | None = None,
        legacy_rooted_keys: bool | None = None,
        *,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in Tigris: in the region of the bucket, or with weak consistency for reading."""
        from frazil.storage import cloud

        return storage_at(
            cloud.tigris_place(
                config,
                bucket,
                prefix,
                use_weak_consistency,
                credentials,
                cloud.Headers.of(read_headers, write_headers, headers),
                legacy_rooted_keys=legacy_rooted_keys,
            )
        )

    @classmethod
    def new_r2(
        cls,
        config: S3Options,
        bucket: str | None = None,
        prefix: str | None = None,
        account_id: str | None = None,
        credentials: AnyS3Credential | None = None,
        legacy_rooted_keys: bool | None = None,
        *,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in Cloudflare R2; the bucket may be the first name of the prefix."""
        from frazil.storage import cloud

        return storage_at(
            cloud.r2_place(
                config,
                bucket,
                prefix,
                account_id,
                credentials,
                cloud.Headers.of(read_headers, write_headers, headers),
                legacy_rooted_keys=legacy_rooted_keys,
            )
        )

    @classmethod
    def new_gcs(
        cls,
        bucket: str,
        prefix: str | None,
        credentials: AnyGcsCredential | None = None,
        *,
        config: Texts = None,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in Google Cloud Storage; `config` as `obstore` names options."""
        from frazil.storage import cloud

        sent = cloud.Headers.of(read_headers, write_headers, headers)
        return storage_at(cloud.gcs_place(bucket, prefix, credentials, config, sent))

    @classmethod
    def new_azure_blob(
        cls,
        account: str,
        container: str,
        prefix: str,
        credentials: AnyAzureCredential | None = None,
        *,
        config: Texts = None,
    ) -> Storage:
        """A place in Azure Blob Storage; `config` as `obstore` names options."""
        from frazil.storage import cloud

        return storage_at(cloud.azure_place(account, container, prefix, credentials, config))

    @classmethod
    def new_hf(
        cls,
        config: S3Options,
        bucket: str,
        prefix: str | None,
        namespace: str,
        credentials: AnyS3Credential | None = None,
        legacy_rooted_keys: bool | None = None,
        *,
        read_headers: Texts = None,
        write_headers: Texts = None,
        headers: Texts = None,
    ) -> Storage:
        """A place in a bucket of Hugging Face; `namespace` is the user or organisation."""
        from frazil.storage import cloud

        return storage_at(
            cloud.hf_place(
                config,
                bucket,
                prefix,
                namespace,
                credentials,
                cloud.Headers.of(read_headers, write_headers, headers),
                legacy_rooted_keys=legacy_rooted_keys,
            )
        )

    @classmethod
    def new_http(cls, base_url: str, config: Texts = None, headers: Texts = None) -> Storage:
        """What a web server has below a URL, for reading; `config` as `obstore` names options."""
        from frazil.storage.http import web

        return storage_at(web(base_url, config, headers))

    @classmethod
    def new_redirect(cls, base_url: str) -> Storage:
        """Where the web server at a URL says, for reading."""
        from frazil.storage.redirect import redirect

        return storage_at(redirect(base_url))

    def backend(self, settings: StorageSettings | None = None) -> Backend:
        """The open storage, for the layers of this package; one for each place and process.

        settings: those of the repository, merged; None for the defaults.
        """
        return self._location.open(settings)

    def check_creation(self) -> None:
        """Raise `InvalidInputError` if no repository is to be made here."""
        self._location.check_creation()

    def default_settings(self) -> StorageSettings:
        """What this storage has instead of the general defaults."""
        return self._location.default_settings()

    def with_cache(self, folder: str | os.PathLike[str], max_bytes: int) -> Storage:
        """The same place, with what is read from it kept under a folder of this machine.

        The folder is made when needed, and may serve any number of storages and processes. What
        is there is checked when it is used, and what was used longest ago goes when it is more
        than `max_bytes` (at least 1 MiB, else ValueError). Only objects that never change are
        kept. Writes go past it.
        """
        from frazil.storage.cached import Cached
        from frazil.storage.pieces import folder_path

        if max_bytes < MIN_CACHE_BYTES:
            raise ValueError(f"a cache of {max_bytes} bytes is too small: give it 1 MiB or more")
        return storage_at(Cached(self._location, folder_path(folder), max_bytes))

    @property
    def in_this_process(self) -> bool:
        """Whether only this process sees what is stored, as with `in_memory_storage`."""
        return self._location.in_this_process

    def list_objects_metadata(
        self, settings: StorageSettings | None = None, prefix: str | None = None
    ) -> list[StorageObjectInfo]:
        """The objects below the folder `prefix`, by their keys relative to it, in their order."""
        folder = (prefix or "").strip("/")
        start = len(folder) + 1 if folder else 0
        return [
            StorageObjectInfo(found.key[start:], found.size, found.last_modified)
            for found in sorted(self.backend(settings).list(folder), key=_key_of)
        ]

    def list_objects(
        self, settings: StorageSettings | None = None, prefix: str | None = None
    ) -> list[tuple[str, int]]:
        """As `list_objects_metadata`, but only keys and sizes in bytes."""
        found = self.list_objects_metadata(settings, prefix)
        return [(info.key, info.size_bytes) for info in found]

    @override
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Storage):
            return NotImplemented
        return self._location == other._location

    @override
    def __hash__(self) -> int:
        return hash(self._location)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return storage_at, (self._location,)

    @override
    def _shown(self) -> Iterable[Shown]:
        return self._location.shown()


def _key_of(info: ObjectInfo) -> str:
    return info.key


def place_of(storage: Storage) -> str:
    """What tells the place of a storage from all others; of a folder, its path. No secrets."""
    return storage._location.place()


def storage_at(location: Location) -> Storage:
    """The `Storage` for a location."""
    storage = object.__new__(Storage)
    storage._location = location
    return storage


def in_memory_storage() -> Storage:
    """A new, empty storage in the memory of this process."""
    return Storage.new_in_memory()


def local_filesystem_storage(path: str) -> Storage:
    """A folder of this machine, safe for any number of processes that write to it."""
    return Storage.new_local_filesystem(path)


def http_storage(
    base_url: str, opts: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> Storage:
    """What a web server has below `base_url`, for reading.

    opts: settings of the connection, as `obstore`'s `ClientConfig` names them, such as
    `timeout`. headers: sent with each request.
    """
    return Storage.new_http(base_url, opts, headers)


def redirect_storage(base_url: str) -> Storage:
    """Where the web server at `base_url` says by redirects, for reading.

    It is asked when the storage is first used, once in each process. Targets are s3://, gs://,
    r2:// and tigris:// URLs, and web servers by http+icechunk:// and https+icechunk://.
    """
    return Storage.new_redirect(base_url)
