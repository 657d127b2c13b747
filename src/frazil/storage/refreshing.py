"""Credentials that a user's function gives, asked for as rarely as possible.

However many clients and threads a process has, one function has one `Refresher` there. It
calls the function once at a time, keeps what it gave until shortly before that expires, and
tries a few times if the function fails. After that everybody gets the error, until the
function may be called again.

The providers for `obstore` say that credentials last five minutes longer than they are kept
here, because its clients ask anew when five minutes are left: so they ask when there is news.
"""

from __future__ import annotations

import logging
import pickle
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from frazil.credentials import (
    AzureCredentials,
    AzureRefreshableCredential,
    GcsBearerCredential,
    GcsCredentials,
    S3Credentials,
    S3StaticCredentials,
)
from frazil.errors import ErrorKind, StorageError
from frazil.storage.fork import ForksafeLock

Refreshable: TypeAlias = (
    S3Credentials.Refreshable | GcsCredentials.Refreshable | AzureCredentials.Refreshable
)

TRIES = 3
FIRST_PAUSE = 0.2
"""Seconds before the second try; twice as many before the third; both shortened at random."""
LONGEST_HOLD = 60.0
"""Seconds for which a function that keeps failing is left alone; from 1, doubling."""
KEPT_WITHOUT_EXPIRY = 3600.0
"""Seconds for which credentials are kept that do not say when they expire."""
EARLY = 300.0
"""Seconds before the expiry at which credentials are replaced, or a fifth of their life."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the function gave; times in seconds since the epoch."""

    credential: Any
    fresh_until: float
    valid_until: float


class Refresher:
    """The one caller of a function that gives credentials."""

    def __init__(
        self,
        function: Callable[[], object],
        gives: type,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._function = function
        self._gives = gives
        self._clock = clock
        self._sleep = sleep
        self._lock = ForksafeLock()
        self._held: _Held | None = None
        self._error: StorageError | None = None
        self._flights = 0
        self._hold = 0.0
        self._not_before = 0.0

    def offer(self, credential: Any) -> None:
        """Start with these credentials, unless they have expired or there have been others."""
        expires = credential.expires_after
        if self._held is None and (expires is None or expires.timestamp() > self._clock()):
            self._held = self._to_hold(credential)

    def get(self) -> tuple[Any, float]:
        """Credentials, and until when (seconds since the epoch) there will be no others.

        `StorageError` if the function fails: it names the function, and shows no secrets.
        """
        held = self._held
        if held is not None and self._clock() < held.fresh_until:
            return held.credential, held.fresh_until
        flights = self._flights
        with self._lock:
            # Whoever has waited for somebody else's call shares how that ended.
            if self._flights == flights and self._clock() >= self._not_before:
                self._fly()
            held, error = self._held, self._error
        if held is not None and (error is None or self._clock() < held.valid_until):
            return held.credential, max(held.fresh_until, self._not_before)
        assert error is not None, "a call ends with credentials or with an error"
        # A copy: one object cannot carry the tracebacks of many threads.
        raise StorageError(error.message, error.kind)

    def _fly(self) -> None:
        given, error = self._called()
        if error is None:
            self._held, self._error, self._hold = self._to_hold(given), None, 0.0
            self._not_before = 0.0
        else:
            self._error = error
            self._hold = min(max(1.0, 2 * self._hold), LONGEST_HOLD)
            self._not_before = self._clock() + self._hold
            if self._held is not None:
                _log.warning("%s; those at hand are used while they last", error.message)
        self._flights += 1

    def _called(self) -> tuple[Any, StorageError | None]:
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1))
            given, failure = _in_thread(self._function)
            if failure is None and isinstance(given, self._gives):
                return given, None
            if failure is None:
                wanted, got = self._gives.__name__, type(given).__name__
                return None, self._failed(f"returned {got} instead of {wanted}")
            # The text of the failure may contain anything, also secrets.
            problem = f"failed {TRIES} times with {type(failure).__name__}"
        return None, self._failed(problem)

    def _failed(self, problem: str) -> StorageError:
        return StorageError(
            f"no credentials: the function {name_of(self._function)}, given as get_credentials, "
            f"{problem}; call it yourself to see why",
            ErrorKind.STORAGE_OTHER,
        )

    def _to_hold(self, credential: Any) -> _Held:
        now = self._clock()
        if credential.expires_after is None:
            return _Held(credential, now + KEPT_WITHOUT_EXPIRY, float("inf"))
        expires = credential.expires_after.timestamp()
        left = expires - now
        if left > 0:
            return _Held(credential, expires - min(EARLY, left / 5), expires)
        # By this machine's clock. The server's may differ, so it decides.
        return _Held(credential, now + 10, now + 10)


def _in_thread(function: Callable[[], object]) -> tuple[object, BaseException | None]:
    """What the function returns or raises.

    It runs in a thread of its own: the threads from which `obstore` asks for credentials
    cannot make requests through `obstore`, which the function may want to do.
    """
    given: list[object] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            given.append(function())
        except BaseException as error:  # a thread has nobody else to tell
            failure.append(error)

    thread = threading.Thread(target=run, name="frazil-credentials", daemon=True)
    thread.start()
    thread.join()
    return (given[0], None) if given else (None, failure[0])


def name_of(function: object) -> str:
    """What a function is called; the arguments of a partial one are left out."""
    function = getattr(function, "func", function)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


_refreshers: dict[tuple[type, bytes], Refresher] = {}
_lock = ForksafeLock()


def refresher_of(credentials: Refreshable) -> Refresher:
    """The one of this process for the function of these credentials."""
    key = type(credentials), credentials.pickled_function
    found = _refreshers.get(key)
    if found is None:
        function = _loaded(credentials.pickled_function)
        with _lock:
            found = _refreshers.setdefault(key, Refresher(function, credentials._gives))
    if credentials.current is not None:
        found.offer(credentials.current)
    return found


def _loaded(pickled: bytes) -> Callable[[], object]:
    try:
        function: object = pickle.loads(pickled)
    except Exception as error:  # whatever the modules raise that it is from
        problem = f"{type(error).__name__}: {error}"
    else:
        if callable(function):
            return function
        problem = f"it is not a function but {type(function).__name__}"
    raise StorageError(
        "no credentials: the function that was given as get_credentials cannot be loaded in "
        f"this process ({problem}); define it in a module that all processes can import",
        ErrorKind.STORAGE_OTHER,
    )


def s3_provider(credentials: S3Credentials.Refreshable) -> Callable[[], Any]:
    """What `obstore.store.S3Store` takes as `credential_provider`."""

    def provide() -> dict[str, object]:
        found, until = refresher_of(credentials).get()
        keys: S3StaticCredentials = found
        return {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            "token": keys.session_token,
            "expires_at": _for_client(until),
        }

    return provide


def gcs_provider(credentials: GcsCredentials.Refreshable) -> Callable[[], Any]:
    """What `obstore.store.GCSStore` takes as `credential_provider`."""

    def provide() -> dict[str, object]:
        found, until = refresher_of(credentials).get()
        token: GcsBearerCredential = found
        return {"token": token.bearer, "expires_at": _for_client(until)}

    return provide


def azure_provider(credentials: AzureCredentials.Refreshable) -> Callable[[], Any]:
    """What `obstore.store.AzureStore` takes as `credential_provider`."""

    def provide() -> dict[str, object]:
        found, until = refresher_of(credentials).get()
        given: dict[str, object]
        match found:
            case AzureRefreshableCredential.AccessKey(key):
                given = {"access_key": key}
            case AzureRefreshableCredential.SasToken(token):
                given = {"sas_token": token.removeprefix("?")}
            case AzureRefreshableCredential.BearerToken(bearer):
                given = {"token": bearer}
        return {**given, "expires_at": _for_client(until)}

    return provide


def _for_client(until: float) -> datetime:
    return datetime.fromtimestamp(until, UTC) + timedelta(seconds=300)
