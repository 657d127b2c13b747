"""What hooks say is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HookFinding:
    """Something wrong: what, where, and which hook says so.

    path: of a node, if it is about one. hook: filled in if it is left out.
    """

    message: str
    path: str | None = None
    hook: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.hook, self.path, self.message) if part)
