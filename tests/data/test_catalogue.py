"""Fetching, against a server on this machine."""

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from longhold.data import catalogue, corpora
from longhold.data.catalogue import KNOWN, KnownCorpus, locate
from longhold.data.corpora import demo_corpus, load_corpus
from longhold.errors import InputError

BODY = b"The Time Traveller (for so it will be convenient to speak of him).\n" * 20
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
        self.url = f"http://127.0.0.1:{self.server.server_port}/timemachine.txt"

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
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    digest = hashlib.sha256(BODY).hexdigest()
    monkeypatch.setitem(KNOWN, "timemachine", replace(KNOWN["timemachine"], url=server.url, sha256=digest))
    yield server
    server.close()


def test_a_name_is_fetched_once_and_then_read_from_the_cache(server: Server, cache: Path) -> None:
    first = load_corpus("timemachine")
    assert first.text == BODY.decode()
    assert first.notes == (f"fetched from {server.url}",)
    assert [path.name for path in cache.iterdir()] == ["timemachine.txt"]
    again = load_corpus("timemachine")
    assert (again.text, again.notes, server.asked) == (first.text, (), 1)


def test_what_was_damaged_on_the_way_is_not_kept(server: Server, cache: Path) -> None:
    server.answer = send(BODY[:-1] + b"x")
    with pytest.raises(
        InputError, match=r"^cannot fetch timemachine from .* \(what came has another sha256\); give a file"
    ):
        load_corpus("timemachine")
    assert list(cache.iterdir()) == []


def test_a_damaged_cache_is_fetched_anew(server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "timemachine.txt").write_bytes(BODY[:100])
    assert load_corpus("timemachine").text == BODY.decode()
    assert server.asked == 1


def test_an_answer_without_the_file_is_one_line(server: Server) -> None:
    server.answer = lambda handler: handler.send_error(404)
    with pytest.raises(InputError, match=r"\(HTTPError\); give a file instead, or put it into .* as timemachine\.txt$"):
        load_corpus("timemachine")


def test_no_server_is_one_line(server: Server) -> None:
    server.close()
    with pytest.raises(InputError, match=r"\(ConnectionError\)"):
        load_corpus("timemachine")


def test_a_server_that_drips_is_left_in_time(server: Server) -> None:
    server.answer = drip
    began = time.monotonic()
    with pytest.raises(InputError, match=r"not there after 0\.3 s"):
        locate(KNOWN["timemachine"], seconds=0.3)
    assert time.monotonic() - began < 1.5


def test_a_cache_that_cannot_be_written_is_one_line(server: Server, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot fetch timemachine"):
        load_corpus("timemachine")


def test_a_bug_while_fetching_keeps_its_own_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise AttributeError("a bug")

    monkeypatch.setattr(catalogue.pooch, "retrieve", broken)
    with pytest.raises(AttributeError, match="a bug"):
        load_corpus("timemachine")


def test_the_demo_fetches_or_falls_back_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "_DEMO_SECONDS", 0.3)
    server.answer = drip
    began = time.monotonic()
    fallen = demo_corpus()
    assert time.monotonic() - began < 2
    assert fallen.name == "pydoc"
    assert len(fallen.text) > 300_000
    assert len(fallen.notes) == 1
    assert fallen.notes[0].startswith("The Time Machine was not to be had, so this is text from Python's own help: ")
    server.answer = send(BODY)
    monkeypatch.setattr(corpora, "_DEMO_SECONDS", 10.0)
    assert demo_corpus().name == "timemachine"


def test_the_data_folder_comes_before_cache_and_net(
    server: Server, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    (tmp_path / "timemachine.txt").write_bytes(BODY)
    assert locate(KNOWN["timemachine"]) == (tmp_path / "timemachine.txt", ())
    (tmp_path / "timemachine.txt").write_bytes(b"another text")
    corpus = load_corpus("timemachine")
    assert corpus.text == "another text"
    assert corpus.notes == (f"{tmp_path / 'timemachine.txt'} is not the usual text of that name: sha256 differs",)
    (tmp_path / "timemachine.txt").unlink()
    assert load_corpus("timemachine").text == BODY.decode()
    assert server.asked == 1


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
