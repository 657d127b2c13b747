"""Credentials for S3 and what is compatible with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

from typing_extensions import override

from frazil.credentials.kinds import Callback, Family, Kind, called, check, conflicting, pickled
from frazil.credentials.secret import Secret


class S3StaticCredentials(Secret):
    """Keys of S3, good until `expires_after` (timezone-aware; None: for ever)."""

    __slots__ = ("access_key_id", "expires_after", "secret_access_key", "session_token")
    _fields = ("access_key_id", "secret_access_key", "session_token", "expires_after")
    _public_name: ClassVar[str] = "frazil.credentials.S3StaticCredentials"

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_after: datetime | None

    def __init__(
        self,
        access_key_id: str,
        secret_access_key: str,
        session_token: str | None = None,
        expires_after: datetime | None = None,
    ) -> None:
        self._text("access_key_id", access_key_id)
        self._text("secret_access_key", secret_access_key)
        if session_token is None:
            object.__setattr__(self, "session_token", None)
        else:
            self._text("session_token", session_token)
        self._time("expires_after", expires_after)

    @override
    def _masked(self, name: str, value: object) -> object:
        # The first letters of a real id tell only its kind.
        if name == "access_key_id" and isinstance(value, str) and len(value) >= 16:
            return f"{value[:4]}****"
        return Secret._masked(self, name, value)


class S3Credentials(Family):
    """How to sign in to S3: one of the classes in here."""

    @dataclass(frozen=True, slots=True, repr=False)
    class FromEnv(Kind):
        """As the environment says: variables, or the machine's role."""

        _public_name: ClassVar[str] = "frazil.credentials.S3Credentials.FromEnv"

    @dataclass(frozen=True, slots=True, repr=False)
    class Anonymous(Kind):
        """Without signing in."""

        _public_name: ClassVar[str] = "frazil.credentials.S3Credentials.Anonymous"

    @dataclass(frozen=True, slots=True, repr=False)
    class Static(Kind):
        """With keys."""

        credentials: S3StaticCredentials

        _public_name: ClassVar[str] = "frazil.credentials.S3Credentials.Static"

        def __post_init__(self) -> None:
            check(self, "credentials", self.credentials, S3StaticCredentials)

    @dataclass(frozen=True, slots=True, repr=False)
    class Refreshable(Callback):
        """With keys that a function gives: `s3_refreshable_credentials` makes one."""

        pickled_function: bytes
        current: S3StaticCredentials | None = None

        _public_name: ClassVar[str] = "frazil.credentials.S3Credentials.Refreshable"
        _gives: ClassVar[type] = S3StaticCredentials


AnyS3Credential: TypeAlias = (
    S3Credentials.Static
    | S3Credentials.Anonymous
    | S3Credentials.FromEnv
    | S3Credentials.Refreshable
)
"""Any way to sign in to S3."""


def s3_static_credentials(
    *,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    expires_after: datetime | None = None,
) -> S3Credentials.Static:
    """Keys, good until `expires_after` (timezone-aware; None: for ever)."""
    keys = S3StaticCredentials(access_key_id, secret_access_key, session_token, expires_after)
    return S3Credentials.Static(keys)


def s3_anonymous_credentials() -> S3Credentials.Anonymous:
    """Read public data without signing in."""
    return S3Credentials.Anonymous()


def s3_from_env_credentials() -> S3Credentials.FromEnv:
    """What the environment offers: variables such as AWS_ACCESS_KEY_ID, or the machine's role."""
    return S3Credentials.FromEnv()


def s3_refreshable_credentials(
    get_credentials: Callable[[], S3StaticCredentials],
    scatter_initial_credentials: bool = False,
) -> S3Credentials.Refreshable:
    """Keys from a function, which is called when they are needed and shortly before they expire.

    The function must be picklable. scatter_initial_credentials: call it now, and let pickles
    carry what it gives, so that other processes need not call it at once.
    """
    function = pickled(get_credentials)
    first = called(get_credentials, S3StaticCredentials) if scatter_initial_credentials else None
    return S3Credentials.Refreshable(function, first)


def s3_credentials(
    *,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    expires_after: datetime | None = None,
    anonymous: bool | None = None,
    from_env: bool | None = None,
    get_credentials: Callable[[], S3StaticCredentials] | None = None,
    scatter_initial_credentials: bool = False,
) -> AnyS3Credential:
    """The one kind of credentials that the arguments describe; with none, the environment's.

    InvalidInputError `invalid-credentials` for arguments of several kinds.
    """
    keys = {
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "session_token": session_token,
        "expires_after": expires_after,
    }
    kinds = {"anonymous": anonymous, "from_env": from_env, "get_credentials": get_credentials}
    with_keys = any(value is not None for value in keys.values())
    chosen = [name for name, value in kinds.items() if value is not None and value is not False]
    if access_key_id is not None and secret_access_key is not None and not chosen:
        return s3_static_credentials(
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            session_token=session_token,
            expires_after=expires_after,
        )
    match chosen:
        case ["anonymous"] if not with_keys:
            return S3Credentials.Anonymous()
        case ["get_credentials"] if not with_keys and get_credentials is not None:
            return s3_refreshable_credentials(get_credentials, scatter_initial_credentials)
        case ["from_env"] if not with_keys:
            return S3Credentials.FromEnv()
        case [] if not with_keys and from_env is None:
            return S3Credentials.FromEnv()
    raise conflicting(
        "s3_credentials",
        {**keys, **kinds},
        "choose one of anonymous=True, from_env=True, get_credentials=… or keys "
        "(access_key_id and secret_access_key)",
    )
