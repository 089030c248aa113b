"""Which requests are answered: the guard before the application.

A server on this machine can be reached by every other page in the same browser, and by every program of every user. So
it answers only requests for its own name (against DNS rebinding) that carry the cookie which the address printed in
the terminal was exchanged for, and acts only on requests that its own page sent.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_INSIDE = 256
"""Requests of the page that are being answered, or wait for it, at a time."""

LARGEST_BODY = 256 * 1024
"""Bytes of a request's body."""

UPLOAD = "/api/text"
"""Where the bytes of a text are sent to; everything else is sent as JSON."""

LARGEST_UPLOAD = 16 * 1024 * 1024
"""Bytes of a text."""

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every answer carries."""

_ADMITTED = "longhold.admitted"


@final
class Keys:
    """The secrets of one server: a token that opens the door once, and the cookie it is exchanged for."""

    def __init__(self, port: int, on_new_token: Callable[[str], None] = lambda token: None) -> None:
        """`on_new_token` gets the next token whenever one has been used up."""
        self.cookie_name = f"longhold_{port}"  # cookies know no ports: two servers must not take each other's
        self.cookie = secrets.token_urlsafe(32)
        self.token = secrets.token_urlsafe(32)
        self._on_new_token = on_new_token

    def redeem(self, token: str) -> bool:
        """Whether `token` opens the door; it does so once, since a browser's history and process list show it."""
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return False
        self.token = secrets.token_urlsafe(32)
        self._on_new_token(self.token)
        return True

    def admits(self, cookies: str) -> bool:
        """Whether a `Cookie` header holds the cookie."""
        try:
            morsel = SimpleCookie(cookies).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and secrets.compare_digest(morsel.value.encode(), self.cookie.encode())


@final
@dataclass
class Bucket:
    """A limit on how often: `rate` a second in the long run, `burst` at once."""

    rate: float
    """requests a second"""
    burst: float
    """requests that a pause saves up"""
    clock: Callable[[], float] = time.monotonic
    """seconds"""

    def __post_init__(self) -> None:
        self._left, self._at = self.burst, self.clock()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self.clock()
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@final
class Refused(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@final
class Guard:
    """ASGI middleware that lets a request through or refuses it with one line.

    Checked in this order: the Host is one of `hosts`, to the letter; the method is GET, HEAD or POST; the cookie; for
    POST, sockets and event streams that Origin is the page's own; only then, since strangers must not use up what is
    there for the page, the rate and that at most `MOST_INSIDE` requests are inside; that a POST is JSON of at most
    `LARGEST_BODY` bytes, which arrive within `patience` seconds. There are no sockets here: they are always refused.
    At `UPLOAD` a POST is bytes, of which `LARGEST_UPLOAD` may take six times as long; one arrives at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        keys: Keys,
        bucket: Bucket | None = None,
        uploads: Bucket | None = None,
        patience: float = 10.0,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._keys = keys
        self._bucket = Bucket(rate=250, burst=1000) if bucket is None else bucket
        self._uploads = Bucket(rate=0.5, burst=20) if uploads is None else uploads
        self._patience = patience
        self._arriving = False
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            host = self._checked_host(headers)
            if scope["method"] not in ("GET", "HEAD", "POST"):
                raise Refused(405, f"method {scope['method']!r:.20}: expected GET or POST")
            token = _token(scope)
            if token is not None and scope["method"] == "GET":
                await self._open(token, headers, send)
                return
            self._check_cookie(headers)
            self._check_sender(scope, headers, host)
            if not self._bucket.take():
                raise Refused(429, "too many requests: wait a second")
            if self._inside >= MOST_INSIDE:
                raise Refused(503, f"{MOST_INSIDE} requests are being answered: wait a second")
        except Refused as refused:
            await _refuse(send, scope, refused)
            return
        scope.setdefault("state", {})[_ADMITTED] = True
        self._inside += 1
        try:
            await self._let_in(scope, headers, receive, send)
        finally:
            self._inside -= 1

    async def _let_in(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "POST":
                receive = await self._body(scope["path"], headers, receive)
        except Refused as refused:
            await _refuse(send, scope, refused)
            return
        await self._app(scope, receive, send)

    def _checked_host(self, headers: Headers) -> str:
        given = headers.getlist("host")
        if len(given) != 1 or given[0] not in self._hosts:
            raise Refused(403, f"this server is not {', '.join(given)!r:.80}")
        return given[0]

    async def _open(self, token: str, headers: Headers, send: Send) -> None:
        answer = [(b"location", b"/"), (b"content-length", b"0")]
        if self._keys.redeem(token):
            cookie = f"{self._keys.cookie_name}={self._keys.cookie}; HttpOnly; SameSite=Strict; Path=/"
            answer.append((b"set-cookie", cookie.encode()))
        elif not self._keys.admits(headers.get("cookie", "")):
            raise Refused(403, "this address was used before, or never valid: open the one the terminal shows now")
        await send({"type": "http.response.start", "status": 303, "headers": answer})
        await send({"type": "http.response.body", "body": b""})

    def _check_cookie(self, headers: Headers) -> None:
        if not self._keys.admits(headers.get("cookie", "")):
            raise Refused(403, "open the address that the terminal shows")

    @staticmethod
    def _check_sender(scope: Scope, headers: Headers, host: str) -> None:
        """Whether the page itself sent this; only opening the page may come from elsewhere."""
        own = f"http://{host}"
        origins, site = headers.getlist("origin"), headers.get("sec-fetch-site")
        streams = "text/event-stream" in headers.get("accept", "")
        if scope["method"] == "POST" and origins != [own]:
            raise Refused(403, f"Origin {', '.join(origins)!r:.80}: expected {own}")
        if origins not in ([], [own]) or (streams and origins != [own] and site != "same-origin"):
            raise Refused(403, f"Origin {', '.join(origins)!r:.80}: expected {own}")
        if scope["path"] != "/" and site not in (None, "same-origin", "none"):
            raise Refused(403, "sent by another page")

    async def _body(self, path: str, headers: Headers, receive: Receive) -> Receive:
        """The same request with its body read; what comes after the body is still what the server says."""
        if path != UPLOAD:
            _check_body(headers, "application/json", LARGEST_BODY)
            return await _read(receive, LARGEST_BODY, self._patience)
        _check_body(headers, "application/octet-stream", LARGEST_UPLOAD)
        if self._arriving:
            raise Refused(429, "another text is on its way: one at a time")
        if not self._uploads.take():
            raise Refused(429, "too many texts: wait a few seconds")
        self._arriving = True
        try:
            return await _read(receive, LARGEST_UPLOAD, 6 * self._patience)
        finally:
            self._arriving = False


def is_admitted(scope: Mapping[str, Any]) -> bool:
    """Whether the guard let this request in."""
    return bool(scope.get("state", {}).get(_ADMITTED))


def _check_body(headers: Headers, kind: str, most: int) -> None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise Refused(415, f"expected {kind}")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > most:
        raise Refused(413, f"a request of {length:.20} bytes: expected at most {most}")


async def _read(receive: Receive, most: int, patience: float) -> Receive:
    try:
        body = await asyncio.wait_for(_whole(receive, most), patience)
    except TimeoutError:
        raise Refused(408, f"the request did not arrive within {patience:g} s") from None
    given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return given.pop() if given else await receive()

    return replay


async def _whole(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request broke off")
        body += message.get("body", b"")
        if len(body) > most:
            raise Refused(413, f"a request of more than {most} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _token(scope: Scope) -> str | None:
    if scope["path"] != "/":
        return None
    try:
        given = parse_qs(str(scope["query_string"], "ascii"), max_num_fields=4)
    except ValueError:
        return None
    return given["token"][0] if "token" in given else None


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sender


async def _refuse(send: Send, scope: Scope, refused: Refused) -> None:
    api = scope["path"].startswith("/api/")
    text = json.dumps({"error": refused.reason}) if api else refused.reason + "\n"
    body = text.encode(errors="backslashreplace")
    kind = "application/json" if api else "text/plain; charset=utf-8"
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
