"""Progress: to a callback, as a bar on a terminal, or not at all."""

from __future__ import annotations

import io
import sys
import types
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zarr

import frazil
from frazil import progress
from frazil.progress import Bar, Progress, line, report, task
from frazil.storage.pool import map_parallel


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_callback_hears_of_each_step() -> None:
    heard: list[Progress] = []
    with report(heard.append), task("Sorting", 5) as one:
        one.step()
        one.step(3)
    assert heard == [Progress("Sorting", 1, 5), Progress("Sorting", 4, 5)]
    with task("Not reported", 1) as one:
        one.step()
    assert len(heard) == 2


def test_steps_of_many_threads_come_one_by_one() -> None:
    heard: list[Progress] = []
    with report(heard.append), task("Sorting", 500) as one:
        map_parallel(lambda _: one.step(), range(500))
    assert [item.done for item in heard] == list(range(1, 501))


def test_a_callback_can_end_the_task() -> None:
    def stop(_: Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"), report(stop), task("Sorting") as one:
        one.step()


def test_reports_nest() -> None:
    outer: list[Progress] = []
    inner: list[Progress] = []
    with report(outer.append):
        with report(inner.append), task("a") as one:
            one.step()
        with task("b") as one:
            one.step()
    assert [item.task for item in inner] == ["a"]
    assert [item.task for item in outer] == ["b"]


def test_a_bar_waits_before_it_appears() -> None:
    clock, drawn = Clock(), io.StringIO()
    bar = Bar(drawn.write, clock)
    bar.show(Progress("Sorting", 1, 4))
    clock.now = progress.DELAY - 0.01
    bar.show(Progress("Sorting", 2, 4))
    bar.close()
    assert drawn.getvalue() == ""
    clock.now = progress.DELAY
    bar.show(Progress("Sorting", 3, 4))
    shown = drawn.getvalue()
    assert shown == "\rSorting: [######################........] 3/4"
    clock.now += progress.INTERVAL / 2
    bar.show(Progress("Sorting", 4, 4))
    assert drawn.getvalue() == shown
    bar.close()
    assert drawn.getvalue() == shown + "\r" + " " * (len(shown) - 1) + "\r"


def test_a_shorter_line_covers_a_longer_one() -> None:
    clock, drawn = Clock(), io.StringIO()
    bar = Bar(drawn.write, clock)
    for seconds, name in ((10, "Something long"), (20, "Short")):
        clock.now = seconds
        bar.show(Progress(name, 1, None))
    first, second = drawn.getvalue().split("\r")[1:]
    assert (first, second) == ("Something long: 1", "Short: 1         ")


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (Progress("Reading", 7, None), "Reading: 7"),
        (Progress("Reading", 0, 0), "Reading: 0"),
        (Progress("Reading", 0, 2), f"Reading: [{'.' * 30}] 0/2"),
        (Progress("Reading", 9, 2), f"Reading: [{'#' * 30}] 2/2"),
    ],
)
def test_lines(item: Progress, wanted: str) -> None:
    assert line(item) == wanted


def draw(monkeypatch: pytest.MonkeyPatch, stream: Any) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with task("Sorting", 2) as one:
        one.step()
    return str(stream.getvalue())


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Sorting: [" in draw(monkeypatch, Terminal())


def test_no_bar_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert draw(monkeypatch, io.StringIO()) == ""


def test_a_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = types.new_class("OutStream", (io.StringIO,))
    stream.__module__ = "ipykernel.iostream"
    assert "Sorting: [" in draw(monkeypatch, stream())


def test_no_standard_error_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with task("Sorting", 2) as one:
        one.step()


async def test_what_takes_long_tells_of_it(repo: frazil.Repository, spec: int) -> None:
    for i in range(3):
        with repo.transaction("main", message="m") as store:
            zarr.create_array(store, name=f"a{i}", shape=(2,), chunks=(1,), dtype="u1")[:] = 1
    future = datetime.now(UTC) + timedelta(days=1)

    heard: list[Progress] = []
    with report(heard.append):
        repo.chunk_storage_stats()
        repo.rewrite_manifests("m", branch="main")
        repo.expire_snapshots(future)
        await repo.garbage_collect_async(future)
        if spec == 1:
            frazil.upgrade_icechunk_repository(repo, dry_run=True)
    tasks = {item.task for item in heard}
    assert tasks >= {
        *("Reading snapshots", "Reading manifests", "Rewriting manifests"),
        *("Listing objects", "Deleting"),
    }
    assert all(item.total is None or item.done <= item.total for item in heard)
    totals = {item.task: item.total for item in heard}
    last = {item.task: item.done for item in heard}
    assert last["Rewriting manifests"] == totals["Rewriting manifests"] == 3
    assert last["Deleting"] == totals["Deleting"]
