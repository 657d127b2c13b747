"""How to sign in where repositories and the files of virtual chunks are.

For each cloud there are functions that make credentials, from keys, from the environment, from
a callback, or none for public data. Displays, logs, errors and stored configurations never
show secrets; see `allow_secrets_in_pickles` for pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from frazil.credentials.azure import (
    AnyAzureCredential,
    AnyAzureRefreshableCredential,
    AnyAzureStaticCredential,
    AzureCredentials,
    AzureRefreshableCredential,
    AzureStaticCredentials,
    azure_anonymous_credentials,
    azure_credentials,
    azure_from_env_credentials,
    azure_refreshable_credentials,
    azure_static_credentials,
)
from frazil.credentials.gcs import (
    AnyGcsCredential,
    AnyGcsStaticCredential,
    GcsBearerCredential,
    GcsCredentials,
    GcsStaticCredentials,
    gcs_anonymous_credentials,
    gcs_credentials,
    gcs_from_env_credentials,
    gcs_refreshable_credentials,
    gcs_static_credentials,
)
from frazil.credentials.kinds import Family, Kind, check
from frazil.credentials.s3 import (
    AnyS3Credential,
    S3Credentials,
    S3StaticCredentials,
    s3_anonymous_credentials,
    s3_credentials,
    s3_from_env_credentials,
    s3_refreshable_credentials,
    s3_static_credentials,
)
from frazil.credentials.secret import allow_secrets_in_pickles
from frazil.errors import ErrorKind, InvalidInputError


class Credentials(Family):
    """What gives access to the files of virtual chunks: one of the classes in here."""

    @dataclass(frozen=True, slots=True, repr=False)
    class S3(Kind):
        """Access to S3."""

        credentials: AnyS3Credential

        _public_name: ClassVar[str] = "frazil.credentials.Credentials.S3"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, S3Credentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class Gcs(Kind):
        """Access to Google Cloud Storage."""

        credentials: AnyGcsCredential

        _public_name: ClassVar[str] = "frazil.credentials.Credentials.Gcs"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, GcsCredentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class Azure(Kind):
        """Access to Azure Blob Storage."""

        credentials: AnyAzureCredential

        _public_name: ClassVar[str] = "frazil.credentials.Credentials.Azure"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, AzureCredentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class LocalFileSystemAccess(Kind):
        """Access to the files of this machine."""

        _public_name: ClassVar[str] = "frazil.credentials.Credentials.LocalFileSystemAccess"

    @dataclass(frozen=True, slots=True, repr=False)
    class HttpAccess(Kind):
        """Access to web servers."""

        _public_name: ClassVar[str] = "frazil.credentials.Credentials.HttpAccess"


LocalFileSystemAccess = Credentials.LocalFileSystemAccess()
"""Leave to read files of this machine."""

HttpAccess = Credentials.HttpAccess()
"""Leave to read from web servers."""

AnyCredential: TypeAlias = (
    Credentials.S3
    | Credentials.Gcs
    | Credentials.Azure
    | Credentials.LocalFileSystemAccess
    | Credentials.HttpAccess
)
"""Whatever gives access to the files of virtual chunks."""


def containers_credentials(
    m: Mapping[
        str,
        AnyS3Credential
        | AnyGcsCredential
        | AnyAzureCredential
        | Credentials.LocalFileSystemAccess
        | Credentials.HttpAccess
        | None,
    ],
) -> dict[str, AnyCredential | None]:
    """The map from URL prefixes to credentials, in the form that repositories take.

    InvalidInputError `invalid-credentials` for anything that is no credential.
    """
    return {prefix: _access(prefix, credential) for prefix, credential in m.items()}


def _access(prefix: str, credential: object) -> AnyCredential | None:
    match credential:
        case None | Credentials.LocalFileSystemAccess() | Credentials.HttpAccess():
            return credential
        case Credentials.S3() | Credentials.Gcs() | Credentials.Azure():
            return credential
        case (
            S3Credentials.Static()
            | S3Credentials.Anonymous()
            | S3Credentials.FromEnv()
            | S3Credentials.Refreshable()
        ):
            return Credentials.S3(credential)
        case (
            GcsCredentials.Static()
            | GcsCredentials.Anonymous()
            | GcsCredentials.FromEnv()
            | GcsCredentials.Refreshable()
        ):
            return Credentials.Gcs(credential)
        case (
            AzureCredentials.Static()
            | AzureCredentials.Anonymous()
            | AzureCredentials.FromEnv()
            | AzureCredentials.Refreshable()
        ):
            return Credentials.Azure(credential)
    raise InvalidInputError(
        f"the credential for {prefix} is of an unknown type, {type(credential).__name__}: use "
        "s3_credentials(), gcs_credentials(), azure_credentials(), LocalFileSystemAccess, "
        "HttpAccess or None",
        ErrorKind.INVALID_CREDENTIALS,
    )


__all__ = [
    "AnyAzureCredential",
    "AnyAzureRefreshableCredential",
    "AnyAzureStaticCredential",
    "AnyCredential",
    "AnyGcsCredential",
    "AnyGcsStaticCredential",
    "AnyS3Credential",
    "AzureCredentials",
    "AzureRefreshableCredential",
    "AzureStaticCredentials",
    "Credentials",
    "GcsBearerCredential",
    "GcsCredentials",
    "GcsStaticCredentials",
    "HttpAccess",
    "LocalFileSystemAccess",
    "S3Credentials",
    "S3StaticCredentials",
    "allow_secrets_in_pickles",
    "azure_anonymous_credentials",
    "azure_credentials",
    "azure_from_env_credentials",
    "azure_refreshable_credentials",
    "azure_static_credentials",
    "containers_credentials",
    "gcs_anonymous_credentials",
    "gcs_credentials",
    "gcs_from_env_credentials",
    "gcs_refreshable_credentials",
    "gcs_static_credentials",
    "s3_anonymous_credentials",
    "s3_credentials",
    "s3_from_env_credentials",
    "s3_refreshable_credentials",
    "s3_static_credentials",
]
