"""A text as a model reads it: surprise, odds, states and gates beside the characters they belong to."""

import codecs
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.data.tokenizers import Tokenizer
from longhold.errors import InputError
from longhold.inspection.reading import Reading, read
from longhold.layers.trace import GRUGates, LSTMGates
from longhold.models import SequenceModel


@dataclass(frozen=True)
class Odds:
    """One token that could stand in a place."""

    token: str
    """its text on one line, control characters and loose bytes escaped"""
    probability: float
    """the model's"""


@dataclass(frozen=True)
class Piece:
    """The shortest run of whole tokens that is whole characters: one token of text, or several of bytes."""

    text: str
    """its characters; the pieces one after the other are the text"""
    start: int
    """its first token"""
    stop: int
    """one past its last token"""


@dataclass(frozen=True, eq=False)
class TextTrace:
    """What a model did while it read a text of `T` tokens, after the start token.

    Example:
        >>> trace = longhold.load("diary.safetensors").trace("Dear diary")
        >>> trace.gates.f.shape                                       # (L, T, H)
        >>> [(odds.token, odds.probability) for odds in trace.odds(4)]  # what was expected in place of the blank
    """

    text: str
    """what was read"""
    begin: int
    """the token that was read before it"""
    ids: tuple[int, ...]
    """its tokens"""
    tokens: tuple[str, ...]
    """each token's text on one line, control characters and loose bytes escaped"""
    pieces: tuple[Piece, ...]
    """the text cut wherever a character and a token end together"""
    bits: Tensor
    """`(T,)` float64, surprise of each token: -log2 p(token | what came before it)"""
    rank: Tensor
    """`(T,)`, place of each token among all, 1 for the likeliest"""
    h: Tensor
    """`(L, T, P)`, hidden states after each token"""
    c: Tensor | None
    """`(L, T, H)`, cell states of an LSTM, else None"""
    gates: LSTMGates | GRUGates | None
    """`(L, T, H)` each, after their activations; None for an RNN"""
    likeliest: tuple[tuple[Odds, ...], ...]
    """T + 1 rows: the likeliest tokens in each place before it was read, falling; the last row: after the whole text"""

    def odds(self, place: int) -> tuple[Odds, ...]:
        """The likeliest tokens in place `place`, before it was read; T is the place after the text.

        Raises:
            InputError: there is no such place.
        """
        if not 0 <= place < len(self.likeliest):
            raise InputError(f"place {place}: expected 0 to {len(self.likeliest) - 1}")
        return self.likeliest[place]

    @property
    def bits_per_character(self) -> float:
        """Mean surprise of a code point."""
        return float(self.bits.sum()) / len(self.text)

    @property
    def perplexity(self) -> float:
        """`2 ** bits per token`."""
        return math.pow(2, float(self.bits.mean()))


def trace_text(
    model: SequenceModel,
    tokenizer: Tokenizer,
    text: str,
    *,
    begin: int,
    likeliest: int = 10,
    on_step: Callable[[int, int], None] | None = None,
) -> TextTrace:
    """Let a model read `text` after the token `begin`; see `longhold.inspection.reading.read`.

    Raises:
        InputError: the text is empty, has characters outside a closed vocabulary, or the model holds no recurrent
            layer.
    """
    if not text:
        raise InputError("the text to trace is empty")
    ids = tokenizer.encode(text)
    reading = read(model, torch.from_numpy(ids), begin=begin, likeliest=likeliest, on_step=on_step)
    return TextTrace(
        text=text,
        begin=begin,
        ids=tuple(ids.tolist()),
        tokens=tuple(map(tokenizer.token_text, ids.tolist())),
        pieces=tuple(cut(tokenizer, ids.tolist())),
        bits=reading.bits,
        rank=reading.rank,
        h=reading.h,
        c=reading.c,
        gates=_named(reading),
        likeliest=tuple(_rows(tokenizer, reading)),
    )


def cut(tokenizer: Tokenizer, ids: Sequence[int]) -> Iterator[Piece]:
    """The shortest runs of tokens that are whole characters, one after the other."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    start, text = 0, ""
    for stop, token in enumerate(ids, 1):
        text += decoder.decode(tokenizer.token_bytes(token), final=stop == len(ids))
        if not decoder.getstate()[0]:
            yield Piece(text, start, stop)
            start, text = stop, ""


def _rows(tokenizer: Tokenizer, reading: Reading) -> Iterator[tuple[Odds, ...]]:
    shown: dict[int, str] = {}
    for tokens, probabilities in zip(reading.likeliest.tolist(), reading.probabilities.tolist(), strict=True):
        for token in tokens:
            if token not in shown:
                shown[token] = tokenizer.token_text(token)
        yield tuple(Odds(shown[token], p) for token, p in zip(tokens, probabilities, strict=True))


def _named(reading: Reading) -> LSTMGates | GRUGates | None:
    if not reading.gates:
        return None
    return LSTMGates(**reading.gates) if "i" in reading.gates else GRUGates(**reading.gates)
