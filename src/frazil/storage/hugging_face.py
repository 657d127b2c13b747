"""Buckets of Hugging Face, which speak the language of S3."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime

from frazil.credentials import AnyS3Credential, S3StaticCredentials, s3_credentials
from frazil.errors import ErrorKind, StorageError
from frazil.storage.api import Storage
from frazil.storage.cloud import Headers, S3Place, s3_place
from frazil.storage.settings import S3Options

ENDPOINT = "https://s3.hf.co"


def hf_place(
    options: S3Options,
    bucket: str,
    prefix: str | None,
    namespace: str,
    credentials: AnyS3Credential | None,
    headers: Headers,
    *,
    legacy_rooted_keys: bool | None = None,
) -> S3Place:
    """A place in a bucket of a user or organisation; `StorageError` without either."""
    if not namespace or not bucket:
        raise StorageError(
            "Hugging Face needs a namespace (a user or organisation) and a bucket",
            ErrorKind.STORAGE_CONFIG,
        )
    options = deepcopy(options)
    options.endpoint_url = options.endpoint_url or f"{ENDPOINT}/{namespace}"
    options.region = options.region or "us-east-1"
    options.force_path_style = True
    return s3_place(
        options, bucket, prefix, credentials, headers, legacy_rooted_keys=legacy_rooted_keys
    )


def hf_storage(
    *,
    bucket: str,
    prefix: str | None,
    namespace: str,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    from_env: bool | None = None,
    get_credentials: Callable[[], S3StaticCredentials] | None = None,
    scatter_initial_credentials: bool = False,
    network_stream_timeout_seconds: int = 60,
    legacy_rooted_keys: bool | None = None,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in a bucket of Hugging Face; `namespace` is the user or organisation."""
    return Storage.new_hf(
        S3Options(network_stream_timeout_seconds=network_stream_timeout_seconds),
        bucket,
        prefix,
        namespace,
        s3_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
            from_env=from_env,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        legacy_rooted_keys,
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
    )
