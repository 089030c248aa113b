"""A small training run: as pieces for tests, and as a process of its own for those that kill it or run several.

python -m tests.training.program FOLDER [--steps N] [--dropout P] [--lose-worker-at STEP]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from longhold.models.file import read_model
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.training import Interrupted, Run, TrainConfig, text_batches, train
from longhold.training.batches import Batch, Batches

VOCABULARY = 17
TIMES = {"seconds", "step_seconds", "tokens_per_second", "metrics_bytes"}


def tokens(count: int = 3000) -> np.ndarray:
    """A text with something to learn: a noisy walk around a ring."""
    generator = np.random.default_rng(5)
    return (np.cumsum(generator.choice([1, 2, 5], size=count, p=[0.7, 0.2, 0.1])) % VOCABULARY).astype(np.int64)


HELD_OUT = tokens(3400)[3000:]


def config(**changes: Any) -> TrainConfig:
    chosen = {"steps": 30, "batch_size": 6, "sequence_length": 9, "lr": 1e-2, "log_every": 4, "evaluate_every": 7}
    return TrainConfig(**{**chosen, "schedule": "cosine", "warmup_steps": 5, **changes})


def model(**changes: Any) -> LanguageModel:
    chosen: dict[str, Any] = {"cell": "lstm", "vocab_size": VOCABULARY, "hidden_size": 12, "num_layers": 2}
    generator = torch.get_rng_state()
    torch.manual_seed(3)
    built = LanguageModelConfig(**{**chosen, "dropout": 0.2, **changes}).build()
    torch.set_rng_state(generator)
    return built


def write() -> str:
    """A sample that draws from torch's global generator, as a careless one would."""
    return f"{torch.rand(3).sum():.3f}"


class Standing(NamedTuple):
    """A run's files without what clocks decided."""

    tensors: dict[str, torch.Tensor]
    document: dict[str, Any]
    metrics: list[dict[str, Any]]


def standing(folder: Path) -> Standing:
    tensors, document = read_model(folder / "checkpoint.safetensors")
    document["counters"] = {name: value for name, value in document["counters"].items() if name not in TIMES}
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name not in TIMES} for line in lines]
    return Standing(tensors, {name: value for name, value in document.items() if name not in TIMES}, metrics)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's bytes, which tell NaN from NaN and 0 from -0."""
    return tensor.reshape(-1).view(torch.uint8)


def assert_same_run(folder: Path, other: Path) -> None:
    """Weights, optimizer, best, carried state, generators and metrics are the same, bit for bit."""
    one, two = standing(folder), standing(other)
    assert one.document == two.document
    assert one.metrics == two.metrics
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == two.tensors[name].dtype, name
        assert torch.equal(bits(tensor), bits(two.tensors[name])), name


@dataclass
class LosingBatches:
    """Batches that kill worker 1 when it asks for one step, in the first life of the group."""

    batches: Batches
    at_step: int
    rank: int = 0

    @property
    def per_epoch(self) -> int:
        return self.batches.per_epoch

    def at(self, step: int) -> Batch:
        if step == self.at_step and self.rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return self.batches.at(step)

    def shard(self, rank: int, world: int) -> LosingBatches:
        return LosingBatches(self.batches.shard(rank, world), self.at_step, rank)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--checkpoint-every", type=int)
    parser.add_argument("--checkpoint-seconds", type=float)
    parser.add_argument("--lose-worker-at", type=int)
    given = parser.parse_args()
    settings = config(
        steps=given.steps,
        optimizer=given.optimizer,
        checkpoint_every=given.checkpoint_every,
        checkpoint_seconds=given.checkpoint_seconds,
    )
    batches: Batches = text_batches(tokens(), settings)
    if given.lose_worker_at is not None:
        batches = LosingBatches(batches, given.lose_worker_at)
    try:
        train(model(dropout=given.dropout), batches, settings, held_out=HELD_OUT, run=Run(given.folder), sample=write)
    except Interrupted as stopped:
        print(stopped)
        return stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
