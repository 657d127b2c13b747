"""From whatever names a version of a repository to the store of a session on it."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TypeAlias

from frazil.errors import ErrorKind, InvalidInputError
from frazil.repository import Repository
from frazil.session import Session
from frazil.storage import Storage, local_filesystem_storage
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
) -> IcechunkStore:
    """The store of a session on a version: of `main` unless another one is named.

    `InvalidInputError` if a version is named and the source is a session, which shows one already.
    """
    if isinstance(source, IcechunkStore | Session):
        if any(name is not None for name in (branch, tag, snapshot_id, as_of)):
            raise InvalidInputError(
                "a session shows one version already: leave out branch, tag, snapshot_id and "
                "as_of, or give the repository",
                ErrorKind.NOT_ALLOWED,
            )
        return source if isinstance(source, IcechunkStore) else source.store
    repo = repository_of(source)
    if tag is None and snapshot_id is None and branch is None:
        branch = "main"
    session = repo.readonly_session(branch, tag=tag, snapshot_id=snapshot_id, as_of=as_of)
    return session.store


def repository_of(source: str | os.PathLike[str] | Storage | Repository) -> Repository:
    """The repository that is meant."""
    if isinstance(source, Repository):
        return source
    if isinstance(source, Storage):
        return Repository.open(source)
    return Repository.open(local_filesystem_storage(os.fspath(source)))
