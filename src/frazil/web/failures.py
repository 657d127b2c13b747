"""Errors as pages: what happened and what to do, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    FormatError,
    HookError,
    IcechunkError,
    InvalidInputError,
    NodeNotFoundError,
    NotFoundError,
    ReadOnlyError,
    RefNotFoundError,
    SessionStateError,
    SnapshotNotFoundError,
)
from frazil.web.safety import HEADERS
from frazil.web.site import site_of


class Advice(NamedTuple):
    """What to do: in words, and where a link with this title leads."""

    words: str
    title: str
    address: str


_START = Advice("", "To the history", "/")
_TREE = Advice(
    "It may be there in another version, or may have been moved.", "To all data", "/tree"
)
_NAMES = Advice(
    "It may have been deleted, or a version of its history has expired.",
    "To branches and tags",
    "/names",
)
_HEALTH = Advice(
    "A file of the repository is missing or damaged. What else is can be looked for, and much of "
    "it repaired: frazil repair URL --dry-run says what.",
    "Look whether everything is there",
    "/health",
)

_TITLES = {
    400: "That cannot be answered",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    409: "It is another way by now",
    422: "Refused",
}


def status_of(error: IcechunkError) -> int:
    """The status of HTTP for an error."""
    match error:
        case NotFoundError():
            return 404
        case InvalidInputError():
            return 400
        case ReadOnlyError():
            return 403
        case ConflictError() | AlreadyExistsError():
            return 409
        case HookError() | SessionStateError():
            return 422
        case _ if error.kind == ErrorKind.OBJECT_NOT_FOUND:
            return 404
        case _:
            return 500


def advice_for(error: IcechunkError) -> Advice:
    """What to do after an error."""
    match error:
        case NodeNotFoundError():
            return _TREE
        case RefNotFoundError() | SnapshotNotFoundError():
            return _NAMES
        case FormatError():
            return _HEALTH
        case _ if error.kind == ErrorKind.OBJECT_NOT_FOUND:
            return _HEALTH
        case _:
            return _START


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, IcechunkError)
    return _page(request, status_of(error), error.message, advice_for(error))


def _storage(request: Request, error: Exception) -> Response:
    return _page(request, 500, f"The storage cannot be read: {error}", _HEALTH)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    page = _page(request, error.status_code, error.detail)
    page.headers.update(error.headers or {})
    return page


def _page(request: Request, status: int, text: str, advice: Advice = _START) -> Response:
    title = _TITLES.get(status, "Something is wrong")
    return site_of(request).page(
        request, "failure.html", status=status, title=title, text=text, advice=advice
    )


def _unknown(request: Request, error: Exception) -> Response:
    """A defect: the traceback is where the explorer was started, and says more to nobody here."""
    text = "This page has a defect. The terminal in which the explorer runs has the details."
    answer = PlainTextResponse(text, 500)
    answer.headers.update(HEADERS)
    return answer


HANDLERS: Mapping[Any, Any] = {
    IcechunkError: _known,
    HTTPException: _http,
    OSError: _storage,
    Exception: _unknown,
}
