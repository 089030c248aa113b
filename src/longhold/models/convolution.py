"""The short causal convolution that Mamba-2 and Gated DeltaNet put before their recurrence."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = 4
"""steps that the convolution sees, its own among them"""


@final
class ShortConvolution(nn.Module):
    """Each channel by itself, over the last four steps, then SiLU.

        y_t = silu(sum over j = 0 .. 3 of w_j * x_(t-j) + b),    x of steps before the row's beginning or reset being 0

    The state is the last three inputs, `(3, B, C)`.
    """

    def __init__(self, channels: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(TAPS, channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(channels, device=device, dtype=dtype))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -(TAPS**-0.5), TAPS**-0.5)

    def forward(self, x: Tensor, state: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        """`(T, B, C)` to `(T, B, C)`, and the state after the last step."""
        steps, before = x.shape[0], TAPS - 1
        padded = torch.cat([state, x])
        if reset is None:
            taps = [padded[before - j : before - j + steps] for j in range(TAPS)]
            last = padded[steps:]
        else:
            segment = torch.cat([reset.new_zeros(before, x.shape[1]).long(), reset.cumsum(0)])
            same = [segment[before - j : before - j + steps] == segment[before:] for j in range(TAPS)]
            taps = [torch.where(same[j].unsqueeze(-1), padded[before - j : before - j + steps], 0) for j in range(TAPS)]
            last = torch.where((segment[steps:] == segment[-1]).unsqueeze(-1), padded[steps:], 0)
        mixed = sum((self.weight[j] * tap for j, tap in enumerate(taps)), start=self.bias)
        return F.silu(mixed), last.clone()

    def initial_state(self, batch: int) -> Tensor:
        return self.bias.new_zeros(TAPS - 1, batch, self.bias.shape[0])
