"""Texts known by name: what comes with the package, and fetching, against a server on this machine."""

import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longhold.data import catalogue
from longhold.data.catalogue import KNOWN, KnownCorpus, locate, packed_text
from longhold.data.corpora import Corpus, demo_corpus, load_corpus
from longhold.errors import InputError

BODY = b"First Citizen: Before we proceed any further, hear me speak.\n" * 20
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server:
    """One file, given as `answer` says; counts how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: Answer = send(BODY)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/tinyshakespeare.txt"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def send(body: bytes) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(40):
        try:
            handler.wfile.write(b"x")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.05)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no data folder, no proxy."""
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(catalogue, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*args: object) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    digest = hashlib.sha256(BODY).hexdigest()
    monkeypatch.setitem(KNOWN, "tinyshakespeare", replace(KNOWN["tinyshakespeare"], url=server.url, sha256=digest))
    yield server
    server.close()


def test_a_name_is_fetched_once_and_then_read_from_the_cache(server: Server, cache: Path) -> None:
    first = load_corpus("tinyshakespeare")
    assert first.text == BODY.decode()
    assert first.notes == (f"fetched from {server.url}",)
    assert [path.name for path in cache.iterdir()] == ["tinyshakespeare.txt"]
    again = load_corpus("tinyshakespeare")
    assert (again.text, again.notes, server.asked) == (first.text, (), 1)


def test_what_was_damaged_on_the_way_is_not_kept(server: Server, cache: Path) -> None:
    server.answer = send(BODY[:-1] + b"x")
    with pytest.raises(
        InputError, match=r"^cannot fetch tinyshakespeare from .* \(what came has another sha256\); give a file"
    ):
        load_corpus("tinyshakespeare")
    assert list(cache.iterdir()) == []


def test_a_damaged_cache_is_fetched_anew(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "tinyshakespeare.txt").write_bytes(BODY[:100])
    assert load_corpus("tinyshakespeare").text == BODY.decode()
    assert server.asked == 1


def test_an_answer_without_the_file_is_one_line(server: Server) -> None:
    server.answer = lambda handler: handler.send_error(404)
    with pytest.raises(
        InputError, match=r"\(HTTPError\); give a file instead, or put it into .* as tinyshakespeare\.txt$"
    ):
        load_corpus("tinyshakespeare")


def test_no_server_is_one_line(server: Server) -> None:
    server.close()
    with pytest.raises(InputError, match=r"\(ConnectionError\)"):
        load_corpus("tinyshakespeare")


def test_a_server_that_drips_is_left_in_time(server: Server) -> None:
    server.answer = drip
    with pytest.raises(InputError, match=r"not there after 0\.3 s"):
        locate(KNOWN["tinyshakespeare"], seconds=0.3)


def test_a_cache_that_cannot_be_written_is_one_line(server: Server, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot fetch tinyshakespeare"):
        load_corpus("tinyshakespeare")


def test_a_bug_while_fetching_keeps_its_own_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise AttributeError("a bug")

    monkeypatch.setattr(catalogue.pooch, "retrieve", broken)
    with pytest.raises(AttributeError, match="a bug"):
        load_corpus("tinyshakespeare")


def test_the_data_folder_comes_before_cache_and_net(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_bytes(BODY)
    assert locate(KNOWN["tinyshakespeare"]) == (tmp_path / "tinyshakespeare.txt", ())
    (tmp_path / "tinyshakespeare.txt").write_bytes(b"another text")
    corpus = load_corpus("tinyshakespeare")
    assert corpus.text == "another text"
    assert corpus.notes == (f"{tmp_path / 'tinyshakespeare.txt'} is not the usual text of that name: sha256 differs",)
    (tmp_path / "tinyshakespeare.txt").unlink()
    assert load_corpus("tinyshakespeare").text == BODY.decode()
    assert server.asked == 1


@pytest.mark.usefixtures("no_network")
def test_the_time_machine_comes_with_the_package(cache: Path) -> None:
    raw = packed_text(KNOWN["timemachine"])
    assert raw is not None
    assert len(raw) == 178_979
    assert hashlib.sha256(raw).hexdigest() == "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516"
    corpus = load_corpus("timemachine")
    assert corpus == Corpus("timemachine", raw.decode("ascii"), "utf-8", 1, ())
    assert demo_corpus() == corpus
    assert not cache.exists()


@pytest.mark.usefixtures("cache", "no_network")
def test_the_demo_s_text_is_the_same_whatever_else_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("timemachine", "timemachine.txt"):
        (tmp_path / name).write_bytes(b"another text")
    assert demo_corpus().text.startswith("The Time Machine, by H. G. Wells")
    (tmp_path / "timemachine").unlink()
    (note,) = load_corpus("timemachine").notes
    assert note == f"{tmp_path / 'timemachine.txt'} is not the usual text of that name: sha256 differs"


@pytest.mark.parametrize("entry", KNOWN.values(), ids=list(KNOWN))
def test_what_is_fetched_comes_by_https_and_has_a_digest(entry: KnownCorpus) -> None:
    assert entry.url is None or entry.url.startswith("https://")
    assert len(bytes.fromhex(entry.sha256)) == 32


@pytest.mark.parametrize("name", ["hongloumeng", "lunyu", "tangshi300"])
def test_local_texts_are_never_fetched(cache: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name} is only read from zh/{name}\.txt in the folder LONGHOLD_DATA"):
        load_corpus(name)


@pytest.mark.parametrize("entry", KNOWN.values(), ids=list(KNOWN))
def test_the_table_describes_the_shared_texts(entry: KnownCorpus, pytestconfig: pytest.Config) -> None:
    path = pytestconfig.rootpath.parent / "shared" / "data" / entry.file
    if not path.exists():
        pytest.skip("the shared texts are not on this machine")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
