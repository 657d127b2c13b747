"""What `Repository.doctor` finds: where virtual chunks are, and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from frazil.display import Displayed, Shown, record

_SHOWN = 5
"""Files that a display names of each kind."""


@dataclass(frozen=True, repr=False, slots=True)
class ContainerCheckup(Displayed):
    """One virtual chunk container, and the files in it that chunks are in.

    references: chunks; files: distinct files that they are in; checked: how many of these were
    looked at. The others list files by URL, with what is wrong: those that are not there, those
    that are not as they were when the references were set, those that cannot be asked for.
    """

    url_prefix: str
    name: str | None
    authorized: bool
    references: int
    files: int
    checked: int
    missing: Mapping[str, str]
    changed: Mapping[str, str]
    unreachable: Mapping[str, str]

    _public_name: ClassVar[str] = "frazil.checkup.ContainerCheckup"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found wrong."""
        unusable = self.references and not self.authorized
        return not (unusable or self.missing or self.changed or self.unreachable)

    def _shown(self) -> Iterable[Shown]:
        if self.name is not None:
            yield Shown("name", self.name)
        yield from record(("authorized", "references", "files", "checked"), self)
        for kind in ("missing", "changed", "unreachable"):
            yield from _some(kind, getattr(self, kind))


@dataclass(frozen=True, repr=False, slots=True)
class Checkup(Displayed):
    """The virtual chunks of one snapshot.

    containers: by URL prefix; uncovered: locations in no container, with the number of chunks;
    advice: what to do, most important first.
    """

    snapshot_id: str
    containers: Mapping[str, ContainerCheckup]
    uncovered: Mapping[str, int]
    advice: tuple[str, ...]

    _public_name: ClassVar[str] = "frazil.checkup.Checkup"

    @property
    def is_healthy(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.uncovered and all(c.is_healthy for c in self.containers.values())

    def _shown(self) -> Iterable[Shown]:
        yield Shown("snapshot_id", self.snapshot_id)
        yield Shown("is_healthy", self.is_healthy)
        yield Shown("containers", self.containers or "none")
        yield from _some("uncovered", {url: f"{n} chunks" for url, n in self.uncovered.items()})
        if self.advice:
            yield Shown("advice", "\n".join(f"- {text}" for text in self.advice) + "\n")


def _some(name: str, found: Mapping[str, str]) -> Iterable[Shown]:
    if found:
        lines = [f"{url}: {why}" for url, why in list(found.items())[:_SHOWN]]
        more = len(found) - len(lines)
        lines += [f"and {more} more"] * (more > 0)
        yield Shown(f"{name} ({len(found)})", "\n".join([*lines, ""]))
