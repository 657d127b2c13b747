"""How the files of a virtual chunk container are reached, and with which credentials."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from frazil.config import RepositoryConfig
from frazil.credentials import AnyCredential, Credentials, GcsCredentials
from frazil.credentials.kinds import Kind
from frazil.engine.source import Source
from frazil.engine.source_files import Files
from frazil.engine.source_objects import Objects
from frazil.errors import ErrorKind, StorageError
from frazil.model.virtual_urls import (
    Target,
    canonical,
    checked_container,
    folder_prefix,
)
from frazil.storage.clients import azure_client, gcs_client, s3_client
from frazil.storage.object_stores import AnyObjectStoreConfig, ObjectStoreConfig
from frazil.storage.settings import S3Options, StorageSettings
from frazil.virtual import VirtualChunkContainer

logger = logging.getLogger(__name__)

Access: TypeAlias = Mapping[str, AnyCredential | None]
"""A credential for the URL prefix of each container that may be used."""

_TIGRIS = "https://t3.storage.dev"

_CREDENTIALS: Mapping[type, type[Kind]] = {
    ObjectStoreConfig.S3: Credentials.S3,
    ObjectStoreConfig.S3Compatible: Credentials.S3,
    ObjectStoreConfig.Tigris: Credentials.S3,
    ObjectStoreConfig.Gcs: Credentials.Gcs,
    ObjectStoreConfig.Azure: Credentials.Azure,
    ObjectStoreConfig.LocalFileSystem: Credentials.LocalFileSystemAccess,
    ObjectStoreConfig.Http: Credentials.HttpAccess,
}


def open_source(
    target: Target, credential: AnyCredential | None, settings: StorageSettings | None
) -> Source:
    """The source of a file, and of all others with its container and host.

    `StorageError` if it cannot be reached; credentials of the right kind, see `checked_access`.
    """
    container, host = target.container, target.host
    match container.store, credential:
        case ObjectStoreConfig.LocalFileSystem(), _:
            if host:
                raise StorageError(
                    f"{target.url} is on another machine, {host}: only files of this one can be "
                    "read",
                    ErrorKind.VIRTUAL_CHUNK_FETCH,
                )
            return Files(_root(container))
        case ObjectStoreConfig.Http(), _:
            # Its library takes a tenth of the time of importing Zarr.
            from frazil.engine.source_web import open_web

            return open_web(target.url.partition("/")[0] + f"//{host}", container, settings)
        case ObjectStoreConfig.Gcs(opts), Credentials.Gcs() | None:
            # Without credentials: buckets for everybody.
            access = GcsCredentials.Anonymous() if credential is None else credential.credentials
            client: Any = gcs_client(host, options=opts, credentials=access, settings=settings)
        case ObjectStoreConfig.Azure(opts), Credentials.Azure() | None:
            options = dict(opts or {})
            client = azure_client(
                host.partition("@")[0],
                account=options.pop("account", ""),
                options=options,
                credentials=None if credential is None else credential.credentials,
                settings=settings,
            )
        case store, Credentials.S3() | None:
            client = s3_client(
                host,
                options=_s3_options(store),
                credentials=None if credential is None else credential.credentials,
                settings=settings,
            )
    return Objects(client, f"{target.url.partition(':')[0]}://{host}")


def _s3_options(store: AnyObjectStoreConfig) -> S3Options:
    match store:
        case ObjectStoreConfig.Tigris(options):
            if options.endpoint_url is None:
                options = S3Options(**{**_fields(options), "endpoint_url": _TIGRIS})
            return options
        case ObjectStoreConfig.S3(options) | ObjectStoreConfig.S3Compatible(options):
            return options
    raise TypeError(f"not a kind of S3: {store!r}")


def _fields(options: S3Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in S3Options.__annotations__ if name[0] != "_"}


def _root(container: VirtualChunkContainer) -> str:
    return unquote(canonical(container.url_prefix).removeprefix("file:///"))


def usable_containers(config: RepositoryConfig) -> list[VirtualChunkContainer]:
    """The containers of a configuration; a stored one that makes no sense is left out, and told."""
    usable = []
    for container in (config.virtual_chunk_containers or {}).values():
        try:
            usable.append(checked_container(container))
        except ValueError as error:
            logger.warning("a virtual chunk container is left out: %s", error)
    return usable


def checked_access(
    access: Access, containers: Iterable[VirtualChunkContainer]
) -> dict[str, AnyCredential | None]:
    """The authorization that a user gives, by prefixes that end with "/".

    TypeError for what is no credential; `StorageError` (`storage-other`) for credentials of
    another kind of storage than that of the container.
    """
    checked = {folder_prefix(prefix): credential for prefix, credential in access.items()}
    for prefix, credential in checked.items():
        if credential is not None and not isinstance(credential, Credentials):
            raise TypeError(
                f"authorize_virtual_chunk_access takes credentials for {prefix!r}, not "
                f"{type(credential).__name__}: make them with containers_credentials"
            )
    for container in containers:
        credential = checked.get(container.url_prefix)
        wanted = _CREDENTIALS[type(container.store)]
        if credential is not None and not isinstance(credential, wanted):
            raise StorageError(
                f"the virtual chunk container {container.url_prefix!r} takes {wanted.__name__} "
                f"credentials, not {type(credential).__name__}",
                ErrorKind.STORAGE_OTHER,
            )
    return checked


def unspecific_access(
    access: Access, containers: Iterable[VirtualChunkContainer]
) -> dict[str, str]:
    """Prefixes for which no credential is given, but None; and what to give instead."""
    advice: dict[type, str] = {
        Credentials.LocalFileSystemAccess: "frazil.credentials.LocalFileSystemAccess",
        Credentials.HttpAccess: "frazil.credentials.HttpAccess",
    }
    kinds = {c.url_prefix: _CREDENTIALS[type(c.store)] for c in containers}
    return {
        prefix: advice.get(kind) or f"{kind._public_name}(...)"
        for prefix, kind in kinds.items()
        if prefix in access and access[prefix] is None
    }
