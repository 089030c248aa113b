"""minGRU and minLSTM against the paper's sequential form, written out."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longhold.models.minimal import MinGRU, MinLSTM

WIDTH = 5


def sequential(mixer: Any, x: Tensor, h: Tensor, reset: Tensor) -> tuple[Tensor, Tensor]:
    """Feng et al. 2024, the sequential mode: one step after the other."""
    weights, biases = mixer.input.weight.split(WIDTH), mixer.input.bias.split(WIDTH)
    outputs = []
    for t in range(x.shape[0]):
        h = h * (~reset[t]).unsqueeze(-1)
        maps = [x[t] @ weight.T + bias for weight, bias in zip(weights, biases, strict=True)]
        if isinstance(mixer, MinGRU):
            z = torch.sigmoid(maps[0])
            h = (1 - z) * h + z * maps[1]
        else:
            f, i = torch.sigmoid(maps[0]), torch.sigmoid(maps[1])
            h = f / (f + i) * h + i / (f + i) * maps[2]
        outputs.append(h @ mixer.output.weight.T + mixer.output.bias)
    return torch.stack(outputs), h


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
@pytest.mark.parametrize("steps", [1, 2, 7, 33])
def test_the_parallel_form_is_the_sequential_one(kind: type, steps: int) -> None:
    torch.manual_seed(steps)
    mixer = kind(WIDTH, device=None, dtype=torch.float64)
    x, h = torch.randn(steps, 3, WIDTH, dtype=torch.float64), torch.randn(1, 3, WIDTH, dtype=torch.float64)
    x.requires_grad_()
    reset = torch.rand(steps, 3) < 0.2
    leaves = [x, *mixer.parameters()]
    results = []
    for outputs, last in ((mixer(x, h, reset)), sequential(mixer, x, h[0], reset)):
        loss = outputs.square().sum() + last.sum()
        results.append([outputs, last.view(3, WIDTH), *torch.autograd.grad(loss, leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_extreme_gates_give_finite_numbers(kind: type) -> None:
    mixer = kind(WIDTH, device=None, dtype=None)
    with torch.no_grad():
        mixer.input.bias[: 2 * WIDTH] = -300.0
    x = torch.randn(20, 2, WIDTH, requires_grad=True)
    outputs, _ = mixer(x, mixer.initial_state(2), None)
    outputs.sum().backward()
    assert outputs.isfinite().all()
    assert x.grad.isfinite().all()
