"""What the page is told, against the model asked directly, and what it is refused."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient
from torch.nn import functional as F

from longhold.data.lines import as_read
from longhold.data.tokenizers import CharTokenizer
from longhold.errors import InputError
from longhold.inspection import text_properties, time_constants, unit_scores
from longhold.models import LanguageModelConfig
from longhold.text import TextModel
from longhold.web.model_session import CACHED, LONGEST_TEXT, OWN_SAMPLE, SAMPLES, ModelSession, numeral
from tests.inspection.calibration import DelayLine
from tests.web.small import OWN, TEXT, ask, client_of, refused, text_model


@pytest.fixture(scope="module")
def model() -> TextModel:
    return text_model()


@pytest.fixture(scope="module")
def client(model: TextModel) -> TestClient:
    return client_of(model, text_model("gru"), text_model("rnn"))


@pytest.fixture
def trace(client: TestClient) -> str:
    return str(ask(client, "trace", model=0, text=TEXT)["trace"])


def near(values: Any) -> Any:
    return pytest.approx(values, rel=1e-4, abs=1e-5)


def test_what_is_there(client: TestClient) -> None:
    told = client.get("/api/about").json()
    assert told["longest_text"] == LONGEST_TEXT
    assert [(each["name"], each["cell"], each["layers"], each["units"]) for each in told["models"]] == [
        ("model 0", "LSTM", 2, 8),
        ("model 1", "GRU", 2, 8),
        ("model 2", "RNN", 2, 8),
    ]
    assert told["models"][0]["parameters"] == sum(p.numel() for p in text_model().model.parameters())


def model_of(text: str) -> TextModel:
    tokenizer = CharTokenizer.train(text)
    return TextModel(LanguageModelConfig(cell="gru", hidden_size=4, vocab_size=tokenizer.vocab_size).build(), tokenizer)


def test_the_text_to_open_with_is_one_that_the_model_can_spell() -> None:
    def samples(model: TextModel) -> dict[str, str]:
        found = ModelSession([("it", model)]).about()["models"][0]["samples"]
        assert found.keys() == SAMPLES.keys()
        return dict(found)

    english, chinese = (model_of(SAMPLES[language] * 3) for language in ("en", "zh-Hans"))
    assert set(samples(english).values()) == {SAMPLES["en"]}
    assert set(samples(chinese).values()) == {SAMPLES["zh-Hans"]}
    assert samples(model_of("".join(SAMPLES.values()) * 3)) == SAMPLES
    russian = model_of("На берегу пустынных волн стоял он, дум великих полн. " * 3)
    own = set(samples(russian).values())
    assert own == {"".join(russian.write(length=OWN_SAMPLE, seed=0))}
    assert own.isdisjoint(SAMPLES.values())


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_trace_has_the_pieces_and_their_surprise(client: TestClient, index: int) -> None:
    text = TEXT + "Ω🙂é"
    told = ask(client, "trace", model=index, text=text)
    expected = text_model(("lstm", "gru", "rnn")[index]).trace(text)
    assert "".join(told["pieces"]) == text
    assert told["starts"] == [piece.start for piece in expected.pieces]
    sums = [float(expected.bits[piece.start : piece.stop].sum()) for piece in expected.pieces]
    assert told["bits"] == near(sums)
    assert told["tokens"] == len(expected.ids) == len(TEXT) + 2 + 4 + 2
    assert told["bits_per_character"] == near(float(expected.bits.sum()) / len(text))
    assert told["bits_per_byte"] == near(float(expected.bits.sum()) / len(text.encode()))
    assert told["unknown"] == ["Ω", "🙂", "é"]


def test_line_ends_are_read_as_training_reads_them(client: TestClient) -> None:
    plain, other = TEXT * 120, TEXT.replace("\n", "\r\n") * 120
    traces = [ask(client, "trace", model=0, text=text) for text in (plain, other)]
    assert {**traces[0], "trace": ""} == {**traces[1], "trace": ""}
    assert ask(client, "units", model=0, text=plain) == ask(client, "units", model=0, text=other)


def test_a_step_has_the_odds_before_and_after_and_every_number(
    client: TestClient, model: TextModel, trace: str
) -> None:
    expected = model.trace(TEXT)
    for place in (0, 7, len(TEXT) - 1):
        told = ask(client, "step", trace=trace, place=place)
        assert told["token"] == expected.tokens[place]
        assert told["bits"] == near(float(expected.bits[place]))
        assert told["rank"] == int(expected.rank[place])
        assert told["expected"] == [[odds.token, near(odds.probability)] for odds in expected.odds(place)]
        assert told["next"] == [[odds.token, near(odds.probability)] for odds in expected.odds(place + 1)]
        for layer, numbers in enumerate(told["layers"]):
            stacks = {**expected.gates._asdict(), "c": expected.c, "h": expected.h}
            assert numbers == {name: near(stack[layer, place].tolist()) for name, stack in stacks.items()}
            assert list(numbers) == ["i", "f", "g", "o", "c", "h"]


def test_a_unit_is_the_same_numbers_the_other_way(client: TestClient, model: TextModel, trace: str) -> None:
    expected = model.trace(TEXT)
    told = ask(client, "unit", trace=trace, layer=1, unit=3, quantity="f")
    assert told["values"] == near(expected.gates.f[1, :, 3].tolist())
    assert ask(client, "unit", trace=trace, layer=0, unit=7, quantity="c")["values"] == near(
        expected.c[0, :, 7].tolist()
    )


@pytest.mark.parametrize("place", [1, 2, 20])
def test_the_gradient_by_lag_is_that_of_the_surprise_by_one_hot_inputs(
    client: TestClient, model: TextModel, trace: str, place: int
) -> None:
    told = ask(client, "lag", trace=trace, place=place)
    expected = model.trace(TEXT)
    ids = torch.tensor([expected.begin, *expected.ids[:place]])
    twin = text_model().model.double()
    vectors = F.one_hot(ids, model.tokenizer.vocab_size).double()[:, None].requires_grad_()
    features, _ = twin.layer(vectors)
    nats = F.cross_entropy(twin.output(features)[-1], torch.tensor([expected.ids[place]]))
    (gradient,) = torch.autograd.grad(nats, vectors)
    assert told["lags"] == list(range(place + 1))
    assert told["by_input"] == near(gradient[:, 0].norm(dim=1).flip(0).tolist())
    assert told["by_state"][0] is None
    assert all(value > 0 for value in told["by_state"][1:])
    assert float(nats.detach()) / math.log(2) == near(float(expected.bits[place]))


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 1, 9])
def test_the_equations_are_those_of_the_traced_step(client: TestClient, index: int, place: int) -> None:
    name = ask(client, "trace", model=index, text=TEXT)["trace"]
    expected = text_model(("lstm", "gru", "rnn")[index]).trace(TEXT)
    for layer in (0, 1):
        told = ask(client, "equations", trace=name, place=place, layer=layer, unit=5)
        assert told["h"] == near(float(expected.h[layer, place, 5]))
        if place:
            assert told["h_before"] == near(float(expected.h[layer, place - 1, 5]))
        gates = {} if expected.gates is None else expected.gates._asdict()
        for gate in told["gates"]:
            assert gate["value"] == near(float(gates.get(gate["gate"], expected.h)[layer, place, 5]))


@pytest.mark.parametrize(("index", "gate"), [(0, "f"), (1, "z")])
def test_the_time_constants_are_the_instruments(client: TestClient, index: int, gate: str) -> None:
    told = ask(client, "constants", trace=ask(client, "trace", model=index, text=TEXT)["trace"])
    made = text_model(("lstm", "gru")[index])
    expected = made.trace(TEXT)
    found = time_constants(made.model, torch.tensor([[expected.begin], *([token] for token in expected.ids)]))
    assert told["gate"] == gate
    for layer, numbers in enumerate(told["layers"]):
        assert numbers["by_bias"] == near(found.by_bias[layer].tolist())
        assert numbers["along_text"] == near(found.along_path[layer].tolist())


def test_an_rnn_has_no_time_constants(client: TestClient) -> None:
    name = ask(client, "trace", model=2, text=TEXT)["trace"]
    assert "has no gate that keeps its state" in refused(client, "constants", trace=name)


def test_units_are_scored_on_a_long_text_and_else_on_the_models_own_writing(
    client: TestClient, model: TextModel
) -> None:
    text = (TEXT * 90)[:2500]
    told = ask(client, "units", model=0, text=text)
    assert not told["own"]
    assert (told["quantity"], told["steps"]) == ("c", len(text))
    states = model.trace(text).c
    for name, labels in text_properties(text).items():
        expected = unit_scores(states, torch.from_numpy(labels))
        assert [(unit["layer"], unit["unit"]) for unit in told["properties"][name]["units"]] == [
            (unit.layer, unit.unit) for unit in expected.units
        ]
        assert told["properties"][name]["units"][0]["held_out"] == near(expected.units[0].held_out)
    own = ask(client, "units", model=2, text="short")
    assert own["own"]
    assert own["quantity"] == "h"
    assert 1000 < own["steps"] <= 4000


def written(client: TestClient) -> dict[str, str]:
    """The job once it has ended."""
    for _ in range(1000):
        job: dict[str, str] = client.get("/api/job").json()
        if job["state"] != "running":
            return job
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_the_model_goes_on_with_the_text(client: TestClient) -> None:
    begun = ask(client, "write", model=0, text=TEXT, length=40, temperature=0)
    assert begun["kind"] == "write"
    job = written(client)
    assert (job["state"], job["error"]) == ("done", "")
    assert job["text"] == "".join(text_model().write(TEXT, length=40, temperature=0))


def test_what_the_model_goes_on_with_is_utf8() -> None:
    client = client_of(text_model())
    ask(client, "write", model=0, text=TEXT, length=300, temperature=2)
    text = written(client)["text"]
    assert "\ufffd" not in text
    assert any(len(character.encode()) == 4 for character in text)


def test_a_job_can_be_stopped_and_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(model: TextModel, *arguments: object, **options: object) -> Iterator[str]:
        while True:
            time.sleep(0.001)
            yield "x"

    monkeypatch.setattr(TextModel, "write", write)
    client = client_of()
    ask(client, "write", model=0)
    assert "one job at a time" in refused(client, "write", model=0)
    assert ask(client, "trace", model=0, text="abc")["tokens"] == 3, "questions are answered meanwhile"
    ask(client, "stop")
    assert written(client)["state"] == "stopped"
    ask(client, "write", model=0)
    ask(client, "stop")
    assert written(client)["state"] == "stopped"


def test_a_job_that_cannot_be_done_says_why(client: TestClient) -> None:
    surrogate = b'{"model": 0, "text": "\\ud800"}'
    answer = client.post("/api/write", content=surrogate, headers={**OWN, "content-type": "application/json"})
    assert answer.status_code == 200
    job = written(client)
    assert job["state"] == "failed"
    assert "U+D800" in job["error"]


def test_traces_that_are_too_old_are_forgotten(client: TestClient) -> None:
    names = [ask(client, "trace", model=0, text="abc")["trace"] for _ in range(CACHED + 1)]
    assert len(set(names)) == CACHED + 1
    assert "read the text again" in refused(client, "step", trace=names[0], place=0)
    assert ask(client, "step", trace=names[1], place=0)["token"] == "a"


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("trace", {"model": 9, "text": "a"}, "model 9: expected 0 to 2"),
        ("trace", {"model": -1, "text": "a"}, "model=-1"),
        ("trace", {"model": "0x", "text": "a"}, "model='0x'"),
        ("trace", {"model": 0, "text": ""}, "empty"),
        ("trace", {"model": 0, "text": 5}, "text=5"),
        ("trace", {"model": 0}, "text is missing"),
        ("trace", {"model": 0, "text": "a", "path": "/etc/passwd"}, "unknown option 'path'"),
        ("trace", {"model": 0, "text": "a" * (LONGEST_TEXT + 1)}, f"at most {LONGEST_TEXT}"),
        ("trace", {"model": 0, "text": "a\ud800"}, "U+D800"),
        ("step", {"trace": "nobody", "place": 0}, "read the text again"),
        ("write", {"model": 0, "length": 10**9}, "length=1000000000"),
        ("write", {"model": 7}, "model 7"),
        ("write", {"model": 0, "temperature": 1e999}, "temperature"),
        ("units", {"model": 0, "text": "b" * (LONGEST_TEXT + 1)}, f"at most {LONGEST_TEXT}"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(client: TestClient, name: str, asked: Any, said: str) -> None:
    answer = client.post(
        f"/api/{name}", content=json.dumps(asked).encode(), headers={**OWN, "content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("step", {"place": 10**6}, "place 1000000: expected 0 to"),
        ("lag", {"place": 0}, "nothing before it"),
        ("unit", {"layer": 2, "unit": 0, "quantity": "h"}, "layer 2, unit 0"),
        ("unit", {"layer": 0, "unit": 8, "quantity": "h"}, "layer 0, unit 8"),
        ("unit", {"layer": 0, "unit": 0, "quantity": "__class__"}, "expected one of i, f, g, o, c, h"),
        ("equations", {"place": 0, "layer": 0, "unit": 99}, "units 0 to 7"),
    ],
)
def test_places_and_units_that_are_not_there(client: TestClient, name: str, asked: Any, said: str) -> None:
    trace = ask(client, "trace", model=0, text=TEXT)["trace"]
    assert said in refused(client, name, trace=trace, **asked)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"text":' + b"[" * 900 + b"]" * 900 + b"}",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"model": NaN}',
        b"1" * 5000,
    ],
)
def test_a_body_that_is_no_object_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/trace", content=body, headers={**OWN, "content-type": "application/json"})
    assert answer.status_code == 422


HOSTILE = [
    "\x00", "".join(map(chr, range(32))) + "\x7f\x85", "\u202eabc\u202c\u2066x",
    "</script><img src=x onerror=alert(1)>",
    "🏳️‍🌈👨‍👩‍👧‍👦", "שלום עולם", "नमस्ते", "ไทย", "\ufeff\ufffe\uffff", "\U0010ffff", "a" + "\u0301" * 500, "{}{{{%s%n$x",
    "\r\n\r\n", "' OR 1=1 --", "../../etc/passwd", "𝕳" * 300, "\u2028\u2029",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_read_like_any_other(client: TestClient, text: str) -> None:
    told = ask(client, "trace", model=0, text=text)
    assert "".join(told["pieces"]) == as_read(text)
    ask(client, "step", trace=told["trace"], place=told["tokens"] - 1)


def test_a_thousand_random_texts_leave_it_up(client: TestClient) -> None:
    generator = torch.Generator().manual_seed(1)
    limits = torch.tensor([0x80, 0x800, 0x10000, 0x110000])
    for count in range(1000):
        size = int(torch.randint(1, 12, (1,), generator=generator))
        codes = torch.randint(0, int(limits[count % 4]), (size,), generator=generator).tolist()
        text = "".join(map(chr, codes))
        body = json.dumps({"model": 2, "text": text}).encode()
        answer = client.post("/api/trace", content=body, headers={**OWN, "content-type": "application/json"})
        valid = not any(0xD800 <= code < 0xE000 for code in codes)
        assert answer.status_code == (200 if valid else 422), text.encode("unicode_escape")
    assert client.get("/api/about").status_code == 200


def test_a_failure_of_ours_is_told_to_the_terminal_and_not_to_the_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ModelSession, "trace", fail)
    answer = client_of().post("/api/trace", json={"model": 0, "text": "a"}, headers=OWN)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_a_model_that_is_too_large_for_a_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longhold.web.model_session.LARGEST_TRACE", 6 * 2 * 8 * 10)
    client = client_of()
    ask(client, "trace", model=0, text="a" * 10)
    assert "11 tokens: of this model at most 10" in refused(client, "trace", model=0, text="a" * 11)


def test_no_model_and_one_without_a_recurrent_layer_are_refused() -> None:
    with pytest.raises(InputError, match="model 0: there is none yet"):
        ModelSession([]).checked_model(0)
    with pytest.raises(InputError, match="DelayLine holds 0 layers"):
        ModelSession([("d", TextModel(DelayLine(2, 3), text_model().tokenizer))])


def test_numbers_are_short_and_finite() -> None:
    assert numeral(1 / 3) == 0.333333
    assert numeral(float("inf")) is None
    assert numeral(float("nan")) is None
    assert numeral(-1.5e-12) == -1.5e-12
