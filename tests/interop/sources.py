"""Places with files of virtual chunks, and how either library is told to reach them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers import azurite, s3
from tests.servers.azurite import Azure
from tests.servers.gcs import Gcs
from tests.servers.nginx import Static
from tests.servers.s3 import S3

FOLDER = "source"


@dataclass(frozen=True)
class Files:
    """A folder of virtual chunks' files behind some protocol.

    container, access: the container and the credential, made of the names of a library.
    """

    prefix: str
    put: Callable[[str, bytes], None]
    container: Callable[[Any], Any]
    access: Callable[[Any], Any]
    stamp: Callable[[str], tuple[str, datetime]]

    def config(self, library: Any) -> Any:
        config = library.RepositoryConfig()
        config.set_virtual_chunk_container(self.container(library))
        return config

    def authorize(self, library: Any) -> dict[str, Any]:
        return library.containers_credentials({self.prefix: self.access(library)})


def _of_client(prefix: str, client: Any, store: Any, access: Any) -> Files:
    def stamp(name: str) -> tuple[str, datetime]:
        meta = client.head(name)
        return meta["e_tag"].strip('"'), meta["last_modified"]

    return Files(
        prefix,
        lambda name, data: client.put(name, data),
        lambda library: library.VirtualChunkContainer(prefix, store(library)),
        access,
        stamp,
    )


def of_s3(server: S3) -> Files:
    """A bucket of an S3 server."""
    return _of_client(
        f"s3://{s3.BUCKET}/{FOLDER}/",
        server.client(FOLDER),
        lambda library: library.s3_store(
            region="us-east-1",
            endpoint_url=f"http://{server.address}",
            allow_http=True,
            s3_compatible=True,
            force_path_style=True,
        ),
        lambda library: library.s3_credentials(access_key_id=s3.KEY, secret_access_key=s3.SECRET),
    )


def of_gcs(server: Gcs) -> Files:
    """The stand-in for Google Cloud Storage."""
    return _of_client(
        f"gs://frazil/{FOLDER}/",
        server.client(FOLDER),
        lambda library: library.gcs_store({"google_allow_http": "true", "allow_http": "true"}),
        lambda library: library.gcs_credentials(service_account_key=server.key, from_env=False),
    )


def of_azure(server: Azure) -> Files:
    """Azurite."""
    return _of_client(
        f"az://{azurite.CONTAINER}/{FOLDER}/",
        server.client(FOLDER),
        lambda library: library.storage.azure_store(
            account=azurite.ACCOUNT,
            config={
                "azure_storage_endpoint": f"http://{server.address}/{azurite.ACCOUNT}",
                "azure_allow_http": "true",
            },
        ),
        lambda library: library.azure_credentials(access_key=azurite.KEY),
    )


def of_folder(folder: Path) -> Files:
    """A folder of this machine."""
    return _of_files(
        folder,
        folder.as_uri() + "/",
        lambda library: library.local_filesystem_store(str(folder)),
        lambda library: library.credentials.LocalFileSystemAccess,
    )


def of_web(server: Static) -> Files:
    """A folder behind nginx."""
    folder = server.folder / FOLDER
    return _of_files(
        folder,
        f"http://{server.address}/{FOLDER}/",
        lambda library: library.http_store({"allow_http": "true"}),
        lambda library: library.credentials.HttpAccess,
    )


def _of_files(folder: Path, prefix: str, store: Any, access: Any) -> Files:
    folder.mkdir(exist_ok=True, parents=True)

    def put(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(data)
        seconds = int(path.stat().st_mtime)
        os.utime(path, (seconds, seconds))

    def stamp(name: str) -> tuple[str, datetime]:
        status = (folder / name).stat()
        if prefix.startswith("http"):
            etag = f"{int(status.st_mtime):x}-{status.st_size:x}"
        else:
            etag = f"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"
        return etag, datetime.fromtimestamp(status.st_mtime, UTC)

    return Files(
        prefix,
        put,
        lambda library: library.VirtualChunkContainer(prefix, store(library)),
        access,
        stamp,
    )
