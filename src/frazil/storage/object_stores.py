"""Where the files of virtual chunks are: values, which repositories keep in their configuration.

Each kind of storage is a class inside `ObjectStoreConfig`. In a configuration document it is
one text or a map of one key:

    "in_memory"    {"local_file_system": path}    {"s3" | "s3_compatible" | "tigris": options}
    {"gcs" | "azure": {name: text}}               {"http": {name: text, "headers": {name: text}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from typing_extensions import override

from frazil.display import DisplayedAsCall, Shown, literal, record
from frazil.errors import ErrorKind, FormatError
from frazil.storage.settings import ChecksumAlgorithm, S3Options


class _Kind(DisplayedAsCall):
    """Base of the kinds: compared by value."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()
    _tag: ClassVar[str]

    @override
    def __repr__(self) -> str:
        arguments = ", ".join(literal(getattr(self, name)) for name in self.__match_args__)
        return f"{self._public_name}({arguments})"

    @override
    def _shown(self) -> Iterable[Shown]:
        return record(self.__match_args__, self)

    def to_document(self) -> Any:
        """The plain form."""
        return {self._tag: self._content()}

    def _content(self) -> Any:
        raise NotImplementedError


class _S3Kind(_Kind):
    """A kind whose only field holds `S3Options`."""

    __slots__ = ()

    def __post_init__(self) -> None:
        if not isinstance(self._s3(), S3Options):
            raise TypeError(f"{self._public_name} takes S3Options, not {self._s3()!r}")

    def _s3(self) -> S3Options:
        options: S3Options = getattr(self, self.__match_args__[0])
        return options

    @override
    def _shown(self) -> Iterable[Shown]:
        return self._s3()._shown()

    @override
    def _content(self) -> Any:
        return self._s3().to_document()


class _TextsKind(_Kind):
    """A kind whose fields map texts to texts; an empty map is the same as None."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for name in self.__match_args__:
            texts = getattr(self, name)
            object.__setattr__(self, name, _texts(f"{self._public_name} {name}", texts))


def _texts(what: str, value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} takes a map of texts, not {type(value).__name__}")
    for pair in value.items():
        if not all(isinstance(text, str) for text in pair):
            raise TypeError(f"{what} takes a map of texts, not one with {pair!r}")
    return dict(value) or None


class _Kinds(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Kind)


class ObjectStoreConfig(metaclass=_Kinds):
    """A kind of storage, with what is needed to reach it: one of the classes in here."""

    def __init__(self) -> None:
        raise TypeError("choose a kind of storage, for example ObjectStoreConfig.InMemory()")

    @dataclass(frozen=True, slots=True, repr=False)
    class InMemory(_Kind):
        """The memory of this process."""

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.InMemory"

        @override
        def to_document(self) -> Any:
            """The plain form."""
            return "in_memory"

    @dataclass(frozen=True, slots=True, repr=False)
    class LocalFileSystem(_Kind):
        """Files of this machine below the folder `path`."""

        path: str

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.LocalFileSystem"
        _tag: ClassVar[str] = "local_file_system"

        def __post_init__(self) -> None:
            if not isinstance(self.path, str):
                raise TypeError(f"{self._public_name} takes a str, not {self.path!r}")

        @override
        def _content(self) -> Any:
            return self.path

    @dataclass(frozen=True, slots=True, repr=False)
    class S3(_S3Kind):
        """Amazon S3."""

        options: S3Options

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.S3"
        _tag: ClassVar[str] = "s3"

    @dataclass(frozen=True, slots=True, repr=False)
    class S3Compatible(_S3Kind):
        """A service that speaks the language of S3."""

        options: S3Options

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.S3Compatible"
        _tag: ClassVar[str] = "s3_compatible"

    @dataclass(frozen=True, slots=True, repr=False)
    class Tigris(_S3Kind):
        """Tigris."""

        opts: S3Options

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.Tigris"
        _tag: ClassVar[str] = "tigris"

    @dataclass(frozen=True, slots=True, repr=False)
    class Gcs(_TextsKind):
        """Google Cloud Storage."""

        opts: Mapping[str, str] | None = None

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.Gcs"
        _tag: ClassVar[str] = "gcs"

        @override
        def _content(self) -> Any:
            return dict(self.opts or {})

    @dataclass(frozen=True, slots=True, repr=False)
    class Azure(_TextsKind):
        """Azure Blob Storage; `opts` names the account."""

        opts: Mapping[str, str] | None = None

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.Azure"
        _tag: ClassVar[str] = "azure"

        @override
        def _content(self) -> Any:
            return dict(self.opts or {})

    @dataclass(frozen=True, slots=True, repr=False)
    class Http(_TextsKind):
        """A web server, which is sent `headers` with each request."""

        opts: Mapping[str, str] | None = None
        headers: Mapping[str, str] | None = None

        _public_name: ClassVar[str] = "frazil.config.ObjectStoreConfig.Http"
        _tag: ClassVar[str] = "http"

        @override
        def _content(self) -> Any:
            content: dict[str, Any] = dict(self.opts or {})
            if self.headers:
                content["headers"] = dict(self.headers)
            return content

    @staticmethod
    def from_document(document: object) -> AnyObjectStoreConfig:
        """Read the plain form; FormatError `config-deserialization` for anything else."""
        try:
            return _decode(document)
        except (TypeError, ValueError) as error:
            raise FormatError(
                f"the configuration cannot be read: the store of virtual chunks: {error}",
                ErrorKind.CONFIG_DESERIALIZATION,
            ) from error


AnyObjectStoreConfig: TypeAlias = (
    ObjectStoreConfig.InMemory
    | ObjectStoreConfig.LocalFileSystem
    | ObjectStoreConfig.S3
    | ObjectStoreConfig.S3Compatible
    | ObjectStoreConfig.Gcs
    | ObjectStoreConfig.Azure
    | ObjectStoreConfig.Tigris
    | ObjectStoreConfig.Http
)
"""Any kind of storage."""


def _decode(document: object) -> AnyObjectStoreConfig:
    if document == "in_memory":
        return ObjectStoreConfig.InMemory()
    if not isinstance(document, Mapping) or len(document) != 1:
        raise TypeError(f"it takes a map of one key, the kind of storage, not {document!r}")
    ((tag, content),) = document.items()
    match tag:
        case "in_memory":
            return ObjectStoreConfig.InMemory()
        case "local_file_system":
            return ObjectStoreConfig.LocalFileSystem(content)
        case "s3":
            return ObjectStoreConfig.S3(S3Options.from_document(content))
        case "s3_compatible":
            return ObjectStoreConfig.S3Compatible(S3Options.from_document(content))
        case "tigris":
            return ObjectStoreConfig.Tigris(S3Options.from_document(content))
        case "gcs":
            return ObjectStoreConfig.Gcs(content)
        case "azure":
            return ObjectStoreConfig.Azure(content)
        case "http":
            opts = dict(_http_content(content))
            headers = opts.pop("headers", None)
            return ObjectStoreConfig.Http(opts, headers)
    raise ValueError(f"it is of an unknown kind, {tag!r}")


def _http_content(content: object) -> Mapping[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise TypeError(f"http takes a map, not {type(content).__name__}")
    return content


def local_filesystem_store(path: str) -> ObjectStoreConfig.LocalFileSystem:
    """Files of this machine below the folder `path`."""
    return ObjectStoreConfig.LocalFileSystem(path)


def s3_store(
    region: str | None = None,
    endpoint_url: str | None = None,
    allow_http: bool = False,
    anonymous: bool = False,
    s3_compatible: bool = False,
    force_path_style: bool = False,
    network_stream_timeout_seconds: int = 60,
    requester_pays: bool = False,
    checksum_algorithm: ChecksumAlgorithm | None = None,
) -> ObjectStoreConfig.S3Compatible | ObjectStoreConfig.S3:
    """Amazon S3, or with `s3_compatible` another service that speaks its language."""
    options = S3Options(
        region=region,
        endpoint_url=endpoint_url,
        allow_http=allow_http,
        anonymous=anonymous,
        force_path_style=force_path_style,
        network_stream_timeout_seconds=network_stream_timeout_seconds,
        requester_pays=requester_pays,
        checksum_algorithm=checksum_algorithm,
    )
    if s3_compatible:
        return ObjectStoreConfig.S3Compatible(options)
    return ObjectStoreConfig.S3(options)


def gcs_store(opts: dict[str, str] | None = None) -> ObjectStoreConfig.Gcs:
    """Google Cloud Storage."""
    return ObjectStoreConfig.Gcs(opts)


def azure_store(*, account: str, config: dict[str, str] | None = None) -> ObjectStoreConfig.Azure:
    """Azure Blob Storage; `config` holds further options."""
    return ObjectStoreConfig.Azure({"account": account, **(config or {})})


def http_store(
    opts: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> ObjectStoreConfig.Http:
    """A web server, which is sent `headers` with each request."""
    return ObjectStoreConfig.Http(opts, headers)
