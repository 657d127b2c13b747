"""Running a command as a hook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from typing import IO

from frazil.hooks.consent import VARIABLE
from frazil.hooks.declared import Hook
from frazil.hooks.event import HookEvent
from frazil.storage.osfiles import WINDOWS

_KEPT = 4096
"""Bytes of the end of what a command printed."""
_LINES = 5


def run_command(hook: Hook, event: HookEvent) -> str | None:
    """Run the hook's command; None if it ended with 0, else what went wrong.

    It runs in the current folder, without a shell, and is told what happens as JSON on standard
    input. Its environment has FRAZIL_EVENT, FRAZIL_ACTION, FRAZIL_REF, FRAZIL_REPOSITORY (the
    folder, or a description) and FRAZIL_SNAPSHOT, which can be opened. What it commits itself
    runs no commands and webhooks. After the hook's timeout it is killed, with all its children.
    """
    assert hook.command is not None
    environment = os.environ | {
        "FRAZIL_EVENT": event.event,
        "FRAZIL_ACTION": event.action,
        "FRAZIL_REF": event.ref,
        "FRAZIL_REPOSITORY": event.repository,
        "FRAZIL_SNAPSHOT": event.stored(),
        VARIABLE: "skip",
    }
    told = json.dumps(event.to_dict(), default=str).encode()
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as printed:
        given.write(told)
        given.seek(0)
        try:
            process = subprocess.Popen(
                hook.command,
                stdin=given,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be run: {error.strerror or error}"
        try:
            code = process.wait(hook.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"did not end within {hook.timeout:g} seconds"
        except BaseException:  # whoever interrupts this waits for no command either
            _kill(process)
            raise
        if code == 0:
            return None
        return f"ended with {code}{_end_of(printed)}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if WINDOWS:
        tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(tree, capture_output=True, check=False)
    else:
        # macOS refuses for a group whose last process has just ended.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _end_of(printed: IO[bytes]) -> str:
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - _KEPT))
    lines = printed.read().decode("utf-8", "replace").split("\n")
    shown = [line.strip() for line in lines if line.strip()][-_LINES:]
    return f": {' / '.join(shown)}" if shown else ""
