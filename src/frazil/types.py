"""Small closed sets of values: versions of the format, modes, kinds of chunks."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, TypeAlias

CommitMethod: TypeAlias = Literal["new_commit", "amend"]

ChecksumPolicy: TypeAlias = Literal["strict", "warn", "off"]
"""What a session does where the file of a virtual chunk has changed: an error, a warning, nothing.
"""


class NamedInt(IntEnum):
    """An integer that shows itself as `Class.member`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __str__(self) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        # A member is a choice, and the first one no less than the others, as in Icechunk.
        return True


class SpecVersion(NamedInt):
    """A version of the repository format."""

    v1 = 1
    v2 = 2

    @staticmethod
    def current() -> SpecVersion:
        """The newest version, which new repositories get."""
        return SpecVersion.v2

    def __repr__(self) -> str:
        return super().__repr__() + (" (current)" if self is SpecVersion.current() else "")


class SessionMode(NamedInt):
    """What a session may do: read, edit nodes and chunks, or move nodes."""

    readonly = 0
    writable = 1
    rearrange = 2


class ChunkType(NamedInt):
    """Where the bytes of a chunk are: nowhere, own object, foreign file, in the manifest."""

    uninitialized = 0
    native = 1
    virtual = 2
    inline = 3


class RepoAvailability(NamedInt):
    """Whether a repository takes writes, and whether it is open to everybody.

    An archived one is read-only and is not opened but with `Repository.open_archived`. This is
    the format's "offline", which Icechunk 2.3 takes for online, and sets to online when it
    writes to the repository.
    """

    online = 0
    read_only = 1
    archived = 2


def spec_version() -> SpecVersion:
    """The newest version of the repository format that this package writes."""
    return SpecVersion.current()


def supported_spec_versions() -> list[SpecVersion]:
    """All versions of the repository format that can be read and written, newest first."""
    return sorted(SpecVersion, reverse=True)
