"""The clients that one place needs, and requests that are repeated when they fail for a while."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from frazil.errors import StorageError
from frazil.storage.client_errors import is_passing, text_of, translate
from frazil.storage.client_library import abandon, generation
from frazil.storage.clients import Manner
from frazil.storage.fork import ForksafeLock
from frazil.storage.retry import Attempts, Patience
from frazil.storage.settings import StorageSettings

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store

Client: TypeAlias = "S3Store | GCSStore | AzureStore | HTTPStore | MemoryStore | LocalStore"
Connect: TypeAlias = "Callable[[Manner], Client]"
"""Makes a client for the objects of one place."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Connections:
    """Clients for reading and for writing, made when they are needed, anew after a fork.

    where: names the place in messages. headers: sent with requests that read (GET, HEAD), and
    with the others.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        where: str,
        settings: StorageSettings,
        read_headers: Mapping[str, str] | None,
        write_headers: Mapping[str, str] | None,
    ) -> None:
        self.where = where
        self.patience = Patience.of(settings)
        concurrency = settings.effective("concurrency")
        self.piece: int = concurrency.effective("ideal_concurrent_request_size")
        self.at_once: int = concurrency.effective("max_concurrent_requests_for_object")
        self._connect = connect
        self._read_headers = dict(read_headers or {})
        self._write_headers = dict(write_headers or {})
        self._clients: dict[object, Client] = {}
        self._generation = generation()
        self._lock = ForksafeLock()

    def reader(self) -> Client:
        """A client for requests that change nothing."""
        return self._client("read", Manner(self._read_headers, retried=False))

    def writer(self, size: int = 0) -> Client:
        """A client for requests of up to `size` bytes that change something."""
        # It waits for as long as an upload may take: there is one for each order of size.
        order = 1 << max(20, size.bit_length())
        return self._client(order, Manner(self._write_headers, retried=False, upload_bytes=order))

    def uploader(self, part: int) -> Client:
        """A client for objects in parts; each part is repeated by itself."""
        return self._client(("parts", part), Manner(self._write_headers, upload_bytes=part))

    def _client(self, use: object, manner: Manner) -> Client:
        if self._generation != generation():
            abandon(self._clients)
            self._clients, self._generation = {}, generation()
        client = self._clients.get(use)
        if client is None:
            made = self._connect(manner)
            with self._lock:
                client = self._clients.setdefault(use, made)
        return client

    def close(self) -> None:
        """Let go of all clients."""
        self._clients = {}

    def run(self, key: str, request: Callable[[], T]) -> T:
        """What the request returns; it is repeated while that makes sense.

        Raises the `StorageError` for what the client raised in the end.
        """
        attempts = Attempts(self.patience)
        while True:
            try:
                return request()
            except StorageError:
                raise
            except Exception as error:
                failure = error
            if not is_passing(failure) or not self.again(attempts, failure):
                raise translate(failure, key=key, where=self.where)

    def again(self, attempts: Attempts, failure: Exception) -> bool:
        """Wait and return True if there is to be another try after this failure."""
        _log.info("try %d failed: %s", attempts.failures + 1, text_of(failure))
        return attempts.another()
