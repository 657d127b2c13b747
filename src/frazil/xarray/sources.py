"""From whatever names a version of a repository to the store of a session on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from frazil.errors import ErrorKind, InvalidInputError
from frazil.repository import Repository
from frazil.session import Session
from frazil.storage import Storage, storage_from_url
from frazil.store import IcechunkStore

Source: TypeAlias = "str | os.PathLike[str] | Storage | Repository | Session | IcechunkStore"
"""A path, URL, storage or repository, of which a version is chosen; or a session or its store."""


def store_of(
    source: Source,
    *,
    branch: str | None = None,
    tag: str | None = None,
    snapshot_id: str | None = None,
    as_of: datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> IcechunkStore:
    """The store of a session on a version: of `main` unless another one is named.

    `InvalidInputError` if a version is named and the source is a session, which shows one already.
    """
    if isinstance(source, IcechunkStore | Session):
        if any(name is not None for name in (branch, tag, snapshot_id, as_of, storage_options)):
            raise InvalidInputError(
                "a session shows one version already: leave out branch, tag, snapshot_id, as_of "
                "and storage_options, or give the repository",
                ErrorKind.NOT_ALLOWED,
            )
        return source if isinstance(source, IcechunkStore) else source.store
    repo = _repository_of(source, storage_options or {})
    if tag is None and snapshot_id is None and branch is None:
        branch = "main"
    session = repo.readonly_session(branch, tag=tag, snapshot_id=snapshot_id, as_of=as_of)
    return session.store


def _repository_of(
    source: str | os.PathLike[str] | Storage | Repository, options: Mapping[str, Any]
) -> Repository:
    if isinstance(source, str | os.PathLike):
        return Repository.open(storage_from_url(source, **options))
    if options:
        raise InvalidInputError(
            "storage_options go with a URL: a storage or repository has its options already",
            ErrorKind.NOT_ALLOWED,
        )
    return source if isinstance(source, Repository) else Repository.open(source)
