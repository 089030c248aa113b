"""One process whose memory is measured; see `benchmarks.memory`."""

import contextlib
from typing import Any

import torch
from torch import Tensor

import longhold
from benchmarks.children import answer, forget_peak, status
from benchmarks.contenders import ABSENT, hidden_state
from benchmarks.store import Row


def measure(job: str, cell: str, steps: int, hidden: int, inputs: int, backend: str, every: int) -> Row:
    """Bytes of one job, counted from what is resident once torch, longhold and the layer are there."""
    torch.manual_seed(0)
    layer: Any = getattr(longhold, cell)(inputs, hidden)
    jobs = {"training": training, "checkpointed": training, "bits": bits, "layer": chunks, "stream": chunks}
    named = contextlib.nullcontext() if backend == "automatic" else longhold.use_backend(backend)
    with named:
        return jobs[job](layer, steps, every, **({"streamed": job == "stream"} if jobs[job] is chunks else {}))


def training(layer: Any, steps: int, every: int) -> Row:
    """Forward and backward over one long row; the input needs a gradient where it is as wide as the state."""
    forget_peak()
    before = status("VmRSS")
    x = torch.randn(steps, 1, layer.input_size, requires_grad=layer.input_size == layer.hidden_size)
    output = forward(layer, x, every)
    output.backward(torch.randn_like(output))
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


def chunks(layer: Any, steps: int, every: int, *, streamed: bool) -> Row:
    """Forward in chunks of `every` steps with carried state: what is resident after each tenth."""
    x = torch.randn(every, 1, layer.input_size)
    state: Any = None
    stream = layer.stream(batch=1) if streamed else None
    resident = []
    count = steps // every
    with torch.no_grad():
        for index in range(count):
            if stream is not None:
                output = stream.run(x)
            else:
                output, state = layer(x, state)
            if (index + 1) % max(1, count // 10) == 0:
                resident.append(status("VmRSS"))
    finite = bool(output.isfinite().all()) and (state is None or bool(hidden_state(state).isfinite().all()))
    # The first tenth is the time in which buffers reach their size.
    return {"resident": resident, "growth": max(resident[1:]) - resident[0], "finite": finite}


def told(**specification: Any) -> Row:
    """As `measure`; what is not there yet is said in one line."""
    try:
        return measure(**specification)
    except ABSENT as error:
        return {"missing": " ".join(str(error).split())}


if __name__ == "__main__":
    answer(told)
