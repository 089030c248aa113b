"""The JavaScript twin against Python, number by number."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from longhold.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    continuations,
)
from longhold.integer import IntegerGenerator, IntegerStepper, IntegerWriter, draw, packed, quantize
from tests.integer.models import KINDS, ask_node, model_of


def tokenizer_of(vocab_size: int) -> CharTokenizer:
    return CharTokenizer("".join(chr(ord("a") + k) for k in range(vocab_size)), fallback=False)


def sampled(stepper: IntegerStepper, seed: int, start: int, length: int, temperature: int) -> list[int]:
    generator, ids = IntegerGenerator(seed), [start]
    while len(ids) <= length:
        stepper.step(np.array(ids[-1:]))
        ids.append(int(draw(stepper.frequencies(temperature), generator)[0]))
    return ids[1:]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_frequencies_gates_and_samples_are_the_same(kind: str, bits: Any) -> None:
    model = quantize(model_of(KINDS[kind]), bits)
    ids = np.random.default_rng(1).integers(0, model.vocab_size, 300)
    temperatures = [0, 1, 37, 100, 251, 1000]
    answer = ask_node(
        packed(model, tokenizer_of(model.vocab_size)),
        frequencies=ids.tolist(),
        last={"ids": ids[:40].tolist(), "temperatures": temperatures},
        sampled={"seed": 5, "start": 1, "length": 500, "temperature": 80},
    )
    stepper = IntegerStepper(model)
    assert answer["frequencies"] == [stepper.step(ids[k : k + 1])[0].tolist() for k in range(len(ids))]
    stepper.reset()
    for k in range(40):
        stepper.step(ids[k : k + 1])
    assert answer["last"]["at"] == [stepper.frequencies(t)[0].tolist() for t in temperatures]
    for shown, view in zip(answer["last"]["gates"], stepper.gates(), strict=True):
        assert shown["h"] == view.h[0].tolist()
        assert shown["gates"] == {name: gate[0].tolist() for name, gate in view.gates.items()}
        assert (shown["c"] is None) == (view.c is None)
        if view.c is not None:
            np.testing.assert_allclose(shown["c"], view.c[0], rtol=1e-14)
    assert answer["sampled"]["ids"] == sampled(IntegerStepper(model), 5, 1, 500, 80)


def test_thousands_of_steps_with_a_vocabulary_of_thousands() -> None:
    vocab_size = 4100
    config = {"cell": "lstm", "vocab_size": vocab_size, "hidden_size": 24, "embedding_size": 16}
    model = quantize(model_of(config, scale=4.0), 8)
    tokenizer = CharTokenizer("".join(chr(0x4E00 + k) for k in range(vocab_size)), fallback=False)
    ask = {"seed": 2**53 - 1, "start": 9, "length": 2000, "temperature": 90}
    answer = ask_node(packed(model, tokenizer), sampled=ask)["sampled"]
    ids = sampled(IntegerStepper(model), 2**53 - 1, 9, 2000, 90)
    assert answer["ids"] == ids
    assert answer["text"] == tokenizer.decode(ids)
    assert len(set(ids)) > 300


def test_the_generator_is_the_same_for_the_ends_of_the_seeds() -> None:
    for seed in (0, 1, 12345, 2**32, 2**53 - 1):
        generator = IntegerGenerator(seed)
        words = [generator.word() for _ in range(50)]
        limits = [1, 2, 3, 7, 255, 256, 257, 2**24 - 4100, 2**24] * 20
        answer = ask_node(None, words={"seed": seed, "count": 50}, below={"seed": seed, "limits": limits})
        assert answer["words"] == words
        generator = IntegerGenerator(seed)
        assert answer["below"] == [generator.below(limit) for limit in limits]


TOKENIZERS: dict[str, Tokenizer] = {
    "characters": CharTokenizer("abc中文😀\n"),
    "closed characters": CharTokenizer("abc中文😀\n", fallback=False),
    "bytes": ByteTokenizer(),
    "words": WordTokenizer.train("the cat saw the cat 中文 the"),
    "byte pairs": BPETokenizer.train("the cat sat on the mat " * 5, 280),
}
TEXTS = ["", "abc", "a中b文c😀", "the cat saw the bat", "né 中国 שלום 👩‍👩‍👧\n", "aaa\ttab"]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_text_in_and_text_out(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    model = quantize(model_of({"cell": "rnn", "vocab_size": tokenizer.vocab_size, "hidden_size": 2}), 8)
    rows = np.random.default_rng(0).integers(0, tokenizer.vocab_size, (200, 9)).tolist()
    answer = ask_node(packed(model, tokenizer), encoded=TEXTS, decoded=rows)
    for text, found in zip(TEXTS, answer["encoded"], strict=True):
        if kind == "closed characters":
            unknown = tokenizer.unknown(text)
            assert dict.fromkeys(found["unknown"]) == dict.fromkeys(unknown)
            assert tokenizer.decode(found["ids"]) == "".join(c for c in text if c not in unknown)
            continue
        assert found["unknown"] == []
        assert tokenizer.decode(found["ids"]) == text
        if kind in ("characters", "bytes"):
            assert found["ids"] == tokenizer.encode(text).tolist()
    for ids, pieces in zip(rows, answer["decoded"], strict=True):
        stream = tokenizer.stream()
        # Of what is no UTF-8, Python holds some bytes back for a token longer.
        assert "".join(pieces) == "".join([*(stream.push(token) for token in ids), stream.flush()])


CONTINUED = {
    **TOKENIZERS,
    "byte pairs of Chinese": BPETokenizer.train("学而时习之，不亦说乎？有朋自远方来 né 😀\n" * 20, 310),
}


@pytest.mark.parametrize("kind", CONTINUED)
def test_what_may_come_is_the_same(kind: str) -> None:
    tokenizer = CONTINUED[kind]
    model = quantize(model_of({"cell": "rnn", "vocab_size": tokenizer.vocab_size, "hidden_size": 2}), 8)
    states = list(range(8))
    answer = ask_node(packed(model, tokenizer), allowed=states, after=states)
    rule = tokenizer.continuations
    if kind == "closed characters":
        assert rule is None
        assert answer["allowed"] == [None] * 8
        return
    assert rule is not None
    assert answer["allowed"] == [rule.allowed(state).tolist() for state in states]
    assert answer["after"] == rule.reading.tolist()


def test_a_vocabulary_that_cannot_complete_a_character_does_not_begin_it() -> None:
    tokens = [b"a", b"\xe4", b"\xb8", b"\xc3", b"\xa9", b"\xf4", b"\xff"]
    whole = packed(quantize(model_of({"cell": "rnn", "vocab_size": 7, "hidden_size": 2}), 8), tokenizer_of(7))
    for some in (tokens, tokens[:2], [b"\xe4", b"\xff"], [b"a", b"b"]):
        whole["tokens"] = [base64.b64encode(token).decode() for token in some]
        rule = continuations(some)
        expected = [None] * 8 if rule is None else [rule.allowed(state).tolist() for state in range(8)]
        assert ask_node(whole, allowed=list(range(8)))["allowed"] == expected


@pytest.mark.parametrize("temperature", [0, 60, 100, 200])
@pytest.mark.parametrize("kind", [kind for kind in CONTINUED if kind != "closed characters"])
def test_what_is_written_is_the_same_and_utf8(kind: str, temperature: int) -> None:
    tokenizer = CONTINUED[kind]
    config = {"cell": "gru", "vocab_size": tokenizer.vocab_size, "hidden_size": 6}
    model, start, count = quantize(model_of(config), 8), tokenizer.encode("a").tolist(), 600
    ask = {"seed": 11, "start": start[-1], "length": count, "temperature": temperature}
    answer = ask_node(packed(model, tokenizer), sampled=ask)["sampled"]
    writer = IntegerWriter(model, [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)], 11)
    writer.read(start[-1:])
    ids = [writer.write(temperature) for _ in range(count)]
    assert answer["ids"] == ids
    assert "\ufffd" not in answer["text"][:-1]
    stream = tokenizer.stream()
    assert answer["text"].rstrip("\ufffd") == "".join(map(stream.push, ids))


def test_frequencies_of_what_may_come_are_the_same() -> None:
    model, generator = quantize(model_of(KINDS["lstm, three layers, embedded"]), 8), np.random.default_rng(2)
    whole = packed(model, tokenizer_of(model.vocab_size))
    for temperature in (0, 37, 100, 1000):
        allowed = generator.random(model.vocab_size) < 0.4
        allowed[5] = True
        stepper = IntegerStepper(model)
        stepper.step(np.array([3]))
        found = ask_node(whole, odds={"id": 3, "temperature": temperature, "allowed": allowed.tolist()})["odds"]
        assert found == stepper.frequencies(temperature, allowed)[0].tolist()


def test_what_is_no_id_is_refused() -> None:
    model = quantize(model_of(KINDS["lstm"]), 8)
    answer = ask_node(packed(model, tokenizer_of(7)), refused=[6, 7, -1, 1.5])
    assert answer["refused"][0] == "7"
    assert all("expected an integer from 0 to 6" in line for line in answer["refused"][1:])
