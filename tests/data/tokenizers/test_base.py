"""What holds for every tokenizer alike."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from longhold.data import held_text
from longhold.data.held_text import HeldText, seamed
from longhold.data.tokenizers import (
    TOKENIZERS,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_dict,
    train_tokenizer,
)
from longhold.data.tokenizers.base import smallest_type
from longhold.errors import InputError

TEXT = (
    "It was the best of times, it was the worst of times.\n\n  子曰：“学而时习之，不亦说乎？” \tcafé 😀 — the end \n"
    * 3
)

TOKENIZER: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "char of 280": CharTokenizer.train(TEXT, 280),
    "no char": CharTokenizer(""),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT),
    "word of 260": WordTokenizer.train(TEXT, 260),
    "bpe": BPETokenizer.train(TEXT, 320),
    "bpe of 256": BPETokenizer.train(TEXT, 256),
}
EVERY = pytest.mark.parametrize("tokenizer", TOKENIZER.values(), ids=TOKENIZER)

anything = st.one_of(
    st.text(),
    st.text(alphabet=" \t\r\n\u00a0\u3000\u200ba'的e\u0301\U0001f600é.,\x00\x85\u2028"),
    st.lists(st.sampled_from([TEXT[:20], TEXT[55:90], " the", "\n", "  ", "\n\nthe", "don't", "子曰"])).map("".join),
)


@EVERY
@given(text=anything)
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(torch.from_numpy(ids)) == text
    assert all(0 <= token < tokenizer.vocab_size for token in ids.tolist())


@EVERY
@given(text=anything)
def test_a_stored_tokenizer_is_the_same(tokenizer: Tokenizer, text: str) -> None:
    stored = json.loads(json.dumps(tokenizer.to_dict()))
    again = tokenizer_from_dict(stored)
    assert type(again) is type(tokenizer)
    assert again.to_dict() == tokenizer.to_dict()
    assert again.vocab_size == tokenizer.vocab_size
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()


@EVERY
@given(data=st.data())
def test_streaming_any_ids_equals_decoding_them(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    stream = tokenizer.stream()
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) + stream.flush() == tokenizer.decode(ids)
    assert stream.flush() == ""


@EVERY
@given(text=anything)
def test_pieces_of_a_stream_are_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    stream = tokenizer.stream()
    pieces = [stream.push(token) for token in tokenizer.encode(text).tolist()]
    assert "".join(pieces) == text
    assert stream.flush() == ""


@EVERY
def test_an_incomplete_character_is_replaced_at_the_end(tokenizer: Tokenizer) -> None:
    codes = {tokenizer.token_bytes(token): token for token in range(tokenizer.vocab_size)}
    stream = tokenizer.stream()
    assert stream.push(codes[b"\xe4"]) == ""
    assert stream.push(codes[b"\xb8"]) == ""
    assert stream.flush() == "\ufffd"
    assert [stream.push(codes[bytes((b,))]) for b in "中".encode()] == ["", "", "中"]


@EVERY
def test_every_token_can_be_shown_on_one_line(tokenizer: Tokenizer) -> None:
    shown = [tokenizer.token_text(token) for token in range(tokenizer.vocab_size)]
    assert all(text.isprintable() and text for text in shown)


def test_control_characters_and_loose_bytes_are_escaped() -> None:
    assert [ByteTokenizer().token_text(token) for token in (0x0A, 0x20, 0x41, 0xE4, 0x00)] == [
        "\\n",
        " ",
        "A",
        "\\xe4",
        "\\x00",
    ]


@EVERY
@pytest.mark.parametrize("token", [-1, 10**6])
def test_an_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer, token: int) -> None:
    for use in (lambda: tokenizer.decode([0, token]), lambda: tokenizer.stream().push(token)):
        with pytest.raises(InputError, match=rf"0\.\.{tokenizer.vocab_size - 1}, got {token}$"):
            use()


def test_ids_that_are_no_whole_numbers_are_refused() -> None:
    with pytest.raises(InputError, match=r"integers, got 1\.5"):
        ByteTokenizer().decode(np.array([1.5]))
    with pytest.raises(InputError, match="integers, got 'a'"):
        ByteTokenizer().decode("abc")  # type: ignore[arg-type]


@EVERY
def test_a_lone_surrogate_is_refused(tokenizer: Tokenizer) -> None:
    for use in (tokenizer.encode, tokenizer.unknown):
        if use == tokenizer.unknown and tokenizer.kind == "byte":
            continue
        with pytest.raises(InputError, match=r"U\+D800 at position 2$"):
            use("ab\ud800")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_training_refuses_a_lone_surrogate(kind: str) -> None:
    if kind != "byte":
        with pytest.raises(InputError, match=r"U\+DC41"):
            train_tokenizer(kind, "a\udc41" * 2)


@EVERY
@given(text=st.one_of(anything, st.text(st.sampled_from("it was  \n\t\r。，the 中文\x1c\x85'’s"), max_size=80)))
def test_a_held_text_has_the_same_ids_in_fewer_bytes(tokenizer: Tokenizer, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_text, "_PIECE", 7)  # so that a short text has many pieces
        patch.setattr(seamed, "__defaults__", (5,))
        found = tokenizer.encode_held(HeldText.of(text))
    assert found.tolist() == tokenizer.encode(text).tolist()
    assert found.dtype == (np.uint8 if tokenizer.vocab_size <= 256 else np.uint16)


@pytest.mark.parametrize(("size", "expected"), [(256, "u1"), (257, "u2"), (1 << 16, "u2"), ((1 << 16) + 1, "i4")])
def test_the_smallest_type_holds_every_id(size: int, expected: str) -> None:
    assert np.dtype(smallest_type(size)) == np.dtype(expected)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_vocabulary_of_a_held_text_is_that_of_the_text(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_text, "_PIECE", 50)
    size = 256 if kind == "byte" else 300
    assert (
        train_tokenizer(kind, HeldText.of(TEXT * 9), size).to_dict() == train_tokenizer(kind, TEXT * 9, size).to_dict()
    )


@EVERY
def test_a_lone_surrogate_is_named_by_its_place_in_the_whole(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_text, "_PIECE", 10)
    held = HeldText.of("it was the best " * 20 + "\ud800 of times")
    with pytest.raises(InputError, match=r"got the lone surrogate U\+D800 at position 320$"):
        tokenizer.encode_held(held)
    with pytest.raises(InputError, match=r"got the lone surrogate U\+D800 at position 320$"):
        train_tokenizer("char", held)
