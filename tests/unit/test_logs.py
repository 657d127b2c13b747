"""Log filters, and what is logged where."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from frazil import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    logs.set_logs_filter("")


@pytest.mark.parametrize(
    ("directive", "levels"),
    [
        ("", {"frazil": logging.WARNING}),
        ("debug", {"frazil": logging.DEBUG}),
        ("TRACE", {"frazil": logging.DEBUG}),
        ("off", {"frazil": logging.CRITICAL + 10}),
        ("frazil=debug,info", {"frazil": logging.DEBUG}),
        ("info,frazil.storage=debug", {"frazil": logging.INFO, "frazil.storage": logging.DEBUG}),
        ("icechunk=error", {"frazil": logging.ERROR}),
        ("icechunk::storage=info", {"frazil": logging.WARNING, "frazil.storage": logging.INFO}),
        ("hyper=debug, warn", {"frazil": logging.WARNING}),
        ("frazil", {"frazil": logging.DEBUG}),
        ("frazil[span]=info", {"frazil": logging.INFO}),
        (",,debug,", {"frazil": logging.DEBUG}),
    ],
)
def test_filters(directive: str, levels: dict[str, int]) -> None:
    assert logs.parse_directives(directive) == (levels, [])


@pytest.mark.parametrize("part", ["frazil=loud", "a=b=c", "==", "frazil=", "loud noise"])
def test_unclear_parts_are_reported(part: str, caplog: pytest.LogCaptureFixture) -> None:
    assert logs.parse_directives(f"info,{part}") == ({"frazil": logging.INFO}, [part])
    logs.set_logs_filter(part)
    assert part in caplog.text


def test_a_new_filter_replaces_the_old_one() -> None:
    logs.set_logs_filter("frazil.storage=debug")
    assert logging.getLogger("frazil.storage").getEffectiveLevel() == logging.DEBUG
    logs.set_logs_filter("error")
    assert logging.getLogger("frazil.storage").getEffectiveLevel() == logging.ERROR


def test_none_takes_the_filter_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICECHUNK_LOG", "info")
    logs.set_logs_filter(None)
    assert logs.LOGGER.level == logging.INFO
    monkeypatch.setenv("FRAZIL_LOG", "debug")
    logs.set_logs_filter(None)
    assert logs.LOGGER.level == logging.DEBUG


def test_initializing_and_shutting_down_can_be_repeated() -> None:
    logs.initialize_logs()
    count = len(logs.LOGGER.handlers)
    logs.initialize_logs()
    assert len(logs.LOGGER.handlers) == count
    logs.shutdown_telemetry()
    logs.shutdown_telemetry()


PROGRAM = """
import logging
{before}
from frazil import logs
logs.initialize_logs()
logging.getLogger("frazil.storage").debug("a detail")
logging.getLogger("frazil").warning("a warning")
assert logging.getLogger().level == logging.WARNING
assert len(logging.getLogger().handlers) == {root_handlers}
"""


@pytest.mark.parametrize(
    ("environment", "before", "out", "err"),
    [
        ({}, "", [], ["a warning"]),
        ({"FRAZIL_LOG": "debug"}, "", [], ["a detail", "a warning"]),
        ({"ICECHUNK_LOG": "icechunk=debug"}, "", [], ["a detail", "a warning"]),
        ({"FRAZIL_LOG": "off"}, "", [], []),
        ({"FRAZIL_LOG": "debug", "FRAZIL_LOG_TO_STDOUT": "1"}, "", ["a detail", "a warning"], []),
        ({"FRAZIL_LOG": "debug", "ICECHUNK_NO_LOGS": "1"}, "", [], ["a warning"]),
        ({"FRAZIL_LOG": "debug"}, "logging.basicConfig()", [], ["a detail", "a warning"]),
    ],
)
def test_programs_see_each_record_once(
    environment: dict[str, str], before: str, out: list[str], err: list[str]
) -> None:
    program = PROGRAM.format(before=before, root_handlers=int(bool(before)))
    base = {k: v for k, v in os.environ.items() if "_LOG" not in k}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=base | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line.rpartition(":")[2].strip() for line in result.stdout.splitlines()] == out
    assert [line.rpartition(":")[2].strip() for line in result.stderr.splitlines()] == err
