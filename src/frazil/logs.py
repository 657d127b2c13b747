"""Logging: through Python's `logging`, under the logger `frazil`, quiet unless asked.

Environment (each also as ICECHUNK_...):

    FRAZIL_LOG             what to log, see `set_logs_filter`; default: warnings and errors
    FRAZIL_NO_LOGS         if not empty, nothing is set up: logging is the application's alone
    FRAZIL_LOG_TO_STDOUT   if not empty, to standard output instead of standard error

The root logger is never changed. Where the application has set up handlers of its own on it,
those receive the records and ours stays silent.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TextIO

LOGGER = logging.getLogger("frazil")

_LEVELS = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_DIRECTIVE = re.compile(r"(?:([\w.:-]+)(?:\[.*\])?=)?(\w+)")
_filtered: set[str] = set()


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the stream that is standard error (or output) at the time of each record."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(_FORMAT))

    @property
    def stream(self) -> TextIO:
        return sys.stdout if _environment("LOG_TO_STDOUT") else sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        raise AttributeError("the stream is chosen for each record")

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            super().emit(record)


def _environment(name: str) -> str | None:
    return os.environ.get(f"FRAZIL_{name}") or os.environ.get(f"ICECHUNK_{name}") or None


def initialize_logs() -> None:
    """Set up logging as the environment says; happens on import, and again changes nothing."""
    if _environment("NO_LOGS"):
        return
    if not any(isinstance(handler, _Handler) for handler in LOGGER.handlers):
        LOGGER.addHandler(_Handler())
        set_logs_filter(None)


def set_logs_filter(log_filter_directive: str | None) -> None:
    """Say what is logged; None takes it from the environment again.

    Levels with or without a target, separated by commas: `debug`, `frazil.storage=info`,
    `frazil=debug,info`. Levels: off, error, warn, info, debug, trace. A target may be written
    with `::` for `.` and with `icechunk` for `frazil`; other packages' targets are not ours
    and are left alone. What cannot be understood is ignored with a warning.
    """
    directive = _environment("LOG") or "" if log_filter_directive is None else log_filter_directive
    levels, unclear = parse_directives(directive)
    for name in _filtered - set(levels):
        logging.getLogger(name).setLevel(logging.NOTSET)
    _filtered.clear()
    _filtered.update(levels)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for part in unclear:
        LOGGER.warning("ignoring %r in the log filter: expected [target=]level", part)


def parse_directives(text: str) -> tuple[dict[str, int], list[str]]:
    """The level of each logger that a filter names, and the parts that are unclear.

    `frazil` is always among the loggers: with the filter's level for it, or for everything,
    or else with that of warnings.
    """
    levels: dict[str, int] = {}
    default = logging.WARNING
    unclear = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        match = _DIRECTIVE.fullmatch(part)
        level = None if match is None else _LEVELS.get(match[2].lower())
        if match is not None and match[1] is None and level is None and _logger(match[2]):
            levels[_logger(match[2])] = logging.DEBUG  # a target alone: everything of it
        elif match is None or level is None:
            unclear.append(part)
        elif match[1] is None:
            default = level
        elif name := _logger(match[1]):
            levels[name] = level
    return {"frazil": default} | levels, unclear


def _logger(target: str) -> str:
    """The logger that a target means; empty if it is another package's."""
    name = target.replace("::", ".")
    root, _, rest = name.partition(".")
    if root not in ("frazil", "icechunk"):
        return ""
    return f"frazil.{rest}" if rest else "frazil"


def shutdown_telemetry() -> None:
    """Flush what is still to be logged; may be called any number of times."""
    for handler in LOGGER.handlers:
        handler.flush()
