"""The clients that talk to object stores: the only place that knows how `obstore` is set up.

Each function makes one new client from public settings. A client belongs to the process that
made it: a forked child needs one of its own.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from frazil._version import __version__
from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import PreconditionFailed, not_found
from frazil.storage.settings import ChecksumAlgorithm, S3Options, StorageSettings

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

T = TypeVar("T")

STALL_SECONDS = 60
"""Without a byte for so long a response is given up, unless the options of a bucket differ."""
_FOREVER = timedelta(hours=6)
_DEFAULT_TOTAL = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Manner:
    """What a client is for.

    headers: sent with each request. retried: whether the client itself repeats requests that
    failed. upload_seconds: how long a request may take, for clients that send much: how long
    the server is silent says nothing while bytes go out.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    retried: bool = True
    upload_seconds: float | None = None


def s3_client(
    bucket: str,
    *,
    prefix: str = "",
    options: S3Options,
    credentials: Any | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> S3Store:
    """A client for a bucket of S3, or of a service that speaks its language."""
    from obstore.store import S3Store

    settings, manner = settings or StorageSettings(), manner or Manner()
    config: dict[str, Any] = {
        "region": _region(options),
        "skip_signature": options.anonymous,
        "request_payer": options.requester_pays,
        **_s3_address(bucket, options),
    }
    if options.checksum_algorithm is not None:
        config["checksum_algorithm"] = _CHECKSUMS[options.checksum_algorithm]
    given = {"allow_http": options.allow_http}
    stall = options.network_stream_timeout_seconds
    return _made(
        lambda: S3Store(
            bucket,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]
            client_options=_client_options(manner, settings, stall, given),  # type: ignore[arg-type]
            retry_config=_retry_config(settings, manner),  # type: ignore[arg-type]
            credential_provider=None if credentials is None else _static_s3(credentials),
        ),
        f"S3 bucket {bucket!r}",
    )


def gcs_client(
    bucket: str,
    *,
    prefix: str = "",
    options: Mapping[str, str] | None,
    credentials: Any | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> GCSStore:
    """A client for a bucket of Google Cloud Storage; `options` as `obstore` names them."""
    from obstore.store import GCSStore

    settings, manner = settings or StorageSettings(), manner or Manner()
    config, given = _split(options, ("google_", "gcs_"))
    return _made(
        lambda: GCSStore(
            bucket,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]
            client_options=_client_options(manner, settings, STALL_SECONDS, given),  # type: ignore[arg-type]
            retry_config=_retry_config(settings, manner),  # type: ignore[arg-type]
        ),
        f"Google Cloud Storage bucket {bucket!r}",
    )


def azure_client(
    container: str,
    *,
    account: str,
    prefix: str = "",
    options: Mapping[str, str] | None,
    credentials: Any | None,
    settings: StorageSettings | None = None,
    manner: Manner | None = None,
) -> AzureStore:
    """A client for a container of Azure Blob Storage; `options` as `obstore` names them."""
    from obstore.store import AzureStore

    settings, manner = settings or StorageSettings(), manner or Manner()
    config, given = _split(options, ("azure_",))
    config["account_name"] = account
    return _made(
        lambda: AzureStore(
            container,
            prefix=prefix or None,
            config=config,  # type: ignore[arg-type]
            client_options=_client_options(manner, settings, STALL_SECONDS, given),  # type: ignore[arg-type]
            retry_config=_retry_config(settings, manner),  # type: ignore[arg-type]
        ),
        f"Azure container {container!r} of account {account!r}",
    )


def http_client(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    settings: StorageSettings | None = None,
) -> HTTPStore:
    """A client for what a web server has below `url`; `options` as `obstore` names them."""
    from obstore.store import HTTPStore

    settings, manner = settings or StorageSettings(), Manner(headers=headers or {})
    config, given = _split(options, ())
    if config:
        raise _bad_option(next(iter(config)), f"web server at {url}")
    return _made(
        lambda: HTTPStore(
            url,
            client_options=_client_options(manner, settings, STALL_SECONDS, given),  # type: ignore[arg-type]
            retry_config=_retry_config(settings, manner),  # type: ignore[arg-type]
        ),
        f"web server at {url}",
    )


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


def _static_s3(credentials: Any) -> Any:
    # By way of a provider nothing of another identity is mixed in from the environment.
    found = {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "token": credentials.session_token,
        "expires_at": None,
    }
    return lambda: found


def _region(options: S3Options) -> str:
    for region in (
        options.region,
        os.environ.get("AWS_REGION"),
        os.environ.get("AWS_DEFAULT_REGION"),
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
        "user_agent": f"frazil/{__version__}",
        "timeout": _FOREVER
        if manner.upload_seconds is None
        else timedelta(seconds=manner.upload_seconds),
        **given,
    }
    if manner.headers:
        options["default_headers"] = {**options.get("default_headers", {}), **manner.headers}
    if manner.upload_seconds is None and stall_seconds != 0:
        options.setdefault(
            "read_timeout", timedelta(seconds=10 if stall_seconds is None else stall_seconds)
        )
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


def _made(make: Callable[[], T], where: str) -> T:
    from obstore.exceptions import BaseError

    try:
        return make()
    except (BaseError, ValueError, OSError) as error:
        text = _text(error)
    raise StorageError(f"cannot connect to {where}: {text}", ErrorKind.STORAGE_CONFIG)


def translate(error: BaseException, *, key: str, where: str) -> StorageError:
    """The error of this package for one of the client library's, without queries of URLs.

    Kinds: `object-not-found`, `throttled`, else `object-store`; `PreconditionFailed` where a
    condition did not hold. Raise it outside of the `except` clause, so that no traceback shows
    the original: its text may contain signatures.
    """
    from obstore import exceptions

    if isinstance(error, FileNotFoundError):
        return not_found(key, where)
    if isinstance(error, exceptions.AlreadyExistsError):
        return PreconditionFailed(f"object {key!r} in {where} exists already")
    if isinstance(error, exceptions.PreconditionError):
        return PreconditionFailed(f"object {key!r} in {where} is not the version that was read")
    text = f"the request for {key!r} in {where} failed: {_text(error)}"
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return StorageError(
            f"{text}; check the credentials, and what they are allowed to do",
            ErrorKind.OBJECT_STORE,
        )
    throttled = status_of(error) in THROTTLING
    return StorageError(text, ErrorKind.THROTTLED if throttled else ErrorKind.OBJECT_STORE)


THROTTLING = frozenset({429, 503})


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of the client library is about; None if there was none."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


_STATUS = re.compile(r"Server returned (?:non-2xx status code|error response): (\d{3})\b")
_XML = re.compile(r"<\?xml.*?<Code>(.*?)</Code>(?:.*?<Message>(.*?)</Message>)?.*", re.DOTALL)
_QUERY = re.compile(r"(https?://[^\s?]*)\?[^\s,)]*")


def _text(error: BaseException) -> str:
    text = str(error).partition("\n\nDebug source:")[0]
    text = _XML.sub(lambda found: ": ".join(filter(None, found.groups())), text)
    return _QUERY.sub(r"\1?...", text).strip()


def _bad_option(name: str, where: str) -> StorageError:
    return StorageError(
        f"unknown option {name!r} for the {where}: the names are those of obstore's ClientConfig",
        ErrorKind.STORAGE_CONFIG,
    )
