"""Sensible settings for a text of this length on this machine, and why, in one sentence."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch

from longhold.errors import InputError
from longhold.models.language_model import LanguageModelConfig
from longhold.options import Cell, Recipe
from longhold.training.config import TrainConfig


@dataclass(frozen=True)
class _Size:
    """A row of the table: for texts below `below` characters."""

    name: str
    below: float
    hidden_size: int
    num_layers: int
    dropout: float
    batch_size: int
    sequence_length: int
    lr: float
    epochs: float


_SHORT = 2_000_000  # characters below which the time there is decides too

# Models overfit short texts, hence few units and more dropout; long texts want width.
_SIZES = (
    _Size("tiny", 50_000, 128, 1, 0.3, 16, 32, 4e-3, 30),
    _Size("small", _SHORT, 256, 1, 0.2, 16, 64, 8e-3, 8),
    _Size("medium", 20_000_000, 512, 2, 0.1, 64, 128, 2e-3, 4),
    _Size("large", float("inf"), 1024, 2, 0.1, 128, 128, 1e-3, 2),
)
# Fewer than 8 cores gain nothing from large batches: they get through as many characters in a second at 16 rows of 64 a
# step, and take eight times the steps. Held-out bits of the Penn Treebank's characters after 150 s of two cores: 512
# units 2.80 at 64 x 128 and 1.78 at 16 x 64, two layers of 256 units 1.71 at 16 x 64.
_FEW_CORES = _Size("medium", float("inf"), 256, 2, 0.1, 16, 64, 4e-3, 4)
_MANY = 8  # cores
_INITIALIZATION: dict[Cell, str] = {"rnn": "orthogonal", "gru": "uniform", "lstm": "forget:1"}
_EMBED_FROM = 512  # ids; below, one column of weights for each is looked up, which costs less than a product

# Input, embedding, between layers, before the output, recurrent weights: less of each the more text there is.
_AWD: dict[str, tuple[float, float, float, float, float]] = {
    "tiny": (0.2, 0.05, 0.3, 0.4, 0.5),
    "small": (0.1, 0.02, 0.25, 0.3, 0.4),
    "medium": (0.1, 0.0, 0.2, 0.2, 0.2),
    "large": (0.05, 0.0, 0.1, 0.1, 0.1),
}


@dataclass(frozen=True)
class _WithTime:
    """What a short text gets where there is time for so many `passes` over it, and for the steps of its size."""

    hidden_size: int
    recipe: Recipe
    passes: int
    lr: float
    characters: int = 0
    """Of texts that are no shorter."""
    num_layers: int = 1
    """Layers, however few the cores."""
    dropout: float | None = None
    """Rate in place of the size's own."""


# The first that there is time for. Held-out bits after 3,000 steps on the Time Machine: 2.02 of the first, 2.11 of the
# third, 2.27 of 512 units that forget less. On tiny Shakespeare in ten minutes of two cores 2.06 of the second, 2.16 of
# one layer of 512 units with dropout 0.2, 2.18 of that with 0.4 and weight dropout of 0.3.
_WITH_TIME = (
    _WithTime(512, "awd", 24, 3e-3, 50_000),
    _WithTime(256, "standard", 8, 4e-3, 500_000, num_layers=2, dropout=0.35),
    _WithTime(256, "awd", 12, 5e-3),
)
_LARGE_STEPS = 1000  # of a large network in large batches, below which a smaller one does better in the same time
_WIDE = 512  # units from which the learning rate of short texts is too high
_WIDE_LR = 3e-3
_AWD_FIELDS = ("input_dropout", "embedding_dropout", "dropout", "output_dropout", "weight_dropout")


@dataclass(frozen=True)
class Preset:
    """Settings for a model and its training."""

    cell: Cell
    """The recurrence."""
    hidden_size: int
    """Width of a layer."""
    num_layers: int
    """Layers."""
    dropout: float
    """Fraction of each layer's output that is dropped in training."""
    init: str
    """Initialization, by name."""
    config: TrainConfig
    """How it is trained. `steps` is a number of epochs; a time budget replaces it."""
    sentence: str
    """What was chosen and why, for the person who left it open."""
    regularization: Mapping[str, float] = field(default_factory=dict)
    """Rates of the dropouts of AWD-LSTM by name; where there are any, the weights are tied."""

    def model_config(self, vocab_size: int) -> LanguageModelConfig:
        """The language model over `vocab_size` ids: one-hot input for a small alphabet, embedded above 512 ids.

        An embedding that is as wide as the layers shares its weights with the output (Press and Wolf 2017).
        """
        width = self.hidden_size if self.regularization else min(self.hidden_size, 256)
        embedded = bool(self.regularization) or vocab_size > _EMBED_FROM
        values: dict[str, object] = {
            "cell": self.cell,
            "vocab_size": vocab_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "embedding_size": width if embedded else None,
            "dropout": self.dropout,
            "init": self.init,
            "tie_weights": embedded and width == self.hidden_size,
        }
        if self.regularization:
            values |= {"locked_dropout": True, **self.regularization}
        return LanguageModelConfig(**values)  # type: ignore[arg-type]


def available_cores() -> int:
    """Returns the number of processor cores that this process may use; all, where the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Candidate(NamedTuple):
    """Settings that a time budget may be used for."""

    preset: Preset
    """The settings."""
    steps: int
    """Steps that there must be time for; with fewer, what comes after it does better. 0 for the last."""


def preset(
    characters: int,
    device: torch.device | str,
    cores: int,
    cell: Cell = "lstm",
    recipe: Recipe | None = None,
    hidden_size: int | None = None,
) -> Preset:
    """Choose settings for a training that takes its time.

    The length of the text decides the size; without an accelerator and with fewer than 8 cores nothing larger than two
    layers of 256 units is chosen, in small batches. A plain RNN learns at a third of the learning rate of the gated
    cells.

    Args:
        characters: length of the training text.
        device: where it trains.
        cores: processor cores that it may use.
        cell: the recurrence.
        recipe: `standard`: dropout after each layer. `awd`: the regularization of AWD-LSTM (Merity et al. 2018), which
            are locked dropout on the embedded input, between layers and before the output, dropout of whole ids and of
            recurrent weights, tied weights; with AdamW, as its authors train it on characters, and an exponential
            mean of the weights over the second half in place of averaged SGD. None: `standard`.
        hidden_size: width of a layer, where it is decided; a wide one learns at a lower rate.

    Raises:
        InputError: for a text of less than one character, or less than one core.
    """
    size, kind = _decided(_size(characters, device, cores), hidden_size), torch.device(device).type
    return _preset(size, characters, kind, cores, cell, recipe or "standard")


def candidates(
    characters: int,
    device: torch.device | str,
    cores: int,
    cell: Cell = "lstm",
    recipe: Recipe | None = None,
    hidden_size: int | None = None,
    *,
    sized: bool = False,
) -> tuple[Candidate, ...]:
    """Returns what a time budget may be used for, most demanding first. The first whose steps fit is taken.

    A short text and much time want a network that forgets more, and a wider one. So before `preset`'s own settings come
    richer ones, each with the steps of 12 passes over the text (24 for 512 units, 8 for two layers that are regularized
    as usual), and no fewer than `preset` takes. A long text and little time want small batches: the last are those of
    few cores.

    Args:
        characters: as of `preset`, and so the other arguments.
        device: see there.
        cores: see there.
        cell: see there.
        recipe: None: of each candidate its own.
        hidden_size: see there.
        sized: whether the number of layers or so is decided, so that no richer network is offered.
    """
    own, kind = _size(characters, device, cores), torch.device(device).type
    plain = preset(characters, device, cores, cell, recipe, hidden_size)
    if characters >= _SHORT:
        larger = [size for size in reversed(_SIZES) if own is not _FEW_CORES and _SHORT < size.below <= own.below]
        sizes = [_decided(size, hidden_size) for size in (*larger, _FEW_CORES)]
        presets = [_preset(size, characters, kind, cores, cell, recipe or "standard") for size in sizes]
        return (*(Candidate(one, _LARGE_STEPS) for one in presets[:-1]), Candidate(presets[-1], 0))
    found = []
    for choice in _WITH_TIME if hidden_size is None and not sized else ():
        if characters >= choice.characters and recipe in (None, choice.recipe):
            dropout = own.dropout if choice.dropout is None else choice.dropout
            layers, lr = choice.num_layers, choice.lr
            richer = replace(own, hidden_size=choice.hidden_size, num_layers=layers, dropout=dropout, lr=lr)
            passes = math.ceil(choice.passes * characters / (own.batch_size * own.sequence_length))
            rich = _preset(richer, characters, kind, cores, cell, choice.recipe)
            found.append(Candidate(rich, max(passes, plain.config.steps)))
    return (*found, Candidate(plain, 0))


def _size(characters: int, device: torch.device | str, cores: int) -> _Size:
    if characters < 1 or cores < 1:
        raise InputError(f"characters={characters}, cores={cores}: expected at least 1 of each")
    if characters >= _SHORT and torch.device(device).type == "cpu" and cores < _MANY:
        return _FEW_CORES
    return next(size for size in _SIZES if characters < size.below)


def _decided(size: _Size, hidden_size: int | None) -> _Size:
    """With a width that a person decided."""
    if hidden_size is None:
        return size
    return replace(size, hidden_size=hidden_size, lr=min(_WIDE_LR, size.lr) if hidden_size >= _WIDE else size.lr)


def _preset(size: _Size, characters: int, kind: str, cores: int, cell: Cell, recipe: Recipe) -> Preset:
    steps = max(200, round(size.epochs * characters / (size.batch_size * size.sequence_length)))
    awd = recipe == "awd"
    config = TrainConfig(
        steps=steps,
        batch_size=size.batch_size,
        sequence_length=size.sequence_length,
        lr=size.lr / 3 if cell == "rnn" else size.lr,
        weight_decay=0.01,
        schedule="cosine",
        warmup_steps=min(100, steps // 10),
        final_fraction=0.05,
        patience=5,
        evaluate_columns=8 if characters < 500_000 else 16,
        average_from=0.5 if awd else None,
        average_decay=0.998 if awd else None,
    )
    rates = dict(zip(_AWD_FIELDS, _AWD[size.name], strict=True)) if awd else {}
    layers = "one layer" if size.num_layers == 1 else f"{size.num_layers} layers"
    place = f"{cores} core{'s' if cores > 1 else ''}" if kind == "cpu" else kind
    regularized = ", AWD-LSTM's dropouts, tied and averaged weights" if awd else ""
    sentence = (
        f"{characters:,} characters on {place}: a {size.name} {cell.upper()} of {layers} of {size.hidden_size} units, "
        f"{size.batch_size} x {size.sequence_length} characters a step, AdamW from a learning rate of {config.lr:g}"
        f"{regularized}."
    )
    return Preset(cell, size.hidden_size, size.num_layers, size.dropout, _INITIALIZATION[cell], config, sentence, rates)
