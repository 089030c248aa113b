"""What users of torch write does what longhold's extras do: else the comparison would be of two different things."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from benchmarks import torch_ways
from tests.helpers import assert_close

T, B, H = 6, 3, 5


def both_gradients(ours: Tensor, theirs: Tensor, leaves: list[Tensor]) -> None:
    upstream = torch.randn_like(ours)
    expected = torch.autograd.grad(theirs, leaves, upstream)
    for index, (a, b) in enumerate(zip(torch.autograd.grad(ours, leaves, upstream), expected, strict=True)):
        assert_close(f"gradient {index}", a, b)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_segments(cell: str, share: float) -> None:
    theirs, ours = getattr(nn, cell)(H, H).double(), getattr(longhold, cell)(H, H).double()
    ours.load_state_dict(theirs.state_dict())
    x, reset = torch.randn(T, B, H, dtype=torch.float64), torch.rand(T, B) < share
    assert_close("output", torch_ways.segments(theirs, x, reset), ours(x, reset=reset)[0])


@pytest.mark.parametrize(
    ("name", "cell", "options"),
    [
        ("layer_norm", "LSTM", {"layer_norm": True}),
        ("peepholes", "LSTM", {"peephole": True}),
        ("reset_before", "GRU", {"reset_after": False}),
    ],
)
def test_loops(name: str, cell: str, options: dict[str, Any]) -> None:
    layer = getattr(longhold, cell)(H, H, **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    x = torch.randn(T, B, H, dtype=torch.float64, requires_grad=True)
    loop: Callable[[Any, Tensor], Tensor] = getattr(torch_ways, name)
    ours, theirs = layer(x)[0], loop(layer, x)
    assert_close("output", theirs, ours)
    both_gradients(ours, theirs, [*layer.parameters(), x])


def test_states_and_gates() -> None:
    layer, x = longhold.LSTM(H, H).double(), torch.randn(T, B, H, dtype=torch.float64)
    trace = layer.trace(x)
    h, c = torch_ways.cell_states(layer, x)
    assert_close("h", h, trace.h[0])
    assert_close("c", c, trace.c[0])
    expected = (trace.h, trace.c, *trace.gates)
    for name, actual, wanted in zip("hcifgo", torch_ways.gates(layer, x), expected, strict=True):
        assert_close(name, actual, wanted[0])


def test_zoneout() -> None:
    layer, x = longhold.LSTM(H, H, zoneout=(0.3, 0.6)).double(), torch.randn(T, B, H, dtype=torch.float64)
    masks = layer.draw_masks(T, B)
    keep_h, keep_c = masks.layers[0].zoneout_h, masks.layers[0].zoneout_c
    assert keep_h is not None
    assert keep_c is not None
    assert_close("output", torch_ways.zoneout(layer, x, keep_h, keep_c), layer(x, masks=masks)[0])
