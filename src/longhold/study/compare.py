"""The first comparison: the same text and the same size for every cell, and how long each can hold a symbol."""

import contextlib
import datetime
import math
import queue
import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from longhold.data import Corpus, Tokenizer, require_length, split, train_tokenizer
from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.config import Config
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.study.baselines import baselines
from longhold.study.comparison import CellRow, Comparison, CurvePoint, Source
from longhold.study.machine import Machine
from longhold.study.recall import Cell, RecallConfig, RecallRow, fit_steps, run_study
from longhold.study.workers import Workers
from longhold.text import TextModel
from longhold.training import (
    Progress,
    TrainConfig,
    evaluate,
    fitted_config,
    text_batches,
    train,
    with_budget,
)
from longhold.training.presets import available_cores

SHORTEST = 1000
"""Characters below which a text is not compared on."""

_REPORT_SECONDS = 3.0  # kept back for the page
_WRITE_SECONDS = 2.0  # kept back of each cell's share for its last evaluation and its sample
_REFERENCE_HIDDEN = 160
_LONGEST_PROMPT = 32
_MOST_WORKERS = 16  # each holds a few hundred megabytes of torch


@final
class CompareConfig(Config):
    """What is compared and for how long."""

    cells: tuple[Cell, ...] = ("rnn", "gru", "lstm")
    """Recurrences, each once."""
    budget_seconds: Annotated[float, Field(gt=0)] = 180.0
    """Time for everything: baselines, text, recall and page. The cells share it equally; recall goes on beside them."""
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
    recall: RecallConfig | None = RecallConfig(steps=2000)
    """The recall study: its arms for `cells`, for at most its steps, fewer where time asks for it. None: no recall."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes for the recall study; None: all cores but the one that the cells train on, at least 1, at most 16."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.cells or len(set(self.cells)) < len(self.cells):
            raise ValueError(f"cells={','.join(self.cells)!r}: expected at least one cell, each once")
        return self

    def study(self) -> RecallConfig | None:
        """The recall study with the arms of the chosen cells only.

        Raises:
            InputError: it has none for them.
        """
        if self.recall is None:
            return None
        arms = tuple(arm for arm in self.recall.arms if arm.cell in self.cells)
        return RecallConfig(**{**self.recall.model_dump(), "arms": arms})


@dataclass(frozen=True)
class CompareProgress:
    """Where a comparison stands, for whoever watches it.

    Recall runs end beside the training of the cells; the stage is `recall` when nothing but recall is left.
    """

    stage: Literal["baselines", "text", "recall"]
    """What is under way."""
    done: int
    """Parts of this stage that are finished: of the text, cells; of recall, runs."""
    total: int
    """Of how many."""
    message: str
    """The same in a line."""
    training: Progress | None = None
    """In the text stage: where the training of the cell under way stands."""
    row: RecallRow | None = None
    """The recall run that has just ended, if this report is about one."""


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
    training. The cells train one after the other, each on one thread: their steps are so small that more threads gain
    little, and lose much where another program wants a core. Meanwhile the recall study trains a fresh model for every
    arm, lag and seed, in worker processes on the other cores.

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
    study, began = config.study(), time.perf_counter()
    ends = began + config.budget_seconds - _REPORT_SECONDS
    text = _Text.of(corpus, config)
    report = _Reporter(on_progress, config, study)
    with contextlib.ExitStack() as stack:
        future = None if study is None else _begin_recall(stack, study, config.workers, ends, report)
        report.baselines()
        floor = baselines(text.train, text.validation, text.held_out, text.tokenizer)
        stack.enter_context(_one_thread())
        each = (ends - time.perf_counter()) / len(config.cells) - _WRITE_SECONDS
        cells = tuple(_cell_row(cell, max(1.0, each), text, config, report) for cell in config.cells)
        recall = () if future is None else report.rest(future)
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


def _cell_row(cell: Cell, seconds: float, text: _Text, config: CompareConfig, report: "_Reporter") -> CellRow:
    shape = solve_text_model(cell, text.tokenizer.vocab_size, config)
    model, settings, ids = _built(shape, config.seed), text.settings(config), text.tokenizer.encode(text.train)
    validation, batches = text.after_context(text.validation), text_batches(ids, settings)
    began = time.perf_counter()
    plan = with_budget(settings, seconds, model, batches, held_out=validation)
    curve = _Curve(plan, _bits(validation, text.validation))

    def watch(progress: Progress) -> None:
        curve.add(progress)
        report.training(cell, progress)

    result = train(model, batches, plan, held_out=validation, on_progress=watch)
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
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


@final
class _Reporter:
    """Tells the watcher, in the caller's thread, of training and of the recall runs that have ended meanwhile."""

    def __init__(
        self, watch: Callable[[CompareProgress], None] | None, config: CompareConfig, study: RecallConfig | None
    ) -> None:
        self.ended: queue.SimpleQueue[RecallRow | None] = queue.SimpleQueue()
        """Rows as they come, and None after the last."""
        self._watch = watch or (lambda progress: None)
        self._cells = config.cells
        self._runs, self._run = len(study.runs()) if study else 0, 0

    def baselines(self) -> None:
        self._watch(CompareProgress("baselines", 0, 1, "n-gram and xz"))

    def training(self, cell: Cell, progress: Progress) -> None:
        with contextlib.suppress(queue.Empty):
            while (row := self.ended.get_nowait()) is not None:
                self._run += 1
                self._text(cell, progress, f"{_said(row)} ({self._run} of {self._runs} runs)", row)
            self.ended.put(None)  # `rest` waits for this sign
        self._text(cell, progress, f"{cell}: step {progress.step} of {progress.steps}")

    def rest(self, future: Future[tuple[RecallRow, ...]]) -> tuple[RecallRow, ...]:
        """Wait for the runs that are not through, and give all rows."""
        self._watch(CompareProgress("recall", self._run, self._runs, "the last runs"))
        while (row := self.ended.get()) is not None:
            self._run += 1
            self._watch(CompareProgress("recall", self._run, self._runs, _said(row), row=row))
        return future.result()

    def _text(self, cell: Cell, progress: Progress, message: str, row: RecallRow | None = None) -> None:
        done = self._cells.index(cell)
        self._watch(CompareProgress("text", done, len(self._cells), message, training=progress, row=row))


def _said(row: RecallRow) -> str:
    outcome = "failed" if row.failure else "solved" if row.solved else "not solved"
    return f"{row.run.arm.cell} {row.run.arm.init}, lag {row.run.lag}: {outcome}"


def _begin_recall(
    stack: contextlib.ExitStack, study: RecallConfig, count: int | None, ends: float, report: _Reporter
) -> Future[tuple[RecallRow, ...]]:
    """Start the study in worker processes and a thread that waits for them; leaving the stack ends both."""
    waiting = stack.enter_context(ThreadPoolExecutor(1))
    spare = min(len(study.runs()), max(1, available_cores() - 1), _MOST_WORKERS)
    workers = stack.enter_context(Workers(count or spare))

    def work() -> tuple[RecallRow, ...]:
        try:
            fitted = fit_steps(study, lambda: ends - time.perf_counter(), workers)
            return run_study(fitted, workers, report.ended.put)
        finally:
            report.ended.put(None)

    return waiting.submit(work)


def _recipe(config: TrainConfig) -> str:
    course = "" if config.schedule == "constant" else f", {config.schedule} to {config.final_fraction:g} of it"
    clip = "no clipping" if config.clip_norm is None else f"gradients clipped at norm {config.clip_norm:g}"
    size = f"{config.batch_size} × {config.sequence_length} tokens a step"
    return f"{config.optimizer}, learning rate {config.lr:g}{course}; {size}; {clip}; state carried between steps"


def _command(corpus: Corpus, config: CompareConfig) -> str:
    words = ["longhold", "compare", corpus.name, "--cells", ",".join(config.cells)]
    return shlex.join([*words, "--budget", f"{config.budget_seconds:g}s", "--seed", str(config.seed)])
