"""How the files of a virtual chunk container are reached."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from frazil.credentials import AnyCredential, Credentials, GcsCredentials
from frazil.engine.sources.files import Files
from frazil.engine.sources.objects import Objects
from frazil.engine.sources.source import Source
from frazil.errors import ErrorKind, StorageError
from frazil.model.virtual_urls import Target
from frazil.storage.clients import azure_client, gcs_client, s3_client
from frazil.storage.object_stores import AnyObjectStoreConfig, ObjectStoreConfig
from frazil.storage.settings import S3Options, StorageSettings
from frazil.urls import canonical
from frazil.virtual import VirtualChunkContainer

_TIGRIS = "https://t3.storage.dev"


def open_source(
    target: Target, credential: AnyCredential | None, settings: StorageSettings | None
) -> Source:
    """The source of a file, and of all others with its container and host.

    `StorageError` if it cannot be reached; credentials of the right kind, see `access.py`.
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
            from frazil.engine.sources.web import open_web

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
