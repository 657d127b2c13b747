"""The URLs of the files of a plain hierarchy, for references to them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from zarr.abc.store import Store
from zarr.storage import LocalStore

from frazil.errors import ErrorKind, InvalidInputError
from frazil.interchange.plain_store import PlainStore
from frazil.storage import Storage, local_filesystem_storage
from frazil.storage.urls import parse_url


@dataclass(frozen=True, slots=True)
class File:
    """A file by its URL; size in bytes, and when it was last written."""

    location: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Locator:
    """Says where the objects of a store are."""

    storage: Storage
    base: str

    @classmethod
    def of(cls, source: object, store: Store) -> Locator:
        """For a source that has URLs; `InvalidInputError` for others."""
        if isinstance(store, LocalStore):
            root = Path(store.root).absolute()
            return cls(local_filesystem_storage(str(root)), root.as_uri())
        if isinstance(store, PlainStore) and isinstance(source, str | os.PathLike):
            address = parse_url(source)
            place = address.place
            scheme = _SCHEMES.get(address.constructor)
            if scheme is not None:
                parts = [place.get("bucket") or place.get("container"), place.get("prefix")]
                base = "/".join(quote(part, safe="/") for part in parts if part)
                return cls(store.storage, f"{scheme}://{base}")
        raise InvalidInputError(
            f"{store} cannot be imported by reference, because its chunks have no URLs that "
            "virtual references know: give a path or the URL of a bucket, or import by copy",
            ErrorKind.INVALID_VIRTUAL_REF,
        )

    def files(self, prefix: str) -> dict[str, File]:
        """The files below a prefix, by their keys."""
        return {
            info.key: File(f"{self.base}/{quote(info.key)}", info.size, info.last_modified)
            for info in self.storage.backend().list(prefix.strip("/"))
        }


_SCHEMES = {
    "s3_storage": "s3",
    "tigris_storage": "tigris",
    "gcs_storage": "gs",
    "azure_storage": "az",
}
