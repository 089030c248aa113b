"""mLSTM and sLSTM against the paper's equations without any stabiliser, one step after the other."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from longhold.models.scan import CHUNK
from longhold.models.xlstm import MLSTM, SLSTM, XLSTMConfig


def mixer_of(cell: str, width: int, heads: int) -> Any:
    torch.manual_seed(0)
    config = XLSTMConfig(cell=cell, input_size=3, output_size=3, hidden_size=width, num_heads=heads)
    return config.make_mixer(None, torch.float64)


def mlstm_written_out(mixer: MLSTM, x: Tensor, reset: Tensor) -> Tensor:
    """Beck et al. 2024, section 2.3: C, n and exp as they stand there, for each row and head alone."""
    heads, size = mixer.heads, mixer.head_size
    inner = heads * size
    outputs = torch.zeros(x.shape[0], x.shape[1], inner, dtype=torch.float64)
    for row in range(x.shape[1]):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            memory, normalizer = torch.zeros(size, size).double(), torch.zeros(size).double()
            for t in range(x.shape[0]):
                if reset[t, row]:
                    memory, normalizer = torch.zeros_like(memory), torch.zeros_like(normalizer)
                q, k, v, o = (
                    (mixer.projections.weight[n * inner : (n + 1) * inner] @ x[t, row])[part]
                    + mixer.projections.bias[n * inner : (n + 1) * inner][part]
                    for n in range(4)
                )
                k = k / math.sqrt(size)
                gates = mixer.gates.weight @ x[t, row] + mixer.gates.bias
                i, f = torch.exp(gates[head]), torch.sigmoid(gates[heads + head])
                memory = f * memory + i * torch.outer(v, k)
                normalizer = f * normalizer + i * k
                read = memory @ q / max((normalizer @ q).abs().item(), 1.0)
                outputs[t, row, part] = torch.sigmoid(o) * read
    return outputs @ mixer.output.weight.T + mixer.output.bias


def slstm_written_out(mixer: SLSTM, x: Tensor, reset: Tensor) -> Tensor:
    """Beck et al. 2024, section 2.2, with R as one block-diagonal matrix for each gate."""
    size = mixer.time_scales // mixer.heads
    blocks = mixer.recurrent.view(mixer.heads, size, 4, size)
    recurrent = [torch.block_diag(*(blocks[head, :, gate].T for head in range(mixer.heads))) for gate in range(4)]
    weights, biases = mixer.input.weight.chunk(4), mixer.input.bias.chunk(4)
    outputs = torch.zeros(x.shape[0], x.shape[1], mixer.time_scales, dtype=torch.float64)
    for row in range(x.shape[1]):
        h = c = n = torch.zeros(mixer.time_scales, dtype=torch.float64)
        for t in range(x.shape[0]):
            if reset[t, row]:
                h = c = n = torch.zeros(mixer.time_scales, dtype=torch.float64)
            z, i, f, o = (
                weight @ x[t, row] + r @ h + bias for weight, r, bias in zip(weights, recurrent, biases, strict=True)
            )
            c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
            n = torch.sigmoid(f) * n + torch.exp(i)
            h = torch.sigmoid(o) * c / n
            outputs[t, row] = h
    return outputs @ mixer.output.weight.T + mixer.output.bias


@pytest.mark.parametrize("cell", ["mlstm", "slstm"])
@pytest.mark.parametrize(("width", "heads"), [(6, 1), (6, 2), (5, 3), (1, 1)])
def test_it_is_the_equations_written_out(cell: str, width: int, heads: int) -> None:
    mixer = mixer_of(cell, width, heads)
    steps = CHUNK + 5
    generator = torch.Generator().manual_seed(1)
    x = 3 * torch.randn(steps, 2, width, dtype=torch.float64, generator=generator)
    reset = torch.rand(steps, 2, generator=generator) < 0.05
    outputs, _ = mixer(x, mixer.initial_state(2), reset)
    written_out = mlstm_written_out if cell == "mlstm" else slstm_written_out
    torch.testing.assert_close(outputs, written_out(mixer, x, reset), rtol=1e-9, atol=1e-11)


def test_both_branches_of_the_mlstms_denominator_are_met() -> None:
    mixer = mixer_of("mlstm", 4, 1)
    x = torch.randn(6, 1, 4, dtype=torch.float64)
    reset = torch.zeros(6, 1, dtype=torch.bool)
    for bias in (-6.0, 6.0):  # |n q| far below 1, far above
        with torch.no_grad():
            mixer.gates.bias[:1] = bias
        outputs, _ = mixer(x, mixer.initial_state(1), None)
        torch.testing.assert_close(outputs, mlstm_written_out(mixer, x, reset), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", ["mlstm", "slstm"])
@pytest.mark.parametrize("size", [-500.0, 500.0])
def test_input_gates_beyond_exps_range_give_finite_numbers(cell: str, size: float) -> None:
    mixer = XLSTMConfig(cell=cell, input_size=3, output_size=3, hidden_size=4).make_mixer(None, None)
    with torch.no_grad():
        mixer.set_time_scales(torch.full((mixer.time_scales,), 5.0), torch.full((mixer.time_scales,), size))
    x = torch.randn(30, 2, 4, requires_grad=True)
    reset = torch.rand(30, 2) < 0.1
    outputs, _ = mixer(x, mixer.initial_state(2), reset)
    outputs.square().sum().backward()
    assert outputs.isfinite().all()
    assert all(p.grad.isfinite().all() for p in [x, *mixer.parameters()])
