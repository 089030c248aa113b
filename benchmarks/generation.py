"""Writing characters one at a time, and a single step of a small layer."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import longhold
from benchmarks.contenders import ABSENT
from benchmarks.section import Bar, Section
from benchmarks.store import Row
from benchmarks.timing import QUICK, Budget, interleaved, medians
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.sampling import SamplingConfig, generate

VOCABULARY = 28
_LEAST = 1.0  # seconds a job is measured at the least


def rows(quick: bool) -> Iterator[Row]:
    """Characters per second of each cell, then microseconds of one step."""
    torch.manual_seed(0)
    budget = QUICK if quick else Budget(rounds=7, seconds=_LEAST)
    for cell in ("lstm", "gru", "rnn"):
        yield writing(cell, hidden=8 if quick else 256, length=4 if quick else 400, budget=budget)
    for cell in ("LSTM", "GRU", "RNN"):
        yield stepping(cell, size=8 if quick else 64, steps=8 if quick else 2000, budget=budget)


def writing(cell: str, hidden: int, length: int, budget: Budget) -> Row:
    """The same model in four loops; torch's get each number of threads, and the better one counts."""
    values = {"cell": cell, "vocab_size": VOCABULARY, "hidden_size": hidden}
    model = LanguageModelConfig.model_validate(values).build()
    jobs: dict[str, Callable[[], object]] = {
        "longhold": lambda: list(generate(model, torch.tensor([1]), length, SamplingConfig(), seed=0)),
        "layer": layer_loop(model, cell, length),
        "cell": cell_loop(model, cell, length),
    }
    everywhere = torch.get_num_threads()
    calls = dict(jobs)
    for name in ("layer", "cell"):
        calls[f"{name}, one thread"] = partial(_alone, jobs[name], everywhere)
    median = medians(interleaved(calls, budget))
    return {"writing": cell, "hidden": hidden, "characters_per_second": {n: length / s for n, s in median.items()}}


def _alone(job: Callable[[], object], threads: int) -> None:
    torch.set_num_threads(1)
    job()
    torch.set_num_threads(threads)


def layer_loop(model: LanguageModel, cell: str, length: int) -> Callable[[], Tensor]:
    """`nn.LSTM` a step at a time: a row of the identity, the layer, nn.Linear, softmax, multinomial."""
    layer: Any = getattr(nn, cell.upper())(VOCABULARY, model.config.hidden_size)
    layer.load_state_dict(model.layer.state_dict())
    output, rows = model.output, torch.eye(VOCABULARY)

    @torch.inference_mode()
    def run() -> Tensor:
        ids, state, written = torch.tensor([1]), None, []
        for _ in range(length):
            features, state = layer(rows[ids].unsqueeze(0), state)
            ids = torch.multinomial(output(features[0]).softmax(-1), 1).squeeze(-1)
            written.append(ids)
        return torch.cat(written)

    return run


def cell_loop(model: LanguageModel, cell: str, length: int) -> Callable[[], Tensor]:
    """`nn.LSTMCell` in the same loop."""
    step: Any = getattr(nn, f"{cell.upper()}Cell")(VOCABULARY, model.config.hidden_size)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in model.layer.state_dict().items()})
    output, rows = model.output, torch.eye(VOCABULARY)

    @torch.inference_mode()
    def run() -> Tensor:
        ids, state, written = torch.tensor([1]), None, []
        for _ in range(length):
            state = step(rows[ids], state)
            h = state[0] if isinstance(state, tuple) else state
            ids = torch.multinomial(output(h).softmax(-1), 1).squeeze(-1)
            written.append(ids)
        return torch.cat(written)

    return run


def stepping(cell: str, size: int, steps: int, budget: Budget) -> Row:
    """Microseconds of one step of I = H = `size`, batch 1: inside C++, through the stream object, and torch's."""
    layer = getattr(longhold, cell)(size, size)
    x = torch.randn(steps, 1, size)
    calls: dict[str, tuple[Callable[[], object], int]] = {}
    missing = None
    try:
        stream, x_t = layer.stream(batch=1), x[0]
        stream.step(x_t)
        stream.run(x)
    except ABSENT as error:
        missing = f"there is no stream: {error}"
    else:
        calls["stream.step"] = (lambda: stream.step(x_t), 1)
        calls["stream.run"] = (lambda: stream.run(x), steps)
    theirs: Any = getattr(nn, f"{cell}Cell")(size, size)
    state: Any = theirs(x[0])
    whole: Any = getattr(nn, cell)(size, size)
    calls["torch cell"] = (lambda: theirs(x[0], state), 1)
    calls["torch layer, whole sequence"] = (lambda: whole(x), steps)
    with torch.inference_mode():
        median = medians(interleaved({name: call for name, (call, _) in calls.items()}, budget))
    row = {"stepping": cell, "size": size, "microseconds": {n: 1e6 * median[n] / calls[n][1] for n in median}}
    return row if missing is None else {**row, "missing": missing}


def line(row: Row) -> str:
    """The figures of a loop or a step."""
    if "writing" in row:
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in row["characters_per_second"].items())
        return f"{row['writing']} of {row['hidden']}, characters/s: {rates}"
    times = ", ".join(f"{name} {time:.2f}" for name, time in row["microseconds"].items())
    note = f"; not there: {row['missing']}" if "missing" in row else ""
    return f"{row['stepping']} I = H = {row['size']}, microseconds a step: {times}{note}"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 5 of issue 3."""
    return [str(bar) for bar in bars(rows)]


def bars(rows: Sequence[Row]) -> list[Bar]:
    """What issue 3 requires of writing and stepping; the LSTM's."""
    found = []
    for row in rows:
        if row.get("writing") == "lstm":
            rates = dict(row["characters_per_second"])
            ours = rates.pop("longhold")
            found.append(
                Bar(f"characters/s against torch's best, LSTM of {row['hidden']}", ours / max(rates.values()), 20)
            )
        if row.get("stepping") == "LSTM":
            times, size = row["microseconds"], row["size"]
            for name, way, target in (("in C++", "stream.run", 2.0), ("through Python", "stream.step", 4.0)):
                text = f"one step of I = H = {size} {name}"
                found.append(Bar(text, times.get(way), target, "{:.2f} us", at_most=True))
    return found


SECTION = Section("Writing characters, and one step", rows, line, summary)
