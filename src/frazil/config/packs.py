"""How small chunks share objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from frazil.settings import U64, Settings


@dataclass(eq=False, repr=False, slots=True)
class PackConfig(Settings):
    """How small chunks are gathered into objects, called packs. All sizes are in bytes.

    target_bytes: a pack is stored when it has grown to this, 4 MiB unless set; max_chunk_bytes:
    larger chunks, after encoding, have an object of their own, 1 MiB unless set. 0 turns packs
    off.
    """

    target_bytes: Annotated[int | None, U64(4 * 1024 * 1024)] = None
    max_chunk_bytes: Annotated[int | None, U64(1024 * 1024)] = None

    _public_name: ClassVar[str] = "frazil.config.PackConfig"

    @staticmethod
    def default() -> PackConfig:
        """With everything unset."""
        return PackConfig()

    @staticmethod
    def off() -> PackConfig:
        """An object for each chunk, as Icechunk writes them."""
        return PackConfig(max_chunk_bytes=0)
