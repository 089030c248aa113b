"""Connections that say nothing, too slowly, or too many at a time, against a server on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from uvicorn.server import ServerState

from longhold.data import Corpus
from longhold.web.app import application
from longhold.web.connection import BACKLOG, Limits
from longhold.web.guard import Guard, Keys
from longhold.web.model_session import ModelSession
from longhold.web.serve import Server, bind, uvicorn_config
from longhold.web.trainer import Trainer
from longhold.web.training import MOST_WATCHERS
from tests.web.small import text_model

PATIENT = Limits(head_seconds=600, idle_seconds=600)
WAIT = 60.0
T = TypeVar("T")


class Place(NamedTuple):
    """A server that runs."""

    port: int
    keys: Keys
    trainer: Trainer

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def request(self, path: str = "/api/about", method: str = "GET", body: str = "", **headers: str) -> bytes:
        """Of the page itself."""
        own = {"host": self.host, "origin": f"http://{self.host}", "cookie": f"longhold_1={self.keys.cookie}"}
        if method == "POST":
            own |= {"content-type": "application/json", "content-length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **headers}.items())]
        return "\r\n".join([*lines, "", body]).encode()

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def asked(self, request: bytes | None = None) -> bytes:
        """The first line of the answer on a connection of its own."""
        with self.dial() as line:
            line.sendall(self.request() if request is None else request)
            return line.makefile("rb").readline().strip()


@contextlib.contextmanager
def running(limits: Limits, app: Callable[..., Awaitable[None]] | None = None) -> Iterator[Place]:
    """A page, or `app` behind the same guard, on a free port."""
    trainer, keys = Trainer(ModelSession([("small", text_model())])), Keys(1)
    with bind("127.0.0.1", 0) as bound:
        place = Place(bound.getsockname()[1], keys, trainer)
        inside = application(trainer._session, trainer, [place.host], keys)
        guarded = inside if app is None else Guard(app, [place.host], keys)
        server = Server(uvicorn_config(guarded, limits), trainer)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield place
        finally:
            server.should_exit = True
            thread.join(WAIT)
            assert not thread.is_alive()


def in_a_loop(main: Callable[[], Awaitable[T]]) -> T:
    """`asyncio.run` in a thread of its own: Playwright leaves a loop running in this one."""

    async def whole() -> T:
        return await main()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(whole())).result()


def all_at_once(place: Place, requests: list[bytes]) -> list[bytes]:
    """The first lines of the answers; every request is sent before an answer is read."""

    async def main() -> list[bytes]:
        lines = [await asyncio.open_connection("127.0.0.1", place.port) for _ in requests]
        for (_, writer), request in zip(lines, requests, strict=True):
            writer.write(request)
        found = [(await asyncio.wait_for(reader.readline(), WAIT)).strip() for reader, _ in lines]
        for _, writer in lines:
            writer.close()
        return found

    return in_a_loop(main)


def closed(line: socket.socket) -> bool:
    """Whether the other side ended it; waits for that."""
    with contextlib.suppress(ConnectionError):
        while line.recv(65536):
            pass
    return True


def test_who_says_nothing_or_not_all_of_it_is_let_go() -> None:
    with running(Limits(head_seconds=0.2, idle_seconds=0.2)) as place:
        whole = place.request()
        for begun in (b"", b"G", whole[:-2], b"\r\n", b"\x00"):
            with place.dial() as line:
                line.sendall(begun)
                assert closed(line)
        with place.dial() as line, contextlib.suppress(ConnectionError):
            for byte in whole[:-1] * 1000:
                line.sendall(bytes((byte,)))
                line.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    if not line.recv(1):
                        break
            else:
                raise AssertionError("a head of a byte at a time was listened to for ever")
        assert place.asked() == b"HTTP/1.1 200 OK"


def test_who_was_answered_and_says_nothing_more_is_let_go() -> None:
    with running(Limits(head_seconds=600, idle_seconds=0.2)) as place:
        begun = place.request()
        for stranger, more in ((False, b""), (False, begun[:9]), (True, b"x" * 20)):
            with place.dial() as line:
                body = place.request("/api/stop", "POST", "x", **{"content-length": "10000"}, cookie="none")
                line.sendall(body if stranger else begun)
                line.sendall(more)
                assert closed(line)


def test_strangers_who_say_nothing_do_not_keep_anybody_out() -> None:
    most = 2 * BACKLOG + 8
    with running(Limits(head_seconds=600, idle_seconds=600, connections=most)) as place, contextlib.ExitStack() as all_:
        own = http.client.HTTPConnection(place.host, timeout=WAIT)
        cookie = {"cookie": f"longhold_1={place.keys.cookie}"}
        own.request("GET", "/api/about", headers=cookie)
        assert own.getresponse().read()
        mine = own.sock
        silent = [all_.enter_context(place.dial()) for _ in range(most)]
        assert place.asked() == b"HTTP/1.1 200 OK"
        assert closed(silent[0]), "who has waited longest makes room"
        assert all_at_once(place, [place.request()] * 40) == [b"HTTP/1.1 200 OK"] * 40
        own.request("GET", "/api/about", headers=cookie)
        assert own.getresponse().status == 200
        assert own.sock is mine, "who was let in once stays while there are strangers to go"
        own.close()


def test_strangers_who_ask_do_not_use_up_what_is_there_for_the_page() -> None:
    with running(PATIENT) as place:
        stranger = place.request(cookie="longhold_1=wrong")
        assert all_at_once(place, [stranger] * 100) == [b"HTTP/1.1 403 Forbidden"] * 100
        assert place.asked() == b"HTTP/1.1 200 OK"


def test_two_hundred_requests_at_once_are_all_answered() -> None:
    with running(PATIENT) as place:
        assert all_at_once(place, [place.request()] * 200) == [b"HTTP/1.1 200 OK"] * 200


def test_beyond_a_bound_requests_are_refused_and_the_others_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longhold.web.guard.MOST_INSIDE", 3)
    inside, go_on = threading.Semaphore(0), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.release()
        await asyncio.to_thread(go_on.wait, WAIT)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with running(PATIENT, app) as place, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(place.asked) for _ in range(3)]
        assert all(inside.acquire(timeout=WAIT) for _ in range(3))
        assert place.asked() == b"HTTP/1.1 503 Service Unavailable"
        assert place.asked(place.request(cookie="none")) == b"HTTP/1.1 403 Forbidden"
        go_on.set()
        assert [answer.result() for answer in answers] == [b"HTTP/1.1 200 OK"] * 3
        assert place.asked() == b"HTTP/1.1 200 OK"


def test_who_does_not_take_the_answer_is_let_go() -> None:
    ended = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    with running(Limits(head_seconds=600, idle_seconds=0.2), app) as place, place.dial() as line:
        line.sendall(place.request())
        assert ended.wait(WAIT)


def reset(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@pytest.mark.parametrize("goes", [socket.socket.close, reset, lambda line: line.shutdown(socket.SHUT_WR)])
def test_event_streams_have_their_places_one_by_one_and_give_them_back(
    goes: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("longhold.web.trainer._COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with running(PATIENT) as place, contextlib.ExitStack() as all_:
        place.trainer.start(Corpus("t", "text", "utf-8", 1, ()), "t", "lstm", None)
        watch = place.request("/api/watch", "POST", "{}", accept="text/event-stream")
        lines = [all_.enter_context(place.dial()) for _ in range(3 * MOST_WATCHERS)]
        for line in lines:
            line.sendall(watch)
        firsts = [line.recv(12) for line in lines]
        assert firsts.count(b"HTTP/1.1 200") == MOST_WATCHERS
        assert firsts.count(b"HTTP/1.1 422") == 2 * MOST_WATCHERS
        assert place.asked() == b"HTTP/1.1 200 OK", "streams leave room for questions"
        for line in lines:
            goes(line)
        assert any(place.asked(watch) == b"HTTP/1.1 200 OK" for _ in range(1000)), "the places are free again"


class Transport(asyncio.Transport):
    """Of a connection that is not there but for its socket."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__({"socket": opened})


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT")
def test_the_system_ends_a_connection_to_a_machine_that_is_gone() -> None:
    async def main() -> int:
        config = uvicorn_config(lambda scope: None, Limits(idle_seconds=7))
        config.load()
        made: Any = config.http_protocol_class
        connection = made(config, ServerState(), {})
        with socket.socket() as opened:
            connection.connection_made(Transport(opened))
            connection.connection_lost(OSError())
            return opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)

    assert in_a_loop(main) == 7000
