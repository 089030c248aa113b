"""What a comparison came to: frozen values, all that its table and its page show."""

from dataclasses import dataclass
from typing import final

from longhold.study.baselines import Baseline
from longhold.study.machine import Machine
from longhold.study.recall import RecallRow


@final
@dataclass(frozen=True)
class Source:
    """The text that was learnt, and how it was cut."""

    name: str
    """What it is called; of a path the last part."""
    notes: tuple[str, ...]
    """What was said while it was read."""
    tokenizer: str
    """Kind of tokenizer, made from the training part alone."""
    vocab_size: int
    """Token ids."""
    train_characters: int
    """Characters trained on."""
    validation_characters: int
    """Characters that choose each cell's best step and the n-gram's order."""
    held_out_characters: int
    """Characters that the results are measured on, read once, at the end."""


@final
@dataclass(frozen=True)
class CurvePoint:
    """A model on the validation text in the course of its training."""

    step: int
    """Optimizer steps made."""
    seconds: float
    """Time since the training began, evaluations included."""
    bits_per_character: float
    """On the validation text."""


@final
@dataclass(frozen=True)
class CellRow:
    """What one cell came to on the text: one run."""

    cell: str
    """The recurrence."""
    init: str
    """Its initialisation."""
    hidden_size: int
    """Solved, so that all cells have the same number of parameters."""
    parameters: int
    """Trainable numbers."""
    lr: float
    """Learning rate at the top of the schedule."""
    steps: int
    """Optimizer steps made."""
    best_step: int
    """The step whose weights were kept, best on the validation text."""
    tokens: int
    """Targets trained on, repetitions counted."""
    seconds: float
    """Time for probe, training and evaluation."""
    tokens_per_second: float
    """Targets per second of stepping."""
    held_out_bits: float
    """Bits per character on the held-out text, state carried through all of it."""
    train_perplexity: float
    """Per token, of the last steps in training (an exponential mean); what the tutorial reports."""
    sample: str
    """What it writes after the prompt."""
    curve: tuple[CurvePoint, ...]
    """Validation while it trained."""


@final
@dataclass(frozen=True)
class Comparison:
    """A whole comparison."""

    source: Source
    """The text."""
    machine: Machine
    """Where it ran."""
    date: str
    """The day, as YYYY-MM-DD."""
    command: str
    """What gives it again."""
    budget_seconds: float
    """Time allowed."""
    seconds: float
    """Time taken, but for this page."""
    seed: int
    """Of weights, batches and samples of the text runs."""
    recipe: str
    """The optimiser settings, the same for every cell, in a line."""
    prompt: str
    """What every sample begins from."""
    temperature: float
    """Of the samples."""
    cells: tuple[CellRow, ...]
    """One row per cell."""
    baselines: tuple[Baseline, ...]
    """Predictors without a network."""
    recall: tuple[RecallRow, ...]
    """One row per run, in the order of the plan; empty where recall was not asked for."""
