"""Storages from URLs: what `urls` reads, made by the public functions."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from frazil.errors import ErrorKind, StorageError
from frazil.storage import buckets
from frazil.storage.api import (
    Storage,
    http_storage,
    in_memory_storage,
    local_filesystem_storage,
    redirect_storage,
)
from frazil.storage.urls import Address, masked, parse_url

_memories: dict[str, Storage] = {}


def _in_memory(name: str | None) -> Storage:
    if name is None:
        return in_memory_storage()
    return _memories.get(name) or _memories.setdefault(name, in_memory_storage())


_CONSTRUCTORS: Mapping[str, Callable[..., Storage]] = {
    "s3_storage": buckets.s3_storage,
    "r2_storage": buckets.r2_storage,
    "tigris_storage": buckets.tigris_storage,
    "hf_storage": buckets.hf_storage,
    "gcs_storage": buckets.gcs_storage,
    "azure_storage": buckets.azure_storage,
    "http_storage": http_storage,
    "redirect_storage": redirect_storage,
    "local_filesystem_storage": local_filesystem_storage,
    "in_memory_storage": _in_memory,
}


def storage_from_url(url: str | os.PathLike[str], **overrides: Any) -> Storage:
    """The storage at a URL or path; see docs/storage.md for the forms.

    overrides: arguments of the function that makes this kind of storage, such as credentials,
    headers or `config`; they go before the options of the URL. None counts as not given.
    `StorageError` of kind `cannot-parse-url` or `storage-config` for what cannot be.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    address = parse_url(url, account=given.get("account"))
    if address.constructor == "azure_storage":
        given.pop("account", None)
    known = inspect.signature(_CONSTRUCTORS[address.constructor]).parameters.keys()
    free = [name for name in known if name not in address.place]
    for name in given:
        if name not in free:
            problem = "is said by the URL" if name in known else "is unknown"
            raise StorageError(
                f"bad option {name!r} for {masked(os.fspath(url))!r}: it {problem}; there "
                f"are {', '.join(free) or 'none'}",
                ErrorKind.STORAGE_CONFIG,
            )
    return storage_at_address(address, given)


def storage_at_address(address: Address, overrides: Mapping[str, Any]) -> Storage:
    """The storage that an address says, with further arguments."""
    arguments = {**address.place, **address.options, **overrides}
    return _CONSTRUCTORS[address.constructor](**arguments)
