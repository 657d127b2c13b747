"""Buckets as sources of virtual chunks: S3 and what speaks its language, GCS, Azure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import override

from frazil.engine.sources.source import Found, Source, Stamp, bare_etag
from frazil.storage.client_errors import status_of
from frazil.storage.clients import translate

_BEYOND_THE_END = 416


@dataclass(frozen=True, slots=True)
class Objects(Source):
    """The objects that a client of `obstore` reaches; `where` names the place in errors."""

    client: Any
    where: str

    @override
    def read(self, key: str, start: int, end: int) -> Found:
        def get() -> Found:
            result = self.client.get(key, options={"range": (start, end)})
            return _found(result.meta, result.bytes().to_bytes())

        return self._try(key, get, beyond=lambda: _found(self.client.head(key)))

    @override
    def stat(self, key: str) -> Found:
        return self._try(key, lambda: _found(self.client.head(key)))

    def _try(
        self, key: str, ask: Callable[[], Found], beyond: Callable[[], Found] | None = None
    ) -> Found:
        try:
            return ask()
        except Exception as error:
            failure = error
        if beyond is not None and status_of(failure) == _BEYOND_THE_END:
            return self._try(key, beyond)
        # Outside of the except clause, for the original may show what is secret.
        raise translate(failure, key=key, where=self.where)


def _found(meta: Any, data: bytes = b"") -> Found:
    modified: datetime = meta["last_modified"]
    return Found(data, meta["size"], Stamp(bare_etag(meta["e_tag"]), modified.timestamp()))
