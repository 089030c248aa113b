"""Addresses, announcements and the real server on its socket."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.web.app import application
from longhold.web.guard import Keys
from longhold.web.model_session import ModelSession
from longhold.web.serve import (
    ServeConfig,
    Server,
    _ended_with_the_terminal,
    announcement,
    bind,
    hosts,
    serve,
    uvicorn_config,
)
from longhold.web.trainer import Trainer
from tests.web.small import text_model


def refused(config: ServeConfig) -> str:
    with pytest.raises(InputError) as caught:
        serve([("m", text_model())], config, lambda line: pytest.fail(line))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("host", ["192.0.2.7", "8.8.8.8", "2001:db8::1"])
def test_leaving_loopback_takes_a_flag(host: str) -> None:
    assert "--expose" in refused(ServeConfig(host=host, browser=False))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_at_once_are_refused_even_with_the_flag(host: str) -> None:
    assert "expected the one address" in refused(ServeConfig(host=host, expose=True, browser=False))


@pytest.mark.parametrize("host", ["", "example.com", "127.0.0.1:80", "127.0.0.256"])
def test_what_is_no_address_is_refused(host: str) -> None:
    assert "expected an address" in refused(ServeConfig(host=host, browser=False))


def test_an_address_of_another_machine_and_a_taken_port_are_refused() -> None:
    assert "cannot listen at 192.0.2.7:8765" in refused(ServeConfig(host="192.0.2.7", expose=True, browser=False))
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        said = refused(ServeConfig(port=port, browser=False))
    assert f"cannot listen at 127.0.0.1:{port}" in said
    assert "--port 0" in said


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(InputError, match=f"port={port}"):
        ServeConfig(port=port)


def test_the_hosts_are_an_exact_list() -> None:
    assert hosts("127.0.0.1", 80) == ("127.0.0.1", "localhost")
    assert hosts("127.0.0.1", 8765) == ("127.0.0.1:8765", "localhost:8765")
    assert hosts("::1", 8765) == ("[::1]:8765", "127.0.0.1:8765", "localhost:8765")
    assert hosts("192.0.2.7", 8765) == ("192.0.2.7:8765",)


def test_over_ssh_the_tunnel_is_said_first() -> None:
    lines = announcement("http://x/", 8765, ServeConfig(), "192.0.2.1 50000 192.0.2.9 22")
    assert re.fullmatch(r"on your own machine: ssh -L 8765:127\.0\.0\.1:8765 \S+@192\.0\.2\.9", lines[0])
    assert lines[1] == "open http://x/"
    assert announcement("http://x/", 8765, ServeConfig(), "")[0] == "open http://x/"
    assert "THIS_MACHINE" in announcement("http://x/", 8765, ServeConfig(), "odd")[0]
    assert any("not encrypted" in line for line in announcement("http://x/", 8765, ServeConfig(expose=True), ""))


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    text_model().save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_the_command_serves_until_ctrl_c(model_file: Path) -> None:
    command = [sys.executable, "-m", "longhold", "ui", str(model_file), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            match = re.fullmatch(r"open http://127\.0\.0\.1:(\d+)(/\?token=\S+)\n", server.stderr.readline())
            assert match is not None
            asked = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=20)
            asked.request("GET", match[2])
            opened = asked.getresponse()
            opened.read()
            assert opened.status == 303
            asked.request("GET", "/api/about", headers={"cookie": opened.headers["set-cookie"].split(";")[0]})
            answer = asked.getresponse()
            assert answer.status == 200
            assert b'"name":"small"' in answer.read()
            assert answer.headers["server"] is None
            asked.request("GET", "/api/about")
            assert asked.getresponse().status == 403
            asked.close()
            raw = socket.create_connection(("127.0.0.1", int(match[1])), timeout=20)
            raw.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 403")
            raw.close()
        finally:
            server.send_signal(signal.SIGINT)
            _, rest = server.communicate(timeout=20)
    assert server.returncode in (0, 130)
    assert "Traceback" not in rest


def test_a_server_that_ends_ends_its_training_and_its_streams(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("longhold.web.trainer._COMMAND", (sys.executable, "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trainer, keys = Trainer(ModelSession([])), Keys(1)
    with bind("127.0.0.1", 0) as bound:
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        server = Server(uvicorn_config(application(trainer._session, trainer, [host], keys)), trainer)
        running = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        running.start()
        training = trainer.start(Corpus("t", "text", "utf-8", 1, ()), "t", "lstm", None)
        assert list(tmp_path.iterdir())
        asked = http.client.HTTPConnection(host, timeout=60)
        own = {"origin": f"http://{host}", "content-type": "application/json", "cookie": f"longhold_1={keys.cookie}"}
        asked.request("POST", "/api/watch", "{}", own)
        answer = asked.getresponse()
        assert b'"state":"starting"' in answer.readline()
        server.handle_exit(signal.SIGTERM, None)
        running.join(60)
        assert not running.is_alive()
        assert b"data" not in answer.read(), "the stream ended as streams do"
        asked.close()
    assert training.state == "failed"
    assert list(tmp_path.iterdir()) == []
    assert "timeout graceful" not in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_closed_terminal_ends_the_server_in_order() -> None:
    server = Server(uvicorn_config(None), Trainer(ModelSession([])))
    before, passed_on = signal.getsignal(signal.SIGHUP), []
    signal.signal(signal.SIGHUP, lambda number, frame: passed_on.append(number))
    try:
        with _ended_with_the_terminal(server):
            os.kill(os.getpid(), signal.SIGHUP)
            assert server.should_exit
            assert passed_on == []
        assert passed_on == [signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with _ended_with_the_terminal(unasked := Server(uvicorn_config(None), Trainer(ModelSession([])))):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not unasked.should_exit
    finally:
        signal.signal(signal.SIGHUP, before)
