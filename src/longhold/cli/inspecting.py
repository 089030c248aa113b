"""What `inspect` measures on a text model, and its tables."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor

from longhold.cli.output import say
from longhold.data.corpora import Corpus
from longhold.errors import InputError
from longhold.inspection import (
    ContextUse,
    GradientByLag,
    TimeConstants,
    bias_time_constants,
    context_use,
    gates,
    gradient_by_lag,
    time_constants,
)
from longhold.layers import GRU, LSTM
from longhold.models.contract import device_of
from longhold.text import TextModel

LEAST_TOKENS = 256
"""The shortest text that can be looked at."""

_BEFORE, _ROWS, _STEPS, _TARGETS, _SEGMENTS = 256, 4, 512, 512, 32


def of_weights(model: TextModel) -> Iterator[Table | str]:
    """The tables that need no text."""
    if _gated(model):
        yield _time_table([("by bias alone", bias_time_constants(model.model))])
    else:
        yield _NO_GATES


def of_text(model: TextModel, corpus: Corpus, max_lag: int) -> Iterator[Table | str]:
    """All tables, measured on `corpus`, lag and context at most `max_lag` tokens.

    Raises:
        InputError: the text is too short, or holds what the vocabulary does not have.
    """
    tokens = torch.from_numpy(model.tokenizer.encode(corpus.text)).long().to(device_of(model.model))
    if len(tokens) < LEAST_TOKENS:
        raise InputError(f"{corpus.name} has {len(tokens)} tokens: looking into a model takes at least {LEAST_TOKENS}")
    plan = _Plan.of(tokens, max_lag)
    if plan.max_lag < max_lag:
        say(f"note: {corpus.name} is too short for lag {max_lag}; shown up to {plan.max_lag}")
    gradient = gradient_by_lag(model.model, plan.inputs, plan.targets, max_lag=plan.max_lag, positions=8)
    if _gated(model):
        yield from _gate_tables(model, plan.inputs, gradient)
    else:
        yield _NO_GATES
    yield _gradient_table(gradient)
    yield f"Gradient by the state: {gradient.by_state}"
    used = context_use(
        model.model,
        plan.tokens,
        lengths=[length for length in _POWERS if length <= plan.max_lag],
        targets=min(_TARGETS, len(plan.tokens) - plan.max_lag),
        segments=_SEGMENTS,
        before=plan.before,
    )
    yield _context_table(used)
    yield f"It {used}."


_NO_GATES = "An RNN has no gates, so no time constants."
_POWERS = [2**power for power in range(20)]


@dataclass(frozen=True, eq=False)
class _Plan:
    """How a text is cut up: what comes before, what is predicted, and the same as rows."""

    before: Tensor
    """`(M,)`, the beginning, which stands before each context"""
    tokens: Tensor
    """`(N,)`, the rest"""
    inputs: Tensor
    """`(T, B)`, the rest in rows"""
    targets: Tensor
    """`(T, B)`, the tokens after those"""
    max_lag: int
    """the longest lag for which there is room"""

    @classmethod
    def of(cls, tokens: Tensor, max_lag: int) -> "_Plan":
        cut = min(_BEFORE, len(tokens) // 8)
        before, rest = tokens[:cut], tokens[cut:]
        steps = min(_STEPS + max_lag, (len(rest) - 1) // _ROWS)
        starts = torch.arange(_ROWS, device=tokens.device) * ((len(rest) - 1) // _ROWS)
        at = starts + torch.arange(steps, device=tokens.device)[:, None]
        return cls(before, rest, rest[at], rest[at + 1], min(max_lag, steps // 2))


def _gated(model: TextModel) -> bool:
    return any(isinstance(part, LSTM | GRU) for part in model.model.modules())


def _gate_tables(model: TextModel, inputs: Tensor, gradient: GradientByLag) -> Iterator[Table | str]:
    found: TimeConstants = time_constants(model.model, inputs, gradient=gradient)
    yield _time_table([("by bias alone", found.by_bias), ("reading the text", found.along_path)])
    yield f"As memory: {found.caution}."
    table = _table("Gates", "gate", "mean", "shut (share of steps)", "open (share of steps)")
    for gate in gates(model.model, inputs).saturation():
        table.add_row(gate.gate, f"{gate.mean:.3f}", f"{gate.low:.3f}", f"{gate.high:.3f}")
    yield table


def _time_table(readings: list[tuple[str, Tensor]]) -> Table:
    table = _table("Time constants of the units, steps", "layer", "", "least", "median", "95 %", "longest")
    for name, values in readings:
        for layer, units in enumerate(values):
            ends = units.quantile(torch.tensor([0.0, 0.5, 0.95, 1.0], dtype=units.dtype, device=units.device))
            table.add_row(str(layer + 1), name, *(f"{value:.3g}" for value in ends.tolist()))
    return table


def _gradient_table(gradient: GradientByLag) -> Table:
    title = f"Gradient of the loss by lag, {gradient.by_input.samples} samples: median (5 % to 95 %)"
    table = _table(title, "lag", "by input", "by state")
    for lag in [0, *(power for power in _POWERS if power <= gradient.by_state.lags[-1])]:
        by_input = _spread(gradient.by_input.quantiles[lag])
        table.add_row(str(lag), by_input, _spread(gradient.by_state.quantiles[lag - 1]) if lag else "")
    return table


def _spread(quantiles: tuple[float, ...]) -> str:
    return f"{quantiles[2]:.2e} ({quantiles[0]:.2e} to {quantiles[4]:.2e})"


def _context_table(used: ContextUse) -> Table:
    table = _table(
        f"Context use, {used.targets:,} targets", "tokens of context", "bits per token", "above full context"
    )
    for length, bits, excess in zip(used.lengths, used.bits, used.excess, strict=True):
        table.add_row(str(length), f"{bits:.4f}", f"{excess:+.4f}")
    table.add_row("all", f"{used.full_bits:.4f}", "")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right")
    return table
