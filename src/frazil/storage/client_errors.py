"""What the client library's exceptions mean, told from their class and text alone.

There may be several copies of the library in a process (see `client_library`), so classes are
known by their names.
"""

from __future__ import annotations

import re

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import AccessDenied, PreconditionFailed, not_found

THROTTLING = frozenset({429, 503})
_PASSING = frozenset({408, 429, 499, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
_CERTAIN = frozenset({429})
"""Of these, those that nobody sends who has carried out the request."""

_STATUS = re.compile(r"Server returned (?:non-2xx status code|error response): (\d{3})\b")
_XML = re.compile(r"<\?xml.*?<Code>(.*?)</Code>(?:.*?<Message>(.*?)</Message>)?.*", re.DOTALL)
_QUERY = re.compile(r"(https?://[^\s?]*)\?[^\s,)]*")
_ROLES = re.compile(r"//(?:169\.254\.169\.254|\[fd00:ec2::254\]|metadata\.google\.internal)/")
"""Where machines in clouds get the credentials of their role, which is asked after all else."""
_CAUSE = re.compile(
    r"source: (?:Os \{.*?message: \"(.*?)\"|(TimedOut|IncompleteMessage))", re.DOTALL
)


def translate(error: BaseException, *, key: str, where: str) -> StorageError:
    """The error of this package for one of the client library's, without queries of URLs.

    Kinds: `object-not-found`, `throttled`, else `object-store`; `PreconditionFailed` where a
    condition did not hold. Raise it outside of the `except` clause, so that no traceback shows
    the original: its text may contain signatures.
    """
    name = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return not_found(key, where)
    if name == "AlreadyExistsError":
        return PreconditionFailed(f"object {key!r} in {where} exists already")
    if name == "PreconditionError":
        return PreconditionFailed(f"object {key!r} in {where} is not the version that was read")
    text = text_of(error)
    message = f"the request for {key!r} in {where} failed: {text}"
    if _ROLES.search(text):
        message = (
            f"the request for {key!r} in {where} cannot be signed: there are no credentials in the "
            "environment, and none were given. For public data use anonymous=True, in a URL "
            f"?anonymous=true. (Asked last was the role of this machine: {text})"
        )
        return AccessDenied(message, ErrorKind.OBJECT_STORE)
    if name in ("PermissionDeniedError", "UnauthenticatedError"):
        message += "; check the credentials, and what they are allowed to do"
        return AccessDenied(message, ErrorKind.OBJECT_STORE)
    throttled = status_of(error) in THROTTLING
    return StorageError(message, ErrorKind.THROTTLED if throttled else ErrorKind.OBJECT_STORE)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error is about; None if there was no response."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def is_unchanged(error: BaseException) -> bool:
    """Whether it says that an object is still the version that one has."""
    return type(error).__name__ == "NotModifiedError"


def is_refused(error: BaseException) -> bool:
    """Whether it says that the condition of a request does not hold."""
    return type(error).__name__ in ("AlreadyExistsError", "PreconditionError")


def is_beyond(error: BaseException) -> bool:
    """Whether it says that a range begins at or after the end of an object."""
    return status_of(error) == 416 or "Wanted range starting at" in str(error)


def is_passing(error: BaseException) -> bool:
    """Whether the same request may succeed: no, or no whole response, or one that says so."""
    status = status_of(error)
    if status is not None:
        return status in _PASSING or "ConditionalRequestConflict" in str(error)
    return type(error).__name__ == "GenericError" and "HTTP error" in str(error)


def is_in_doubt(error: BaseException) -> bool:
    """Whether a request that failed in this passing way may have been carried out."""
    status = status_of(error)
    return status is None or (status in _PASSING and status not in _CERTAIN)


def text_of(error: BaseException) -> str:
    """What happened, in one line, without what may be a signature."""
    text, _, details = str(error).partition("\n\nDebug source:")
    text = _XML.sub(lambda found: ": ".join(filter(None, found.groups())), text)
    cause = _CAUSE.search(details)
    if cause and "HTTP error" in text:
        text += f" ({cause[1] or cause[2]})"
    return " ".join(_QUERY.sub(r"\1?...", text).split())
