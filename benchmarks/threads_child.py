"""One process whose threads or latencies are looked at; see `benchmarks.threads`."""

import time
from typing import Any

import torch
from torch import nn

import longhold
from benchmarks.children import answer, threads_now
from benchmarks.store import Row


def measure(job: str, cell: str, batch: int, hidden: int, steps: int, threads: int, calls: int) -> Row:
    """Count threads, compare bits, or time single calls of both layers in turn."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    theirs: Any = getattr(nn, cell)(hidden, hidden)
    ours: Any = getattr(longhold, cell)(hidden, hidden)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(steps, batch, hidden, requires_grad=True)
    upstream = torch.randn(steps, batch, hidden)
    return {"count": count, "repeat": repeat, "latency": latency}[job](theirs, ours, x, upstream, calls)


def _run(layer: Any, x: torch.Tensor, upstream: torch.Tensor) -> tuple[torch.Tensor, ...]:
    output = layer(x)[0]
    return (output.detach(), *torch.autograd.grad(output, [*layer.parameters(), x], upstream))


def count(theirs: Any, ours: Any, x: torch.Tensor, upstream: torch.Tensor, calls: int) -> Row:
    """Threads of the process: with torch's pool and autograd's thread up, and after longhold ran."""
    square = torch.randn(512, 512)
    for _ in range(3):
        square @ square
        _run(theirs, x, upstream)
    before = threads_now()
    with longhold.use_backend("cpu"):
        for _ in range(calls):
            _run(ours, x, upstream)
    return {"before": before, "after": threads_now()}


def repeat(theirs: Any, ours: Any, x: torch.Tensor, upstream: torch.Tensor, calls: int) -> Row:
    """Whether outputs and every gradient are the same bits in call after call."""
    with longhold.use_backend("cpu"):
        first = _run(ours, x, upstream)
        same = [
            all(torch.equal(a, b) for a, b in zip(first, _run(ours, x, upstream), strict=True)) for _ in range(calls)
        ]
    return {"equal": all(same)}


def latency(theirs: Any, ours: Any, x: torch.Tensor, upstream: torch.Tensor, calls: int) -> Row:
    """Seconds of each call, forward and backward, torch's and ours in turn."""
    seconds: dict[str, list[float]] = {"torch": [], "longhold": []}
    for layer in (theirs, ours):
        _run(layer, x, upstream)
    for _ in range(calls):
        for name, layer in (("torch", theirs), ("longhold", ours)):
            began = time.perf_counter()
            _run(layer, x, upstream)
            seconds[name].append(time.perf_counter() - began)
    return {"seconds": seconds}


if __name__ == "__main__":
    answer(measure)
