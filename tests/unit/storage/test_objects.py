"""Objects in a bucket whose server has ways of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from obstore.exceptions import GenericError, PreconditionError
from obstore.store import MemoryStore

from frazil.errors import ErrorKind, StorageError
from frazil.storage.base import PreconditionFailed, Update
from frazil.storage.objects import ObjectBackend


class Peculiar:
    """A store in memory, for a subclass to answer in its own way."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.inner, name)

    def backend(self) -> ObjectBackend:
        return ObjectBackend(lambda manner: self, where="the bucket")


class QuotesDiffer(Peculiar):
    """Shows tags in quotes, and finds one in quotes different from all others."""

    def put(self, path: str, data: bytes, *, mode: Any = None, **options: Any) -> Any:
        self.calls.append("put")
        if isinstance(mode, dict):
            if mode["e_tag"].startswith('"'):
                raise PreconditionError("412")
            mode = {"e_tag": f'"{mode["e_tag"]}"'}
        return self.inner.put(path, data, mode=mode, **options)


def test_servers_that_want_tags_without_quotes() -> None:
    store = QuotesDiffer()
    backend = store.backend()
    version = backend.put("repo", b"one")
    assert version.token.endswith('"')
    store.calls.clear()
    second = backend.put("repo", b"two", mode=Update(version))
    assert store.calls == ["put", "head", "put"]
    store.calls.clear()
    backend.put("repo", b"three", mode=Update(second))
    assert store.calls == ["put"]
    store.calls.clear()
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"four", mode=Update(second))
    assert store.calls == ["put"]
    assert backend.get("repo") == b"three"


def test_a_lost_race_is_told_from_quotes() -> None:
    store = QuotesDiffer()
    backend = store.backend()
    version = backend.put("repo", b"one")
    backend.put("repo", b"by somebody else")
    with pytest.raises(PreconditionFailed):
        backend.put("repo", b"two", mode=Update(version))
    assert backend.get("repo") == b"by somebody else"


class MissesWhatIsMissing(Peculiar):
    """Stops deleting at the first object that is not there."""

    def delete(self, paths: str | Sequence[str]) -> None:
        for path in [paths] if isinstance(paths, str) else paths:
            self.inner.head(path)
            self.inner.delete(path)


def test_objects_behind_a_missing_one_are_deleted_too() -> None:
    backend = MissesWhatIsMissing().backend()
    for i in range(5):
        backend.put(f"chunks/{i}", b"")
    backend.delete(f"chunks/{i}" for i in (0, 99, 1, 98, 2))
    assert sorted(info.key for info in backend.list()) == ["chunks/3", "chunks/4"]


class Forbids(Peculiar):
    def get(self, path: str, **options: Any) -> Any:
        raise GenericError("Server returned non-2xx status code: 403 Forbidden: no")


def test_what_does_not_pass_is_not_tried_again() -> None:
    store = Forbids()
    with pytest.raises(StorageError, match="403 Forbidden") as caught:
        store.backend().get("chunks/a")
    assert caught.value.kind == ErrorKind.OBJECT_STORE
    assert caught.value.__cause__ is None
