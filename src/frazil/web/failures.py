"""Errors as pages: what happened and what to do, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    HookError,
    IcechunkError,
    InvalidInputError,
    NotFoundError,
    ReadOnlyError,
    SessionStateError,
)
from frazil.web.site import site_of

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


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, IcechunkError)
    return _page(request, status_of(error), error.message)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    page = _page(request, error.status_code, error.detail)
    page.headers.update(error.headers or {})
    return page


def _page(request: Request, status: int, text: str) -> Response:
    title = _TITLES.get(status, "Something is wrong")
    return site_of(request).page(request, "failure.html", status=status, title=title, text=text)


HANDLERS: Mapping[Any, Any] = {IcechunkError: _known, HTTPException: _http}
