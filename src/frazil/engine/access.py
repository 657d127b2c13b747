"""What a user authorizes: credentials for virtual chunk containers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from frazil.config import RepositoryConfig
from frazil.errors import ErrorKind, StorageError
from frazil.storage.object_stores import ObjectStoreConfig
from frazil.virtual import VirtualChunkContainer, checked_container, folder_prefix

if TYPE_CHECKING:
    from frazil.credentials import AnyCredential
    from frazil.credentials.kinds import Kind

logger = logging.getLogger(__name__)

Access: TypeAlias = "Mapping[str, AnyCredential | None]"
"""A credential for the URL prefix of each container that may be used."""


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
    if not access:
        return {}
    from frazil.credentials import Credentials

    checked = {folder_prefix(prefix): credential for prefix, credential in access.items()}
    for prefix, credential in checked.items():
        if credential is not None and not isinstance(credential, Credentials):
            raise TypeError(
                f"authorize_virtual_chunk_access takes credentials for {prefix!r}, not "
                f"{type(credential).__name__}: make them with containers_credentials"
            )
    for container in containers:
        credential = checked.get(container.url_prefix)
        wanted = _credentials_for(container)
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
    if None not in access.values():
        return {}
    from frazil.credentials import Credentials

    advice: dict[type, str] = {
        Credentials.LocalFileSystemAccess: "frazil.credentials.LocalFileSystemAccess",
        Credentials.HttpAccess: "frazil.credentials.HttpAccess",
    }
    kinds = {c.url_prefix: _credentials_for(c) for c in containers}
    return {
        prefix: advice.get(kind) or f"{kind._public_name}(...)"
        for prefix, kind in kinds.items()
        if prefix in access and access[prefix] is None
    }


def _credentials_for(container: VirtualChunkContainer) -> type[Kind]:
    from frazil.credentials import Credentials

    kinds: Mapping[type, type[Kind]] = {
        ObjectStoreConfig.S3: Credentials.S3,
        ObjectStoreConfig.S3Compatible: Credentials.S3,
        ObjectStoreConfig.Tigris: Credentials.S3,
        ObjectStoreConfig.Gcs: Credentials.Gcs,
        ObjectStoreConfig.Azure: Credentials.Azure,
        ObjectStoreConfig.LocalFileSystem: Credentials.LocalFileSystemAccess,
        ObjectStoreConfig.Http: Credentials.HttpAccess,
    }
    return kinds[type(container.store)]
