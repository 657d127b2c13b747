"""One line to open anything: `frazil.open`."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, overload

from frazil.config import Attribution, RepositoryConfig
from frazil.repository import Repository
from frazil.repository.opening import Authorization
from frazil.session import Session
from frazil.storage import Storage
from frazil.twins import twin

_Place = str | os.PathLike[str] | Storage


@overload
def open(
    url: _Place,
    *,
    branch: str,
    as_of: datetime | None = None,
    writable: bool = False,
    create: bool = False,
    config: RepositoryConfig | None = None,
    authorize_virtual_chunk_access: Authorization = None,
    attribution: Attribution | None = None,
    **options: Any,
) -> Session: ...


@overload
def open(
    url: _Place,
    *,
    tag: str,
    config: RepositoryConfig | None = None,
    authorize_virtual_chunk_access: Authorization = None,
    attribution: Attribution | None = None,
    **options: Any,
) -> Session: ...


@overload
def open(
    url: _Place,
    *,
    snapshot: str,
    config: RepositoryConfig | None = None,
    authorize_virtual_chunk_access: Authorization = None,
    attribution: Attribution | None = None,
    **options: Any,
) -> Session: ...


@overload
def open(
    url: _Place,
    *,
    branch: None = None,
    tag: None = None,
    snapshot: None = None,
    create: bool = False,
    config: RepositoryConfig | None = None,
    authorize_virtual_chunk_access: Authorization = None,
    attribution: Attribution | None = None,
    **options: Any,
) -> Repository: ...


def open(
    url: _Place,
    *,
    branch: str | None = None,
    tag: str | None = None,
    snapshot: str | None = None,
    as_of: datetime | None = None,
    writable: bool = False,
    create: bool = False,
    config: RepositoryConfig | None = None,
    authorize_virtual_chunk_access: Authorization = None,
    attribution: Attribution | None = None,
    **options: Any,
) -> Repository | Session:
    """Open a repository, or a session on one of its versions, at a URL or in a folder.

        repo = frazil.open("s3://bucket/prefix?region=eu-west-1")
        session = frazil.open("s3://bucket/prefix?region=eu-west-1", tag="v1")
        ds = xarray.open_zarr(session.store, consolidated=False)

    url: see docs/storage.md; also a `Storage`. Without branch, tag or snapshot the result is a
    `Repository`; with one of them a read-only `Session` there.

    as_of: of the branch, the newest snapshot that is not younger than this. writable: a session
    whose changes can be committed to the branch. create: make the repository if there is none.
    options: arguments of the function that makes the storage, such as credentials. The others
    are those of `Repository.open`.

    `ValueError` for arguments that do not go together, `StorageError` for a URL that cannot be
    used, else the errors of `Repository.open` and of the sessions.
    """
    from frazil.storage import storage_from_url

    versions = {"branch": branch, "tag": tag, "snapshot": snapshot}
    given = [name for name, value in versions.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} do not go together: give one of them")
    for name, value in {"as_of": as_of, "writable": writable or None}.items():
        if value is not None and given != ["branch"]:
            raise ValueError(f"{name} goes with branch")
    if writable and as_of is not None:
        raise ValueError("a session that is writable starts from the tip of its branch, not as_of")
    if isinstance(url, Storage):
        if options:
            raise ValueError(f"a Storage has its options already: {', '.join(options)}")
        storage = url
    else:
        storage = storage_from_url(url, **options)
    open_ = Repository.open_or_create if create else Repository.open
    repository = open_(storage, config, authorize_virtual_chunk_access, attribution=attribution)
    if not given:
        return repository
    with repository._core.catalog.as_read():
        if writable and branch is not None:
            return repository.writable_session(branch)
        return repository.readonly_session(branch, tag=tag, snapshot_id=snapshot, as_of=as_of)


open_async = twin(open)
