"""The note that a verification of a whole repository leaves in it: one for each level.

It lies in a folder of Frazil's own, `frazil/`, at which no other program looks. It is no part of
the repository: it is not copied with it, and nothing is wrong where it is lost.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any

from frazil.engine.store_clock import OWN_FOLDER
from frazil.errors import ErrorKind, ReadOnlyError, StorageError
from frazil.storage.base import Backend
from frazil.verification import LastVerification, Level, VerifyReport

KEY = f"{OWN_FOLDER}/verification.json"
_VERSION = 1
_LEVELS: tuple[Level, ...] = ("metadata", "objects", "data")


def note(backend: Backend, report: VerifyReport, sample: float) -> None:
    """Note a verification, if the storage can be written."""
    if backend.read_only:
        return
    known = {one.level: one for one in _read(backend)}
    known[report.level] = LastVerification(
        level=report.level,
        ended_at=report.ended_at,
        findings=len(report.findings),
        sample=sample,
        **{
            name: getattr(report, name)
            for name in ("snapshots", "objects", "chunks", "checked", "decoded", "unchecked")
        },
    )
    document = {"version": _VERSION, "verifications": [one.to_dict() for one in known.values()]}
    # Whoever may only read may verify all the same.
    with suppress(StorageError, ReadOnlyError):
        backend.put(KEY, json.dumps(document).encode(), content_type="application/json")


def last(backend: Backend, level: Level) -> LastVerification | None:
    """The last verification that looked at this much at least."""
    enough = _LEVELS[_LEVELS.index(level) :]
    found = [one for one in _read(backend) if one.level in enough]
    return max(found, key=lambda one: one.ended_at, default=None)


def _read(backend: Backend) -> list[LastVerification]:
    try:
        document: Any = json.loads(backend.get(KEY))
        if document["version"] != _VERSION:
            return []
        names = {field.name for field in fields(LastVerification)}
        return [
            LastVerification(
                **{name: value for name, value in one.items() if name in names}
                | {"ended_at": datetime.fromisoformat(one["ended_at"])}
            )
            for one in document["verifications"]
        ]
    except StorageError as error:
        if error.kind != ErrorKind.OBJECT_NOT_FOUND:
            raise
        return []
    except (ValueError, TypeError, LookupError):
        return []  # damaged, or of a later version: as if there were none
