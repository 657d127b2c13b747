"""Storages in object stores: the public functions that make them.

The arguments are those of Icechunk. All object stores take `read_headers` (sent with GET and
HEAD), `write_headers` (with other requests) and `headers` (with all); credentials are chosen as
`s3_credentials`, `gcs_credentials` and `azure_credentials` do it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import ParamSpec

from frazil.credentials import (
    AnyAzureRefreshableCredential,
    GcsBearerCredential,
    S3StaticCredentials,
    azure_credentials,
    gcs_credentials,
    s3_credentials,
)
from frazil.storage.api import Storage
from frazil.storage.settings import ChecksumAlgorithm, S3Options

P = ParamSpec("P")


def s3_storage(
    *,
    bucket: str,
    prefix: str | None,
    region: str | None = None,
    endpoint_url: str | None = None,
    allow_http: bool = False,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    get_credentials: Callable[[], S3StaticCredentials] | None = None,
    scatter_initial_credentials: bool = False,
    force_path_style: bool = False,
    network_stream_timeout_seconds: int = 60,
    requester_pays: bool = False,
    checksum_algorithm: ChecksumAlgorithm | None = None,
    legacy_rooted_keys: bool | None = None,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in S3, or in a service that speaks its language, at `endpoint_url`.

    region: by default the environment's. network_stream_timeout_seconds: how long a response
    may stall; 0: for ever. requester_pays: agree to be charged for requests.
    """
    return Storage.new_s3(
        S3Options(
            region=region,
            endpoint_url=endpoint_url,
            allow_http=allow_http,
            anonymous=bool(anonymous),
            force_path_style=force_path_style,
            network_stream_timeout_seconds=network_stream_timeout_seconds,
            requester_pays=requester_pays,
            checksum_algorithm=checksum_algorithm,
        ),
        bucket,
        prefix,
        s3_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
            anonymous=anonymous,
            from_env=from_env,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        legacy_rooted_keys,
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
    )


def s3_object_store_storage(
    *,
    bucket: str,
    prefix: str | None,
    region: str | None = None,
    endpoint_url: str | None = None,
    allow_http: bool = False,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    force_path_style: bool = False,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in S3, with keys spelled as by Icechunk's other client for it.

    That is another spelling only for branches and tags of repositories of spec 1.
    """
    return Storage.new_s3_object_store(
        S3Options(
            region=region,
            endpoint_url=endpoint_url,
            allow_http=allow_http,
            anonymous=bool(anonymous),
            force_path_style=force_path_style,
            network_stream_timeout_seconds=60,
        ),
        bucket,
        prefix,
        s3_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
            anonymous=anonymous,
            from_env=from_env,
        ),
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
    )


def r2_storage(
    *,
    bucket: str | None = None,
    prefix: str | None = None,
    account_id: str | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
    allow_http: bool = False,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    get_credentials: Callable[[], S3StaticCredentials] | None = None,
    scatter_initial_credentials: bool = False,
    network_stream_timeout_seconds: int = 60,
    checksum_algorithm: ChecksumAlgorithm | None = None,
    legacy_rooted_keys: bool | None = None,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in Cloudflare R2; the bucket may be the first name of the prefix."""
    return Storage.new_r2(
        S3Options(
            region=region,
            endpoint_url=endpoint_url,
            allow_http=allow_http,
            anonymous=bool(anonymous),
            network_stream_timeout_seconds=network_stream_timeout_seconds,
            checksum_algorithm=checksum_algorithm,
        ),
        bucket,
        prefix,
        account_id,
        s3_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
            anonymous=anonymous,
            from_env=from_env,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        legacy_rooted_keys,
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
    )


def tigris_storage(
    *,
    bucket: str,
    prefix: str | None,
    region: str | None = None,
    endpoint_url: str | None = None,
    use_weak_consistency: bool = False,
    allow_http: bool = False,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    get_credentials: Callable[[], S3StaticCredentials] | None = None,
    scatter_initial_credentials: bool = False,
    network_stream_timeout_seconds: int = 60,
    checksum_algorithm: ChecksumAlgorithm | None = None,
    legacy_rooted_keys: bool | None = None,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in Tigris, in the `region` of the bucket.

    use_weak_consistency: whatever the region; for reading only, and late at times.
    """
    return Storage.new_tigris(
        S3Options(
            region=region,
            endpoint_url=endpoint_url,
            allow_http=allow_http,
            anonymous=bool(anonymous),
            network_stream_timeout_seconds=network_stream_timeout_seconds,
            checksum_algorithm=checksum_algorithm,
        ),
        bucket,
        prefix,
        use_weak_consistency,
        s3_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
            anonymous=anonymous,
            from_env=from_env,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        legacy_rooted_keys,
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
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


def gcs_storage(
    *,
    bucket: str,
    prefix: str | None,
    service_account_file: str | None = None,
    service_account_key: str | None = None,
    application_credentials: str | None = None,
    bearer_token: str | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    config: dict[str, str] | None = None,
    get_credentials: Callable[[], GcsBearerCredential] | None = None,
    scatter_initial_credentials: bool = False,
    read_headers: dict[str, str] | None = None,
    write_headers: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Storage:
    """A place in Google Cloud Storage; `config` as `obstore` names options."""
    return Storage.new_gcs(
        bucket,
        prefix,
        gcs_credentials(
            service_account_file=service_account_file,
            service_account_key=service_account_key,
            application_credentials=application_credentials,
            bearer_token=bearer_token,
            anonymous=anonymous,
            from_env=from_env,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        config=config,
        read_headers=read_headers,
        write_headers=write_headers,
        headers=headers,
    )


def _also_named(**names: str) -> Callable[[Callable[P, Storage]], Callable[P, Storage]]:
    """Take other names for arguments: other=usual. None is as if it was not given."""

    def decorate(function: Callable[P, Storage]) -> Callable[P, Storage]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Storage:
            for other, usual in names.items():
                value = kwargs.pop(other, None)
                if value is None:
                    continue
                if kwargs.get(usual) is not None:
                    raise TypeError(f"{function.__name__} got {usual} twice, also as {other}")
                kwargs[usual] = value
            return function(*args, **kwargs)

        return call

    return decorate


@_also_named(account_name="account", account_key="access_key", access_token="bearer_token")
def azure_storage(
    *,
    account: str,
    container: str,
    prefix: str,
    access_key: str | None = None,
    sas_token: str | None = None,
    bearer_token: str | None = None,
    from_env: bool | None = None,
    anonymous: bool | None = None,
    config: dict[str, str] | None = None,
    get_credentials: Callable[[], AnyAzureRefreshableCredential] | None = None,
    scatter_initial_credentials: bool = False,
) -> Storage:
    """A place in Azure Blob Storage; `config` as `obstore` names options.

    Other names are taken as well: account_name, account_key (access_key), access_token
    (bearer_token).
    """
    return Storage.new_azure_blob(
        account,
        container,
        prefix,
        azure_credentials(
            access_key=access_key,
            sas_token=sas_token,
            bearer_token=bearer_token,
            from_env=from_env,
            anonymous=anonymous,
            get_credentials=get_credentials,
            scatter_initial_credentials=scatter_initial_credentials,
        ),
        config=config,
    )
