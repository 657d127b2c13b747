"""Spans: what is in the trace of a program that uses OpenTelemetry, and that others pay nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil.errors import RepositoryNotFoundError
from frazil.storage.memory import MemoryBackend
from tests.scenario.places import storage_around

sdk = pytest.importorskip("opentelemetry.sdk.trace")
trace = pytest.importorskip("opentelemetry.trace")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Where spans arrive; asked for by `finished(spans, name)`."""
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # A process can set it once; this leaves no trace in other tests.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def finished(spans: Any, name: str) -> list[Any]:
    return [span for span in spans.get_finished_spans() if span.name == f"frazil.{name}"]


def below(spans: Any, parent: Any) -> list[Any]:
    """The requests within a span, however deep."""
    of = {span.context.span_id: span for span in spans.get_finished_spans()}

    def is_within(span: Any) -> bool:
        while span is not None and span.parent is not None:
            if span.parent.span_id == parent.context.span_id:
                return True
            span = of.get(span.parent.span_id)
        return False

    return [span for span in finished(spans, "request") if is_within(span)]


def repository() -> tuple[Any, Any]:
    storage = storage_around(MemoryBackend())
    config = frazil.RepositoryConfig(inline_chunk_threshold_bytes=0)
    repo = frazil.Repository.create(storage, config)
    session = repo.writable_session("main")
    made: Any = zarr.create_array(session.store, name="a", shape=600, chunks=2, dtype="i4")
    made[:] = np.arange(600)
    session.commit("data")
    return repo, storage


def test_a_read_tells_its_requests_and_what_was_in_caches(spans: Any) -> None:
    _, storage = repository()
    spans.clear()
    session = frazil.Repository.open(storage).readonly_session("main")
    (opened,) = finished(spans, "open")
    assert opened.attributes["frazil.requests"] == len(below(spans, opened)) > 0
    (began,) = finished(spans, "session")
    assert began.attributes["frazil.snapshot"] == session.snapshot_id
    array: Any = zarr.open_array(session.store, path="a", mode="r")
    spans.clear()
    assert array[:].sum() == np.arange(600).sum()
    assert array[:].sum() == np.arange(600).sum()
    first, second = finished(spans, "read")
    for read in (first, second):
        requests = below(spans, read)
        assert read.attributes["frazil.array"] == "/a"
        assert read.attributes["frazil.chunks"] == 300
        assert read.attributes["frazil.requests"] == len(requests) > 0
        nbytes = sum(span.attributes["frazil.bytes_read"] for span in requests)
        assert read.attributes["frazil.bytes_read"] == nbytes > 0
    assert first.attributes["frazil.cache.misses"] == 1  # the manifest
    assert second.attributes["frazil.cache.misses"] == 0
    assert second.attributes["frazil.cache.hits"] >= 1


def test_a_commit_and_a_rebase(spans: Any) -> None:
    repo, _ = repository()
    (written,) = finished(spans, "write")
    assert written.attributes["frazil.array"] == "/a"
    mine, theirs = repo.writable_session("main"), repo.writable_session("main")
    zarr.open_group(theirs.store).create_group("theirs")
    theirs.commit("theirs")
    zarr.open_group(mine.store).create_group("mine")
    spans.clear()
    id_ = mine.commit("mine", rebase_with=frazil.ConflictDetector())
    (commit,) = finished(spans, "commit")
    (rebase,) = finished(spans, "rebase")
    assert rebase.parent.span_id == commit.context.span_id
    assert commit.attributes["frazil.branch"] == rebase.attributes["frazil.branch"] == "main"
    assert commit.attributes["frazil.snapshot"] == id_
    requests = below(spans, commit)
    assert commit.attributes["frazil.requests"] == len(requests)
    assert {"put"} <= {span.attributes["frazil.operation"] for span in requests}
    assert any(span.attributes["frazil.bytes_written"] for span in requests)


def test_errors_are_recorded(spans: Any) -> None:
    with pytest.raises(RepositoryNotFoundError):
        frazil.Repository.open(storage_around(MemoryBackend()))
    (opened,) = finished(spans, "open")
    assert opened.status.status_code is trace.StatusCode.ERROR
    assert "RepositoryNotFoundError" in opened.events[0].attributes["exception.type"]


def test_the_caller_is_the_parent(spans: Any) -> None:
    repo, _ = repository()
    array: Any = zarr.open_array(repo.readonly_session("main").store, path="a", mode="r")
    tracer = trace.get_tracer("test")
    spans.clear()
    with tracer.start_as_current_span("mine") as mine:
        array[:]
    (read,) = finished(spans, "read")
    assert read.parent.span_id == mine.get_span_context().span_id
    trace_ids = {span.context.trace_id for span in spans.get_finished_spans()}
    assert trace_ids == {mine.get_span_context().trace_id}


@pytest.mark.parametrize("begin", ["", "import opentelemetry.trace; "])
def test_without_a_provider_there_are_no_spans(begin: str) -> None:
    program = (
        f"{begin}import frazil, sys; from frazil import telemetry\n"
        "frazil.Repository.create(frazil.in_memory_storage()).writable_session('main')\n"
        "assert telemetry.span('frazil.x') is telemetry.span('frazil.y')\n"
        "assert telemetry.effort() is None\n"
        f"assert ('opentelemetry' in sys.modules) is {bool(begin)}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
