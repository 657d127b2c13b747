"""Objects in a bucket, through clients of `obstore`.

The condition of a `put` is one of the request itself, so it holds against every writer, and
its outcome is known even where an answer gets lost (`conditional_put`).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from frazil.errors import ErrorKind, InvalidInputError, ReadOnlyError, StorageError
from frazil.storage.base import (
    CREATE,
    OVERWRITE,
    UNVERSIONED,
    Backend,
    Create,
    Fetched,
    Fresh,
    ObjectInfo,
    Overwrite,
    PreconditionFailed,
    PutMode,
    Update,
    Version,
)
from frazil.storage.client_errors import is_passing, translate
from frazil.storage.conditional_put import ConditionalPut
from frazil.storage.connections import Connect, Connections
from frazil.storage.fork import ForksafeLock
from frazil.storage.keys import decode_key, encode_key, folder_prefix
from frazil.storage.object_reads import read_from, read_ranges, read_unless
from frazil.storage.object_writes import delete_all, overwrite
from frazil.storage.retry import Attempts
from frazil.storage.settings import StorageSettings

_NOBODYS = Version('0 "00000000000000000000000000000000"')
_PROBES = 3
"""Puts that are made in spite of their condition before a storage is said to ignore it."""
_log = logging.getLogger(__name__)


class ObjectBackend(Backend):
    """The objects of one place, used as the settings of a repository say.

    encoded: whether keys are percent-encoded, or spelled in the bucket as they are; Icechunk
    does the one or the other, depending on its client. See `Connections` for the rest.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        where: str,
        settings: StorageSettings | None = None,
        read_headers: Mapping[str, str] | None = None,
        write_headers: Mapping[str, str] | None = None,
        encoded: bool = True,
        read_only: bool = False,
    ) -> None:
        self._settings = settings or StorageSettings()
        self._at = Connections(
            connect,
            where=where,
            settings=self._settings,
            read_headers=read_headers,
            write_headers=write_headers,
        )
        self._encoded = encoded
        self._read_only = read_only
        self._with_quotes: bool | None = None
        self._has_warned = False
        self._line = ForksafeLock()

    def _path(self, key: str) -> str:
        spelling = encode_key(key)
        if self._encoded:
            return spelling
        if any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in key):
            raise InvalidInputError(
                f"invalid object key {key!r}: {self._at.where} takes no control characters",
                ErrorKind.INVALID_PATH,
            )
        return key

    # Reading

    @override
    def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        path = self._path(key)
        if end is None:
            return read_from(self._at, key, path, start or 0)
        return read_ranges(self._at, key, path, [(start or 0, end)])[0]

    @override
    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return read_ranges(self._at, key, self._path(key), ranges)

    @override
    def fetch(self, key: str, *, unless: Version | None = None) -> Fetched | None:
        known = None if unless is None else _parts(unless).get("e_tag")
        found = read_unless(self._at, key, self._path(key), known)
        if found is None:
            return None
        version = _version(found.meta)
        if version == unless:
            return None  # from a server that ignores the condition of the request
        return Fetched(found.data, version, found.meta["last_modified"])

    @override
    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except StorageError as error:
            if error.kind == ErrorKind.OBJECT_NOT_FOUND:
                return False
            raise
        return True

    @override
    def info(self, key: str) -> ObjectInfo:
        path = self._path(key)
        meta = self._at.run(key, lambda: self._at.reader().head(path))
        return ObjectInfo(key, meta["size"], meta["last_modified"])

    @override
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        folder = folder_prefix(prefix).removesuffix("/")
        path = self._path(folder) if folder else None
        last: str | None = None
        attempts = Attempts(self._at.patience)
        while True:
            try:
                for batch in self._at.reader().list(path, offset=last):
                    for meta in batch:
                        last = meta["path"]
                        key = decode_key(last) if self._encoded else last
                        if key is not None:
                            yield ObjectInfo(key, meta["size"], meta["last_modified"])
                return
            except Exception as error:
                failure = error
            # Listings are in order: what has been told is not told again.
            if not (is_passing(failure) and self._at.again(attempts, failure)):
                raise translate(failure, key=f"{folder}/*", where=self._at.where)

    # Writing

    @override
    def put(
        self,
        key: str,
        data: bytes | memoryview,
        *,
        mode: PutMode = OVERWRITE,
        content_type: str | None = None,
    ) -> Version:
        path = self._path(key)
        self._check_writable()
        content = bytes(data)
        attributes = self._attributes(key, content_type)
        if isinstance(mode, Overwrite | Fresh) or not self._keeps(mode):
            large = self._settings.effective("minimum_size_for_multipart_upload")
            return _version(overwrite(self._at, key, path, content, attributes, large))
        tags = _parts(mode.version) if isinstance(mode, Update) else {}
        if isinstance(mode, Update) and not tags:
            raise PreconditionFailed(f"object {key!r} is not the version that was read")
        return self._put_if(key, path, content, attributes, tags)

    def _put_if(
        self, key: str, path: str, content: bytes, attributes: dict[str, str], tags: dict[str, str]
    ) -> Version:
        """Put if the object has these tags, or with none if there is no object."""
        put = ConditionalPut(
            self._at.writer(len(content)),
            self._at.reader(),
            path,
            content,
            mode=self._quoted(tags) if tags else "create",
            attributes=attributes,
            with_id=bool(self._settings.effective("unsafe_use_metadata")),
            patience=self._at.patience,
        )
        try:
            made = put.send((lambda: self._other_quotes(path, tags)) if tags else None)
        except Exception as error:
            failure = error
        else:
            if isinstance(put.mode, dict):
                self._with_quotes = put.mode.get("e_tag", '"').startswith('"')
            return _version(made)
        if tags and isinstance(failure, FileNotFoundError):
            raise PreconditionFailed(f"object {key!r} does not exist any more")
        raise translate(failure, key=key, where=self._at.where)

    def _quoted(self, tags: dict[str, str]) -> dict[str, str]:
        if self._with_quotes is False and "e_tag" in tags:
            return {**tags, "e_tag": tags["e_tag"].strip('"')}
        return tags

    def _other_quotes(self, path: str, tags: dict[str, str]) -> dict[str, str] | None:
        """The tags as some servers want them, if a refusal was wrong.

        Ceph finds a tag that stands in quotes, as it should, different from all others.
        """
        if self._with_quotes is not None or not tags.get("e_tag", "").startswith('"'):
            return None
        try:
            same = _version(self._at.reader().head(path)) == _version(tags)
        except Exception:  # whatever it is, the refusal is what is to be told
            return None
        return {**tags, "e_tag": tags["e_tag"].strip('"')} if same else None

    def _attributes(self, key: str, content_type: str | None) -> dict[str, str]:
        settings = self._settings
        specific = (
            settings.chunks_storage_class
            if key.startswith("chunks/")
            else settings.metadata_storage_class
        )
        attributes = {}
        if content_type is not None:
            attributes["Content-Type"] = content_type
        if specific or settings.storage_class:
            attributes["Storage-Class"] = specific or settings.storage_class or ""
        return attributes

    @override
    def copy(self, source: str, target: str, *, version: Version | None = None) -> None:
        path, to = self._path(source), self._path(target)
        self._check_writable()
        if version is None:
            self._at.run(source, lambda: self._at.writer().copy(path, to))
            return
        # A copy inside the storage has no condition; the object is small where one is needed.
        found = self.fetch(source)
        assert found is not None
        if found.version != version:
            raise PreconditionFailed(f"object {source!r} is not the version that was read")
        self.put(target, found.data)

    @override
    def delete(self, keys: Iterable[str]) -> None:
        paths = [self._path(key) for key in keys]
        if not paths:
            return
        self._check_writable()
        delete_all(self._at, paths)

    @override
    def sync(self) -> None:
        pass

    @override
    def turn(self) -> AbstractContextManager[object]:
        return self._line  # of this process: a bucket has no line that others could wait in

    @override
    def close(self) -> None:
        self._at.close()

    @override
    def check_conditions(self, key: str) -> None:
        modes = [mode for mode in (CREATE, Update(_NOBODYS)) if self._keeps(mode)]
        data = self.get(key) if modes else b""
        # One after the other: two puts of one object at once bring some servers to a halt.
        if all(self._is_obeyed(key, data, mode) for mode in modes):
            return
        raise StorageError(
            f"{self._at.where} ignores the conditions of writes, so commits that are made at the "
            "same time would be lost. If there is never more than one writer, pass "
            "RepositoryConfig(storage=StorageSettings(unsafe_use_conditional_create=False, "
            "unsafe_use_conditional_update=False))",
            ErrorKind.STORAGE_CONFIG,
        )

    def _is_obeyed(self, key: str, data: bytes, mode: PutMode) -> bool:
        # One whose answer was lost passes for made, as the same bytes are there.
        for _ in range(_PROBES):
            try:
                self.put(key, data, mode=mode)
            except PreconditionFailed:
                return True
        return False

    # What it is

    def _check_writable(self) -> None:
        if self._read_only:
            raise ReadOnlyError(f"{self._at.where} cannot be written", ErrorKind.READ_ONLY_STORAGE)

    def _keeps(self, mode: PutMode) -> bool:
        """Whether the condition of `mode` is to be sent; warns once if it is not."""
        name = f"unsafe_use_conditional_{'create' if isinstance(mode, Create) else 'update'}"
        if self._settings.effective(name):
            return True
        if not self._has_warned:
            self._has_warned = True
            message = (
                f"{self._at.where} is written without conditions, because {name} is off: "
                "commits that are made at the same time can be lost"
            )
            _log.warning("%s", message)
            warnings.warn(message, stacklevel=2)
        return False

    @property
    @override
    def read_only(self) -> bool:
        return self._read_only

    @property
    @override
    def local(self) -> bool:
        return False

    @property
    @override
    def conditional(self) -> bool:
        return bool(
            self._settings.effective("unsafe_use_conditional_create")
            and self._settings.effective("unsafe_use_conditional_update")
        )


def _version(meta: Mapping[str, Any]) -> Version:
    """As one text: the generation, where objects have one, and the tag."""
    tag, generation = meta.get("e_tag"), meta.get("version")
    return Version(f"{generation or ''} {tag or ''}") if tag or generation else UNVERSIONED


def _parts(version: Version) -> dict[str, str]:
    generation, _, tag = version.token.partition(" ")
    return {name: part for name, part in (("e_tag", tag), ("version", generation)) if part}
