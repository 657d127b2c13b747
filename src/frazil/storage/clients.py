"""The clients that talk to object stores: the only place that knows how `obstore` is set up.

Each function makes one new client from public settings. A client belongs to the process that
made it: a forked child needs one of its own.
"""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from frazil.credentials import (
    AnyAzureCredential,
    AnyGcsCredential,
    AnyS3Credential,
    AzureCredentials,
    AzureStaticCredentials,
    GcsCredentials,
    GcsStaticCredentials,
    S3Credentials,
)
from frazil.debug import user_agent
from frazil.errors import ErrorKind, StorageError
from frazil.storage import aws_files
from frazil.storage.client_errors import text_of, translate
from frazil.storage.client_library import client_library
from frazil.storage.refreshing import azure_provider, gcs_provider, s3_provider
from frazil.storage.settings import ChecksumAlgorithm, S3Options, StorageSettings

__all__ = ["Manner", "azure_client", "gcs_client", "http_client", "s3_client", "translate"]

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

STALL_SECONDS = 60
"""Without a byte for so long a response is given up, unless the options of a bucket differ."""
_FOREVER = timedelta(hours=6)
_SLOWEST = 65_536
"""Bytes that an upload is allowed to need a second for."""
_DEFAULT_TOTAL = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Manner:
    """What a client is for.

    headers: sent with each request. retried: whether the client itself repeats requests that
    failed. upload_bytes: what it sends at most, which takes its time: while bytes go out, the
    server's silence says nothing.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    retried: bool = True
    upload_bytes: int = 0


def s3_client(
    bucket: str,
    *,
    prefix: str = "",
    options: S3Options,
    credentials: AnyS3Credential | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> S3Store:
    """A client for a bucket of S3, or of a service that speaks its language."""
    settings, manner = settings or StorageSettings(), manner or Manner()
    anonymous = options.anonymous or isinstance(credentials, S3Credentials.Anonymous)
    config: dict[str, Any] = {
        "region": _region(options),
        "skip_signature": anonymous,
        "request_payer": options.requester_pays,
        **_s3_address(bucket, options),
    }
    if options.checksum_algorithm is not None:
        config["checksum_algorithm"] = _CHECKSUMS[options.checksum_algorithm]
    provider = _NO_KEYS if anonymous else _s3_provider(credentials)
    connection = {"allow_http": options.allow_http}
    client: S3Store = _made(
        lambda: client_library().store.S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client_options(
                manner, settings, options.network_stream_timeout_seconds, connection
            ),
            retry_config=_retry_config(settings, manner),
            credential_provider=provider,
        ),
        f"S3 bucket {bucket!r}",
    )
    return client


def gcs_client(
    bucket: str,
    *,
    prefix: str = "",
    options: Mapping[str, str] | None,
    credentials: AnyGcsCredential | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> GCSStore:
    """A client for a bucket of Google Cloud Storage; `options` as `obstore` names them."""
    settings, manner = settings or StorageSettings(), manner or Manner()
    config, connection = _split(options, ("google_", "gcs_"))
    provider = None
    match credentials:
        case GcsCredentials.Anonymous():
            # Writes would ask the cloud for a token in spite of the flag.
            config["skip_signature"], provider = True, _always(token="")
        case GcsCredentials.Static(GcsStaticCredentials.ServiceAccount(path)):
            config["service_account"] = path
        case GcsCredentials.Static(GcsStaticCredentials.ServiceAccountKey(key)):
            config["service_account_key"] = key
        case GcsCredentials.Static(GcsStaticCredentials.ApplicationCredentials(path)):
            config["application_credentials"] = path
        case GcsCredentials.Static(GcsStaticCredentials.BearerToken(token)):
            provider = _always(token=token)
        case GcsCredentials.Refreshable():
            provider = gcs_provider(credentials)
    client: GCSStore = _made(
        lambda: client_library().store.GCSStore(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client_options(manner, settings, STALL_SECONDS, connection),
            retry_config=_retry_config(settings, manner),
            credential_provider=provider,
        ),
        f"Google Cloud Storage bucket {bucket!r}",
    )
    return client


def azure_client(
    container: str,
    *,
    account: str,
    prefix: str = "",
    options: Mapping[str, str] | None,
    credentials: AnyAzureCredential | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> AzureStore:
    """A client for a container of Azure Blob Storage; `options` as `obstore` names them."""
    settings, manner = settings or StorageSettings(), manner or Manner()
    config, connection = _split(options, ("azure_",))
    config["account_name"] = account
    provider = None
    match credentials:
        case AzureCredentials.Anonymous():
            config["skip_signature"] = True
        case AzureCredentials.Static(AzureStaticCredentials.AccessKey(key)):
            provider = _always(access_key=key)
        case AzureCredentials.Static(AzureStaticCredentials.SasToken(token)):
            provider = _always(sas_token=token.removeprefix("?"))
        case AzureCredentials.Static(AzureStaticCredentials.BearerToken(token)):
            provider = _always(token=token)
        case AzureCredentials.Refreshable():
            provider = azure_provider(credentials)
    client: AzureStore = _made(
        lambda: client_library().store.AzureStore(
            container,
            prefix=prefix or None,
            config=config,
            client_options=_client_options(manner, settings, STALL_SECONDS, connection),
            retry_config=_retry_config(settings, manner),
            credential_provider=provider,
        ),
        f"Azure container {container!r} of account {account!r}",
    )
    return client


def http_client(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> HTTPStore:
    """A client for what a web server has below `url`; `options` as `obstore` names them.

    headers: sent with each request, unless `manner` says what to send.
    """
    settings, manner = settings or StorageSettings(), manner or Manner(headers=headers or {})
    where = f"web server at {url.partition('?')[0]}"
    unknown, connection = _split(options, ())
    if unknown:
        raise StorageError(
            f"unknown option {next(iter(unknown))!r} for the {where}: "
            "the names are those of obstore's ClientConfig",
            ErrorKind.STORAGE_CONFIG,
        )
    client: HTTPStore = _made(
        lambda: client_library().store.HTTPStore(
            url,
            client_options=_client_options(manner, settings, STALL_SECONDS, connection),
            retry_config=_retry_config(settings, manner),
        ),
        where,
    )
    return client


def _made(make: Callable[[], Any], where: str) -> Any:
    try:
        return make()
    except StorageError:
        raise
    except Exception as error:  # of `obstore`, or of a provider of credentials
        text = text_of(error)
    raise StorageError(f"cannot connect to {where}: {text}", ErrorKind.STORAGE_CONFIG)


def _always(**credential: object) -> Callable[[], dict[str, object]]:
    """A provider that always gives the same.

    With a provider, nothing of another identity is mixed in from the environment.
    """
    given = {**credential, "expires_at": None}
    return lambda: given


_NO_KEYS = _always(access_key_id="", secret_access_key="", token=None)


def _s3_provider(credentials: AnyS3Credential | None) -> Callable[[], Any] | None:
    match credentials:
        case S3Credentials.Static(keys):
            return _always(
                access_key_id=keys.access_key_id,
                secret_access_key=keys.secret_access_key,
                token=keys.session_token,
            )
        case S3Credentials.Refreshable():
            return s3_provider(credentials)
    keys_of_user = aws_files.keys()
    return None if keys_of_user is None else _always(**keys_of_user)


_CLIENT_OPTIONS = frozenset(
    (
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "default_content_type",
        "http1_only",
        "http2_keep_alive_interval",
        "http2_keep_alive_timeout",
        "http2_keep_alive_while_idle",
        "http2_only",
        "pool_idle_timeout",
        "pool_max_idle_per_host",
        "proxy_url",
        "proxy_ca_certificate",
        "proxy_excludes",
        "randomize_addresses",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    )
)


def _split(
    options: Mapping[str, str] | None, prefixes: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the storage and options of the connection, which may be given as one map."""
    config: dict[str, Any] = {}
    client: dict[str, Any] = {}
    for name, value in (options or {}).items():
        plain = name.lower()
        for prefix in prefixes:
            plain = plain.removeprefix(prefix)
        if plain in _CLIENT_OPTIONS:
            client[plain] = value
        else:
            config[name.lower()] = value
    return config, client


# The client library knows two of the five; the others ask for the same protection.
_CHECKSUMS = {
    ChecksumAlgorithm.Crc32: "CRC64NVME",
    ChecksumAlgorithm.Crc32c: "CRC64NVME",
    ChecksumAlgorithm.Crc64Nvme: "CRC64NVME",
    ChecksumAlgorithm.Sha1: "SHA256",
    ChecksumAlgorithm.Sha256: "SHA256",
}


def _region(options: S3Options) -> str:
    for region in (
        options.region,
        os.environ.get("AWS_REGION"),
        os.environ.get("AWS_DEFAULT_REGION"),
        aws_files.region(),
    ):
        if region:
            return region
    return "us-east-1"


def _s3_address(bucket: str, options: S3Options) -> dict[str, Any]:
    """Path style, or the bucket as part of the host name, and the endpoint that goes with it."""
    endpoint = options.endpoint_url
    if endpoint is None:
        # Certificates of host names cover one label, so no bucket with a dot.
        hosted = not options.force_path_style and "." not in bucket
        return {"virtual_hosted_style_request": hosted}
    parts = urlsplit(endpoint)
    if options.force_path_style or "." in bucket or not _has_subdomains(parts.hostname or ""):
        return {"endpoint": endpoint.rstrip("/"), "virtual_hosted_style_request": False}
    hosted_at = parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl().rstrip("/")
    return {"endpoint": hosted_at, "virtual_hosted_style_request": True}


def _has_subdomains(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _client_options(
    manner: Manner,
    settings: StorageSettings,
    stall_seconds: int | None,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    timeouts = settings.timeouts
    options: dict[str, Any] = {
        "user_agent": user_agent(),
        "timeout": _FOREVER,
        **given,
    }
    if manner.headers:
        options["default_headers"] = {**options.get("default_headers", {}), **manner.headers}
    if stall_seconds != 0:
        # For uploads a bound on the whole: the other one would run while bytes go out.
        seconds = 10 if stall_seconds is None else stall_seconds
        if manner.upload_bytes:
            seconds += math.ceil(manner.upload_bytes / _SLOWEST)
        name = "timeout" if manner.upload_bytes else "read_timeout"
        if name not in given:
            options[name] = timedelta(seconds=seconds)
    if timeouts is None:
        return options
    for name, milliseconds in (
        ("connect_timeout", timeouts.connect_timeout_ms),
        ("read_timeout", timeouts.read_timeout_ms),
        ("timeout", timeouts.operation_attempt_timeout_ms),
    ):
        if milliseconds is not None:
            options[name] = timedelta(milliseconds=milliseconds)
    return options


def _retry_config(settings: StorageSettings, manner: Manner) -> dict[str, Any]:
    retries = settings.effective("retries")
    timeouts = settings.timeouts
    total = None if timeouts is None else timeouts.operation_timeout_ms
    return {
        "max_retries": retries.effective("max_tries") - 1 if manner.retried else 0,
        "retry_timeout": _DEFAULT_TOTAL if total is None else timedelta(milliseconds=total),
        "backoff": {
            "init_backoff": timedelta(milliseconds=retries.effective("initial_backoff_ms")),
            "max_backoff": timedelta(milliseconds=retries.effective("max_backoff_ms")),
        },
    }
