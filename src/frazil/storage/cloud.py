"""Places in object stores: S3 and what is compatible, Google Cloud Storage, Azure."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from frazil.credentials import AnyAzureCredential, AnyGcsCredential, AnyS3Credential
from frazil.credentials.secret import Guarded, guarded, revealed
from frazil.display import Shown
from frazil.errors import ErrorKind, InvalidInputError, StorageError
from frazil.storage.base import Backend
from frazil.storage.clients import Manner, azure_client, gcs_client, s3_client
from frazil.storage.connections import Client
from frazil.storage.keys import encode_key
from frazil.storage.location import Location
from frazil.storage.objects import ObjectBackend
from frazil.storage.settings import S3Options, StorageSettings

Texts = Mapping[str, str] | None

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Headers:
    """What is sent with requests that read, and with those that write."""

    read: Guarded = ()
    write: Guarded = ()

    @staticmethod
    def of(read: Texts, write: Texts, both: Texts) -> Headers:
        """From the three arguments; InvalidInputError for what can be no header."""
        for name, value in [*(read or {}).items(), *(write or {}).items(), *(both or {}).items()]:
            if not (_HEADER.fullmatch(name) and _VALUE.fullmatch(value)):
                raise InvalidInputError(
                    f"invalid HTTP header {name!r}: names are letters, digits and '-', "
                    "values are printable",
                    ErrorKind.STORAGE_CONFIG,
                )
        return Headers(
            guarded({**(both or {}), **(read or {})}), guarded({**(both or {}), **(write or {})})
        )


_opened: dict[tuple[Location, str], Backend] = {}


@dataclass(frozen=True, slots=True)
class _Bucket(Location):
    """Base: objects below a prefix of a bucket, or of what is like one."""

    bucket: str
    prefix: str
    """Without slashes at its ends."""
    headers: Headers

    @property
    @abstractmethod
    def where(self) -> str:
        """The place as a URL, for messages."""

    @abstractmethod
    def connect(self, settings: StorageSettings | None, manner: Manner) -> Client:
        """A new client for the objects."""

    @property
    def _encoded(self) -> bool:
        return True

    @property
    def _read_only(self) -> bool:
        return False

    @override
    def open(self, settings: StorageSettings | None = None) -> Backend:
        document = json.dumps((settings or StorageSettings()).to_document(), sort_keys=True)
        return _opened.get((self, document)) or _opened.setdefault(
            (self, document),
            ObjectBackend(
                lambda manner: self.connect(settings, manner),
                where=self.where,
                settings=settings,
                read_headers=revealed(self.headers.read),
                write_headers=revealed(self.headers.write),
                encoded=self._encoded,
                read_only=self._read_only,
            ),
        )

    @override
    def check_creation(self) -> None:
        if not self.prefix:
            raise InvalidInputError(
                f"a repository cannot be created at {self.where}, the root of a bucket: "
                "choose a prefix",
                ErrorKind.EMPTY_PREFIX_CREATION,
            )

    @override
    def default_settings(self) -> StorageSettings:
        return StorageSettings()

    def _url(self, scheme: str, *parts: str) -> str:
        return f"{scheme}://" + "/".join(part for part in (*parts, self.prefix) if part)


@dataclass(frozen=True, slots=True)
class S3Place(_Bucket):
    """In S3 or what is compatible. native: which of Icechunk's clients it stands for."""

    options: S3Options = field(hash=False)
    credentials: AnyS3Credential | None
    native: bool = True
    weak: bool = False

    @property
    @override
    def where(self) -> str:
        return self._url("s3", self.bucket)

    @property
    @override
    def _encoded(self) -> bool:
        return not self.native

    @property
    @override
    def _read_only(self) -> bool:
        return self.weak

    @override
    def connect(self, settings: StorageSettings | None, manner: Manner) -> Any:
        return s3_client(
            self.bucket,
            prefix=self.prefix if self.native else _spelled(self.prefix),
            options=self.options,
            credentials=self.credentials,
            settings=settings,
            manner=manner,
        )

    @override
    def shown(self) -> Iterable[Shown]:
        options = self.options
        yield Shown("type", "S3 (native)" if self.native else "S3")
        yield Shown("bucket", self.bucket)
        if self.prefix:
            yield Shown("prefix", self.prefix)
        for name in ("region", "endpoint_url", "anonymous", "allow_http", "force_path_style"):
            if getattr(options, name):
                yield Shown(name, getattr(options, name))
        if options.requester_pays:
            yield Shown("requester_pays", True)
        if options.checksum_algorithm is not None:
            yield Shown("checksum_algorithm", options.checksum_algorithm.name)


@dataclass(frozen=True, slots=True)
class GcsPlace(_Bucket):
    """In Google Cloud Storage."""

    options: Guarded
    credentials: AnyGcsCredential | None

    @property
    @override
    def where(self) -> str:
        return self._url("gs", self.bucket)

    @override
    def connect(self, settings: StorageSettings | None, manner: Manner) -> Any:
        return gcs_client(
            self.bucket,
            prefix=_spelled(self.prefix),
            options=revealed(self.options),
            credentials=self.credentials,
            settings=settings,
            manner=manner,
        )

    @override
    def shown(self) -> Iterable[Shown]:
        yield Shown("type", "GCS")
        yield Shown("bucket", self.bucket)
        if self.prefix:
            yield Shown("prefix", self.prefix)


@dataclass(frozen=True, slots=True)
class AzurePlace(_Bucket):
    """In Azure Blob Storage; the bucket is a container of `account`."""

    account: str
    options: Guarded
    credentials: AnyAzureCredential | None

    @property
    @override
    def where(self) -> str:
        return self._url("az", self.account, self.bucket)

    @override
    def connect(self, settings: StorageSettings | None, manner: Manner) -> Any:
        return azure_client(
            self.bucket,
            account=self.account,
            prefix=_spelled(self.prefix),
            options=revealed(self.options),
            credentials=self.credentials,
            settings=settings,
            manner=manner,
        )

    @override
    def shown(self) -> Iterable[Shown]:
        yield Shown("type", "Azure")
        yield Shown("account", self.account)
        yield Shown("container", self.bucket)
        yield Shown("prefix", self.prefix)


def _spelled(prefix: str) -> str:
    return encode_key(prefix) if prefix else ""


def _checked(prefix: str | None) -> str:
    plain = (prefix or "").strip("/")
    if plain:
        encode_key(plain)
    return plain


def s3_place(
    options: S3Options,
    bucket: str,
    prefix: str | None,
    credentials: AnyS3Credential | None,
    headers: Headers,
    *,
    legacy_rooted_keys: bool | None = None,
    native: bool = True,
    weak: bool = False,
) -> S3Place:
    """A place in S3; `StorageError` where keys that begin with a slash are asked for."""
    place = S3Place(bucket, _checked(prefix), headers, deepcopy(options), credentials, native, weak)
    if legacy_rooted_keys:
        raise StorageError(
            "legacy_rooted_keys is only valid with an empty prefix"
            if place.prefix
            else f"keys that begin with a slash, at the root of {place.where}, cannot be read: "
            "copy the repository to a prefix with another program",
            ErrorKind.STORAGE_CONFIG,
        )
    return place


def r2_place(
    options: S3Options,
    bucket: str | None,
    prefix: str | None,
    account_id: str | None,
    credentials: AnyS3Credential | None,
    headers: Headers,
    *,
    legacy_rooted_keys: bool | None = None,
) -> S3Place:
    """A place in Cloudflare R2; the bucket may be the first name of the prefix."""
    if bucket is None:
        bucket, _, prefix = (prefix or "").strip("/").partition("/")
        if not bucket:
            raise StorageError(
                "R2 needs a bucket, or a prefix that begins with one", ErrorKind.STORAGE_CONFIG
            )
    options = deepcopy(options)
    if options.endpoint_url is None:
        if not account_id:
            raise StorageError(
                "R2 needs an account_id, or an endpoint_url", ErrorKind.STORAGE_CONFIG
            )
        options.endpoint_url = f"https://{account_id}.r2.cloudflarestorage.com"
    options.region = options.region or "auto"
    options.force_path_style = True
    return s3_place(
        options, bucket, prefix, credentials, headers, legacy_rooted_keys=legacy_rooted_keys
    )


def tigris_place(
    options: S3Options,
    bucket: str,
    prefix: str | None,
    use_weak_consistency: bool,
    credentials: AnyS3Credential | None,
    headers: Headers,
    *,
    legacy_rooted_keys: bool | None = None,
) -> S3Place:
    """A place in Tigris; with weak consistency it cannot be written."""
    if options.region is None and not use_weak_consistency:
        raise StorageError(
            "Tigris needs the region of the bucket to be consistent: pass region, or "
            "use_weak_consistency=True for a storage that can only be read, and may be late",
            ErrorKind.STORAGE_OTHER,
        )
    options = deepcopy(options)
    options.endpoint_url = options.endpoint_url or "https://t3.storage.dev"
    if not use_weak_consistency:
        # https://www.tigrisdata.com/docs/objects/consistency/
        consistent = {"X-Tigris-Consistent": "true"}
        headers = replace(
            headers,
            read=guarded({**consistent, **revealed(headers.read)}),
            write=guarded({**consistent, **revealed(headers.write)}),
        )
    return s3_place(
        options,
        bucket,
        prefix,
        credentials,
        headers,
        legacy_rooted_keys=legacy_rooted_keys,
        weak=use_weak_consistency,
    )


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
    """A place in a bucket of Hugging Face; `StorageError` without user or organisation."""
    if not namespace or not bucket:
        raise StorageError(
            "Hugging Face needs a namespace (a user or organisation) and a bucket",
            ErrorKind.STORAGE_CONFIG,
        )
    options = deepcopy(options)
    options.endpoint_url = options.endpoint_url or f"https://s3.hf.co/{namespace}"
    options.region = options.region or "us-east-1"
    options.force_path_style = True
    return s3_place(
        options, bucket, prefix, credentials, headers, legacy_rooted_keys=legacy_rooted_keys
    )


def gcs_place(
    bucket: str,
    prefix: str | None,
    credentials: AnyGcsCredential | None,
    options: Texts,
    headers: Headers,
) -> GcsPlace:
    """A place in Google Cloud Storage."""
    return GcsPlace(bucket, _checked(prefix), headers, guarded(options), credentials)


def azure_place(
    account: str,
    container: str,
    prefix: str,
    credentials: AnyAzureCredential | None,
    options: Texts,
) -> AzurePlace:
    """A place in Azure Blob Storage."""
    return AzurePlace(
        container, _checked(prefix), Headers(), account, guarded(options), credentials
    )
