"""What the integer writer draws: text, and as often as the oracle says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.integer import TOTAL, IntegerGenerator, IntegerStepper, IntegerWriter, draw, quantize
from tests.integer.models import model_of

TEXT = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？ né 😀\n" * 20
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer(TEXT[:12]),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT, 270),
    "bpe": BPETokenizer.train(TEXT, 310),
}


def tokens_of(tokenizer: Tokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]


@pytest.mark.parametrize("temperature", [0, 100, 250])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_written_is_utf8(name: str, temperature: int) -> None:
    tokenizer = TOKENIZERS[name]
    model = quantize(model_of({"cell": "gru", "vocab_size": tokenizer.vocab_size, "hidden_size": 6}), 8)
    writer = IntegerWriter(model, tokens_of(tokenizer), 3)
    writer.read(tokenizer.encode("学"))
    stream, text = tokenizer.stream(), ""
    for _ in range(800):
        text += stream.push(writer.write(temperature))
    assert "\ufffd" not in text
    assert text
    if temperature:
        assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


def test_odds_are_those_of_the_stepper_among_what_may_come() -> None:
    tokens = [b"a", b"\xe4", b"\xb8", b"\xad", b"\xff", "中".encode()]
    model = quantize(model_of({"cell": "lstm", "vocab_size": 6, "hidden_size": 5}), 16)
    for read, may in (
        ([0], [0, 1, 5]),
        ([0, 1], [2, 3]),
        ([1, 2], [2, 3]),
        ([1, 2, 3], [0, 1, 5]),
        ([5, 4], [0, 1, 5]),
    ):
        stepper, writer = IntegerStepper(model), IntegerWriter(model, tokens, 7)
        writer.read(read)
        for token in read:
            whole = stepper.step(np.array([token]))[0]
        odds = writer.odds()
        assert odds.sum() == TOTAL
        assert np.flatnonzero(odds > 1).tolist() == may
        expected = whole[may] / whole[may].sum()
        np.testing.assert_allclose(odds[may] / TOTAL, expected, atol=1e-5)


def test_tokens_are_drawn_as_often_as_the_odds_say() -> None:
    tokens = [b"a", b"\xe4", b"\xb8", b"\xad", b"\xff", "中".encode()]
    model = quantize(model_of({"cell": "gru", "vocab_size": 6, "hidden_size": 5}, scale=1.0), 8)
    writer = IntegerWriter(model, tokens, 7)
    writer.read([0])
    odds = writer.odds(130)
    generator = IntegerGenerator(12)
    drawn = [int(draw(odds[None], generator)[0]) for _ in range(3000)]
    counts = np.bincount(drawn, minlength=6)
    may = [0, 1, 5]
    assert counts[may].sum() == 3000
    assert stats.chisquare(counts[may], 3000 * (odds[may] - 1) / (odds[may] - 1).sum()).pvalue > 0.01


def test_where_any_token_may_come_it_draws_what_the_stepper_draws() -> None:
    model = quantize(model_of({"cell": "lstm", "vocab_size": 4, "hidden_size": 5}), 8)
    writer = IntegerWriter(model, [b"a", b"b", "中".encode(), b"\n"], 5)
    stepper, generator = IntegerStepper(model), IntegerGenerator(5)
    writer.read([3])
    stepper.step(np.array([3]))
    for _ in range(200):
        token = draw(stepper.frequencies(80), generator)
        assert writer.write(80) == int(token[0])
        stepper.step(token)
