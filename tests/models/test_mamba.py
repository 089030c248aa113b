"""Mamba-2 against its recurrence written out, its decay, and the convolution against torch's."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.models.convolution import ShortConvolution
from longhold.models.mamba import Decay, Mamba2, MambaConfig
from longhold.models.scan import CHUNK


def net(width: int, heads: int, state_size: int) -> Mamba2:
    torch.manual_seed(0)
    config = MambaConfig(input_size=3, output_size=3, hidden_size=width, num_heads=heads, state_size=state_size)
    mixer = config.make_mixer(None, torch.float64)
    with torch.no_grad():
        mixer.skip.normal_()
    return mixer


def convolved(layer: ShortConvolution, x: Tensor) -> Tensor:
    """`(T, C)` by torch's own convolution."""
    kernel = layer.weight.flip(0).T.unsqueeze(1)
    return F.silu(F.conv1d(F.pad(x.T, (3, 0)), kernel, layer.bias, groups=x.shape[1])).T


def written_out(mixer: Mamba2, x: Tensor) -> Tensor:
    """One row, `(T, H)`: h = exp(A width) h + width B x, y = C h + D x of Dao and Gu 2024, channel by channel."""
    size, inner = mixer.head_size, mixer.inner
    mapped = x @ mixer.projections.weight.T
    z, mixed = mapped[:, :inner], convolved(mixer.convolution, mapped[:, inner:])
    u, b, c = mixed[:, :inner], mixed[:, inner : inner + mixer.state_size], mixed[:, inner + mixer.state_size :]
    widths = torch.log(1 + torch.exp(x @ mixer.decay.step.weight.T + mixer.decay.step.bias))
    y = torch.zeros_like(u)
    for channel in range(inner):
        head = channel // size
        h = torch.zeros(mixer.state_size).double()
        for t in range(x.shape[0]):
            width = widths[t, head]
            h = torch.exp(-torch.exp(mixer.decay.rate_log[head]) * width) * h + width * u[t, channel] * b[t]
            y[t, channel] = c[t] @ h + mixer.skip[head] * u[t, channel]
    gated = y * z * torch.sigmoid(z)
    normed = gated / (gated.square().mean(-1, keepdim=True) + 1e-6).sqrt() * mixer.norm.weight
    return normed @ mixer.output.weight.T


@pytest.mark.parametrize(("width", "heads", "state_size"), [(3, 1, 4), (4, 2, 3), (2, 3, 1)])
@torch.no_grad()
def test_chunks_with_resets_are_the_recurrence_written_out(width: int, heads: int, state_size: int) -> None:
    mixer, steps = net(width, heads, state_size), CHUNK + 9
    x = torch.randn(steps, 2, width, dtype=torch.float64)
    reset = torch.zeros(steps, 2, dtype=torch.bool)
    cuts = {0: [0, 5, 6, CHUNK], 1: []}
    for row, at in cuts.items():
        reset[at, row] = True
    outputs, _ = mixer(x, mixer.initial_state(2), reset)
    for row, at in cuts.items():
        edges = sorted({0, *at, steps})
        pieces = [written_out(mixer, x[a:b, row]) for a, b in itertools.pairwise(edges)]
        torch.testing.assert_close(outputs[:, row], torch.cat(pieces), rtol=1e-9, atol=1e-11)


def test_widths_and_rates_are_drawn_from_the_papers_ranges() -> None:
    torch.manual_seed(0)
    decay = Decay(3, 2000, device=None, dtype=torch.float64)
    widths, rates = F.softplus(decay.step.bias), decay.rate_log.exp()
    assert 0.001 <= widths.min() < 0.0012
    assert 0.09 < widths.max() <= 0.1
    assert widths.log10().mean().item() == pytest.approx(-2, abs=0.03)  # log-uniform
    assert 1 <= rates.min() < 1.1
    assert 15.9 < rates.max() <= 16
    assert rates.mean().item() == pytest.approx(8.5, rel=0.03)


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_the_short_convolution_is_torchs(steps: int) -> None:
    torch.manual_seed(0)
    layer = ShortConvolution(5, device=None, dtype=torch.float64)
    x = torch.randn(steps, 2, 5, dtype=torch.float64)
    outputs, state = layer(x, layer.initial_state(2), None)
    for row in range(2):
        torch.testing.assert_close(outputs[:, row], convolved(layer, x[:, row]))
    padded = torch.cat([torch.zeros(3, 2, 5).double(), x])
    assert torch.equal(state, padded[-3:])
