"""Samples from the same prime and seed, and the words in them that are known."""

import pytest
import torch

from longhold.data.tokenizers import CharTokenizer
from longhold.models.language_model import LanguageModelConfig
from longhold.training.sampled import KnownWords, Writer, known_words, prime_of


@pytest.mark.parametrize(
    ("text", "prime"),
    [
        ("ught it. The Time Traveller smiled at us", "it. The Time Traveller "),
        ("与尔言。”曰：“学而时习之，不亦说乎", "与尔言。”曰：“"),
        ("short", "short"),
        ("a b", "a b"),
        (" ", " "),
        ("x" * 100 + " " + "y" * 100, "x" * 8),
    ],
)
def test_a_prime_is_whole_words_of_the_text(text: str, prime: str) -> None:
    assert prime_of(text) == prime
    assert prime in text


def test_words_are_counted_whatever_their_case() -> None:
    text = "The Traveller's machine; it's 1895. Naïve — the ÉTÉ."
    found = known_words("the machine été traveller's 1895 machin it's unknown cut", text)
    assert found == KnownWords(known=5, total=7, unit="words")
    assert found.fraction == pytest.approx(5 / 7)
    assert known_words("", text) == KnownWords(0, 0, "words")
    assert known_words("", text).fraction == 0
    assert known_words("machine", text).total == 0  # the only word is the last one


def test_where_no_spaces_are_written_pairs_are_counted() -> None:
    text = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？" * 3
    assert known_words("学而，时之不亦乐来来", text) == KnownWords(known=3, total=6, unit="pairs of characters")


def test_a_writer_writes_the_same_again() -> None:
    tokenizer = CharTokenizer.train("the cat sat on the mat 其")
    torch.manual_seed(0)
    model = LanguageModelConfig(cell="gru", vocab_size=tokenizer.vocab_size, hidden_size=7).build()
    with torch.no_grad():
        model.output.weight *= 50  # so that what was read before matters
    writer = Writer(model, tokenizer, "the ☃")
    text = writer.text(80)
    assert text.startswith("the ☃")
    assert text == writer.text(80) == writer.prime + "".join(writer.pieces(80))
    assert Writer(model, tokenizer, "the cat").text(80)[7:] != text[5:]
    for length in range(80, 90):
        assert "\ufffd" not in writer.text(length)
    with torch.no_grad():
        model.output.bias[0] += 1000
    assert writer.text(80) != text
