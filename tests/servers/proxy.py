"""A reverse proxy that counts requests, and spoils those that it is told to.

It runs on an event loop in a thread of its own. Requests and responses are kept whole; each
connection of a client has one connection to the server.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.servers.process import HOST


@dataclass
class Request:
    """One request, and what became of it."""

    number: int
    method: str
    path: str
    """Decoded, without the query: `/bucket/prefix/repo`."""
    query: dict[str, str]
    headers: dict[str, str]
    """By names in lower case."""
    begun: float
    sent: int
    """Bytes of the body."""
    ended: float = float("inf")
    status: int | None = None
    """None while there is no response."""
    received: int = 0
    fault: Fault | None = None


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    delay: seconds until it is forwarded; status: answer so instead of forwarding; forward:
    whether the server gets it; reset, close: what happens in place of the response; part: send
    only this part of the response's body, and then close, or stall.
    """

    delay: float = 0.0
    status: int | None = None
    forward: bool = True
    reset: bool = False
    close: bool = False
    part: float | None = None
    stall: bool = False


def refuse(status: int) -> Fault:
    """Answer with a status, 503 or 429, instead of forwarding."""
    return Fault(status=status, forward=False)


def delay(seconds: float) -> Fault:
    """Do as asked, later."""
    return Fault(delay=seconds)


RESET_BEFORE = Fault(forward=False, reset=True)
"""The connection breaks; the server has not got the request."""
RESET_AFTER = Fault(reset=True)
"""The server has done it; the connection breaks."""
CLOSE_AFTER = Fault(close=True)
"""The server has done it; the connection ends in an orderly way, without a response."""
TRUNCATE = Fault(part=0.5)
"""Half of the body, then the connection ends."""
STALL = Fault(part=0.5, stall=True)
"""Half of the body, and then nothing."""

Plan = Callable[[Request], Fault | None]


def nothing(request: Request) -> Fault | None:
    """The plan in which nothing goes wrong."""
    return None


@dataclass
class Proxy:
    """What is between a client and a server."""

    address: str
    plan: Plan = nothing
    """Called for each request when it has come in, on the proxy's thread."""
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0

    def reset(self) -> None:
        """Count from zero, and let nothing go wrong any more."""
        self.plan = nothing
        self.requests = []
        self.most_at_once = 0

    def methods(self) -> Counter[str]:
        """How many requests of each method there were."""
        return Counter(request.method for request in self.requests)

    @property
    def received(self) -> int:
        """Bytes of all responses' bodies."""
        return sum(request.received for request in self.requests)

    @property
    def sent(self) -> int:
        """Bytes of all requests' bodies."""
        return sum(request.sent for request in self.requests)


def rounds(requests: Sequence[Request]) -> int:
    """The most requests of which each began after the one before had ended."""
    count, end = 0, 0.0
    for request in sorted(requests, key=lambda request: request.ended):
        if request.begun >= end:
            count, end = count + 1, request.ended
    return count


@contextmanager
def proxy(server: str) -> Iterator[Proxy]:
    """A proxy in front of the server at an address `host:port`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    made = Proxy("")
    host, _, port = server.partition(":")
    relay = _Relay(made, host, int(port))

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(relay.serve, HOST, 0, backlog=512)

    async def end() -> None:
        listener.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    made.address = f"{HOST}:{listener.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Ended(Exception):
    """A connection is over."""


Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class _Relay:
    """Carries requests from clients to the server and responses back."""

    def __init__(self, made: Proxy, host: str, port: int) -> None:
        self._proxy = made
        self._host, self._port = host, port
        self._open = 0
        self._number = 0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        server: tuple[Reader, Writer] | None = None
        try:
            server = await asyncio.open_connection(self._host, self._port)
            while True:
                await self._one(reader, writer, *server)
        except (_Ended, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the server has gone, or the proxy is to end
        finally:
            for end in (writer, server[1] if server else None):
                if end is not None:
                    end.close()

    async def _one(self, reader: Reader, writer: Writer, source: Reader, sink: Writer) -> None:
        head = await _head(reader)
        begun = time.perf_counter()
        start, headers = _parsed(head)
        body = await _body(reader, headers, None)
        method, target, _ = start.split(" ", 2)
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        self._number += 1
        request = Request(self._number, method, unquote(url.path), query, headers, begun, len(body))
        self._proxy.requests.append(request)
        self._open += 1
        self._proxy.most_at_once = max(self._proxy.most_at_once, self._open)
        try:
            request.fault = fault = self._proxy.plan(request) or Fault()
            await asyncio.sleep(fault.delay)
            if fault.status is not None:
                answer = b"HTTP/1.1 %d Fault\r\ncontent-length: 0\r\n\r\n" % fault.status
                reply, status = b"", fault.status
            elif fault.forward:
                sink.write(head + body)
                await sink.drain()
                answer = await _head(source)
                line, answered = _parsed(answer)
                status = int(line.split(" ", 2)[1])
                reply = await _body(source, answered, (method, status))
            request.ended = time.perf_counter()
            if fault.reset:
                _break(writer)
                raise _Ended
            if fault.close:
                raise _Ended
            request.status, request.received = status, len(reply)
            if fault.part is None:
                writer.write(answer + reply)
            else:
                writer.write(answer + reply[: int(len(reply) * fault.part)])
            await writer.drain()
            if fault.stall:
                await reader.read(1)  # until the client gives up
            if fault.part is not None:
                raise _Ended
        finally:
            self._open -= 1


async def _head(reader: Reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return await _head(reader)
    return head


def _parsed(head: bytes) -> tuple[str, dict[str, str]]:
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return start, {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: Reader, headers: dict[str, str], response: tuple[str, int] | None) -> bytes:
    """As it is on the wire: https://www.rfc-editor.org/rfc/rfc9112#section-6.3"""
    if response is not None and (response[0] == "HEAD" or response[1] in (204, 304)):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            piece = await reader.readexactly(size + 2)
            pieces += [line, piece]
            if not size:
                return b"".join(pieces)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return b"" if response is None else await reader.read()


def _break(writer: Writer) -> None:
    """End the connection with a reset instead of in order."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
