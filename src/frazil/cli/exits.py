"""Exit codes, and the line that an error shows."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

from frazil.cli.output import one_line, plural
from frazil.errors import (
    AlreadyExistsError,
    ConflictError,
    ErrorKind,
    FormatError,
    HookError,
    InternalError,
    InvalidInputError,
    NotFoundError,
    ReadOnlyError,
    RebaseFailedError,
    SessionStateError,
    StorageError,
)


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    FINDING = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    DAMAGED = 5
    STORAGE = 6
    DEFECT = 70
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done, and nothing was found wrong",
    Exit.FINDING: "a finding: a conflict, a name that is taken, a check that failed, a refusal",
    Exit.USAGE: "the command cannot be used like this",
    Exit.NOT_FOUND: "there is no such repository, version, node or file",
    Exit.DENIED: "not allowed: credentials, or a repository that is read-only or archived",
    Exit.DAMAGED: "a file of the repository is damaged, missing, or of an unknown version",
    Exit.STORAGE: "the storage cannot be reached or failed",
    Exit.DEFECT: "a defect of Frazil: please report it",
    Exit.INTERRUPTED: "interrupted",
}
"""For the documentation."""


def code_of(error: BaseException) -> Exit:
    """The exit code for an error."""
    if isinstance(error, KeyboardInterrupt):  # maybe within an import, so nothing is imported
        return Exit.INTERRUPTED
    from frazil.storage.base import AccessDenied

    match error:
        case ConflictError() | AlreadyExistsError() | HookError():
            return Exit.FINDING
        case NotFoundError() | FileNotFoundError():
            return Exit.NOT_FOUND
        case ReadOnlyError() | AccessDenied() | PermissionError():
            return Exit.DENIED
        case FormatError():
            return Exit.DAMAGED
        case StorageError():
            if error.kind == ErrorKind.OBJECT_NOT_FOUND:
                return Exit.DAMAGED
            usage = (ErrorKind.CANNOT_PARSE_URL, ErrorKind.STORAGE_CONFIG)
            return Exit.USAGE if error.kind in usage else Exit.STORAGE
        case InternalError():
            return Exit.DEFECT
        case InvalidInputError() | SessionStateError() | ValueError():
            return Exit.USAGE
        case ModuleNotFoundError() if _is_optional(error):
            return Exit.USAGE
        case OSError():
            return Exit.STORAGE
        case _:
            return Exit.DEFECT


def _is_optional(error: ModuleNotFoundError) -> bool:
    """Whether it is a package that not everybody has, such as xarray."""
    return error.name is not None and error.name.partition(".")[0] != "frazil"


def report(error: BaseException) -> Exit:
    """Say on standard error what went wrong; returns the exit code."""
    if os.environ.get("FRAZIL_DEBUG"):
        traceback.print_exception(error)
    code = code_of(error)
    print(f"frazil: {_line(error, code)}", file=sys.stderr)
    if isinstance(error, HookError):
        for finding in error.findings:
            print(f"  {one_line(str(finding))}", file=sys.stderr)
    if isinstance(error, RebaseFailedError):
        for conflict in error.conflicts:
            chunks = conflict.conflicted_chunks
            count = f" ({plural(len(chunks), 'chunk')})" if chunks else ""
            where = one_line(conflict.path)
            print(f"  {where}: {conflict.conflict_type}{count}", file=sys.stderr)
        print(_WITH_CONFLICTS, file=sys.stderr)
    return code


_WITH_CONFLICTS = (
    "nothing was changed; merge, cherry-pick and revert settle chunks with --prefer, "
    "solvers in Python the rest"
)


def _line(error: BaseException, code: Exit) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = one_line(str(error)) or type(error).__name__
    if isinstance(error, HookError):
        text = f"{one_line(error.what)} was refused"
    if isinstance(error, ModuleNotFoundError) and _is_optional(error):
        return f"this needs {error.name}, which is not installed: pip install {error.name}"
    if code is Exit.DEFECT:
        return f"internal error: {type(error).__name__}: {text}; FRAZIL_DEBUG=1 shows where"
    unknown = ErrorKind.UNSUPPORTED_SPEC_VERSION
    if code is Exit.DAMAGED and getattr(error, "kind", None) != unknown:
        return f"{text}; frazil repair --dry-run says what can be mended"
    return text
