"""Tables of what the instruments find in a model of text, for a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import Tensor

from longhold.inspection.context_use import ContextUse, context_use
from longhold.inspection.gates import gates
from longhold.inspection.gradient_by_lag import GradientByLag, gradient_by_lag
from longhold.inspection.time_constants import TimeConstants, bias_time_constants, time_constants
from longhold.layers import GRU, LSTM
from longhold.models.contract import SequenceModel

LEAST_TOKENS = 256
"""The shortest text that can be looked at."""

_BEFORE, _ROWS, _STEPS, _TARGETS, _SEGMENTS = 256, 4, 512, 512, 32


def of_weights(model: SequenceModel) -> Iterator[Table | str]:
    """Yields the tables that need no text."""
    if _gated(model):
        yield _time_table([("by bias alone", bias_time_constants(model))])
    else:
        yield _NO_GATES


def longest_lag(tokens: int, max_lag: int) -> int:
    """Returns the longest lag, at most `max_lag`, that a text of so many tokens has room for."""
    rest = tokens - min(_BEFORE, tokens // 8)
    return min(max_lag, min(_STEPS + max_lag, (rest - 1) // _ROWS) // 2)


def of_text(model: SequenceModel, tokens: Tensor, max_lag: int) -> Iterator[Table | str]:
    """Yields all tables, measured on a text of at least `LEAST_TOKENS`.

    Args:
        model: what reads it.
        tokens: `(N,)`, the ids of the text, where the model is.
        max_lag: longest lag and longest context, in tokens; at most `longest_lag`'s where the text is short.
    """
    plan = _Plan.of(tokens, max_lag)
    gradient = gradient_by_lag(model, plan.inputs, plan.targets, max_lag=plan.max_lag, positions=8)
    if _gated(model):
        yield from _gate_tables(model, plan.inputs, gradient)
    else:
        yield _NO_GATES
    yield _gradient_table(gradient)
    yield f"Gradient by the state: {gradient.by_state}"
    used = context_use(
        model,
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
        return cls(before, rest, rest[at], rest[at + 1], longest_lag(len(tokens), max_lag))


def _gated(model: SequenceModel) -> bool:
    return any(isinstance(part, LSTM | GRU) for part in model.modules())


def _gate_tables(model: SequenceModel, inputs: Tensor, gradient: GradientByLag) -> Iterator[Table | str]:
    found: TimeConstants = time_constants(model, inputs, gradient=gradient)
    yield _time_table([("by bias alone", found.by_bias), ("reading the text", found.along_path)])
    yield f"As memory: {found.caution}."
    table = _table("Gates", "gate", "mean", "shut (fraction of steps)", "open (fraction of steps)")
    for gate in gates(model, inputs).saturation():
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
