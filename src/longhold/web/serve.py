"""The server on its socket: addresses, the line for the terminal, the browser, the end."""

import asyncio
import ipaddress
import math
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import final

import uvicorn
from pydantic import Field

from longhold.config import Config
from longhold.errors import InputError
from longhold.files import make_folder, require_folder
from longhold.hangup import HANGUP, is_unwanted, leave_terminal
from longhold.text import TextModel
from longhold.web.app import application
from longhold.web.connection import BACKLOG, Connection, Door, Limits
from longhold.web.guard import Keys
from longhold.web.model_session import ModelSession
from longhold.web.trainer import Trainer


@final
class ServeConfig(Config):
    """Where the page is served."""

    host: str = "127.0.0.1"
    """address to listen at; anything but a loopback address needs `expose`"""
    port: int = Field(default=8765, ge=0, le=65535)
    """port; 0: any that is free"""
    expose: bool = False
    """whether other machines may come in: what they see and send is not encrypted"""
    browser: bool = True
    """whether to open a browser; never over SSH"""
    folder: Path | None = None
    """where models trained in the page are kept; None: nowhere longer than the server runs"""
    device: str = "cpu"
    """where the page trains"""


def serve(models: Sequence[tuple[str, TextModel]], config: ServeConfig, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        models: each with the name it is shown by.
        config: where.
        say: takes the lines for the person.

    Raises:
        InputError: the address is not one of this machine or is taken, or is not loopback and `expose` was not set; or
            the folder for models cannot be used.
    """
    session = ModelSession(models)
    folder = None if config.folder is None else _writable(config.folder)
    address = _address(config)
    with bind(address, config.port) as bound:
        port = bound.getsockname()[1]
        names = hosts(address, port)
        keys = Keys(port, lambda token: say(f"for another browser: http://{names[0]}/?token={token}"))
        url = f"http://{names[0]}/?token={keys.token}"
        for line in announcement(url, port, config, os.environ.get("SSH_CONNECTION", "")):
            say(line)
        if config.browser and not os.environ.get("SSH_CONNECTION"):
            webbrowser.open(url)
        trainer = Trainer(session, folder, config.device)
        server = Server(uvicorn_config(application(session, trainer, names, keys)), trainer)
        try:
            with _ended_with_the_terminal(server):
                server.run(sockets=[bound])
        finally:
            trainer.close()


@final
class Server(uvicorn.Server):
    """A server whose training and temporary files end with it.

    Its event streams end at the signal, so that it need not wait for them. The rest is done before uvicorn passes
    the signal on, which is the end of the process for SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, trainer: Trainer) -> None:
        super().__init__(config)
        self._trainer = trainer

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C and its like."""
        self._trainer.leave()
        super().handle_exit(sig, frame)

    def handle_hangup(self) -> None:
        """The terminal is gone."""
        self._trainer.leave()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """After the last request."""
        await super().shutdown(sockets)
        await asyncio.to_thread(self._trainer.close)


@contextmanager
def _ended_with_the_terminal(server: Server) -> Iterator[None]:
    """A terminal that is closed ends the server as Ctrl-C does; uvicorn knows no such signal."""
    if HANGUP is None or is_unwanted() or threading.current_thread() is not threading.main_thread():
        yield
        return
    hung_up: list[int] = []

    def hang_up(number: int, frame: FrameType | None) -> None:
        hung_up.append(number)
        leave_terminal()
        server.handle_hangup()

    before = signal.signal(HANGUP, hang_up)
    try:
        yield
    finally:
        signal.signal(HANGUP, before)
        if hung_up:
            signal.raise_signal(HANGUP)


def uvicorn_config(app: object, limits: Limits | None = None) -> uvicorn.Config:
    """uvicorn without sockets, proxies, logs of requests, or a name in its answers; with clocks on its connections."""
    limits = _affordable(limits or Limits())
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=partial(Connection, Door(limits)),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_level="error",  # strangers could fill the terminal with warnings
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=1,
    )


def _affordable(limits: Limits) -> Limits:
    """With at most half as many connections as the process may open files."""
    try:
        import resource
    except ModuleNotFoundError:  # there is none on Windows
        return limits
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = limits.connections if files == resource.RLIM_INFINITY else min(limits.connections, files // 2)
    return replace(limits, connections=max(1, most))


def hosts(address: str, port: int) -> tuple[str, ...]:
    """The Host headers by which the server may be addressed, the one to print first."""
    if not ipaddress.ip_address(address).is_loopback:
        return (_with_port(address, port),)
    return tuple(dict.fromkeys(_with_port(name, port) for name in (address, "127.0.0.1", "localhost")))


def announcement(url: str, port: int, config: ServeConfig, ssh: str) -> list[str]:
    """What the terminal says: the address, and over SSH (`SSH_CONNECTION`) how to reach it."""
    lines = [f"open {url}"]
    if ssh and not config.expose:
        parts = ssh.split()
        server = parts[2] if len(parts) == 4 else "THIS_MACHINE"
        lines.insert(0, f"on your own machine: ssh -L {port}:127.0.0.1:{port} {os.environ.get('USER', 'YOU')}@{server}")
    if config.expose:
        lines.append("other machines can reach this address, and what they send is not encrypted")
    return [*lines, "Ctrl-C ends it"]


def bind(address: str, port: int) -> socket.socket:
    """A socket that listens; InputError where it cannot."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen at {_with_port(address, port)}: {(error.strerror or str(error)).lower()}; "
            "--port 0 takes one that is free"
        ) from None
    return bound


def _writable(folder: Path) -> Path:
    try:
        require_folder(folder, {})
        return make_folder(folder).resolve()
    except InputError as error:
        raise InputError(f"cannot keep models in {folder}: {error}") from None


def _address(config: ServeConfig) -> str:
    name = "127.0.0.1" if config.host == "localhost" else config.host.strip("[]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        raise InputError(f"host {config.host!r}: expected an address such as 127.0.0.1") from None
    if address.is_unspecified:
        raise InputError(f"host {config.host}: expected the one address that people will type, not all of them")
    if not address.is_loopback and not config.expose:
        raise InputError(f"host {config.host} lets other machines in, unencrypted: add --expose if that is wanted")
    return str(address)


def _with_port(address: str, port: int) -> str:
    name = f"[{address}]" if ":" in address else address
    return name if port == 80 else f"{name}:{port}"
