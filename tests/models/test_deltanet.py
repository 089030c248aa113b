"""Gated DeltaNet against its recurrence written out with explicit matrices."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.models.deltanet import DeltaNetConfig, GatedDeltaNet
from longhold.models.scan import CHUNK


def net(width: int, heads: int) -> GatedDeltaNet:
    torch.manual_seed(0)
    config = DeltaNetConfig(input_size=3, output_size=3, hidden_size=width, num_heads=heads)
    return config.make_mixer(None, torch.float64)


def convolved(mixer: GatedDeltaNet, x: Tensor) -> Tensor:
    """`(T, C)` by torch's own convolution."""
    channels = x.shape[1]
    kernel = mixer.convolution.weight.flip(0).T.unsqueeze(1)
    return F.silu(F.conv1d(F.pad(x.T, (3, 0)), kernel, mixer.convolution.bias, groups=channels)).T


def written_out(mixer: GatedDeltaNet, x: Tensor) -> Tensor:
    """One row, `(T, H)`: S_t = S_(t-1) (a (I - beta k k^T)) + beta v k^T (Yang et al. 2024)."""
    size, heads = mixer.head_size, mixer.heads
    q, k, v = convolved(mixer, x @ mixer.projections.weight.T).chunk(3, -1)
    width = torch.log(1 + torch.exp(x @ mixer.decay.step.weight.T + mixer.decay.step.bias))
    a = torch.exp(-torch.exp(mixer.decay.rate_log) * width)
    beta = 1 / (1 + torch.exp(-(x @ mixer.strength.weight.T + mixer.strength.bias)))
    outputs = []
    for head in range(heads):
        part, memory, found = slice(head * size, (head + 1) * size), torch.zeros(size, size).double(), []
        for t in range(x.shape[0]):
            key, query, value = k[t, part], q[t, part], v[t, part]
            key, query = key / key.norm(), query / query.norm() / size**0.5
            erase = torch.eye(size).double() - beta[t, head] * torch.outer(key, key)
            memory = memory @ (a[t, head] * erase) + beta[t, head] * torch.outer(value, key)
            read = memory @ query
            found.append(read / (read.square().mean() + 1e-6).sqrt() * mixer.norm.weight)
        outputs.append(torch.stack(found))
    gated = torch.cat(outputs, -1) * F.silu(x @ mixer.gate.weight.T)
    return gated @ mixer.output.weight.T


@pytest.mark.parametrize(("width", "heads"), [(6, 1), (6, 2), (5, 3)])
def test_chunks_with_resets_are_the_recurrence_written_out(width: int, heads: int) -> None:
    mixer, steps = net(width, heads), 2 * CHUNK + 9
    x = torch.randn(steps, 2, width, dtype=torch.float64)
    reset = torch.zeros(steps, 2, dtype=torch.bool)
    cuts = {0: [0, 5, 6, CHUNK, CHUNK + 30], 1: [1]}
    for row, at in cuts.items():
        reset[at, row] = True
    outputs, _ = mixer(x, mixer.initial_state(2), reset)
    for row, at in cuts.items():
        edges = sorted({0, *at, steps})
        pieces = [written_out(mixer, x[a:b, row]) for a, b in itertools.pairwise(edges)]
        torch.testing.assert_close(outputs[:, row], torch.cat(pieces), rtol=1e-9, atol=1e-11)


def test_with_full_strength_and_no_decay_a_key_gives_back_its_last_value() -> None:
    """The delta rule replaces what stands under a key: a hand-set associative memory."""
    mixer = net(4, 1)
    keys, values = torch.eye(4).double(), torch.randn(3, 4).double()
    write = [(0, 0), (1, 1), (0, 2)]  # (key, value): key 0 is written twice
    k = torch.stack([keys[key] for key, _ in write])[:, None]
    v = torch.stack([values[value] for _, value in write])[:, None]
    ones, zeros = torch.ones(3, 1, 1).double(), torch.zeros(3, 1, 1).double()
    _, memory = mixer._chunk([k, k, v, zeros, ones], torch.zeros(1, 1, 4, 4).double(), None)
    torch.testing.assert_close(keys[0] @ memory[0, 0], values[2])
    torch.testing.assert_close(keys[1] @ memory[0, 0], values[1])
    assert not (keys[2] @ memory[0, 0]).any()
