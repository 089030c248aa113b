"""Sensible settings for a text of this length on this machine, and why, in one sentence."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch

from longhold.errors import InputError
from longhold.models.language_model import LanguageModelConfig
from longhold.training.config import TrainConfig

Cell: TypeAlias = Literal["rnn", "gru", "lstm"]


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


# Short texts are learnt by heart before they are learnt, hence small and dropped out; long ones want width.
_SIZES = (
    _Size("tiny", 50_000, 128, 1, 0.3, 16, 32, 4e-3, 30),
    _Size("small", 2_000_000, 256, 1, 0.2, 32, 64, 3e-3, 15),
    _Size("medium", 20_000_000, 512, 2, 0.1, 64, 128, 2e-3, 4),
    _Size("large", float("inf"), 1024, 2, 0.1, 128, 128, 1e-3, 2),
)
_INITIALISATION: dict[Cell, str] = {"rnn": "orthogonal", "gru": "uniform", "lstm": "forget:1"}
_EMBED_FROM = 256


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
    """Share of each layer's output that is dropped in training."""
    init: str
    """Initialisation, by name."""
    config: TrainConfig
    """How it is trained. `steps` is a number of epochs; a time budget replaces it."""
    sentence: str
    """What was chosen and why, for the person who did not choose."""

    def model_config(self, vocab_size: int) -> LanguageModelConfig:
        """The language model over `vocab_size` ids: one-hot input for a small alphabet, embedded above 256."""
        return LanguageModelConfig(
            cell=self.cell,
            vocab_size=vocab_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            embedding_size=min(self.hidden_size, 256) if vocab_size > _EMBED_FROM else None,
            dropout=self.dropout,
            init=self.init,
        )


def preset(characters: int, device: torch.device | str, cores: int, cell: Cell = "lstm") -> Preset:
    """Choose settings.

    The length of the text decides the size; without an accelerator and with fewer than 8 cores nothing larger than
    `medium` is chosen, and with fewer than 4 nothing larger than one layer of 512. A plain RNN learns at a third of
    the learning rate of the gated cells.

    Args:
        characters: length of the training text.
        device: where it trains.
        cores: processor cores that it may use.
        cell: the recurrence.

    Raises:
        InputError: for a text of less than one character, or less than one core.
    """
    if characters < 1 or cores < 1:
        raise InputError(f"characters={characters}, cores={cores}: expected at least 1 of each")
    kind = torch.device(device).type
    wanted = next(index for index, size in enumerate(_SIZES) if characters < size.below)
    size = _SIZES[min(wanted, 2) if kind == "cpu" and cores < 8 else wanted]
    num_layers = 1 if kind == "cpu" and cores < 4 else size.num_layers
    steps = max(200, round(size.epochs * characters / (size.batch_size * size.sequence_length)))
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
        evaluate_columns=1 if characters < 500_000 else 16,
    )
    layers = "one layer" if num_layers == 1 else f"{num_layers} layers"
    place = f"{cores} core{'s' if cores > 1 else ''}" if kind == "cpu" else kind
    sentence = (
        f"{characters:,} characters on {place}: a {size.name} {cell.upper()} of {layers} of {size.hidden_size} units, "
        f"{size.batch_size} x {size.sequence_length} characters a step, AdamW from a learning rate of {config.lr:g}."
    )
    return Preset(cell, size.hidden_size, num_layers, size.dropout, _INITIALISATION[cell], config, sentence)
