"""The tutorial's training job end to end: longhold's loop, the same loop with nn.LSTM, and the loop from scratch.

Batches of 32 x 35 of *The Time Machine*, an LSTM of 256 units on 28 characters, SGD with learning rate 1, gradients
clipped at 1.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.section import Bar, Section
from benchmarks.store import Row
from benchmarks.timing import medians
from longhold.cells.lstm import LSTMState
from longhold.data.batching import ContiguousBatches
from longhold.data.timemachine import time_machine_tutorial
from longhold.models.language_model import LanguageModelConfig
from longhold.training import TrainConfig, TrainResult, train
from longhold.tutorial.lstm import TutorialLSTM, tutorial_lstm

VOCABULARY, BATCH, STEPS = 28, 32, 35

Job = Callable[[int], object]
"""Trains for so many steps."""


def text() -> tuple[str, str]:
    """The tutorial's text and its name, from the folder that `LONGHOLD_DATA` names; without it letters by chance."""
    path = Path(os.environ.get("LONGHOLD_DATA", ".")) / "timemachine.txt"
    if path.exists():
        return path.read_text(encoding="utf-8"), "The Time Machine"
    letters = list("abcdefghijklmnopqrstuvwxyz ")
    return "".join(np.random.default_rng(0).choice(letters, 20_000)), "random letters"


def flops_per_token(hidden: int) -> int:
    """Operations of the matrix products of one token, forward and backward: the least that an LSTM step takes.

    3 x 2 (4 H H + V H): the recurrent product and the output layer; the one-hot product is a look-up and counts zero.
    """
    return 6 * (4 * hidden * hidden + VOCABULARY * hidden)


def longhold_job(batches: ContiguousBatches, hidden: int) -> Job:
    """`longhold.training.train` on a `LanguageModel`."""
    model = LanguageModelConfig(cell="lstm", vocab_size=VOCABULARY, hidden_size=hidden, init="tutorial").build()

    def run(steps: int) -> TrainResult:
        config = TrainConfig(
            steps=steps, batch_size=BATCH, sequence_length=STEPS, optimizer="sgd", lr=1.0, clip_norm=1.0
        )
        return train(model, batches, config)

    return run


def torch_job(batches: ContiguousBatches, hidden: int) -> Job:
    """What a user of torch.nn writes: one-hot, nn.LSTM, nn.Linear, clip_grad_norm_, SGD; losses are not looked at."""
    lstm, output = nn.LSTM(VOCABULARY, hidden), nn.Linear(hidden, VOCABULARY)
    parameters = [*lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=1.0)

    def run(steps: int) -> None:
        state = None
        for step in range(steps):
            batch = batches.at(step)
            state = None if batch.fresh or state is None else tuple(part.detach() for part in state)
            hidden_states, state = lstm(F.one_hot(batch.inputs, VOCABULARY).float(), state)
            loss = F.cross_entropy(output(hidden_states).flatten(0, 1), batch.targets.flatten())
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

    return run


def scratch_job(batches: ContiguousBatches, hidden: int) -> Job:
    """The tutorial's own loop: twelve parameters and two of the output layer, gradients clipped and weights moved by
    hand."""

    def three() -> tuple[Tensor, Tensor, Tensor]:
        weights = torch.randn(VOCABULARY, hidden) * 0.01, torch.randn(hidden, hidden) * 0.01, torch.zeros(hidden)
        return tuple(weight.requires_grad_() for weight in weights)  # type: ignore[return-value]

    params = TutorialLSTM(*three(), *three(), *three(), *three())
    W_hq = (torch.randn(hidden, VOCABULARY) * 0.01).requires_grad_()
    b_q = torch.zeros(VOCABULARY, requires_grad=True)
    everything = [*params, W_hq, b_q]

    def run(steps: int) -> None:
        state = LSTMState(torch.zeros(BATCH, hidden), torch.zeros(BATCH, hidden))
        for step in range(steps):
            batch = batches.at(step)
            state = LSTMState(*(part.detach() for part in state))
            outputs, state = tutorial_lstm(F.one_hot(batch.inputs, VOCABULARY).float(), state, params)
            loss = F.cross_entropy((outputs @ W_hq + b_q).flatten(0, 1), batch.targets.flatten())
            torch.autograd.backward(loss)
            with torch.no_grad():
                norm = torch.sqrt(sum(torch.sum(p.grad**2) for p in everything if p.grad is not None))  # type: ignore[arg-type]
                for p in everything:
                    if p.grad is not None:
                        p -= p.grad * (1 / norm if norm > 1 else 1.0)
                        p.grad.zero_()

    return run


def rows(quick: bool) -> Iterator[Row]:
    """One row: tokens per second of each loop, rounds interleaved with a matrix product."""
    yield measure(hidden=8, rounds=1, steps=2, scratch_steps=1) if quick else measure(256, 7, 60, 12)


def measure(hidden: int, rounds: int, steps: int, scratch_steps: int) -> Row:
    """Medians over `rounds`; a round trains each for so many steps, the slow one for fewer."""
    torch.manual_seed(0)
    book, book_name = text()
    batches = ContiguousBatches(time_machine_tutorial(book).train, BATCH, STEPS, 0, random_offset=True)
    jobs: dict[str, tuple[Job, int]] = {
        "longhold": (longhold_job(batches, hidden), steps),
        "torch": (torch_job(batches, hidden), steps),
        "scratch": (scratch_job(batches, hidden), scratch_steps),
    }
    square = torch.randn(1024, 1024)
    samples: dict[str, list[float]] = {name: [] for name in ("sgemm", *jobs)}
    for job, _ in jobs.values():
        job(2)
    for round_ in range(rounds):
        for name, (job, count) in list(jobs.items())[:: 1 if round_ % 2 == 0 else -1]:
            samples["sgemm"].append(_seconds(lambda: square @ square))
            samples[name].append(_seconds(partial(job, count)) / (count * BATCH * STEPS))
    median = medians(samples)
    rates = {name: 1 / seconds for name, seconds in median.items() if name != "sgemm"}
    ceiling = 2 * 1024**3 / median["sgemm"]
    return {
        "hidden": hidden,
        "text": book_name,
        "tokens_per_second": rates,
        "limit_tokens_per_second": ceiling / flops_per_token(hidden),
        "ceiling_gflops": ceiling / 1e9,
        "rounds": rounds,
    }


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def line(row: Row) -> str:
    """Tokens per second of each loop."""
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in row["tokens_per_second"].items())
    return f"tokens/s on {row['text']}: {rates}; limit {row['limit_tokens_per_second']:,.0f}"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 4 of issue 3."""
    return [str(bar) for row in rows for bar in bars(row)]


def bars(row: Row) -> list[Bar]:
    """What issue 3 requires of the job."""
    rates = row["tokens_per_second"]
    return [
        Bar("tutorial's job against the nn.LSTM loop", rates["longhold"] / rates["torch"], 1.35),
        Bar("tutorial's job against the loop from scratch", rates["longhold"] / rates["scratch"], 5.0),
        Bar(
            "tutorial's job as a fraction of the limit",
            rates["longhold"] / row["limit_tokens_per_second"],
            0.8,
            "{:.0%}",
        ),
    ]


SECTION = Section("The tutorial's training job end to end", rows, line, summary)
