"""Small models of text, some of which need no training."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.data.tokenizers import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer
from longhold.models.contract import SequenceModel, State
from longhold.models.language_model import LanguageModelConfig
from longhold.text import Facts, TextModel

TEXT = "The Time Traveller (for so it will be convenient to speak of him) — was expounding.\n其眼閃爍。\n"
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "closed": CharTokenizer("abcdefghijklmnopqrstuvwxyz ", fallback=False),
    "byte": ByteTokenizer(),
    "word": WordTokenizer.train(TEXT),
    "bpe": BPETokenizer.train(TEXT, 300),
}


def text_model(tokenizer: str = "char", **values: Any) -> TextModel:
    made = TOKENIZERS[tokenizer]
    torch.manual_seed(5)
    config = LanguageModelConfig(**{"cell": "lstm", "hidden_size": 12, "vocab_size": made.vocab_size, **values})
    return TextModel(config.build(), made, Facts(corpus="The Time Machine", steps=12, seed=5, seconds=1.5))


class Uniform(SequenceModel):
    """Every token is as probable as every other; `ids` never matter."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def initial_state(self, batch: int) -> State:
        return ()

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        return torch.zeros(*inputs.shape, self.vocab_size), ()


class Parrot(Uniform):
    """After id `n` comes `n + 1`, for certain."""

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        return F.one_hot((inputs + 1) % self.vocab_size, self.vocab_size) * 1000.0, ()
