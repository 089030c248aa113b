"""Mamba-2: a state-space layer whose decay is one number for each head and step."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.convolution import ShortConvolution
from longhold.models.scan import decays, in_chunks, join_heads, per_head, split_heads
from longhold.models.stack import NORM_EPS, StackConfig, TimedMixer


@final
class MambaConfig(StackConfig):
    """Blocks of Mamba-2 (Dao and Gu 2024)."""

    takes_time_scales: ClassVar[bool] = True

    cell: Literal["mamba2"] = "mamba2"
    """the name of this architecture"""
    mlp_ratio: int = Field(default=0, ge=0, le=64)
    """width of a block's second branch in multiples of H; 0, as in the paper: no such branch"""
    num_heads: int = Field(default=2, ge=1, le=1024)
    """N, heads; each is 2H/N wide, rounded up"""
    state_size: int = Field(default=16, ge=1, le=4096)
    """S, numbers that each channel keeps"""

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> "Mamba2":
        return Mamba2(self, device=device, dtype=dtype)


@final
class Decay(nn.Module):
    """A step width and the decay over it, one for each of N heads.

        width_t = softplus(w x_t + b),  log a_t = -exp(A_log) width_t

    exp(A_log) is drawn from U(1, 16), softplus(b) log-uniformly from 0.001 to 0.1.
    """

    def __init__(self, width: int, heads: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.step = nn.Linear(width, heads, device=device, dtype=dtype)
        self.rate_log = nn.Parameter(torch.empty(heads, device=device, dtype=dtype))
        if not self.rate_log.is_meta:
            with torch.no_grad():
                self.rate_log.uniform_(1.0, 16.0).log_()
                widths = torch.empty_like(self.rate_log).uniform_(math.log(0.001), math.log(0.1)).exp()
                self.step.bias.copy_(widths + torch.log(-torch.expm1(-widths)))  # softplus of this is widths

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The widths and the logarithms of what is kept, both `(T, B, N)`."""
        widths = F.softplus(self.step(x))
        return widths, -self.rate_log.exp() * widths

    def set(self, keep: Tensor) -> None:
        """Make a = sigmoid(keep) where w x = 0."""
        self.rate_log.copy_((-F.logsigmoid(keep) / F.softplus(self.step.bias)).log())


class MambaState(NamedTuple):
    """What is carried from step to step."""

    memory: Tensor
    """h, `(N, B, S, P)`"""
    recent: Tensor
    """the convolution's last inputs, `(3, B, N*P + 2*S)`"""


@final
class Mamba2(TimedMixer):
    """The state-space duality layer, N heads of P channels that share B and C.

        z_t, u_t, B_t, C_t = W x_t,  (u_t, B_t, C_t) = conv(u_t, B_t, C_t)
        h_t = a_t h_(t-1) + B_t (width_t u_t)^T                                a_t and width_t: `Decay`
        y_t = W_y norm((C_t^T h_t + D u_t) * silu(z_t))

    The norm is an RMSNorm over all heads.
    """

    def __init__(self, config: MambaConfig, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        width, self.heads, self.state_size = config.hidden_size, config.num_heads, config.state_size
        self.head_size = math.ceil(2 * width / self.heads)
        self.inner = self.heads * self.head_size
        channels = self.inner + 2 * self.state_size
        self.projections = nn.Linear(width, self.inner + channels, bias=False, device=device, dtype=dtype)  # z, u, B, C
        self.convolution = ShortConvolution(channels, device=device, dtype=dtype)
        self.decay = Decay(width, self.heads, device=device, dtype=dtype)
        self.skip = nn.Parameter(torch.ones(self.heads, device=device, dtype=dtype))
        self.norm = nn.RMSNorm(self.inner, NORM_EPS, device=device, dtype=dtype)
        self.output = nn.Linear(self.inner, width, bias=False, device=device, dtype=dtype)

    @property
    def time_scales(self) -> int:
        """One for each head."""
        return self.heads

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """a = sigmoid(keep) where w x = 0."""
        self.decay.set(keep)

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Chunk by chunk."""
        assert isinstance(state, MambaState)
        z, mixed = self.projections(x).tensor_split([self.inner], -1)
        mixed, recent = self.convolution(mixed, state.recent, reset)
        u, b, c = mixed.split([self.inner, self.state_size, self.state_size], -1)
        widths, log_keep = self.decay(x)
        channels = per_head(u, self.heads)
        written = (widths.unsqueeze(-1) * channels).flatten(2)
        read, memory = in_chunks(self._chunk, [written, b, c, log_keep], state.memory, reset)
        read = read + (self.skip.unsqueeze(-1) * channels).flatten(2)
        return self.output(self.norm(read * F.silu(z))), MambaState(memory, recent)

    def _chunk(self, parts: Sequence[Tensor], memory: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        values = split_heads(parts[0], self.heads)  # (N, B, T, P)
        b, c = (part.transpose(0, 1) for part in parts[1:3])  # (B, T, S), the same for all heads
        between, carried = decays(parts[3].permute(2, 1, 0), reset)
        weights, left = between.exp(), carried.exp().unsqueeze(-1)
        read = (weights * (c @ b.mT)) @ values + left * (c @ memory)
        last = (weights[..., -1, :].unsqueeze(-1) * values).mT @ b  # (N, B, P, S)
        return join_heads(read), left[..., -1:, :] * memory + last.mT

    def initial_state(self, batch: int) -> State:
        memory = self.output.weight.new_zeros(self.heads, batch, self.state_size, self.head_size)
        return MambaState(memory, self.convolution.initial_state(batch))
