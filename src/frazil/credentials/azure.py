"""Credentials for Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from frazil.credentials.kinds import Callback, Family, Kind, called, check, conflicting, pickled
from frazil.credentials.secret import Secret


class AzureRefreshableCredential(Family):
    """What a function gives that refreshes credentials: one of the classes in here.

    expires_after: timezone-aware; None: good for ever.
    """

    class AccessKey(Secret):
        """The key of a storage account."""

        __slots__ = ("expires_after", "key")
        __match_args__ = _fields = ("key", "expires_after")
        _public_name: ClassVar[str] = "frazil.credentials.AzureRefreshableCredential.AccessKey"

        key: str
        expires_after: datetime | None

        def __init__(self, key: str, *, expires_after: datetime | None = None) -> None:
            self._text("key", key)
            self._time("expires_after", expires_after)

    class SasToken(Secret):
        """A shared access signature."""

        __slots__ = ("expires_after", "token")
        __match_args__ = _fields = ("token", "expires_after")
        _public_name: ClassVar[str] = "frazil.credentials.AzureRefreshableCredential.SasToken"

        token: str
        expires_after: datetime | None

        def __init__(self, token: str, *, expires_after: datetime | None = None) -> None:
            self._text("token", token)
            self._time("expires_after", expires_after)

    class BearerToken(Secret):
        """A token of Entra ID."""

        __slots__ = ("bearer", "expires_after")
        __match_args__ = _fields = ("bearer", "expires_after")
        _public_name: ClassVar[str] = "frazil.credentials.AzureRefreshableCredential.BearerToken"

        bearer: str
        expires_after: datetime | None

        def __init__(self, bearer: str, *, expires_after: datetime | None = None) -> None:
            self._text("bearer", bearer)
            self._time("expires_after", expires_after)


AnyAzureRefreshableCredential: TypeAlias = (
    AzureRefreshableCredential.AccessKey
    | AzureRefreshableCredential.SasToken
    | AzureRefreshableCredential.BearerToken
)
"""Anything that a function for refreshing may give."""


class AzureStaticCredentials(Family):
    """Credentials that stay as they are: one of the classes in here."""

    class AccessKey(Secret):
        """The key of a storage account."""

        __slots__ = ("key",)
        __match_args__ = _fields = ("key",)
        _public_name: ClassVar[str] = "frazil.credentials.AzureStaticCredentials.AccessKey"

        key: str

        def __init__(self, key: str) -> None:
            self._text("key", key)

    class SasToken(Secret):
        """A shared access signature."""

        __slots__ = ("token",)
        __match_args__ = _fields = ("token",)
        _public_name: ClassVar[str] = "frazil.credentials.AzureStaticCredentials.SasToken"

        token: str

        def __init__(self, token: str) -> None:
            self._text("token", token)

    class BearerToken(Secret):
        """A token of Entra ID."""

        __slots__ = ("token",)
        __match_args__ = _fields = ("token",)
        _public_name: ClassVar[str] = "frazil.credentials.AzureStaticCredentials.BearerToken"

        token: str

        def __init__(self, token: str) -> None:
            self._text("token", token)


AnyAzureStaticCredential: TypeAlias = (
    AzureStaticCredentials.AccessKey
    | AzureStaticCredentials.SasToken
    | AzureStaticCredentials.BearerToken
)
"""Any credentials for Azure that stay as they are."""


class AzureCredentials(Family):
    """How to sign in to Azure: one of the classes in here."""

    @dataclass(frozen=True, slots=True, repr=False)
    class FromEnv(Kind):
        """As the environment says: variables, or the machine's identity."""

        _public_name: ClassVar[str] = "frazil.credentials.AzureCredentials.FromEnv"

    @dataclass(frozen=True, slots=True, repr=False)
    class Anonymous(Kind):
        """Without signing in."""

        _public_name: ClassVar[str] = "frazil.credentials.AzureCredentials.Anonymous"

    @dataclass(frozen=True, slots=True, repr=False)
    class Static(Kind):
        """With what stays as it is."""

        credentials: AnyAzureStaticCredential

        _public_name: ClassVar[str] = "frazil.credentials.AzureCredentials.Static"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, AzureStaticCredentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class Refreshable(Callback):
        """With what a function gives: `azure_refreshable_credentials` makes one."""

        pickled_function: bytes
        current: AnyAzureRefreshableCredential | None = None

        _public_name: ClassVar[str] = "frazil.credentials.AzureCredentials.Refreshable"
        _gives: ClassVar[type] = AzureRefreshableCredential


AnyAzureCredential: TypeAlias = (
    AzureCredentials.FromEnv
    | AzureCredentials.Anonymous
    | AzureCredentials.Static
    | AzureCredentials.Refreshable
)
"""Any way to sign in to Azure."""


def azure_static_credentials(
    *,
    access_key: str | None = None,
    sas_token: str | None = None,
    bearer_token: str | None = None,
) -> AnyAzureStaticCredential:
    """Credentials that stay as they are; InvalidInputError unless exactly one is given."""
    given = {"access_key": access_key, "sas_token": sas_token, "bearer_token": bearer_token}
    match access_key, sas_token, bearer_token:
        case str(), None, None:
            return AzureStaticCredentials.AccessKey(access_key)
        case None, str(), None:
            return AzureStaticCredentials.SasToken(sas_token)
        case None, None, str():
            return AzureStaticCredentials.BearerToken(bearer_token)
    raise conflicting("azure_static_credentials", dict(given), f"give one of {', '.join(given)}")


def azure_anonymous_credentials() -> AzureCredentials.Anonymous:
    """Read public data without signing in."""
    return AzureCredentials.Anonymous()


def azure_from_env_credentials() -> AzureCredentials.FromEnv:
    """What the environment offers: variables, or the machine's identity."""
    return AzureCredentials.FromEnv()


def azure_refreshable_credentials(
    get_credentials: Callable[[], AnyAzureRefreshableCredential],
    scatter_initial_credentials: bool = False,
) -> AzureCredentials.Refreshable:
    """Credentials from a function, called when they are needed and shortly before they expire.

    The function must be picklable. scatter_initial_credentials: call it now, and let pickles
    carry what it gives, so that other processes need not call it at once.
    """
    function = pickled(get_credentials)
    first = None
    if scatter_initial_credentials:
        first = called(get_credentials, AzureRefreshableCredential)
    return AzureCredentials.Refreshable(function, first)


def azure_credentials(
    *,
    access_key: str | None = None,
    sas_token: str | None = None,
    bearer_token: str | None = None,
    from_env: bool | None = None,
    anonymous: bool | None = None,
    get_credentials: Callable[[], AnyAzureRefreshableCredential] | None = None,
    scatter_initial_credentials: bool = False,
) -> AnyAzureCredential:
    """The kind of credentials that the arguments describe; with none, the environment's.

    A function goes before what stays as it is. InvalidInputError `invalid-credentials` for
    other arguments of several kinds.
    """
    static = {"access_key": access_key, "sas_token": sas_token, "bearer_token": bearer_token}
    given = any(value is not None for value in static.values())
    if anonymous and get_credentials is None:
        return AzureCredentials.Anonymous()
    if get_credentials is not None and not anonymous:
        return azure_refreshable_credentials(get_credentials, scatter_initial_credentials)
    if not anonymous and not given and (from_env or from_env is None):
        return AzureCredentials.FromEnv()
    if not anonymous and given and not from_env:
        return AzureCredentials.Static(azure_static_credentials(**static))
    others = {"anonymous": anonymous, "from_env": from_env, "get_credentials": get_credentials}
    raise conflicting(
        "azure_credentials",
        {**others, **static},
        "choose one of anonymous=True, from_env=True, get_credentials=…, "
        f"{', '.join(f'{name}=…' for name in static)}",
    )
