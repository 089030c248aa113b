"""A traced text: pieces that make it, tokens beside their numbers, the same surprise as the score's."""

import math
from typing import Any

import pytest
import torch

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.errors import InputError
from longhold.inspection.text_trace import cut
from longhold.models.language_model import LanguageModelConfig
from longhold.text import TextModel

TEXT = "He said: “no”.\n其眼閃爍。\tनमस्ते שלום 🙂\n"
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "char of little": CharTokenizer.train("abc \n"),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT),
    "bpe": BPETokenizer.train(TEXT, 300),
}


def text_model(tokenizer: str = "char", **values: Any) -> TextModel:
    made = TOKENIZERS[tokenizer]
    config = LanguageModelConfig(**{"cell": "lstm", "hidden_size": 6, "vocab_size": made.vocab_size, **values})
    return TextModel(config.build(), made)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_pieces_are_whole_characters_over_all_tokens_in_order(tokenizer: str) -> None:
    trace = text_model(tokenizer).trace(TEXT)
    assert "".join(piece.text for piece in trace.pieces) == TEXT
    assert [piece.start for piece in trace.pieces] == [0, *(piece.stop for piece in trace.pieces[:-1])]
    assert trace.pieces[-1].stop == len(trace.tokens) == len(trace.ids) == len(trace.bits)
    for piece in trace.pieces:
        joined = b"".join(map(TOKENIZERS[tokenizer].token_bytes, trace.ids[piece.start : piece.stop]))
        assert joined.decode() == piece.text


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_surprise_is_the_scores(tokenizer: str) -> None:
    model = text_model(tokenizer)
    trace, score = model.trace(TEXT), model.score(TEXT)
    assert float(trace.bits.sum()) == pytest.approx(score.nats / math.log(2), rel=1e-5)
    assert trace.bits_per_character == pytest.approx(score.bits_per_character, rel=1e-5)
    assert trace.perplexity == pytest.approx(score.perplexity, rel=1e-5)


def test_the_gates_have_names_and_one_entry_per_layer_token_and_unit() -> None:
    shape = (3, len(TEXT), 6)
    lstm = text_model(num_layers=3).trace(TEXT)
    assert {name: tuple(gate.shape) for name, gate in lstm.gates._asdict().items()} == dict.fromkeys("ifgo", shape)
    torch.testing.assert_close(lstm.h, lstm.gates.o * lstm.c.tanh())
    torch.testing.assert_close(
        lstm.c[:, 1:], lstm.gates.f[:, 1:] * lstm.c[:, :-1] + lstm.gates.i[:, 1:] * lstm.gates.g[:, 1:]
    )
    gru = text_model(cell="gru", num_layers=3).trace(TEXT)
    assert {name: tuple(gate.shape) for name, gate in gru.gates._asdict().items()} == dict.fromkeys("rzn", shape)
    assert gru.c is None
    rnn = text_model(cell="rnn", num_layers=3).trace(TEXT)
    assert rnn.gates is None
    assert rnn.h.shape == shape


def test_odds_stand_for_the_place_before_it_was_read() -> None:
    trace = text_model().trace("no”.")
    assert len(trace.likeliest) == 5
    for place, token in enumerate(trace.tokens):
        rank, odds = int(trace.rank[place]), trace.odds(place)
        assert [each.probability for each in odds] == sorted((each.probability for each in odds), reverse=True)
        if rank <= len(odds):
            assert odds[rank - 1].token == token
            assert -math.log2(odds[rank - 1].probability) == pytest.approx(float(trace.bits[place]))
    assert len(text_model().trace("no", likeliest=3).odds(2)) == 3
    for place in (-1, 5):
        with pytest.raises(InputError, match=f"place {place}: expected 0 to 4"):
            trace.odds(place)


def test_tokens_of_loose_bytes_and_control_characters_are_escaped() -> None:
    assert text_model("byte").trace("é\n").tokens == ("\\xc3", "\\xa9", "\\n")


def test_a_broken_last_character_is_still_a_piece() -> None:
    assert [piece.text for piece in cut(ByteTokenizer(), [65, 0xC3])] == ["A", "�"]


def test_an_empty_text_and_one_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="the text to trace is empty"):
        text_model().trace("")
    closed = CharTokenizer("ab", fallback=False)
    model = TextModel(LanguageModelConfig(cell="rnn", hidden_size=2, vocab_size=2).build(), closed)
    with pytest.raises(InputError, match="not in the vocabulary"):
        model.trace("abc")
