"""TextModel: writing, scoring and reading, for every tokenizer and cell."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.data.tokenizers import ByteTokenizer, CharTokenizer
from longhold.errors import InputError
from longhold.models.contract import State
from longhold.text import Score, TextModel, load
from tests.text.small import TEXT, TOKENIZERS, Parrot, Uniform, text_model


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_pieces_are_whole_characters_and_make_the_decoded_text(tokenizer: str) -> None:
    made = text_model(tokenizer)
    pieces = list(made.write("traveller", length=200, temperature=1.5, seed=3))
    assert all(pieces)
    again = "".join(made.write("traveller", length=200, temperature=1.5, seed=3))
    assert again == "".join(pieces)
    assert "".join(made.write("traveller", length=200, temperature=1.5, seed=4)) != again


def test_the_text_goes_on_from_the_prompt_and_repeats_it_only_when_asked() -> None:
    tokenizer = CharTokenizer("abcdef", fallback=False)
    made = TextModel(Parrot(6), tokenizer)
    assert list(made.write("fab", length=4)) == ["c", "d", "e", "f"]
    assert list(made.write("fab", length=2, echo=True)) == ["fab", "c", "d"]
    assert list(made.write("a", length=0)) == []


@pytest.mark.parametrize(
    ("characters", "first"), [("a\n", "a"), (" a", "a"), ("\n a", " "), ("bcd", "c")]
)  # code point order: "\n" < " " < letters, and Parrot writes the next one
def test_an_empty_prompt_begins_after_newline_space_or_the_first_id(characters: str, first: str) -> None:
    made = TextModel(Parrot(len(characters)), CharTokenizer(characters, fallback=False))
    assert next(made.write()) == first


def test_a_character_in_several_bytes_comes_out_once_and_whole() -> None:
    class Spells(Uniform):
        def forward(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]:
            raw = "é其!".encode()
            following = dict(pairwise(raw)) | {ord("\n"): raw[0]}
            ids = torch.tensor([[following.get(int(token), 0) for token in row] for row in inputs])
            return F.one_hot(ids, 256) * 1000.0, ()

    made = TextModel(Spells(256), ByteTokenizer())
    assert list(made.write(length=6)) == ["é", "其", "!"]
    assert list(made.write(length=4)) == ["é"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_what_is_written_is_utf8_at_any_length(tokenizer: str) -> None:
    made = text_model(tokenizer)
    longest = "".join(made.write("traveller", length=400, temperature=1.5, seed=3))
    assert "\ufffd" not in longest
    assert {len(character.encode()) for character in longest} == ({1} if tokenizer == "closed" else {1, 2, 3, 4})
    for length in range(30):
        text = "".join(made.write("traveller", length=length, temperature=1.5, seed=3))
        assert "\ufffd" not in text
        assert longest.startswith(text)


def test_writing_ends_before_a_stop_text_and_draws_no_more() -> None:
    made = TextModel(Parrot(6), CharTokenizer("abcdef", fallback=False))
    assert "".join(made.write("a", length=50, stop="ab")) == "bcdef"
    assert "".join(made.write("a", length=50, stop=["fa", "eff"])) == "bcde"
    assert "".join(made.write("ab", length=50, stop="abc", echo=True)) == "abcdef"
    assert "".join(made.write("a", length=3, stop="dX")) == "bcd"
    with pytest.raises(InputError, match="stop=''"):
        made.write("a", stop=["x", ""])


def test_a_repetition_penalty_over_a_window_of_the_prompt_and_the_text() -> None:
    class Stutters(Uniform):
        def forward(
            self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None
        ) -> tuple[Tensor, State]:
            return F.one_hot(inputs, self.vocab_size) * 3.0 - torch.arange(self.vocab_size) * 0.1 + 1, ()

    made = TextModel(Stutters(4), CharTokenizer("abcd", fallback=False))
    options = {"length": 6, "greedy": True}
    assert "".join(made.write("c", **options)) == "cccccc"
    assert "".join(made.write("c", repetition_penalty=50, repetition_window=2, **options)) == "abcabc"
    assert "".join(made.write("c", repetition_penalty=1, repetition_window=2, **options)) == "cccccc"


def test_unknown_characters_are_told_and_still_read() -> None:
    made = text_model("char")
    assert made.unknown("Time ☃ Z☃") == ("☃", "Z")
    read: list[int] = []
    made.model.output.register_forward_hook(lambda _, given, __: read.append(given[0].shape[0]))
    list(made.write("Time ☃", length=3))
    assert read == [5 + len("☃".encode()), 1, 1]


def test_a_closed_vocabulary_names_what_it_lacks() -> None:
    made = text_model("closed")
    assert made.unknown("tea, No. 3") == (",", "N", ".", "3")
    for use in (made.write, made.score):
        with pytest.raises(InputError, match="','"):
            use("tea, please")


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 0},
        {"repetition_window": 0},
        {"stop": ""},
        {"temperature": -1},
        {"top_k": 0},
        {"top_p": 2},
        {"min_p": -1},
        {"length": -1},
        {"seed": -1},
    ],
)
def test_options_out_of_range_are_told_at_once(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=f"^{name}="):
        text_model().write("The", **options)


def test_a_uniform_model_scores_log2_v_bits_a_token() -> None:
    made = TextModel(Uniform(256), ByteTokenizer())
    score = made.score("naïve 其")
    assert (score.tokens, score.characters, score.utf8_bytes) == (10, 7, 10)
    assert score.nats == pytest.approx(10 * math.log(256))
    assert score.bits_per_byte == pytest.approx(8)
    assert score.bits_per_character == pytest.approx(80 / 7)
    assert score.perplexity == pytest.approx(256)
    assert made.score("x") == Score(nats=pytest.approx(math.log(256)), tokens=1, characters=1, utf8_bytes=1)


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_a_score_is_the_sum_of_each_tokens_surprise_given_all_before(tokenizer: str) -> None:
    made = text_model(tokenizer)
    made.model.double()
    text = TEXT * 6
    ids = made.tokenizer.encode(text)
    start = made.tokenizer.encode("\n")[-1:]
    with torch.no_grad():
        outputs, _ = made.model.eval()(torch.from_numpy(np.concatenate([start, ids[:-1]])).unsqueeze(1))
    surprise = -outputs[:, 0].log_softmax(-1)[torch.arange(len(ids)), torch.from_numpy(ids)]
    score = made.score(text)
    assert score.nats == pytest.approx(surprise.sum().item(), rel=1e-12)
    assert (score.characters, score.utf8_bytes, score.tokens) == (len(text), len(text.encode()), len(ids))


def test_an_empty_text_has_no_score() -> None:
    for use in (text_model().score, text_model().surprises):
        with pytest.raises(InputError, match="empty"):
            use("")


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_the_first_place_is_predicted_from_the_start_token_and_all_add_up(tokenizer: str) -> None:
    made = text_model(tokenizer)
    text = "The Ω of it.\n" * 30
    found = made.surprises(text)
    assert found.bits.sum() * math.log(2) == pytest.approx(made.score(text).nats)
    start = torch.from_numpy(made.tokenizer.encode("\n")[-1:]).unsqueeze(1)
    with torch.no_grad():
        first = made.model.eval()(start)[0][-1, 0].double().log_softmax(-1)[int(made.tokenizer.encode(text)[0])]
    assert found.bits[0] == pytest.approx(-first.item() / math.log(2))
    assert {text[place.position : place.position + len(place.text)] for place in found.largest(5)} == {
        place.text for place in found.largest(5)
    }


WINDOWS, MAC = "\ufeff" + TEXT.replace("\n", "\r\n"), TEXT.replace("\n", "\r")


@pytest.mark.parametrize("other", [WINDOWS, MAC], ids=["windows", "mac"])
@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "bpe"])
def test_a_text_is_read_with_its_line_ends_as_training_reads_them(tokenizer: str, other: str) -> None:
    made = text_model(tokenizer)
    assert made.score(other) == made.score(TEXT)
    assert np.array_equal(made.surprises(other).starts, made.surprises(TEXT).starts)
    assert made.surprises(other).text == TEXT
    assert torch.equal(made.trace(other).bits, made.trace(TEXT).bits)
    assert made.trace(other).text == TEXT
    assert made.unknown(other) == made.unknown(TEXT)
    assert np.array_equal(made.prompt_ids(other), made.prompt_ids(TEXT))
    assert list(made.write(other, length=20, seed=1, echo=True)) == list(made.write(TEXT, length=20, seed=1, echo=True))


def test_a_prompt_of_nothing_but_a_mark_is_an_empty_one_and_stops_are_read_too() -> None:
    made = TextModel(Parrot(6), CharTokenizer("ab\ncde", fallback=False))
    assert np.array_equal(made.prompt_ids("\ufeff"), made.prompt_ids(""))
    assert "".join(made.write("a", length=5, stop="e\r\n")) == "bcd"
    with pytest.raises(InputError, match="the text to score is empty"):
        made.score("\ufeff")


@pytest.mark.parametrize("wrong", [None, 5, b"x", ["a"]], ids=repr)
def test_texts_and_paths_of_another_type_are_refused(wrong: Any) -> None:
    made, kind = text_model(), type(wrong).__name__
    for read in (made.score, made.surprises, made.trace, made.unknown, made.write, made.prompt_ids):
        with pytest.raises(InputError, match=f"should be a str, got {kind}"):
            read(wrong)
    for place in (made.save, load, TextModel.load):
        with pytest.raises(InputError, match=f"file should be a path, as str or pathlib.Path, got {kind}"):
            place(wrong)


@pytest.mark.parametrize("wrong", ["3", 3.5, None, True, -1], ids=repr)
def test_lengths_and_seeds_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^length=.*: expected 0 or more tokens"):
        text_model().write("t", length=wrong)
    if wrong is not None:
        with pytest.raises(InputError, match=r"^seed=.*: expected an integer"):
            text_model().write("t", seed=wrong)
