"""Versions as addresses name them: `branch:main`, `tag:v1`, `snapshot:1CECHNKREP0F1RSTCMT0`.

Without a kind, the text is looked for among the branches, the tags, and the snapshots.
"""

from __future__ import annotations

from dataclasses import dataclass

from frazil.errors import ErrorKind, InvalidInputError, RefNotFoundError
from frazil.ids import SnapshotId
from frazil.library.catalog import Catalog

KINDS = ("branch", "tag", "snapshot")


@dataclass(frozen=True, slots=True)
class Version:
    """What was asked for, and the snapshot that it is now."""

    kind: str
    name: str
    id: SnapshotId

    @property
    def address(self) -> str:
        """As addresses name it."""
        return f"{self.kind}:{self.name}"

    @property
    def short(self) -> str:
        """A short name to show."""
        return self.name[:8] if self.kind == "snapshot" else self.name


def find_version(catalog: Catalog, text: str) -> Version:
    """The version that a text names; `NotFoundError` or `InvalidInputError` if there is none."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in KINDS:
        kind, name = _guess(catalog, text), text
    match kind:
        case "branch":
            return Version(kind, name, catalog.branch(name))
        case "tag":
            return Version(kind, name, catalog.tag(name))
        case _:
            id_ = SnapshotId.parse(name)
            return Version(kind, str(id_), catalog.record(id_).id)


def usual_version(catalog: Catalog) -> Version:
    """What is shown where nothing was asked for: `main`, or the first branch."""
    branches = catalog.branches()
    name = "main" if "main" in branches else min(branches, default="main")
    return find_version(catalog, f"branch:{name}")


def _guess(catalog: Catalog, text: str) -> str:
    if text in catalog.branches():
        return "branch"
    if text in catalog.tags():
        return "tag"
    try:
        SnapshotId.parse(text)
    except InvalidInputError:
        raise RefNotFoundError(
            f"there is no branch, tag or snapshot {text!r}", ErrorKind.REF_NOT_FOUND
        ) from None
    return "snapshot"
