"""Virtual chunks: where their files are, and what one reference to a part of a file says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, ParamSpec, Self, TypeVar

from frazil.arguments import instance_of
from frazil.errors import InvalidInputError
from frazil.settings import U32, U64, Instance, Kind, Settings
from frazil.storage.object_stores import AnyObjectStoreConfig, ObjectStoreConfig
from frazil.urls import canonical, scheme_of

P = ParamSpec("P")
R = TypeVar("R")

_U32 = U32()
_U64 = U64()

S3_STORES: Final = (ObjectStoreConfig.S3, ObjectStoreConfig.S3Compatible, ObjectStoreConfig.Tigris)
_STORES: Final[Mapping[str, tuple[type, ...]]] = {
    "s3": S3_STORES,
    "tigris": S3_STORES,
    "gs": (ObjectStoreConfig.Gcs,),
    "gcs": (ObjectStoreConfig.Gcs,),
    "az": (ObjectStoreConfig.Azure,),
    "azure": (ObjectStoreConfig.Azure,),
    "abfs": (ObjectStoreConfig.Azure,),
    "http": (ObjectStoreConfig.Http,),
    "https": (ObjectStoreConfig.Http,),
    "file": (ObjectStoreConfig.LocalFileSystem,),
}
"""The kinds of storage that a URL scheme goes with."""


class _Store(Kind):
    def accept(self, name: str, value: object) -> Any:
        if not isinstance(value, ObjectStoreConfig):
            raise TypeError(f"{name} takes an ObjectStoreConfig, not {type(value).__name__}")
        return value

    def encode(self, value: AnyObjectStoreConfig) -> Any:
        return value.to_document()

    def decode(self, name: str, document: object) -> AnyObjectStoreConfig:
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
        self.url_prefix = instance_of(str, "url_prefix", url_prefix)
        instance_of(ObjectStoreConfig, "store", store)  # not None, which settings may be
        self.store = store

    @classmethod
    def _made(cls, where: str, values: Mapping[str, Any]) -> Self:
        for name in ("url_prefix", "store"):
            if name not in values:
                raise ValueError(f"{where} lacks {name}")
        return cls(**values)


def folder_prefix(prefix: str) -> str:
    """A container's prefix with the "/" at its end, without which it would cover its neighbours."""
    return prefix if prefix.endswith("/") else prefix + "/"


def checked_container(container: VirtualChunkContainer) -> VirtualChunkContainer:
    """The container, its prefix ending with "/".

    ValueError unless scheme and store go together and the prefix names a place.
    """
    prefix = folder_prefix(container.url_prefix)
    if not isinstance(container.store, _STORES.get(scheme_of(prefix), ())):
        raise ValueError(
            f"url_prefix {container.url_prefix!r} does not go with the store {container.store!r}: "
            f"the schemes of such a store are {', '.join(_schemes_of(container)) or 'none'}"
        )
    try:
        place = canonical(prefix)
    except InvalidInputError as error:
        raise ValueError(f"url_prefix {container.url_prefix!r}: {error.message}") from None
    if place == "file:///":
        raise ValueError(f"url_prefix {container.url_prefix!r} must name a folder")
    if container.name is not None and (not container.name or "/" in container.name):
        raise ValueError(f"the name of a container is not empty and has no '/': {container.name!r}")
    if prefix == container.url_prefix:
        return container
    return VirtualChunkContainer(prefix, container.store, container.name)


def _schemes_of(container: VirtualChunkContainer) -> list[str]:
    return [f"{s}://" for s, stores in _STORES.items() if isinstance(container.store, stores)]


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
