"""Virtual chunks: where their files are, and what one reference to a part of a file says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, ParamSpec, Self, TypeVar

from frazil.settings import U32, U64, Instance, Kind, Settings
from frazil.storage.object_stores import AnyObjectStoreConfig, ObjectStoreConfig

P = ParamSpec("P")
R = TypeVar("R")

_U32 = U32()
_U64 = U64()


class _Store(Kind):
    def accept(self, name: str, value: Any) -> Any:
        if not isinstance(value, ObjectStoreConfig):
            raise TypeError(f"{name} takes an ObjectStoreConfig, not {type(value).__name__}")
        return value

    def encode(self, value: AnyObjectStoreConfig) -> Any:
        return value.to_document()

    def decode(self, name: str, document: Any) -> AnyObjectStoreConfig:
        return ObjectStoreConfig.from_document(document)


def _also_called(**others: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments by another name as well, which parts of the docs use."""
    names = {other: name for name, other in others.items()}

    def decorate(fn: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(fn)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given: Any = {names.get(name, name): value for name, value in kwargs.items()}
            return fn(*args, **given)

        return call

    return decorate


class VirtualChunkContainer(Settings):
    """A place where files with virtual chunks are: all URLs that start with `url_prefix`.

    store: how it is reached, also called `store_config`; name: what relative locations
    (`vcc://name/...`) call it by.
    """

    __slots__ = ("name", "store", "url_prefix")

    name: Annotated[str | None, Instance(str)]
    url_prefix: Annotated[str, Instance(str)]
    store: Annotated[AnyObjectStoreConfig, _Store()]

    _public_name: ClassVar[str] = "frazil.virtual.VirtualChunkContainer"

    @_also_called(store="store_config")
    def __init__(
        self, url_prefix: str, store: AnyObjectStoreConfig, name: str | None = None
    ) -> None:
        self.name = name
        self.url_prefix = url_prefix
        self.store = store

    @classmethod
    def _made(cls, where: str, values: Mapping[str, Any]) -> Self:
        for name in ("url_prefix", "store"):
            if name not in values:
                raise ValueError(f"{where} lacks {name}")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class VirtualChunkSpec:
    """One virtual chunk: its index in the chunk grid and the bytes of a file that hold it.

    offset, length: in bytes. The checksums let a reader notice that the file has changed:
    `etag_checksum` is the file's ETag, `last_updated_at_checksum` (timezone-aware) the time
    after which it must not have been modified. OverflowError for numbers out of range.
    """

    index: Sequence[int]
    location: str
    offset: int
    length: int
    etag_checksum: str | None = None
    last_updated_at_checksum: datetime | None = None

    def __post_init__(self) -> None:
        if self.last_updated_at_checksum is not None and not self.last_updated_at_checksum.tzinfo:
            raise TypeError("last_updated_at_checksum takes a datetime with a timezone")
        index = [_U32.accept("index", i) for i in self.index]
        object.__setattr__(self, "index", index)
        object.__setattr__(self, "offset", _U64.accept("offset", self.offset))
        object.__setattr__(self, "length", _U64.accept("length", self.length))

    def __hash__(self) -> int:
        return hash((tuple(self.index), self.location, self.offset, self.length))
