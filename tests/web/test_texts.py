"""Texts that are sent: what is read from their bytes, and what is said of them before a training."""

from typing import Any

import pytest

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.training import forecast
from longhold.training.plan import SMALL_TEXT, TextOptions
from longhold.web.texts import Texts

CHINESE = "子曰：學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？"


@pytest.fixture
def texts() -> Texts:
    return Texts("cpu")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "utf-16"])
def test_a_text_is_read_as_what_it_looks_like(texts: Texts, encoding: str) -> None:
    told = texts.take((CHINESE * 3).encode(encoding), None)
    assert texts.named(told["text"]).text == CHINESE * 3
    assert told["characters"] == 3 * len(CHINESE)
    assert told["preview"] == (CHINESE * 3)[:240]
    assert told["guessed"] == (encoding != "utf-8")


def test_a_guess_is_shown_where_it_can_be_judged(texts: Texts) -> None:
    told = texts.take(("plain words " * 50 + "naïve café " + "plain words " * 50).encode("cp1252"), None)
    assert "naïve café" in told["preview"]
    assert (told["encoding"], len(told["preview"])) == ("cp1252", 243)


def test_an_encoding_that_is_named_is_obeyed_or_refused(texts: Texts) -> None:
    assert texts.take("naïve".encode("cp1252"), "cp1251")["preview"] == "naпve"
    with pytest.raises(InputError, match="it is not utf-8: byte 0xef at position 2"):
        texts.take("naïve".encode("cp1252"), "utf-8")


@pytest.mark.parametrize(("raw", "line"), [(b"", "empty"), (b" \n\t", "empty"), (bytes(range(256)) * 20, "binary")])
def test_what_is_no_text_is_refused(texts: Texts, raw: bytes, line: str) -> None:
    with pytest.raises(InputError, match=line):
        texts.take(raw, None)


def test_small_and_repeated_texts_are_told(texts: Texts) -> None:
    varied = "".join(f"{n} squared is {n * n}; " for n in range(3000))
    told = texts.take(varied.encode(), None)
    assert (told["small"], told["repeated"], told["shared"]) == (len(varied) < SMALL_TEXT, None, None)
    told = texts.take((varied[:2000] * 10).encode(), None)
    assert told["small"]
    assert told["repeated"] == pytest.approx(1 - 2000 / 18000, abs=0.02)
    assert told["shared"] == 1.0


def test_only_the_newest_are_kept(texts: Texts) -> None:
    names = [texts.take(f"text {n}".encode(), None)["text"] for n in range(3)]
    with pytest.raises(InputError, match="no longer here"):
        texts.named(names[0])
    assert [texts.named(name).text for name in names[1:]] == ["text 1", "text 2"]


def test_a_forecast_is_what_the_planner_says(texts: Texts) -> None:
    text = CHINESE * 12
    told: dict[str, Any] = texts.forecast(texts.take(text.encode(), None)["text"], "rnn", None)
    expected = forecast(Corpus("text", text, "utf-8", 1, ()), TextOptions(cell="rnn"))
    assert told["cell"] == "RNN"
    assert told["characters"] == expected.characters == len(text) - round(len(text) / 10)
    assert (told["layers"], told["units"]) == (expected.model.num_layers, expected.model.hidden_size)
    assert (told["rows"], told["length"]) == (expected.training.batch_size, expected.training.sequence_length)
    assert (told["steps"], told["rate"]) == (expected.training.steps, expected.training.lr)
    assert told["parameters"] == sum(p.numel() for p in expected.model.build().parameters())
    assert 0 < told["seconds"] < 600
    assert not told["forgetful"]
    much = texts.forecast(told_text := texts.take(text.encode(), None)["text"], "rnn", 3600)
    expected = forecast(texts.named(told_text), TextOptions(cell="rnn", budget_seconds=3600))
    assert much["forgetful"] == (expected.model.weight_dropout > 0) is True
    assert (much["units"], much["seconds"]) == (expected.model.hidden_size, 3600)


def test_a_text_too_short_to_train_on_has_no_forecast(texts: Texts) -> None:
    with pytest.raises(InputError, match="at least 200 characters"):
        texts.forecast(texts.take(b"short", None)["text"], "lstm", None)
