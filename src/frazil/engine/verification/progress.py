"""How far a verification has come, in a file, so that it can be taken up again.

The bytes of chunk objects are what takes long. They are read in the order of their ids, so that
one number says which of them have been. All other files are read again.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from frazil.errors import ErrorKind, InvalidInputError
from frazil.ids import SnapshotId
from frazil.verification import Finding, FindingKind

_VERSION = 1
_SECONDS = 1.0
"""The file is written at most so often while all goes well, and whenever something ends it."""


@dataclass(slots=True)
class Progress:
    """What has been looked at of a verification.

    frontier: chunk objects whose ids, as numbers, begin with less than this (the first 8 bytes)
    are done; the other numbers and the findings are about these.
    """

    begun_at: int
    tips: tuple[SnapshotId, ...]
    frontier: int = 0
    objects: int = 0
    chunks: int = 0
    checked: int = 0
    decoded: int = 0
    unchecked: int = 0
    sampled: int = 0
    findings: list[Finding] = field(default_factory=list)


class Notes:
    """The file of a verification; `question` is what it is asked, in plain values."""

    def __init__(self, path: Path, question: dict[str, Any]) -> None:
        self._path = path
        self._question = question
        self._written = time.monotonic()

    def read(self) -> Progress | None:
        """What was noted; None if there is no file.

        `InvalidInputError` if the file is of another verification, or none of these.
        """
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            document = json.loads(text)
            if document["version"] != _VERSION:
                raise ValueError(f"version {document['version']}")
            question, progress = document["question"], _progress(document["progress"])
        except (ValueError, TypeError, LookupError) as error:
            raise self._unusable(f"is no notes of a verification ({error})") from None
        if question != self._question:
            other = ", ".join(
                f"{name} {question.get(name)!r} instead of {value!r}"
                for name, value in self._question.items()
                if question.get(name) != value
            )
            raise self._unusable(f"belongs to another verification ({other})")
        return progress

    def write(self, progress: Progress, *, now: bool = False) -> None:
        """Note it, if it is time to, or `now`."""
        if not now and time.monotonic() < self._written + _SECONDS:
            return
        document = {
            "version": _VERSION,
            "question": self._question,
            "progress": asdict(progress) | {"tips": [str(id_) for id_ in progress.tips]},
        }
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        aside.write_text(json.dumps(document), encoding="utf-8")
        aside.replace(self._path)
        self._written = time.monotonic()

    def remove(self) -> None:
        """The verification has come to its end."""
        self._path.unlink(missing_ok=True)

    def _unusable(self, why: str) -> InvalidInputError:
        return InvalidInputError(
            f"{self._path} {why}: name another file, or remove it to begin anew",
            ErrorKind.INVALID_PATH,
        )


def _progress(document: dict[str, Any]) -> Progress:
    findings = [
        Finding(
            **one
            | {
                "kind": FindingKind(one["kind"]),
                "chunk": None if one["chunk"] is None else tuple(one["chunk"]),
            }
        )
        for one in document["findings"]
    ]
    tips = tuple(SnapshotId.parse(text) for text in document["tips"])
    return Progress(**document | {"findings": findings, "tips": tips})
