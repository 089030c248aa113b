"""One process whose memory is measured; see `benchmarks.memory`."""

import contextlib
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

import longhold
from benchmarks.children import answer, forget_peak, status
from benchmarks.contenders import ABSENT
from benchmarks.store import Row


def measure(job: str, cell: str, steps: int, hidden: int, inputs: int, backend: str, every: int) -> Row:
    """Bytes of one job, counted from what is resident once torch, longhold and the layer are there."""
    torch.manual_seed(0)
    layer: Any = getattr(longhold, cell)(inputs, hidden)
    named = contextlib.nullcontext() if backend == "automatic" else longhold.use_backend(backend)
    with named:
        return JOBS[job](layer, steps, every)


def training(layer: Any, steps: int, every: int) -> Row:
    """Forward and backward over one long row; the input needs a gradient where it is as wide as the state."""
    forget_peak()
    before = status("VmRSS")
    x = torch.randn(steps, 1, layer.input_size, requires_grad=layer.input_size == layer.hidden_size)
    output = forward(layer, x, every)
    torch.autograd.backward(output, torch.randn_like(output))
    own = [x, output, output, *([x] if x.requires_grad else [])]  # gradients are as large
    return {"peak": status("VmHWM") - before, "tensors": sum(t.numel() * t.element_size() for t in own)}


def forward(layer: Any, x: Tensor, every: int) -> Tensor:
    """The outputs; with `every` all but each so manyth state is computed anew in backward."""
    output: Tensor = layer(x, checkpoint_every=every)[0] if every else layer(x)[0]
    return output


def bits(layer: Any, steps: int, every: int) -> Row:
    """Whether the gradients with and without checkpoints are the same bits."""
    x = torch.randn(steps, 1, layer.input_size, requires_grad=True)
    upstream = torch.randn(steps, 1, layer.hidden_size)
    leaves = [*layer.parameters(), x]
    plain = torch.autograd.grad(forward(layer, x, 0), leaves, upstream)
    again = torch.autograd.grad(forward(layer, x, every), leaves, upstream)
    return {"equal": all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))}


def layer_chunks(layer: Any, steps: int, every: int) -> Row:
    """Forward by the layer in chunks of `every` steps, the state handed on from one to the next."""
    state: Any = None

    def run(x: Tensor) -> Tensor:
        nonlocal state
        output, state = layer(x, state)
        return cast(Tensor, output)

    return _chunked(run, layer, steps, every)


def stream_chunks(layer: Any, steps: int, every: int) -> Row:
    """Forward by the layer's stream, likewise."""
    return _chunked(layer.stream(batch=1).run, layer, steps, every)


def _chunked(run: Callable[[Tensor], Tensor], layer: Any, steps: int, every: int) -> Row:
    x = torch.randn(every, 1, layer.input_size)
    resident, count, finite = [], steps // every, True
    with torch.no_grad():
        for index in range(count):
            finite = bool(run(x).isfinite().all()) and finite
            if (index + 1) % max(1, count // 10) == 0:
                resident.append(status("VmRSS"))
    # The first tenth is the time in which buffers reach their size.
    return {"resident": resident, "growth": max(resident[1:]) - resident[0], "finite": finite}


JOBS: dict[str, Callable[[Any, int, int], Row]] = {
    "training": training,
    "checkpointed": training,
    "bits": bits,
    "layer": layer_chunks,
    "stream": stream_chunks,
}
"""What may be measured; each gets the layer, its steps, and how many of them are between two checkpoints or chunks."""


def measured(**specification: Any) -> Row:
    """As `measure`; what is missing is reported in one line."""
    try:
        return measure(**specification)
    except ABSENT as error:
        return {"missing": " ".join(str(error).split())}


if __name__ == "__main__":
    answer(measured)
