"""What an extra costs: its time over the plain kernel's, and torch's own way of doing the same.

Forward and backward; the plain kernel is the same layer on features (T, B, I), I = H, without the extra.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import longhold
from benchmarks import torch_ways
from benchmarks.cases import VOCABULARY, Case
from benchmarks.contenders import ABSENT, hidden_state, one_hot, source, work
from benchmarks.section import Section, sizes
from benchmarks.store import Row
from benchmarks.timing import QUICK, Budget, Call, interleaved, medians

Both = tuple[Call, Call]
"""longhold's call and torch's, doing the same."""

_SIZES = ((32, 256, 35), (8, 128, 100))


@final
@dataclass(frozen=True)
class Extra:
    """Something that a layer, a loss or an optimizer can do besides."""

    name: str
    """What it is called in tables."""
    make: Callable[[Case], Both]
    """Both ways, ready to be called; raises one of `ABSENT` where ours is not there."""
    cell: str = "LSTM"
    """On which layer."""


def _layers(case: Case, **options: Any) -> tuple[Any, Any, Tensor]:
    """torch's plain layer, ours with options, and an input that needs a gradient."""
    ours = getattr(longhold, case.cell)(case.hidden, case.hidden, **options)
    return getattr(nn, case.cell)(case.hidden, case.hidden), ours, source(case)


def _training(ours: Callable[[], Any], theirs: Callable[[], Any], *leaves: Any) -> Both:
    """Forward and backward of both; a layer among the leaves stands for its parameters."""
    flat = tuple(t for leaf in leaves for t in (leaf.parameters() if isinstance(leaf, nn.Module) else (leaf,)))

    def trained(call: Callable[[], Any]) -> Call:
        def forward() -> tuple[Tensor, ...]:
            found = call()
            return found if isinstance(found, tuple) else (found,)

        return work(forward, flat).training

    return trained(ours), trained(theirs)


def resets(rate: float) -> Callable[[Case], Both]:
    """Each step of each row restarts with this probability; torch cuts the sequence there."""

    def make(case: Case) -> Both:
        theirs, ours, x = _layers(case)
        reset = torch.rand(case.steps, case.batch) < rate
        return _training(
            lambda: ours(x, reset=reset)[0], lambda: torch_ways.segments(theirs, x, reset), ours, theirs, x
        )

    return make


def cell_states(case: Case) -> Both:
    """Hidden and cell states of every step, with gradients to both."""
    _, layer, x = _layers(case)

    def ours() -> tuple[Tensor, ...]:
        trace = layer.trace(x)
        return trace.h[0], trace.c[0]

    return _training(ours, lambda: torch_ways.cell_states(layer, x), layer, x)


def gates(case: Case) -> Both:
    """States and gates of every step, with gradients to all."""
    _, layer, x = _layers(case)

    def ours() -> tuple[Tensor, ...]:
        trace = layer.trace(x)
        return trace.h[0], trace.c[0], *(gate[0] for gate in trace.gates)

    return _training(ours, lambda: torch_ways.gates(layer, x), layer, x)


def layer_norm(case: Case) -> Both:
    """Layer norm of both products and of the cell state."""
    _, layer, x = _layers(case, layer_norm=True)
    return _training(lambda: layer(x)[0], lambda: torch_ways.layer_norm(layer, x), layer, x)


def zoneout(case: Case) -> Both:
    """Zoneout of h and c at rates 0.05 and 0.5, masks drawn in every call."""
    _, layer, x = _layers(case, zoneout=(0.05, 0.5))
    shape = case.steps, case.batch, case.hidden
    return _training(
        lambda: layer(x)[0],
        lambda: torch_ways.zoneout(layer, x, torch.rand(shape) < 0.05, torch.rand(shape) < 0.5),
        layer,
        x,
    )


def peepholes(case: Case) -> Both:
    """Gates that see the cell state."""
    _, layer, x = _layers(case, peephole=True)
    return _training(lambda: layer(x)[0], lambda: torch_ways.peepholes(layer, x), layer, x)


def projection(case: Case) -> Both:
    """h projected to half its width; torch.nn has it too."""
    _, ours, x = _layers(case, proj_size=case.hidden // 2)
    theirs = nn.LSTM(case.hidden, case.hidden, proj_size=case.hidden // 2)
    return _training(lambda: ours(x)[0], lambda: theirs(x)[0], ours, theirs, x)


def gru_2014(case: Case) -> Both:
    """The reset gate before the recurrent product."""
    _, layer, x = _layers(case, reset_after=False)
    return _training(lambda: layer(x)[0], lambda: torch_ways.reset_before(layer, x), layer, x)


def token_ids(case: Case) -> Both:
    """28 token ids straight in; torch multiplies one-hot vectors, made in every call."""
    ids = torch.randint(VOCABULARY, (case.steps, case.batch))
    theirs, ours = (getattr(kind, case.cell)(VOCABULARY, case.hidden) for kind in (nn, longhold))
    return _training(lambda: ours(ids)[0], lambda: theirs(one_hot(ids))[0], ours, theirs)


def checkpoints(case: Case) -> Both:
    """About every square root of T-th state kept and the rest computed anew; torch keeps all."""
    theirs, ours, x = _layers(case)
    every = round(case.steps**0.5)
    return _training(lambda: ours(x, checkpoint_every=every)[0], lambda: theirs(x)[0], ours, theirs, x)


def one_thread(case: Case) -> Both:
    """The plain layers on a single thread."""
    theirs, ours, x = _layers(case)
    everywhere = torch.get_num_threads()

    def alone(call: Call) -> Call:
        def run() -> None:
            torch.set_num_threads(1)
            call()
            torch.set_num_threads(everywhere)

        return run

    one, other = _training(lambda: ours(x)[0], lambda: theirs(x)[0], ours, theirs, x)
    return alone(one), alone(other)


def bfloat16(case: Case) -> Both:
    """The plain layers under autocast."""
    theirs, ours, x = _layers(case)

    def cast(layer: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            output: Tensor = layer(x)[0]
        return output

    return _training(lambda: cast(ours), lambda: cast(theirs), ours, theirs, x)


def fused_loss(vocabulary: int) -> Callable[[Case], Both]:
    """Output layer and cross-entropy over all T B features; the recurrence is not in it."""

    def make(case: Case) -> Both:
        try:
            from longhold.kernels.loss import linear_cross_entropy
        except ImportError as error:
            raise NotImplementedError("there is no fused loss") from error
        rows = case.steps * case.batch
        features, targets = torch.randn(rows, case.hidden, requires_grad=True), torch.randint(vocabulary, (rows,))
        output = nn.Linear(case.hidden, vocabulary)
        return _training(
            lambda: linear_cross_entropy(features, output.weight, output.bias, targets),
            lambda: F.cross_entropy(output(features), targets),
            output,
            features,
        )

    return make


def optimizer(kind: str) -> Callable[[Case], Both]:
    """Clipping at 1 and a step over the layer's and an output layer's parameters; the recurrence is not in it."""

    def make(case: Case) -> Both:
        try:
            from longhold.training.optim import clip_and_step
        except ImportError as error:
            raise NotImplementedError("clipping and the step are not fused") from error
        calls = []
        for fused in (True, False):
            model = nn.ModuleList([nn.LSTM(VOCABULARY, case.hidden), nn.Linear(case.hidden, VOCABULARY)])
            parameters = list(model.parameters())
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            rule = getattr(torch.optim, kind)(parameters, lr=1e-6)

            def plain(parameters: list[Any] = parameters, rule: Any = rule) -> None:
                nn.utils.clip_grad_norm_(parameters, 1.0)
                rule.step()

            calls.append((lambda rule=rule: clip_and_step(rule, 1.0)) if fused else plain)
        return calls[0], calls[1]

    return make


EXTRAS = (
    Extra("resets, none set", resets(0.0)),
    Extra("resets at 1 %", resets(0.01)),
    Extra("resets at 50 %", resets(0.5)),
    Extra("resets at 1 %", resets(0.01), "GRU"),
    Extra("resets at 1 %", resets(0.01), "RNN"),
    Extra("cell states", cell_states),
    Extra("gates", gates),
    Extra("layer norm", layer_norm),
    Extra("zoneout", zoneout),
    Extra("peepholes", peepholes),
    Extra("projection to H / 2", projection),
    Extra("the GRU of 2014", gru_2014, "GRU"),
    Extra("token ids", token_ids),
    Extra("checkpoints", checkpoints),
    Extra("one thread", one_thread),
    Extra("bfloat16 autocast", bfloat16),
    Extra("loss over 28", fused_loss(28)),
    Extra("loss over 5,000", fused_loss(5000)),
    Extra("clipping and SGD", optimizer("SGD")),
    Extra("clipping and AdamW", optimizer("AdamW")),
)


def rows(quick: bool) -> Iterator[Row]:
    """Every extra at two sizes, then streams with small weights."""
    torch.manual_seed(0)
    budget = QUICK if quick else Budget(rounds=7, seconds=0.4)
    for batch, hidden, steps in ((2, 8, 5),) if quick else _SIZES:
        for extra in EXTRAS:
            yield measure(extra, Case(extra.cell, batch, hidden, steps), budget)
    for hidden in (8,) if quick else (64, 256, 1024):
        for weights in ("bf16", "int8"):
            yield small_weights(weights, hidden, budget)


def measure(extra: Extra, case: Case, budget: Budget) -> Row:
    """Plain, ours and torch's in turn."""
    row: Row = {"extra": extra.name, "cell": case.cell, "batch": case.batch, "hidden": case.hidden, "steps": case.steps}
    try:
        ours, theirs = extra.make(case)
        ours()
    except ABSENT as error:
        return {**row, "missing": " ".join(str(error).split())}
    _, layer, x = _layers(case)
    plain, _ = _training(lambda: layer(x)[0], lambda: layer(x)[0], layer, x)
    return compared(row, {"plain": plain, "longhold": ours, "torch": theirs}, budget)


def compared(row: Row, calls: dict[str, Call], budget: Budget) -> Row:
    """The row with medians and both ratios."""
    median = medians(interleaved(calls, budget))
    relative, against = median["longhold"] / median["plain"], median["torch"] / median["longhold"]
    return {**row, "seconds": median, "relative": relative, "against_torch": against}


def small_weights(weights: str, hidden: int, budget: Budget) -> Row:
    """One step of a stream with weights of 16 or 8 bits, of one with all bits (`plain`), and of nn.LSTM."""
    layer: Any = longhold.LSTM(hidden, hidden)
    row: Row = {"extra": f"{weights} stream, a step", "cell": "LSTM", "batch": 1, "hidden": hidden, "steps": 1}
    x, x_t = torch.randn(50, 1, hidden), torch.randn(1, 1, hidden)
    try:
        full, small = layer.stream(batch=1), layer.stream(batch=1, weights=weights)
    except ABSENT as error:
        return {**row, "missing": " ".join(str(error).split())}
    theirs = nn.LSTM(hidden, hidden)
    state = tuple(torch.zeros(1, 1, hidden) for _ in "hc")
    inside = torch.inference_mode()
    calls: dict[str, Call] = {
        "plain": inside(lambda: full.run(x)),
        "longhold": inside(lambda: small.run(x)),
        "torch": inside(lambda: [hidden_state(theirs(x_t, state)[1]) for _ in range(len(x))]),
    }
    row = compared(row, calls, budget)
    return {**row, "seconds": {name: seconds / len(x) for name, seconds in row["seconds"].items()}}


def line(row: Row) -> str:
    """An extra's two ratios."""
    name = f"{sizes(row)}: {row['extra']}"
    if "missing" in row:
        return f"{name:44} not there: {row['missing']}"
    return f"{name:44} {row['relative']:6.2f} of the plain kernel's time, {row['against_torch']:6.2f}x torch's own way"


def summary(rows: Sequence[Row]) -> list[str]:
    """Item 10 of issue 3: it requires the figures and sets no bar; what is slower than torch's own way is named."""
    slow = [row for row in rows if "missing" not in row and row["against_torch"] < 1]
    absent = sum("missing" in row for row in rows)
    return [f"{len(slow)} of {len(rows) - absent} are slower than torch's own way, {absent} are not there"] + [
        f"    {line(row)}" for row in slow
    ]


SECTION = Section("Extras over the plain kernel and against torch's own way", rows, line, summary)
