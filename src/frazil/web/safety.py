"""Who may ask what: hosts, tokens, methods, and what browsers are told not to do.

A page of another site can make a browser send requests to this machine. It cannot read the
answers, unless it takes a name that it has made an address of this machine: hence the check of
the host. It cannot know the secret in the forms: hence a change needs it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""The names under which browsers find this machine."""

COOKIE = "frazil_access"
FILES = "/files/"

_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# With the policy "no-referrer", browsers do not say from which site a form is sent.
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""What each answer says to browsers."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server at this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hosts_of(host: str) -> frozenset[str]:
    """The names under which a server that listens at an address may be asked, without ports."""
    written = f"[{host}]" if ":" in host else host.lower()
    if is_loopback(host):
        return LOOPBACK | {written}
    names = {socket.gethostname().lower(), socket.getfqdn().lower()}
    return LOOPBACK | names | {written}


def is_allowed(host: str, allowed: frozenset[str], *, any_address: bool) -> bool:
    """Whether a Host header names this server; any_address: numbers will do, whichever.

    A number cannot have been made to point here by somebody else, a name can.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    if f"[{name}]" in allowed or name in allowed:
        return True
    if any_address:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
    return False


class Guard:
    """Lets through what may pass, and adds the headers of safety to each answer."""

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str], token: str | None, write: bool
    ) -> None:
        self.app = app
        self.hosts = hosts
        self.token = token
        self.methods = {"GET", "HEAD", "POST"} if write else {"GET", "HEAD"}
        self.cookie = hashlib.sha256(f"frazil cookie {token}".encode()).hexdigest()
        # Browsers send cookies to all ports of a host: each explorer has a name of its own.
        self.name = f"{COOKIE}_{hashlib.sha256(self.cookie.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of connection than HTTP are not for this server."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        answer = self._refusal(scope) or self.app
        await answer(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        if not is_allowed(headers.get("host", ""), self.hosts, any_address=self.token is not None):
            return PlainTextResponse("This server does not go by that name.", 421)
        if scope["method"] not in self.methods:
            return PlainTextResponse("This server is read-only.", 405)
        if scope["method"] == "POST" and not _same_origin(headers):
            return PlainTextResponse("Changes are made on this site's own pages only.", 403)
        if _is_embedded(headers):
            return PlainTextResponse("This is not for the pages of other sites.", 403)
        return self._admission(scope, headers)

    def _admission(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        if self.token is None:
            return None
        cookies = cookie_parser(headers.get("cookie", ""))
        if _same(cookies.get(self.name, ""), self.cookie):
            return None
        kind, _, credential = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(credential.strip(), self.token):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if any(name == "token" and _same(value, self.token) for name, value in query):
            if scope["path"].startswith(FILES):
                return None
            # Out of the address bar and the history with it.
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            target = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
            answer = RedirectResponse(target, 303)
            answer.set_cookie(self.name, self.cookie, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse(
            "This server asks for the token that it printed when it was started: "
            "open the address that it printed.",
            401,
            {"www-authenticate": "Bearer"},
        )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _is_embedded(headers: Headers) -> bool:
    """Whether a page of another site asks, other than by a link to here.

    It could not read the answer, but have this machine work for it.
    """
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    visits = headers.get("sec-fetch-mode") == "navigate"
    return elsewhere and not (visits and headers.get("sec-fetch-dest", "document") == "document")


def _same_origin(headers: Headers) -> bool:
    """Whether a browser says that a request comes from a page of this site."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
