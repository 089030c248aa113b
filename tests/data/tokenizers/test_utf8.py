"""Which ids may follow, against Python's own decoder and against trying every completion."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhold.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Continuations,
    Tokenizer,
    WordTokenizer,
    continuations,
)
from longhold.data.tokenizers.utf8 import GROUND, NEVER

TEXT = "It was the best of times.\n\n  子曰：“学而时习之，不亦说乎？” \tcafé 😀 — the end \n" * 3
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "no char": CharTokenizer(""),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT, 290),
    "bpe": BPETokenizer.train(TEXT * 9, 330),
}


def rule_of(tokens: Sequence[bytes]) -> Continuations:
    found = continuations(tokens)
    assert found is not None
    return found


BYTES = rule_of([bytes((value,)) for value in range(256)])


def test_every_scalar_value_is_accepted_and_ends_between_characters() -> None:
    values = [
        range(0x80),
        range(0x80, 0x800),
        [*range(0x800, 0xD800), *range(0xE000, 0x10000)],
        range(0x10000, 0x110000),
    ]
    assert sum(map(len, values)) == 1_112_064
    for width, alike in enumerate(values, 1):
        rows = np.frombuffer("".join(map(chr, alike)).encode(), dtype=np.uint8).reshape(-1, width)
        states = np.zeros(len(rows), dtype=np.int8)
        for column in rows.T:
            assert (states != NEVER).all()
            states = BYTES.next[states, column]
        assert (states == GROUND).all()


def whole(data: bytes) -> bool:
    """Whether Python's decoder takes these bytes for text."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


TAILS = [b"", *(bytes([first]) + b"\x80" * more for first in (0x80, 0x90, 0xA0) for more in range(3))]


def accepted(data: bytes) -> bool:
    """Whether it takes them for the beginning of a text."""
    return any(whole(data + tail) for tail in TAILS)


def walked(data: bytes) -> int:
    state = GROUND
    for byte in data:
        state = int(BYTES.next[state, byte])
        if state == NEVER:
            break
    return state


def test_every_pair_of_bytes_is_judged_as_python_judges_it() -> None:
    for pair in itertools.product(range(0x7F, 256), range(256)):
        assert (walked(bytes(pair)) != NEVER) == accepted(bytes(pair)), pair


EDGES = [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1]
EDGES += [0xF3, 0xF4, 0xF5, 0xFF]


def test_sequences_from_the_edges_of_every_range() -> None:
    leads = [byte for byte in EDGES if byte > 0xC1]
    for width in (2, 3):
        for data in map(bytes, itertools.product(leads, *[EDGES[:8]] * width)):
            state = walked(data)
            assert (state != NEVER) == accepted(data), data
            assert (state == GROUND) == whole(data), data


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=12) | st.lists(st.sampled_from(EDGES), max_size=12).map(bytes))
def test_what_is_no_utf8_is_passed_over(data: bytes) -> None:
    ends = [data[-width:] for width in (1, 2, 3) if len(data) >= width and data[-width] > 0xBF]
    pending = next((end for end in ends if accepted(end) and not whole(end)), b"")
    state = GROUND
    for byte in data:
        state = BYTES.after([byte], state)
    assert state == BYTES.after(list(data)) == walked(pending)


def by_trying(tokens: Sequence[bytes], before: bytes, depth: int = 4) -> list[bool]:
    """For each token, whether some tokens after it make valid text of it."""

    def completes(data: bytes, left: int) -> bool:
        if whole(data) or left == 0 or not accepted(data):
            return whole(data)
        return any(completes(data + token, left - 1) for token in tokens)

    return [completes(before + token, depth) for token in tokens]


PARTS = [b"a", b"\n", b"\xe4", b"\xb8", b"\xad", b"\xb8\xad", b"\xe4\xb8", b"\xad\xe4", b"\xad\xe4\xb8", b"\xf0\x9f"]
PARTS += [
    "中".encode(),
    "😀".encode(),
    " 中".encode(),
    b"a\xf0",
    b"\xf0",
    b"\x9f",
    b"\x98\x80",
    b"\x80",
    b"\xc3",
    b"\xa9",
]
PARTS += [b"\xc0", b"\xff", b"\xed", b"\xa0", b"\xe0", b"\x80\x80", b"\xf4", b"\x90"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=7, unique=True), st.data())
def test_an_id_may_come_if_some_ids_after_it_make_it_text(tokens: list[bytes], data: st.DataObject) -> None:
    rule = continuations(tokens)
    from_nothing = by_trying(tokens, b"")
    if rule is None:
        assert not any(from_nothing) or all(map(whole, tokens))
        return
    written, state = b"", GROUND
    for _ in range(6):
        allowed = rule.allowed(state).tolist()
        assert allowed == by_trying(tokens, written), written
        token = data.draw(st.sampled_from([token for token, may in enumerate(allowed) if may]))
        written, state = written + tokens[token], int(rule.next[state, token])


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from([TEXT, TEXT[20:60]]))
def test_what_a_tokenizer_makes_of_a_text_may_always_come(name: str, text: str) -> None:
    rule = TOKENIZERS[name].continuations
    assert rule is not None
    state = GROUND
    for token in TOKENIZERS[name].encode(text).tolist():
        assert rule.allowed(state)[token]
        before, state = state, int(rule.next[state, token])
        assert state == rule.after([token], before)
    assert state == GROUND


@pytest.mark.parametrize("name", TOKENIZERS)
def test_any_ids_that_may_come_are_text(name: str) -> None:
    tokenizer, generator = TOKENIZERS[name], np.random.default_rng(5)
    rule = tokenizer.continuations
    assert rule is not None
    state, ids = GROUND, list[int]()
    while len(ids) < 5_000 or state != GROUND:
        ids.append(int(generator.choice(np.flatnonzero(rule.allowed(state)))))
        state = int(rule.next[state, ids[-1]])
    text = b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8")
    assert text == tokenizer.decode(ids)
    assert max(map(ord, text)) > 0xFFFF


def test_where_any_id_may_follow_any_other_there_is_no_rule() -> None:
    assert CharTokenizer("ab中😀", fallback=False).continuations is None
    assert continuations([b"a", "中".encode(), "né".encode()]) is None


def test_a_vocabulary_that_can_write_nothing_has_no_rule() -> None:
    assert continuations([b"\xe4", b"\xff"]) is None
    assert continuations([]) is None


def test_a_byte_that_the_vocabulary_cannot_go_on_from_may_not_come() -> None:
    tokens = [
        b"a",
        b"\xe4",
        b"\xb8",
        b"\xc3",
        b"\xa9",
        b"\xf4",
    ]  # E4 B8 B8 is a character; F4 needs a byte from 80 to 8F
    assert rule_of(tokens).allowed(GROUND).tolist() == [True, True, False, True, False, False]
    assert rule_of([b"a", b"\xe4", b"\xff"]).allowed(GROUND).tolist() == [True, False, False]
    assert rule_of(tokens[:2]).after([1]) == GROUND
