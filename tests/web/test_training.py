"""What the page asks about training, over HTTP; the process that would train is a few lines of Python here."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

import longhold
from longhold.web.guard import LARGEST_UPLOAD
from longhold.web.training import LONGEST_BUDGET, MOST_WATCHERS, title
from tests.web.small import OWN, ask, client_of, refused, text_model

BYTES = {**OWN, "content-type": "application/octet-stream"}
TEXT = "Some text, 甲乙丙, to be trained on. " * 8
PROGRAM = """
import json, shutil, sys
order = json.loads(sys.stdin.readline())
def step(n, held_out, sample=None):
    told = dict(step=n, steps=2, training=3.0, held_out=held_out, sample=sample)
    print(json.dumps({"progress": {**told, "seconds": 1, "left": 2 - n, "rate": 5, "diagnosis": None}}), flush=True)
step(1, 4.0, "</script>\\u202e")
if order["budget_seconds"] == 99: sys.stdin.readlines()
step(2, 3.5)
shutil.copyfile(MODEL, order["output"])
print(json.dumps({"end": dict(state="done", kept=True, best=3.5, words=1.0, early=False, diagnosis=None)}), flush=True)
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    text_model("rnn").save(tmp_path / "made.safetensors")
    program = f"MODEL = {str(tmp_path / 'made.safetensors')!r}\n{PROGRAM}"
    monkeypatch.setattr("longhold.web.trainer._COMMAND", (sys.executable, "-X", "utf8", "-c", program))
    made = client_of()
    yield made
    made.trainer.close()  # type: ignore[attr-defined]


def sent(client: TestClient, raw: bytes = TEXT.encode(), **options: Any) -> Any:
    answer = client.post("/api/text", content=raw, headers=BYTES, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def watched(client: TestClient) -> list[Any]:
    """Every event until the training is over."""
    answer = client.post("/api/watch", json={}, headers={**OWN, "accept": "text/event-stream"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.isascii()
    events = answer.text.split("\n\n")
    assert events.pop() == ""
    return [json.loads(event.removeprefix("data: ")) for event in events if event != ":"]


def test_from_a_text_to_a_model_to_look_into_and_to_take_away(client: TestClient, tmp_path: Path) -> None:
    told = sent(client)
    assert (told["characters"], told["encoding"], told["preview"]) == (len(TEXT), "utf-8", TEXT[:240])
    ask(client, "train", text=told["text"], title="/home/me/diary.txt", cell="gru")
    events = watched(client)
    assert [point for event in events for point in event["training"]] == [[1, 3.0], [2, 3.0]]
    assert [point for event in events for point in event["held_out"]] == [[1, 4.0], [2, 3.5]]
    assert [point for event in events for point in event["samples"]] == [[1, "</script>\u202e"]]
    assert events[-1]["state"] == "done"
    assert (events[-1]["name"], events[-1]["model"]) == ("diary.txt", 1)
    about = client.get("/api/about").json()
    assert [model["name"] for model in about["models"]] == ["model 0", "diary.txt"]
    assert about["training"] == "done"
    assert "".join(ask(client, "trace", model=1, text="some text")["pieces"]) == "some text"
    answer = client.get("/api/file/1")
    assert answer.headers["content-disposition"] == "attachment"
    (tmp_path / "got.safetensors").write_bytes(answer.content)
    assert longhold.load(tmp_path / "got.safetensors").model.config.cell == "rnn"
    assert watched(client)[-1]["training"] == [[1, 3.0], [2, 3.0]], "who comes later is told all"


def test_a_second_training_is_refused_and_the_first_can_be_cancelled(client: TestClient) -> None:
    name = sent(client)["text"]
    ask(client, "train", text=name, seconds=99)
    assert "one training at a time" in refused(client, "train", text=name)
    ask(client, "cancel")
    client.trainer.close()  # type: ignore[attr-defined]
    assert "about to end" in refused(client, "train", text=name)


def test_what_cannot_be_trained_on_is_refused(client: TestClient) -> None:
    name = sent(client)["text"]
    assert "no longer here" in refused(client, "train", text="x")
    assert "no longer here" in refused(client, "forecast", text="../../etc/passwd")
    for cell in ("", "LSTM", "../x", "transformer"):
        assert "cell" in refused(client, "train", text=name, cell=cell)
        assert "cell" in refused(client, "forecast", text=name, cell=cell)
    for seconds in (0, -1, 0.5, LONGEST_BUDGET + 1, "x", 1e300):
        assert "seconds" in refused(client, "train", text=name, seconds=seconds)
        assert "seconds" in refused(client, "forecast", text=name, seconds=seconds)
    assert "path" in refused(client, "train", text=name, path="/etc/passwd")
    assert client.get("/api/about").json()["training"] is None


def test_a_wrong_encoding_is_refused_and_a_right_one_taken(client: TestClient) -> None:
    raw = "naïve".encode("cp1252")
    assert sent(client, raw, params={"encoding": "cp1251"})["preview"] == "naпve"
    for encoding, line in (("utf-8", "not utf-8"), ("rot13", "expected one of utf-8"), ("../x", "expected one of")):
        answer = client.post("/api/text", content=raw, headers=BYTES, params={"encoding": encoding})
        assert answer.status_code == 422
        assert line in answer.json()["error"]


def test_there_is_nothing_to_watch_and_no_file_before_a_training(client: TestClient) -> None:
    assert refused(client, "watch") == "no training to watch"
    assert ask(client, "cancel") == {}
    for number in ("0", "1", "99999999999999999999"):
        answer = client.get(f"/api/file/{number}")
        assert answer.status_code == 422
        assert "was not trained here" in answer.json()["error"]
    for number in ("x", "-1", "..%2f..%2fetc%2fpasswd", ""):
        assert client.get(f"/api/file/{number}").status_code == 404


def test_watchers_are_counted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(client, "train", text=sent(client)["text"])
    for _ in range(MOST_WATCHERS + 2):
        watched(client)  # those that have ended don't count
    monkeypatch.setattr("longhold.web.training.MOST_WATCHERS", 0)
    assert "pages are watching" in refused(client, "watch")


HOSTILE: list[Callable[[torch.Generator], bytes]] = [
    lambda random: bytes(torch.randint(256, (300,), generator=random).tolist()),
    lambda random: "\udc80\ud800".encode("utf-16-le", "surrogatepass") * 50,
    lambda random: b"\xff\xfe" + bytes(torch.randint(256, (201,), generator=random).tolist()),
    lambda random: ("</script><img src=x onerror=alert(1)>" * 9).encode(),
    lambda random: "".join(map(chr, torch.randint(0xD7FF, (250,), generator=random).tolist())).encode(),
    lambda random: b"\x00" * 5000,
    lambda random: ("\u202e\u2066" * 200).encode(),
    lambda random: b"\xef\xbb\xbf" + b"a" * 100_000,
    lambda random: b"{" * 3000,
    lambda random: b"",
]


def test_two_hundred_hostile_texts_leave_it_up(client: TestClient) -> None:
    random = torch.Generator().manual_seed(1)
    for count in range(200):
        raw = HOSTILE[count % len(HOSTILE)](random)
        answer = client.post("/api/text", content=raw, headers=BYTES)
        assert answer.status_code in (200, 422), raw
        if answer.status_code == 200:
            assert answer.json()["characters"] > 0
        else:
            assert "\n" not in answer.json()["error"]
    assert sent(client)["characters"] == len(TEXT)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("diary.txt", "diary.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\日记.txt", "日记.txt"),
        ("a\x00\n\u202eb\ud800", "ab"),
        ("", "text"),
        ("///", "text"),
        ("x" * 500, "x" * 60),
    ],
)
def test_a_title_is_no_path(given: str, shown: str) -> None:
    assert title(given) == shown


def test_the_page_knows_the_limits(client: TestClient) -> None:
    about = client.get("/api/about").json()
    assert about["largest_text"] == LARGEST_UPLOAD
    assert about["shortest_text"] == 200
    for encoding in about["encodings"]:
        assert "x".encode(encoding)
