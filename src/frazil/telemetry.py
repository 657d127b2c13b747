"""Spans for OpenTelemetry: what Frazil does, and with how many requests.

A program that has set up a provider of OpenTelemetry finds these spans in its traces. In others
nothing is imported, and one look into a dictionary is all that a span takes.

    frazil.open     a repository is opened                    frazil.storage
    frazil.session  a session is opened                       frazil.branch or frazil.snapshot
    frazil.read     values of an array are read               frazil.array, frazil.chunks
    frazil.write    values of an array are written            frazil.array, frazil.chunks
    frazil.commit   changes are committed, or amend a commit  frazil.branch, frazil.snapshot
    frazil.rebase   changes are put onto newer commits        frazil.branch
    frazil.request  one request to a storage                  frazil.operation, frazil.key

All but requests tell what happened on their behalf, in whichever thread: `frazil.requests`,
`frazil.bytes_read`, `frazil.bytes_written`, `frazil.cache.hits` and `frazil.cache.misses` (of
snapshots, manifests and chunks). Errors are recorded as OpenTelemetry does it.
"""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from frazil._version import __version__

_API = "opentelemetry.trace"


class Effort:
    """What was done on behalf of a span, counted by any number of threads."""

    def __init__(self, outer: Effort | None) -> None:
        self._outer = outer
        self._lock = threading.Lock()
        self._sums: dict[str, int] = {}

    def add(self, **amounts: int) -> None:
        """Add to these sums, here and in the spans around."""
        with self._lock:
            for name, amount in amounts.items():
                self._sums[name] = self._sums.get(name, 0) + amount
        if self._outer is not None:
            self._outer.add(**amounts)

    def totals(self) -> dict[str, int]:
        """The sums, by the names of attributes."""
        with self._lock:
            return dict.fromkeys(_SUMS, 0) | self._sums


_SUMS = ("requests", "bytes_read", "bytes_written", "cache_hits", "cache_misses")
_ATTRIBUTES = {"cache_hits": "cache.hits", "cache_misses": "cache.misses"}
_effort: ContextVar[Effort | None] = ContextVar("frazil_effort", default=None)


def effort() -> Effort | None:
    """Where to count what is done; None if nobody wants to know."""
    return _effort.get()


class Span:
    """What a span is when nobody traces: nothing."""

    recording = False

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the span; an error goes on."""

    def note(self, **attributes: str | int) -> None:
        """Add attributes, without `frazil.` in front."""


_NOTHING = Span()


class _Recorded(Span):
    recording = True

    def __init__(self, api: Any, name: str, attributes: dict[str, str | int]) -> None:
        self._request = name == "frazil.request"
        kind = api.SpanKind.CLIENT if self._request else api.SpanKind.INTERNAL
        tracer = api.get_tracer("frazil", __version__)
        self._current = tracer.start_as_current_span(name, kind=kind)
        self._attributes = attributes
        self._token: Token[Effort | None] | None = None

    def __enter__(self) -> Span:
        self._span = self._current.__enter__()
        self.note(**self._attributes)
        if not self._request:
            self._token = _effort.set(Effort(_effort.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            counted = _effort.get()
            _effort.reset(self._token)
            if counted is not None:
                self.note(**counted.totals())
        self._current.__exit__(kind, error, trace)

    def note(self, **attributes: str | int) -> None:
        for name, value in attributes.items():
            self._span.set_attribute(f"frazil.{_ATTRIBUTES.get(name, name)}", value)


def span(name: str, **attributes: str | int) -> Span:
    """A span around a `with` block, in the trace that is going on, if there is a provider."""
    api = sys.modules.get(_API)
    if api is None:
        return _NOTHING
    provider = getattr(api, "get_tracer_provider", None)
    if provider is None or isinstance(provider(), api.ProxyTracerProvider):
        return _NOTHING
    return _Recorded(api, name, attributes)
