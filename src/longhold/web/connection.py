"""One connection to the server: how long it may say nothing, and which one goes when there are too many.

uvicorn begins its clocks with the first answer. Until then a connection that says nothing, or its request a byte a
second, would stay for as long as it likes, and whoever opens enough of them shuts the others out.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, final

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from longhold.web.guard import is_admitted

BACKLOG = 128
"""Connections that the system holds until they are taken, and that are taken at a time."""

_UNANSWERED = "TCP_USER_TIMEOUT"  # not on every system


@final
@dataclass(frozen=True)
class Limits:
    """What a connection may take."""

    head_seconds: float = 10.0
    """from its beginning to the end of the first request's head"""
    idle_seconds: float = 30.0
    """from an answer to the end of the next request's head, and for the other side to take what is sent"""
    connections: int = 512
    """at a time; more than two times `BACKLOG`, so that one which speaks at once is heard before it could have to go"""


@final
class Door:
    """The connections of a server. Those that wait for a request make room for new ones, strangers first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}

    def come_in(self, connection: "Connection") -> None:
        """One more; where there are too many, the one that has waited longest goes."""
        self._all.add(connection)
        self.wait(connection)
        if len(self._all) > self.limits.connections:
            strangers = (waiting for waiting in self._waiting if not waiting.admitted)
            leaving = next(strangers, None) or next(iter(self._waiting))
            self.leave(leaving)
            leaving.transport.abort()

    def wait(self, connection: "Connection") -> None:
        """It waits for a request."""
        self._waiting[connection] = None

    def work(self, connection: "Connection") -> None:
        """It has one, which is being answered."""
        self._waiting.pop(connection, None)

    def leave(self, connection: "Connection") -> None:
        """It is gone."""
        self._all.discard(connection)
        self._waiting.pop(connection, None)


@final
class Connection(H11Protocol):
    """A connection whose clock runs whenever it waits for the other side."""

    def __init__(
        self,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.admitted = False
        """whether the guard has let a request of it through"""
        self._door = door
        self._clock: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._notice_a_lost_machine()
        self._clock = self.loop.call_later(self._door.limits.head_seconds, self._close)
        self._door.come_in(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        self._stop_clock()
        self._resume()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if not self._waits():
            self._stop_clock()
            self._door.work(self)

    def on_response_complete(self) -> None:
        self.admitted = self.admitted or is_admitted(self.scope)
        super().on_response_complete()
        if self._waits() and not self.transport.is_closing():
            self._stop_clock()
            self._clock = self.loop.call_later(self._door.limits.idle_seconds, self._close)
            self._door.wait(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self._door.limits.idle_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume()

    def _waits(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close(self) -> None:
        """What is sent already may still be taken, but not for ever."""
        self.transport.close()
        self.loop.call_later(self._door.limits.idle_seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _resume(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _notice_a_lost_machine(self) -> None:
        """Where the other machine is gone without a word, the system ends the connection once data stay unanswered."""
        opened = self.transport.get_extra_info("socket")
        option = getattr(socket, _UNANSWERED, None)
        if opened is not None and option is not None:
            opened.setsockopt(socket.IPPROTO_TCP, option, int(1000 * self._door.limits.idle_seconds))
