"""Text as a task: windows of a corpus, so that text models are trained and compared like all others."""

import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from longhold.data import split
from longhold.data.corpora import known_names, load_corpus, load_known
from longhold.data.frequencies import log_frequencies
from longhold.data.tokenizers.char import CharTokenizer
from longhold.errors import InputError
from longhold.files import named_beside
from longhold.models.ngram import KneserNey
from longhold.study.text.baselines import MOST_READ, ORDER
from longhold.study.text.texts import is_own, read_own
from longhold.tasks import IGNORE_INDEX, Task, TaskBatch

_PTB = "ptb"
_HELD_OUT, _VALIDATED = 0.1, 0.05


class Text(NamedTuple):
    """A corpus, cut in two, and as ids."""

    before: str
    """The part that is trained on."""
    after: str
    """The part that never is."""
    tokenizer: CharTokenizer
    """The characters of the part that is trained on; others are bytes."""
    trained: NDArray[np.int64]
    """`(N,)`, the ids of `before`."""
    held_out: NDArray[np.int64]
    """`(M,)`, those of `after`."""

    unigram_bits: float
    """Bits per token of the held-out part by the token frequencies of the other, each counted once more."""


@final
@dataclass(frozen=True)
class TextTask(Task):
    """The next character of a text, in windows that begin anywhere, with nothing before them.

    The last tenth of the text is held out; `ptb` has a validation file of its own. A score is in bits per token, where
    a token is a character, or a byte of one that training never met. Chance is what the token frequencies cost.

    Raises:
        InputError: the corpus cannot be read or is shorter than a window.
    """

    name: ClassVar[str] = "text"
    unit: ClassVar[str] = "bits per token"

    corpus: str
    """A known name such as `timemachine`, or a file; `ptb`: the characters of the Penn Treebank in `LONGHOLD_DATA`; a
    name with a digest, such as `diary.txt#0f7876dad2ea61a4`: a text that lies beside the plan (`study.texts`)."""
    window: Annotated[int, Field(ge=2)]
    """Characters of a window, which is where backpropagation is truncated."""
    part: Literal["trained", "held_out", "fitted", "validated"] = "trained"
    """Which part of the text the windows come from. `fitted` is `trained` without its last twentieth (a window at
    least), and that is `validated`: it chooses the step whose weights a run keeps."""

    @property
    def length(self) -> int:
        return self.window - 1

    @property
    def input_size(self) -> int:
        return self.text.tokenizer.vocab_size

    @property
    def output_size(self) -> int:
        return self.text.tokenizer.vocab_size

    @property
    def chance(self) -> float:
        return self.text.unigram_bits

    @property
    def perfect(self) -> float:
        return 0.0

    @property
    def examination(self) -> "TextTask":
        """The same windows of the part that is held out."""
        return TextTask(self.corpus, self.window, "held_out")

    @property
    def validation(self) -> "TextTask | None":
        """What chooses the step whose weights are kept; None where those of the last step are."""
        return TextTask(self.corpus, self.window, "validated") if self.part == "fitted" else None

    @property
    def text(self) -> Text:
        """The corpus; read once in a process."""
        return read_text(self.corpus)

    def require_length(self) -> None:
        """Refuse a text whose part is shorter than a window.

        Raises:
            InputError: it is, or the corpus cannot be read.
        """
        found = len(self._ids())
        if found < self.window:
            raise InputError(
                f"text: {self.corpus} has {found:,} tokens in its part {self.part!r}: expected at least "
                f"window={self.window}"
            )

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        """Windows `(T, B)` of `T + 1 = window` tokens, anywhere in the part."""
        self.require_length()
        ids = self._ids()
        starts = torch.randint(len(ids) - self.window + 1, (batch_size,), generator=generator)
        windows = torch.from_numpy(ids)[starts + torch.arange(self.window)[:, None]]
        return TaskBatch(windows[:-1], windows[1:].clone(), torch.ones(self.length, batch_size, dtype=torch.bool))

    def _ids(self) -> NDArray[np.int64]:
        trained = self.text.trained
        cut = max(0, len(trained) - max(self.window, round(_VALIDATED * len(trained))))
        fitted, validated = np.split(trained, [cut])
        return {"trained": trained, "held_out": self.text.held_out, "fitted": fitted, "validated": validated}[self.part]

    def loss(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """Nats per token; every step has a target."""
        return F.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())

    def score(self, outputs: Tensor, batch: TaskBatch, loss: float) -> float:
        """The loss in bits."""
        return loss / math.log(2)

    def scores(self, outputs: Tensor, batch: TaskBatch) -> Tensor:
        """Bits per token of each window, `(B,)` float64."""
        nats = F.cross_entropy(outputs.double().flatten(0, 1), batch.targets.flatten(), reduction="none")
        return nats.view(batch.targets.shape).mean(0) / math.log(2)


@cache
def read_text(corpus: str) -> Text:
    """A corpus by name, cut and encoded.

    Raises:
        InputError: there is no such text.
    """
    before, after = _parts(corpus)
    tokenizer = CharTokenizer.train(before)
    trained, held_out = tokenizer.encode(before), tokenizer.encode(after)
    unigram_nats = float(-log_frequencies(trained, tokenizer.vocab_size)[held_out].mean())
    return Text(before, after, tokenizer, trained, held_out, unigram_nats / math.log(2))


def require_modest(corpus: str) -> None:
    """Refuse the corpus of a plan, perhaps a stranger's, that leads to what does not lie beside where it is run.

    Raises:
        InputError: it is no known name, no text with a digest, and no file by its plain name in the current folder.
    """
    if corpus in (_PTB, *known_names()) or is_own(corpus) or named_beside(".", corpus) is not None:
        return
    raise InputError(
        f"text: corpus={corpus!r:.80}: expected a known name, a text of `texts` beside the plan, or the plain name of "
        "a file in the current folder"
    )


def _parts(corpus: str) -> tuple[str, str]:
    if corpus == _PTB:
        return _treebank()
    if is_own(corpus):
        return split(read_own(corpus), _HELD_OUT)
    return split((load_known if corpus in known_names() else load_corpus)(corpus).text, _HELD_OUT)


@cache
def ngram(corpus: str) -> KneserNey:
    """The baseline: Kneser-Ney of order 6 on (the last 4,000,000 tokens of) what models are trained on."""
    text = read_text(corpus)
    return KneserNey(ORDER, text.tokenizer.vocab_size).fit(text.trained[-MOST_READ:])


def pair_nats(corpus: str, sentences: list[str]) -> tuple[Tensor, Tensor]:
    """Sentences as the corpus has them, `(inputs, targets)` `(T, N)`: a newline before, one after, padded to the right.

    What `ptb` has no sign for is taken out: capitals, the full stop; `doesn't` is two words there.
    """
    text = read_text(corpus)
    lines = [
        text.tokenizer.encode("\n" + (_as_treebank(line) if corpus == _PTB else line) + "\n") for line in sentences
    ]
    longest = max(map(len, lines))
    rows = np.full((longest, len(lines)), IGNORE_INDEX, dtype=np.int64)
    for column, line in enumerate(lines):
        rows[: len(line), column] = line
    targets = torch.from_numpy(rows[1:])
    return torch.from_numpy(rows[:-1]).clamp(min=0), targets


def _treebank() -> tuple[str, str]:
    folder = os.environ.get("LONGHOLD_DATA")
    if not folder:
        raise InputError("ptb is read from ptb/ in LONGHOLD_DATA, which names no folder")
    parts = (Path(folder) / _PTB / f"ptb.char.{part}.txt" for part in ("train", "valid"))
    trained, held_out = (_without_gaps(load_corpus(str(part)).text) for part in parts)
    return trained, held_out


def _without_gaps(text: str) -> str:
    """Characters stand with a space between them there, and a space is `_`."""
    return text.replace(" ", "").replace("_", " ")


def _as_treebank(sentence: str) -> str:
    return sentence.lower().rstrip(".?!").replace("n't", " n't").replace("'s", " 's")
