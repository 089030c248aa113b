import lzma
import math

import numpy as np
import pytest

from longhold.data import train_tokenizer
from longhold.errors import InputError
from longhold.models.ngram import KneserNey
from longhold.study.baselines import baselines, conditional_xz_bits, xz_bits

TRAIN = "the cat sat on the mat, and the dog sat on the log. " * 20
VALIDATION = "the dog sat on the mat, and the cat sat on the log. " * 4
HELD_OUT = "the mat sat on the cat, and the log sat on the dog. 猫"


def named(rows):
    return {row.name: row for row in rows}


def test_the_four_rows_are_what_their_names_say():
    tokenizer = train_tokenizer("char", TRAIN)
    rows = named(baselines(TRAIN, VALIDATION, HELD_OUT, tokenizer))
    assert list(rows) == ["token frequencies", "n-gram", "xz after training text", "xz alone"]
    ids, context = tokenizer.encode(TRAIN), tokenizer.encode(TRAIN[-1:])

    def bits(order, text):
        nats = KneserNey(order, tokenizer.vocab_size).fit(ids).nats(np.concatenate([context, tokenizer.encode(text)]))
        return nats[1:].sum() / math.log(2) / len(text)

    assert rows["token frequencies"].bits_per_character == pytest.approx(bits(1, HELD_OUT))
    best = min(range(2, 7), key=lambda order: bits(order, VALIDATION))
    assert f"order {best}," in rows["n-gram"].explanation
    assert rows["n-gram"].bits_per_character == pytest.approx(bits(best, HELD_OUT))
    assert rows["xz after training text"].bits_per_character == conditional_xz_bits(TRAIN, HELD_OUT)
    assert rows["xz alone"].bits_per_character == xz_bits(HELD_OUT)


def test_a_long_training_text_is_cut_and_the_rows_say_so(monkeypatch):
    monkeypatch.setattr("longhold.study.baselines.MOST_READ", 100)
    tokenizer = train_tokenizer("char", TRAIN)
    rows = baselines(TRAIN, VALIDATION, HELD_OUT, tokenizer)
    assert all("the last 100 characters" in row.explanation for row in rows[:3])
    whole = named(baselines(TRAIN[-100:], VALIDATION, HELD_OUT, tokenizer))
    assert rows[1].bits_per_character == whole["n-gram"].bits_per_character


def test_conditional_xz_uses_the_training_text():
    repeated = "".join(np.random.default_rng(0).choice(list("abcdefghijklmnop"), 3000))
    assert conditional_xz_bits(repeated, repeated) < 0.1 < 3.9 < xz_bits(repeated)


def test_xz_bits_count_the_bytes_of_an_xz_file():
    text = "naïve café " * 30
    assert xz_bits(text) == 8 * len(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)) / len(text)


def test_nothing_held_out_is_refused():
    with pytest.raises(InputError, match="empty"):
        xz_bits("")
    with pytest.raises(InputError, match="empty"):
        conditional_xz_bits("abc", "")
