"""The tutorial's experiment, repeated exactly, beside the published runs of the same notebook."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.data.batching import ContiguousBatches
from longhold.data.timemachine import TutorialText, time_machine_tutorial
from longhold.errors import InputError
from longhold.models.contract import State, able_to_learn
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.memory import require_memory_to_train
from longhold.sampling import SamplingConfig, generate
from longhold.training.evaluation import evaluate

BATCH_SIZE, STEPS = 32, 35
LEARNING_RATE, CLIP_NORM, EPOCHS = 1.0, 1.0, 500
PREFIXES = ("time traveller", "traveller")
WRITTEN = 50
"""Characters written after each prefix, each the likeliest one."""


@dataclass(frozen=True)
class Published:
    """Executions of one notebook with this recipe, found in the history of the book's repositories.

    The Chinese, the English "classic" and the SageMaker edition of *Dive into Deep Learning*, 2021-07 to 2023-08; runs
    with the same perplexity and tokens/s count once. Perplexities are printed with one decimal.
    """

    counts: Mapping[float, int]
    """Training perplexity of the last epoch -> number of runs."""
    tokens_per_second: float
    """Median over these runs, on the GPUs of their time."""
    hidden_size: int
    """Units of the notebook's network: the RNN's has 512 (d2l-zh, rnn-scratch.md), the others' 256."""
    tutorial_perplexity: float
    """What the tutorial itself prints (d2l-zh-pytorch-slides, commit 341c193)."""
    tutorial_tokens_per_second: float
    """Likewise, on its GPU."""

    @property
    def perplexities(self) -> tuple[float, ...]:
        """One entry per run, ascending."""
        return tuple(sorted(perplexity for perplexity, runs in self.counts.items() for _ in range(runs)))

    @property
    def runs(self) -> int:
        """Their number."""
        return sum(self.counts.values())

    @property
    def median(self) -> float:
        """The median perplexity."""
        return statistics.median(self.perplexities)


PUBLISHED: dict[str, Published] = {
    "rnn": Published({1.0: 79, 1.1: 11, 1.2: 5, 1.5: 1, 1.6: 1}, 64_900, 512, 1.0, 67_212.6),
    "gru": Published({1.0: 6, 1.1: 75, 1.2: 4, 1.3: 5, 1.4: 1, 1.5: 1, 1.8: 1}, 24_700, 256, 1.1, 19_911.5),
    "lstm": Published({1.1: 47, 1.2: 16, 1.3: 11, 1.4: 4, 2.0: 2, 2.4: 1}, 20_800, 256, 1.3, 17_736.0),
}
"""The from-scratch notebook of each cell; the RNN's with sequential batches."""


@dataclass(frozen=True)
class TutorialEpoch:
    """One pass over the 10,000 characters."""

    seed: int
    """Which run."""
    epoch: int
    """Counted from 1."""
    perplexity: float
    """`exp` of the mean loss while the weights were moving, as the tutorial measures it."""
    tokens_per_second: float
    """Targets over the seconds of this epoch."""


@dataclass(frozen=True)
class TutorialRun:
    """What one seed gave."""

    seed: int
    """Seed of the weights and of the offsets."""
    cell: str
    """rnn, gru or lstm."""
    perplexity: float
    """The last epoch's, on the text that was trained on: the tutorial's number."""
    tokens_per_second: float
    """The last epoch's, as the tutorial prints it."""
    held_out_perplexity: float
    """On the rest of the book, read once from its beginning with the state carried; the tutorial never measured it."""
    continuations: tuple[str, ...]
    """The text after each of `PREFIXES`, prefix included."""


@dataclass(frozen=True)
class TutorialReport:
    """All runs of one cell."""

    cell: str
    """rnn, gru or lstm."""
    hidden_size: int
    """Units of each run's network."""
    epochs: int
    """Epochs of each run; the published runs have 500."""
    runs: tuple[TutorialRun, ...]
    """In the order of the seeds."""

    @property
    def published(self) -> Published:
        """The published runs of the same cell."""
        return PUBLISHED[self.cell]

    @property
    def median(self) -> float:
        """The median training perplexity."""
        return statistics.median(run.perplexity for run in self.runs)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest training perplexity."""
        perplexities = [run.perplexity for run in self.runs]
        return min(perplexities), max(perplexities)

    @property
    def held_out_median(self) -> float:
        """The median perplexity on the rest of the book."""
        return statistics.median(run.held_out_perplexity for run in self.runs)

    @property
    def tokens_per_second(self) -> float:
        """The median speed."""
        return statistics.median(run.tokens_per_second for run in self.runs)

    @property
    def median_in_published_range(self) -> bool | None:
        """Whether the median, rounded as published, lies among the published runs; None for another recipe."""
        if self.epochs != EPOCHS or self.hidden_size != self.published.hidden_size:
            return None
        return self.published.perplexities[0] <= round(self.median, 1) <= self.published.perplexities[-1]


def run_tutorial(
    text: str,
    cell: str,
    seeds: Sequence[int],
    *,
    epochs: int = EPOCHS,
    hidden_size: int | None = None,
    on_epoch: Callable[[TutorialEpoch], None] | None = None,
) -> TutorialReport:
    """Trains one model per seed on the first 10,000 characters of `text` by the tutorial's recipe.

    One layer on one-hot characters, of as many units as the notebook has (RNN 512, GRU and LSTM 256) or `hidden_size`;
    an output layer, every weight from N(0, 0.01^2) and every bias 0, one bias per gate, the GRU in its 2014 form; 32
    streams cut every 35 steps, from an offset drawn for each epoch, the state fresh at the start of an epoch and
    carried on, cut from the graph, in between; the mean cross-entropy's gradient scaled down to a total norm of 1; SGD
    with learning rate 1; 500 epochs.

    Raises `InputError` for another cell, for no seeds, fewer than one epoch, a text that is too short, and a loss that
    is not finite.
    """
    if cell not in PUBLISHED:
        raise InputError(f"cell must be one of {', '.join(PUBLISHED)}, got {cell!r}")
    if not seeds or min(seeds) < 0:
        raise InputError(f"seeds must be one or more integers from 0 on, got {list(seeds)}")
    if hidden_size is not None and hidden_size < 1:
        raise InputError(f"hidden_size must be at least 1, got {hidden_size}")
    if epochs < 1:
        raise InputError(f"epochs must be at least 1, got {epochs}")
    prepared = time_machine_tutorial(text)
    units = hidden_size or PUBLISHED[cell].hidden_size
    runs = tuple(_run(prepared, cell, units, seed, epochs, on_epoch or (lambda _: None)) for seed in seeds)
    return TutorialReport(cell, units, epochs, runs)


def tutorial_model(cell: str, vocab_size: int, hidden_size: int, seed: int) -> LanguageModel:
    """The tutorial's network with its first weights; torch's generator is left as it was.

    torch's cells add two biases, which move alike and so make the tutorial's one bias move twice as fast; here the
    recurrent one stays 0.
    """
    options = {"reset_after": False} if cell == "gru" else {}
    values = {"cell": cell, "vocab_size": vocab_size, "hidden_size": hidden_size, "init": "tutorial", **options}
    config = LanguageModelConfig(**values)  # type: ignore[arg-type]
    require_memory_to_train(config, f"hidden_size={hidden_size}", copies=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = config.build()
    model.layer.get_parameter("bias_hh_l0").requires_grad_(False)
    return model


@able_to_learn()
def _run(
    text: TutorialText, cell: str, hidden_size: int, seed: int, epochs: int, on_epoch: Callable[[TutorialEpoch], None]
) -> TutorialRun:
    model = tutorial_model(cell, len(text.vocabulary), hidden_size, seed)
    batches = ContiguousBatches(text.train, BATCH_SIZE, STEPS, seed, random_offset=True)
    for epoch in range(epochs):
        done = _epoch(model, batches, seed, epoch)
        on_epoch(done)
    nats = evaluate(model, text.held_out)
    written = tuple(_continue(model, text, prefix) for prefix in PREFIXES)
    return TutorialRun(seed, cell, done.perplexity, done.tokens_per_second, math.exp(nats), written)


def _epoch(model: LanguageModel, batches: ContiguousBatches, seed: int, epoch: int) -> TutorialEpoch:
    began = time.perf_counter()
    losses = list(_train(model, batches, epoch))
    seconds = time.perf_counter() - began
    mean = math.fsum(losses) / len(losses)
    if not math.isfinite(mean):
        raise InputError(f"the loss became {mean} in epoch {epoch + 1} of seed {seed}, expected a number")
    return TutorialEpoch(seed, epoch + 1, math.exp(mean), len(losses) * BATCH_SIZE * STEPS / seconds)


def _train(model: LanguageModel, batches: ContiguousBatches, epoch: int) -> Iterator[float]:
    """The tutorial's loop over one epoch: the mean loss of each batch, before the step that it causes."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE)
    state: State | None = None
    for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
        batch = batches.at(step)
        state = None if batch.fresh or state is None else model.detach(state)
        loss, state = model.loss(batch.inputs, batch.targets, state)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        _clip(parameters)
        optimizer.step()
        yield loss.item()


def _clip(parameters: Iterable[Tensor]) -> None:
    # Not torch's clip_grad_norm_, which divides by the norm + 1e-6.
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm > CLIP_NORM:
        for gradient in gradients:
            gradient.mul_(CLIP_NORM / norm)


def _continue(model: LanguageModel, text: TutorialText, prefix: str) -> str:
    prompt = text.encode(prefix)
    ids = generate(model, torch.from_numpy(prompt), WRITTEN, SamplingConfig(greedy=True))
    return prefix + text.decode(list(ids))
