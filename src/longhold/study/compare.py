"""The first comparison: the same text and the same size for every cell, and how long each can hold a symbol."""

import contextlib
import datetime
import math
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from longhold.data import ContiguousBatches, Corpus, Tokenizer, require_length, split, train_tokenizer
from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.config import Config
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.study.baselines import baselines
from longhold.study.comparison import CellRow, Comparison, CurvePoint, Machine, Source
from longhold.study.recall import Cell, RecallConfig, RecallRow, fit_steps, run_study
from longhold.study.workers import Workers, available_cores
from longhold.text import TextModel
from longhold.training import (
    Progress,
    TrainConfig,
    evaluate,
    fitted_config,
    step_probe,
    text_batches,
    train,
    with_budget,
)

SHORTEST = 1000
"""Characters below which a text is not compared on."""

_REPORT_SECONDS = 4.0  # kept back for the page
_REFERENCE_HIDDEN = 160
_LONGEST_PROMPT = 32
_MOST_WORKERS = 16  # each holds a few hundred megabytes of torch


@final
class CompareConfig(Config):
    """What is compared and for how long."""

    cells: tuple[Cell, ...] = ("rnn", "gru", "lstm")
    """Recurrences, each once."""
    budget_seconds: Annotated[float, Field(gt=0)] = 180.0
    """Time for everything: baselines, text, recall and page."""
    recall_share: Annotated[float, Field(ge=0, lt=1)] = 0.55
    """The share that recall gets of what the baselines leave; 0 leaves recall out. The cells share the rest equally."""
    tokenizer: Literal["char", "byte", "word", "bpe"] = "char"
    """Kind of tokenizer."""
    init: str = "uniform"
    """Initialisation of every cell in the text runs."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers of every cell; None: those of an LSTM of 160 units."""
    embedding_size: Annotated[int, Field(ge=1)] = 64
    """Width of the learned vector that stands for a token."""
    train: TrainConfig = TrainConfig(
        batch_size=16, sequence_length=64, lr=3e-3, schedule="cosine", final_fraction=0.05, evaluate_columns=8
    )
    """Optimiser settings, the same for every cell; `steps` follows from the budget."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides weights, batches and samples of the text runs."""
    prompt: str | None = None
    """What every sample begins from; None: the first words of the held-out text."""
    sample_length: Annotated[int, Field(ge=1)] = 400
    """Tokens in a sample."""
    temperature: Annotated[float, Field(ge=0)] = 0.8
    """Of the samples."""
    recall: RecallConfig = RecallConfig(steps=2000)
    """The recall study. Its arms are those of `cells`; its steps are at most these, fewer where time asks for it."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes for the recall study; None: one per core."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.cells or len(set(self.cells)) < len(self.cells):
            raise ValueError(f"cells={','.join(self.cells)!r}: expected at least one cell, each once")
        return self

    def study(self) -> RecallConfig:
        """The recall study with the arms of the chosen cells only.

        Raises:
            InputError: it has none for them.
        """
        arms = tuple(arm for arm in self.recall.arms if arm.cell in self.cells)
        return RecallConfig(**{**self.recall.model_dump(), "arms": arms})


@dataclass(frozen=True)
class CompareProgress:
    """Where a comparison stands, for whoever watches it."""

    stage: Literal["baselines", "text", "recall"]
    """What is under way."""
    done: int
    """Baselines, cells or runs of this stage that are finished."""
    total: int
    """Of how many."""
    message: str
    """The same in a line."""
    training: Progress | None = None
    """Where the training of the cell under way stands."""
    row: RecallRow | None = None
    """The recall run that has just ended."""


def compare(
    corpus: Corpus,
    config: CompareConfig | None = None,
    *,
    command: str | None = None,
    on_progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Train each cell at the same number of parameters, with the same optimiser settings, for the same time.

    The text is cut into training, validation (5 %, at most 100,000 characters) and held-out text (10 %), in this
    order. Validation chooses each cell's best step and the n-gram's order; the held-out text is read once, after
    training. Then the recall study trains a fresh model for every arm, lag and seed, in worker processes.

    Args:
        corpus: the text.
        config: what is compared; None for the defaults.
        command: what a person types to get this again, for the page; None writes it from the configuration.
        on_progress: called a few times a second.

    Raises:
        InputError: the text has fewer than 1,000 characters, the parameters are too few for a cell, or a loss became
            non-finite in a text run.
    """
    config = CompareConfig() if config is None else config
    watch = on_progress or (lambda progress: None)
    began = time.perf_counter()
    text = _Text.of(corpus, config)
    watch(CompareProgress("baselines", 0, 1, "n-gram and xz"))
    floor = baselines(text.train, text.validation, text.held_out, text.tokenizer)
    left = config.budget_seconds - _REPORT_SECONDS - (time.perf_counter() - began)
    each = max(1.0, left * (1 - config.recall_share) / len(config.cells))
    with _threads_kept() as most:
        cells = tuple(_cell_row(cell, i, each, most, text, config, watch) for i, cell in enumerate(config.cells))
    left = config.budget_seconds - _REPORT_SECONDS - (time.perf_counter() - began)
    recall = _recall(config, left, watch) if config.recall_share > 0 else ()
    return Comparison(
        source=text.described(corpus, config),
        machine=Machine.here(),
        date=datetime.date.today().isoformat(),
        command=command or _command(corpus, config),
        budget_seconds=config.budget_seconds,
        seconds=time.perf_counter() - began,
        seed=config.seed,
        recipe=_recipe(text.settings(config)),
        prompt=text.prompt(config),
        temperature=config.temperature,
        cells=cells,
        baselines=floor,
        recall=recall,
    )


@dataclass(frozen=True)
class _Text:
    train: str
    validation: str
    held_out: str
    tokenizer: Tokenizer

    @classmethod
    def of(cls, corpus: Corpus, config: CompareConfig) -> Self:
        require_length(corpus, SHORTEST, "compare")
        head, held_out = split(corpus.text, 0.1)
        train, validation = split(head, min(0.05 / 0.9, 100_000 / len(head)))
        return cls(train, validation, held_out, train_tokenizer(config.tokenizer, train))

    def settings(self, config: CompareConfig) -> TrainConfig:
        """The optimiser settings, with batches that this text can fill."""
        seeded = config.train.model_copy(update={"seed": config.seed})
        return fitted_config(seeded, self.tokenizer.encode(self.train))

    def after_context(self, text: str) -> NDArray[np.int64]:
        """The ids of `text` after the last id of the training text, so that every one of them is predicted."""
        return np.concatenate([self.tokenizer.encode(self.train[-1:])[-1:], self.tokenizer.encode(text)])

    def prompt(self, config: CompareConfig) -> str:
        """The given prompt, or the first whole words of the held-out text."""
        if config.prompt is not None:
            return config.prompt
        words = " ".join(self.held_out[:200].split()[1:])[:_LONGEST_PROMPT]
        return words.rpartition(" ")[0] or words or self.held_out[:1]

    def described(self, corpus: Corpus, config: CompareConfig) -> Source:
        """What the page says of the text."""
        return Source(
            name=corpus.name,
            notes=corpus.notes,
            tokenizer=config.tokenizer,
            vocab_size=self.tokenizer.vocab_size,
            train_characters=len(self.train),
            validation_characters=len(self.validation),
            held_out_characters=len(self.held_out),
        )


def solve_text_model(cell: Cell, vocab_size: int, config: CompareConfig) -> LanguageModelConfig:
    """The language model of a cell at the comparison's number of parameters.

    Raises:
        InputError: the number is too small for any network of this cell.
    """

    def model(kind: Cell) -> LanguageModelConfig:
        return LanguageModelConfig(
            cell=kind,
            vocab_size=vocab_size,
            hidden_size=_REFERENCE_HIDDEN,
            embedding_size=config.embedding_size,
            init=config.init,
        )

    target = config.parameters or parameter_count(model("lstm"))
    return model(cell).with_hidden_size(solve_hidden_size(model(cell), target))


def _cell_row(
    cell: Cell,
    index: int,
    seconds: float,
    threads: int,
    text: _Text,
    config: CompareConfig,
    watch: Callable[[CompareProgress], None],
) -> CellRow:
    shape = solve_text_model(cell, text.tokenizer.vocab_size, config)
    model, settings, ids = _built(shape, config.seed), text.settings(config), text.tokenizer.encode(text.train)
    validation, batches = text.after_context(text.validation), text_batches(ids, settings)
    began = time.perf_counter()
    torch.set_num_threads(_fastest_threads(threads, model, batches, settings))
    left = max(1.0, seconds - (time.perf_counter() - began))
    plan = with_budget(settings, left, model, batches, held_out=validation)
    curve = _Curve(plan, _bits(validation, text.validation))

    def report(progress: Progress) -> None:
        curve.add(progress)
        message = f"{cell}: step {progress.step} of {progress.steps}"
        watch(CompareProgress("text", index, len(config.cells), message, training=progress))

    result = train(model, batches, plan, held_out=validation, on_progress=report)
    taken = time.perf_counter() - began
    asked = text.after_context(text.held_out)
    nats = evaluate(model, asked, columns=_columns(len(asked)))
    writer = TextModel(model, text.tokenizer)
    pieces = writer.write(
        text.prompt(config), length=config.sample_length, temperature=config.temperature, seed=config.seed
    )
    return CellRow(
        cell=cell,
        init=config.init,
        hidden_size=shape.hidden_size,
        parameters=parameter_count(shape),
        lr=plan.lr,
        threads=torch.get_num_threads(),
        steps=result.steps,
        best_step=result.best_step or result.steps,
        tokens=result.tokens,
        seconds=taken,
        tokens_per_second=result.tokens_per_second,
        held_out_bits=nats * _bits(asked, text.held_out),
        train_perplexity=math.exp(result.loss),
        sample="".join(pieces),
        curve=tuple(curve.points),
    )


@contextlib.contextmanager
def _threads_kept() -> Iterator[int]:
    """The number of threads that torch was given, and has again afterwards."""
    before = torch.get_num_threads()
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def _fastest_threads(most: int, model: LanguageModel, batches: ContiguousBatches, settings: TrainConfig) -> int:
    """One thread or all, whichever makes a step sooner: steps are small, and on a busy machine threads wait."""

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        probe = step_probe(model, batches, settings)
        return statistics.median([probe() for _ in range(7)][2:])

    return min(sorted({1, most}), key=seconds)


def _built(shape: LanguageModelConfig, seed: int) -> LanguageModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return shape.build()


def _bits(ids: NDArray[np.int64], text: str) -> float:
    """What turns nats per predicted token into bits per character; the first id is context."""
    return (len(ids) - 1) / math.log(2) / len(text)


def _columns(tokens: int) -> int:
    """Pieces for the last evaluation: one, so that it is exact, until that would take too long."""
    return max(1, min(64, tokens // 20_000))


class _Curve:
    def __init__(self, plan: TrainConfig, bits: float) -> None:
        self.points: list[CurvePoint] = []
        self._plan, self._bits = plan, bits

    def add(self, progress: Progress) -> None:
        """Keep what was just evaluated; most reports come between evaluations."""
        due = progress.step % self._plan.evaluation_interval == 0 or progress.step == self._plan.steps
        new = not self.points or self.points[-1].step < progress.step
        if due and new and progress.held_out is not None:
            self.points.append(CurvePoint(progress.step, progress.seconds, progress.held_out * self._bits))


def _recall(config: CompareConfig, seconds: float, watch: Callable[[CompareProgress], None]) -> tuple[RecallRow, ...]:
    study = config.study()
    total, done = len(study.runs()), 0
    watch(CompareProgress("recall", 0, total, "timing a step of every cell"))
    began = time.perf_counter()

    def report(row: RecallRow) -> None:
        nonlocal done
        done += 1
        arm = row.run.arm
        message = f"{arm.cell} {arm.init}, lag {row.run.lag}: {'solved' if row.solved else 'not solved'}"
        watch(CompareProgress("recall", done, total, message, row=row))

    with Workers(config.workers or min(total, available_cores(), _MOST_WORKERS)) as workers:
        study = fit_steps(study, lambda: seconds - (time.perf_counter() - began), workers)
        return run_study(study, workers, report)


def _recipe(config: TrainConfig) -> str:
    course = "" if config.schedule == "constant" else f", {config.schedule} to {config.final_fraction:g} of it"
    clip = "no clipping" if config.clip_norm is None else f"gradients clipped at norm {config.clip_norm:g}"
    size = f"{config.batch_size} × {config.sequence_length} tokens a step"
    return f"{config.optimizer}, learning rate {config.lr:g}{course}; {size}; {clip}; state carried between steps"


def _command(corpus: Corpus, config: CompareConfig) -> str:
    words = ["longhold", "compare", corpus.name, "--cells", ",".join(config.cells)]
    return shlex.join([*words, "--budget", f"{config.budget_seconds:g}s", "--seed", str(config.seed)])
