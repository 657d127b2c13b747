"""The files of a group."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from fnmatch import fnmatchcase
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr

from frazil.display import Displayed, Shown
from frazil.errors import ErrorKind, FormatError, InvalidInputError, NodeNotFoundError
from frazil.files.info import FileInfo, file_at
from frazil.files.reading import FileReader, buffered
from frazil.files.writing import AT_ONCE, Source, put_file
from frazil.format.snapshot import NodeKind
from frazil.model.file_arrays import CHUNK_BYTES, check_name
from frazil.notebook import file_table
from frazil.paths import check_path, join
from frazil.storage import osfiles
from frazil.twins import twin

if TYPE_CHECKING:
    from frazil.engine.workspace import Workspace
    from frazil.store import IcechunkStore

_NO_NAME_ON_WINDOWS = re.compile(
    r'.*[<>:"|?*].*|.*[. ]|(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])([ .].*)?',
    re.IGNORECASE,
)
"""Names that lead elsewhere there: to a device, another drive, a stream of another file."""


class Files(Displayed):
    """The files of a group, by name: what `Session.files` returns.

        files = session.files("/notes")
        files["README.md"] = b"# Read me"
        files.put("header.nc", "data/header.nc", attributes={"station": 7})
        print(files.info("header.nc").size, list(files), files["README.md"])

    A file is an array of bytes with an attribute that says so, see docs/format/files.md: it is
    committed, compared, merged and collected as any array, and any reader of Zarr can get it.
    A name is a file's or another node's, never both.
    """

    _public_name = "frazil.files.Files"

    def __init__(self, store: IcechunkStore, group: str) -> None:
        self._store = store
        self._group = group

    @property
    def path(self) -> str:
        """The path of the group."""
        return self._group

    @property
    def _workspace(self) -> Workspace:
        workspace: Workspace = self._store.session._workspace
        return workspace

    # --- writing ---

    def put(
        self,
        name: str,
        source: Source,
        *,
        media_type: str | None = None,
        modified: datetime | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> FileInfo:
        """Store a file, in the place of the one that had this name; groups above it are made.

        source: bytes, the path of a local file, or a file that is open for reading bytes, which
        is read to its end. It is stored in chunks of 4 MiB while it is read, of which some are in
        memory at a time, whatever its size; the name shows the new file only once all of it is
        stored. media_type: by the name's ending if it is not given. modified: that of a local
        file is known. attributes: JSON values by name.

        Raises `InvalidInputError` for names that are reserved (`invalid-path`), attributes that
        are not JSON (`bad-metadata`), and local files that cannot be read (`io`);
        `AlreadyExistsError` where there is a group or an ordinary array, `ReadOnlyError`.
        """
        put_file(
            self._workspace,
            self._group,
            name,
            source,
            media_type=media_type,
            modified=modified,
            attributes=attributes or {},
        )
        return self.info(name)

    put_async = twin(put)

    def put_text(self, name: str, text: str, **options: Any) -> FileInfo:
        """Store a text, in UTF-8; options: those of `put`."""
        return self.put(name, text.encode(), **options)

    put_text_async = twin(put_text)

    def __setitem__(self, name: str, data: bytes) -> None:
        """`put`."""
        self.put(name, data)

    def delete(self, name: str) -> None:
        """Delete a file; `NodeNotFoundError` if there is none."""
        self._workspace.delete_node(self.info(name).path)

    __delitem__ = delete

    # --- reading ---

    def get(self, name: str) -> bytes:
        """All bytes of a file.

        Raises `NodeNotFoundError`, a `KeyError`, if there is no such file, and `FormatError`
        (`chunk-corrupted`) if these are not the bytes that were put, by their SHA-256: somebody
        wrote into its array. `open` reads it even so.
        """
        info = self.info(name)
        data = self._reader(info).readall()
        self._check(info, hashlib.sha256(data).hexdigest())
        return data

    get_async = twin(get)

    __getitem__ = get

    def get_text(self, name: str) -> str:
        """A file as text in UTF-8; `InvalidInputError` if it is something else."""
        data = self.get(name)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(
                f"the file {name!r} is not text in UTF-8 ({error}): get returns its bytes"
            ) from None

    get_text_async = twin(get_text)

    def open(self, name: str) -> BufferedReader:
        """A file, open for reading bytes; it can go to any place, and reads what is needed.

        Reads whole chunks, of which the last four stay in memory. For lines of text:
        `io.TextIOWrapper(files.open(name))`.
        """
        return buffered(self._array(self.info(name)), name)

    def save(self, name: str, target: str | os.PathLike[str]) -> Path:
        """Copy a file to a local path, or into a folder; returns where it is.

        It appears when it is complete, in the place of what was there. Raises as `get`, and
        `InvalidInputError` (`io`) if it cannot be written, or (`invalid-path`) if its name is no
        name of a file here: on Windows `a:b`, `con.txt` and others. Then name the target.
        """
        info = self.info(name)
        place = Path(target)
        if place.is_dir():
            place /= _local_name(name)
        try:
            self._save(info, place)
        except OSError as error:
            raise InvalidInputError(
                f"cannot write {place}: {error.strerror or error}", ErrorKind.IO
            ) from error
        return place

    save_async = twin(save)

    def _save(self, info: FileInfo, place: Path) -> None:
        # Not a temporary file, which only its owner could read.
        draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
        digest = hashlib.sha256()
        try:
            with draft.open("xb") as file, self._reader(info) as reader:
                while data := reader.read(AT_ONCE * CHUNK_BYTES):
                    digest.update(data)
                    file.write(data)
            self._check(info, digest.hexdigest())
            osfiles.replace(os.fspath(draft), os.fspath(place))
        except BaseException:  # what is half written goes, whatever it was
            with suppress(OSError):
                draft.unlink()
            raise

    def info(self, name: str) -> FileInfo:
        """What is known of a file without reading it; `NodeNotFoundError` if there is none."""
        found = self._find(name)
        if found is None:
            raise NodeNotFoundError(
                f"there is no file {name!r} in {self._group}", ErrorKind.NODE_NOT_FOUND
            )
        return found

    def list(self) -> tuple[FileInfo, ...]:
        """All files of the group, by name."""
        return tuple(self._each())

    def glob(self, pattern: str) -> tuple[FileInfo, ...]:
        """The files whose names match a pattern such as `*.nc`, by name."""
        return tuple(info for info in self._each() if fnmatchcase(info.name, pattern))

    def __iter__(self) -> Iterator[str]:
        """The names of the files, in order."""
        return (info.name for info in self._each())

    def __len__(self) -> int:
        return sum(1 for _ in self._each())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def _each(self) -> Iterator[FileInfo]:
        for name in self._workspace.children(self._group):
            found = self._find(name)
            if found is not None:
                yield found

    def _find(self, name: str) -> FileInfo | None:
        if "/" in name or name in ("", ".", ".."):
            return None
        node = self._workspace.node(join(self._group, name))
        return None if node is None else file_at(node)

    def _reader(self, info: FileInfo) -> FileReader:
        return FileReader(self._array(info), info.name)

    def _array(self, info: FileInfo) -> zarr.Array[Any]:
        return zarr.open_array(self._store, path=info.path.strip("/"), mode="r")

    def _check(self, info: FileInfo, found: str) -> None:
        expected = info.sha256
        if expected is not None and expected != found and self._workspace.library.verify_reads:
            raise FormatError(
                f"the file {info.path} has the SHA-256 {found}, and was put with {expected}: "
                "something has written into its array since; open() reads what is there",
                ErrorKind.CHUNK_CORRUPTED,
            )

    def _shown(self) -> Iterable[Shown]:
        return (
            Shown("path", self._group),
            Shown("read_only", self._store.read_only),
            Shown("files", [info.name for info in self._each()]),
        )

    def _repr_html_(self) -> str:
        rows = [(info.name, info.size, info.media_type) for info in self._each()]
        return Displayed._repr_html_(self) + file_table(rows)


def files_of(store: IcechunkStore, group: str) -> Files:
    """The files of a group, which may be made by the first one; see `Session.files`."""
    path = check_path("/" + group.strip("/"))
    workspace: Workspace = store.session._workspace
    node = workspace.node(path)
    if node is not None and node.kind is not NodeKind.GROUP:
        raise InvalidInputError(
            f"{path} is {'an array' if file_at(node) is None else 'a file'}, not a group",
            ErrorKind.NOT_A_GROUP,
        )
    if node is None and path != "/" and workspace.read_only:
        raise NodeNotFoundError(f"there is no group {path}", ErrorKind.NODE_NOT_FOUND)
    return Files(store, path)


def _local_name(name: str) -> str:
    check_name(name)
    if osfiles.WINDOWS and _NO_NAME_ON_WINDOWS.fullmatch(name):
        raise InvalidInputError(
            f"no file can be called {name!r} on Windows: say what it is to be called instead, as "
            "the last part of the target",
            ErrorKind.INVALID_PATH,
        )
    return name
