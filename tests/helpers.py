"""How near is near enough, in one table, and the comparisons that read it.

An error is measured against the largest magnitude of the tensor that was expected: a gradient whose entries span six
orders is not excused by its small ones, and not failed by them either.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


class Tolerance(NamedTuple):
    """What two computations of the same number may differ by."""

    relative: float
    """Largest error allowed, as a share of the expected tensor's largest magnitude."""
    absolute: float
    """Error always allowed: what rounding leaves where the exact answer is zero."""
    floor: float
    """A relative error this small passes even where torch's own happens to be smaller still.

    float32: 16 units in the last place, about what torch.nn.RNN and GRU show in a weight gradient summed over 1000 rows
    (oneDNN's LSTM sums it in another order and shows 3).
    """


TOLERANCE = {
    torch.float64: Tolerance(relative=1e-10, absolute=1e-13, floor=0.0),
    torch.float32: Tolerance(relative=1e-5, absolute=1e-7, floor=16 * 2.0**-23),
    torch.bfloat16: Tolerance(relative=2e-2, absolute=1e-4, floor=2 * 2.0**-7),
    torch.float16: Tolerance(relative=3e-3, absolute=1e-5, floor=2 * 2.0**-10),
}
TIMES_TORCH = 2.0
"""Below float64, an error may be this many times the one torch.nn itself makes."""


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Read files without the rights of root, who may read all of them."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def assert_close(name: str, actual: Tensor, expected: Tensor) -> None:
    """`actual` is `expected` up to the rounding of `actual`'s type; shapes agree, NaN is close to nothing."""
    assert actual.shape == expected.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    allowed = TOLERANCE[actual.dtype]
    largest = _largest(expected)
    error = _largest(actual.double() - expected.double())
    limit = max(allowed.relative * largest, allowed.absolute)
    assert error <= limit, f"{name}: error {error:.3g}, allowed {limit:.3g}, largest expected value {largest:.3g}"


def assert_all_close(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], case: object = "") -> None:
    """Every tensor of both mappings, by name."""
    assert actual.keys() == expected.keys(), f"{case}: {sorted(actual.keys() ^ expected.keys())} on one side only"
    for name in expected:
        assert_close(f"{case} {name}", actual[name], expected[name])


def assert_no_worse(name: str, actual: Tensor, torchs: Tensor, exact: Tensor) -> None:
    """`actual` is at most `TIMES_TORCH` times as far from the float64 answer as torch's own result of that type."""
    assert actual.dtype == torchs.dtype, f"{name}: {actual.dtype}, torch gives {torchs.dtype}"
    assert actual.shape == exact.shape, f"{name}: shape {tuple(actual.shape)}, expected {tuple(exact.shape)}"
    largest = max(_largest(exact), TOLERANCE[actual.dtype].absolute)
    ours, theirs = (_largest(value.double() - exact) / largest for value in (actual, torchs))
    limit = max(TIMES_TORCH * theirs, TOLERANCE[actual.dtype].floor)
    assert ours <= limit, f"{name}: relative error {ours:.3g}, torch's own {theirs:.3g}, allowed {limit:.3g}"


def _largest(value: Tensor) -> float:
    return value.detach().double().abs().max().item() if value.numel() else 0.0


def flat(result: Any) -> dict[str, Tensor]:
    """What a layer returned, `(output, h_n)` or `(output, (h_n, c_n))`, as named tensors."""
    output, state = result
    output = output.data if isinstance(output, PackedSequence) else output
    states = (state,) if isinstance(state, Tensor) else state
    return {"output": output} | dict(zip(("h_n", "c_n"), states, strict=False))


def measured(call: Callable[[], Any], leaves: Mapping[str, Tensor], *, alone: bool = False) -> dict[str, Tensor]:
    """Outputs of `call()`, and the gradient of every leaf for fixed random cotangents.

    `alone` adds the gradients through each output by itself. A leaf that an output does not depend on counts as zero.
    """
    outputs = flat(call())
    found = {name: value.detach() for name, value in outputs.items()}
    for through in ["all", *outputs] if alone else ["all"]:
        picked = outputs if through == "all" else {through: outputs[through]}
        gradients = torch.autograd.grad(
            list(picked.values()),
            list(leaves.values()),
            [cotangent(name, value) for name, value in picked.items()],
            retain_graph=True,
            allow_unused=True,
        )
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
            found[f"d_{name} through {through}"] = torch.zeros_like(leaf) if gradient is None else gradient
    return found


def cotangent(name: str, value: Tensor) -> Tensor:
    """Numbers that depend on the output's name and shape alone, so that two implementations get the same ones."""
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    return torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
