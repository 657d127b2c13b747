"""What is known of a file without reading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from frazil.display import Displayed, Shown, record
from frazil.format.snapshot import Node
from frazil.model.file_arrays import read_record


@dataclass(frozen=True, repr=False, slots=True)
class FileInfo(Displayed):
    """A file in a repository.

    path: that of its array; size: in bytes; sha256: of all bytes, in hexadecimal digits;
    modified: when it was last changed before it was put, if that was told; attributes: whatever
    was put with it.
    """

    name: str
    path: str
    size: int
    media_type: str
    sha256: str | None = None
    modified: datetime | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    _public_name: ClassVar[str] = "frazil.files.FileInfo"

    def __hash__(self) -> int:
        return hash((self.path, self.size, self.sha256))

    def _shown(self) -> Iterable[Shown]:
        names = ("name", "path", "size", "media_type", "sha256", "modified", "attributes")
        return record(names, self)


def file_at(node: Node) -> FileInfo | None:
    """The file that a node is, or None."""
    found = read_record(node)
    if found is None:
        return None
    return FileInfo(
        node.path.rpartition("/")[2],
        node.path,
        found.size,
        found.media_type,
        found.sha256,
        found.modified,
        found.attributes,
    )
