"""Credentials for Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from frazil.credentials.kinds import Callback, Family, Kind, called, check, conflicting, pickled
from frazil.credentials.secret import Secret


class GcsBearerCredential(Secret):
    """A token of Google's OAuth, good until `expires_after` (timezone-aware; None: for ever)."""

    __slots__ = ("bearer", "expires_after")
    _fields = ("bearer", "expires_after")
    _public_name: ClassVar[str] = "frazil.credentials.GcsBearerCredential"

    bearer: str
    expires_after: datetime | None

    def __init__(self, bearer: str, *, expires_after: datetime | None = None) -> None:
        self._text("bearer", bearer)
        self._time("expires_after", expires_after)


class GcsStaticCredentials(Family):
    """Credentials that stay as they are: one of the classes in here."""

    @dataclass(frozen=True, slots=True, repr=False)
    class ServiceAccount(Kind):
        """The key of a service account in a file, which is read when it is needed."""

        path: str

        _public_name: ClassVar[str] = "frazil.credentials.GcsStaticCredentials.ServiceAccount"

        def __post_init__(self) -> None:
            check(self, "path", self.path, str)

    class ServiceAccountKey(Secret):
        """The key of a service account: the JSON text itself."""

        __slots__ = ("key",)
        __match_args__ = _fields = ("key",)
        _public_name: ClassVar[str] = "frazil.credentials.GcsStaticCredentials.ServiceAccountKey"

        key: str

        def __init__(self, key: str) -> None:
            self._text("key", key)

    @dataclass(frozen=True, slots=True, repr=False)
    class ApplicationCredentials(Kind):
        """Application default credentials in a file, which is read when it is needed."""

        path: str

        _public_name: ClassVar[str] = (
            "frazil.credentials.GcsStaticCredentials.ApplicationCredentials"
        )

        def __post_init__(self) -> None:
            check(self, "path", self.path, str)

    class BearerToken(Secret):
        """A token of Google's OAuth."""

        __slots__ = ("token",)
        __match_args__ = _fields = ("token",)
        _public_name: ClassVar[str] = "frazil.credentials.GcsStaticCredentials.BearerToken"

        token: str

        def __init__(self, token: str) -> None:
            self._text("token", token)


AnyGcsStaticCredential: TypeAlias = (
    GcsStaticCredentials.ServiceAccount
    | GcsStaticCredentials.ServiceAccountKey
    | GcsStaticCredentials.ApplicationCredentials
    | GcsStaticCredentials.BearerToken
)
"""Any credentials for Google Cloud Storage that stay as they are."""


class GcsCredentials(Family):
    """How to sign in to Google Cloud Storage: one of the classes in here."""

    @dataclass(frozen=True, slots=True, repr=False)
    class Anonymous(Kind):
        """Without signing in."""

        _public_name: ClassVar[str] = "frazil.credentials.GcsCredentials.Anonymous"

    @dataclass(frozen=True, slots=True, repr=False)
    class FromEnv(Kind):
        """As the environment says: variables, files of the user, or the machine's account."""

        _public_name: ClassVar[str] = "frazil.credentials.GcsCredentials.FromEnv"

    @dataclass(frozen=True, slots=True, repr=False)
    class Static(Kind):
        """With what stays as it is."""

        credentials: AnyGcsStaticCredential

        _public_name: ClassVar[str] = "frazil.credentials.GcsCredentials.Static"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, GcsStaticCredentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class Refreshable(Callback):
        """With tokens that a function gives: `gcs_refreshable_credentials` makes one."""

        pickled_function: bytes
        current: GcsBearerCredential | None = None

        _public_name: ClassVar[str] = "frazil.credentials.GcsCredentials.Refreshable"
        _gives: ClassVar[type] = GcsBearerCredential


AnyGcsCredential: TypeAlias = (
    GcsCredentials.Anonymous
    | GcsCredentials.FromEnv
    | GcsCredentials.Static
    | GcsCredentials.Refreshable
)
"""Any way to sign in to Google Cloud Storage."""


def gcs_static_credentials(
    *,
    service_account_file: str | None = None,
    service_account_key: str | None = None,
    application_credentials: str | None = None,
    bearer_token: str | None = None,
) -> AnyGcsStaticCredential:
    """Credentials that stay as they are; the first argument that is given counts.

    InvalidInputError `invalid-credentials` if none is.
    """
    if service_account_file is not None:
        return GcsStaticCredentials.ServiceAccount(service_account_file)
    if service_account_key is not None:
        return GcsStaticCredentials.ServiceAccountKey(service_account_key)
    if application_credentials is not None:
        return GcsStaticCredentials.ApplicationCredentials(application_credentials)
    if bearer_token is not None:
        return GcsStaticCredentials.BearerToken(bearer_token)
    raise conflicting("gcs_static_credentials", {}, f"give one of {', '.join(_STATIC)}")


_STATIC = (
    "service_account_file",
    "service_account_key",
    "application_credentials",
    "bearer_token",
)


def gcs_anonymous_credentials() -> GcsCredentials.Anonymous:
    """Read public data without signing in."""
    return GcsCredentials.Anonymous()


def gcs_from_env_credentials() -> GcsCredentials.FromEnv:
    """What the environment offers: variables, files of the user, or the machine's account."""
    return GcsCredentials.FromEnv()


def gcs_refreshable_credentials(
    get_credentials: Callable[[], GcsBearerCredential],
    scatter_initial_credentials: bool = False,
) -> GcsCredentials.Refreshable:
    """Tokens from a function, called when one is needed and shortly before one expires.

    The function must be picklable. scatter_initial_credentials: call it now, and let pickles
    carry what it gives, so that other processes need not call it at once.
    """
    function = pickled(get_credentials)
    first = called(get_credentials, GcsBearerCredential) if scatter_initial_credentials else None
    return GcsCredentials.Refreshable(function, first)


def gcs_credentials(
    *,
    service_account_file: str | None = None,
    service_account_key: str | None = None,
    application_credentials: str | None = None,
    bearer_token: str | None = None,
    from_env: bool | None = None,
    anonymous: bool | None = None,
    get_credentials: Callable[[], GcsBearerCredential] | None = None,
    scatter_initial_credentials: bool = False,
) -> AnyGcsCredential:
    """The kind of credentials that the arguments describe; with none, the environment's.

    `anonymous` goes before the others. InvalidInputError `invalid-credentials` for a function,
    or `from_env`, beside another kind.
    """
    values = (service_account_file, service_account_key, application_credentials, bearer_token)
    static = any(value is not None for value in values)
    if get_credentials is None:
        if anonymous:
            return GcsCredentials.Anonymous()
        if not static and (from_env or from_env is None):
            return GcsCredentials.FromEnv()
        if static and not from_env:
            return GcsCredentials.Static(
                gcs_static_credentials(
                    service_account_file=service_account_file,
                    service_account_key=service_account_key,
                    application_credentials=application_credentials,
                    bearer_token=bearer_token,
                )
            )
    elif not (anonymous or from_env or static):
        return gcs_refreshable_credentials(get_credentials, scatter_initial_credentials)
    others = {"anonymous": anonymous, "from_env": from_env, "get_credentials": get_credentials}
    raise conflicting(
        "gcs_credentials",
        {**others, **dict(zip(_STATIC, values, strict=True))},
        "choose one of anonymous=True, from_env=True, get_credentials=…, "
        f"{', '.join(f'{name}=…' for name in _STATIC)}",
    )
