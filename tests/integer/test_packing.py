"""A model as JSON and back, and what happens to one that was tampered with."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from typing import Any

import numpy as np
import pytest

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, WordTokenizer
from longhold.errors import InputError
from longhold.integer import IntegerStepper, packed, quantize, unpacked
from tests.integer.models import KINDS, model_of
from tests.integer.test_javascript import tokenizer_of


def whole(kind: str = "lstm, tied", bits: Any = 8) -> dict[str, Any]:
    model = quantize(model_of(KINDS[kind]), bits)
    return packed(model, tokenizer_of(model.vocab_size), {"corpus": "中</script>", "steps": 3})


def signed(data: dict[str, Any]) -> dict[str, Any]:
    """The same with the digest that goes with it."""
    body = {name: value for name, value in data.items() if name not in ("sha256", "facts")}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return {**data, "sha256": hashlib.sha256(text.encode()).hexdigest()}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_steps_the_same(kind: str, bits: Any) -> None:
    model = quantize(model_of(KINDS[kind]), bits)
    text = json.dumps(packed(model, tokenizer_of(model.vocab_size), {"steps": 3}), allow_nan=False)
    back = unpacked(json.loads(text))
    assert back.facts == {"steps": 3}
    assert back.tokens == tuple(bytes((ord("a") + k,)) for k in range(model.vocab_size))
    assert back.model.tied == model.tied
    first, second = IntegerStepper(model, 2), IntegerStepper(back.model, 2)
    for ids in np.random.default_rng(0).integers(0, model.vocab_size, (20, 2)):
        assert (first.step(ids) == second.step(ids)).all()


def test_facts_are_not_part_of_what_the_model_is() -> None:
    first = whole()
    assert signed(first) == first
    assert packed(unpacked(first).model, tokenizer_of(13))["sha256"] == first["sha256"]
    assert unpacked({**first, "facts": {}}).sha256 == first["sha256"]


def test_the_vocabulary_is_told() -> None:
    for tokenizer, kind, fallback in (
        (CharTokenizer("ab\n"), "char", True),
        (CharTokenizer("ab\n", fallback=False), "char", False),
        (ByteTokenizer(), "byte", True),
        (WordTokenizer.train("the cat"), "word", False),
        (BPETokenizer.train("the cat", 260), "bpe", False),
    ):
        model = quantize(model_of({"cell": "rnn", "vocab_size": tokenizer.vocab_size, "hidden_size": 2}), 8)
        found = packed(model, tokenizer)
        assert (found["tokenizer"], found["byte_fallback"]) == (kind, fallback)
        tokens = unpacked(found).tokens
        assert tokens == tuple(tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size))
        assert tokens[unpacked(found).start] == b"\n"


def test_another_tokenizer_is_refused() -> None:
    with pytest.raises(InputError, match="the model knows 7 token ids and its tokenizer has 8"):
        packed(quantize(model_of(KINDS["rnn"]), 8), tokenizer_of(8))


@pytest.mark.parametrize("data", [{}, [], None, "x", {"format": "onnx"}])
def test_what_is_no_packed_model_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="not a packed model"):
        unpacked(data)


def test_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="version 2: this longhold reads version 1"):
        unpacked({**whole(), "version": 2})


def test_a_change_is_noticed() -> None:
    data = whole()
    data["tokens"][0] = "eg=="
    with pytest.raises(InputError, match="changed after it was written"):
        unpacked(data)


def places(value: Any) -> list[tuple[Any, ...]]:
    """Every path into nested JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, inner in items for path in [(key,), *((key, *rest) for rest in places(inner))]]


REPLACEMENTS: list[Any] = [None, -1, 2**40, 3.5, "", "AAAA", "AAAAAA==", [], [1], {}, True, "output"]


def test_with_a_digest_that_fits_it_is_read_and_steps_or_is_refused_in_one_line() -> None:
    generator, outcomes = random.Random(0), []
    for kind in ("lstm, tied", "gru of 2014, two layers", "rnn"):
        data = whole(kind)
        paths = places({name: value for name, value in data.items() if name not in ("sha256", "format", "version")})
        for _ in range(250):
            edited = copy.deepcopy(data)
            *outer, last = generator.choice(paths)
            inside = edited
            for key in outer:
                inside = inside[key]
            inside[last] = generator.choice(REPLACEMENTS)
            try:
                model = unpacked(signed(edited)).model
            except InputError as error:
                outcomes.append(str(error))
                continue
            frequencies = IntegerStepper(model).step(np.array([model.vocab_size - 1]))
            assert frequencies.sum() == 2**24
            assert frequencies.min() >= 1
            outcomes.append("")
    assert not any("\n" in line for line in outcomes)
    assert 0 < outcomes.count("") / len(outcomes) < 0.5


def test_what_is_nested_without_an_end_and_arrays_of_another_shape_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InputError, match="more than 32 levels"):
        unpacked({**whole(), "tables": deep})
    data = whole()
    for place in (data["output_bias"], data["layers"][0]["initial"][0], data["layers"][0]["bias_ih"]):
        edited, shape = place["shape"], place["shape"]
        for other in ([*shape, 1], [1, *shape], [2**62, 2**62], [-1], [1e308], ["9" * 5000]):
            place["shape"] = other
            with pytest.raises(InputError, match="damaged") as caught:
                unpacked(signed(data))
            assert "\n" not in str(caught.value)
        place["shape"] = edited
    assert unpacked(signed(data))


def test_nothing_in_it_names_a_place_or_a_person() -> None:
    assert set(whole()) == {
        *("format", "version", "cell", "bits", "reset_after", "coupled_gates", "vocab_size", "hidden_size"),
        *("embedding", "layers", "output", "output_bias", "tables", "tokenizer", "byte_fallback", "tokens", "start"),
        *("sha256", "facts"),
    }
