"""Gated DeltaNet: a matrix of memory that decays and corrects what stands under a key."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.convolution import ShortConvolution
from longhold.models.mamba import Decay
from longhold.models.scan import decays, in_chunks, join_heads, per_head, split_heads
from longhold.models.stack import NORM_EPS, StackConfig, TimedMixer


@final
class DeltaNetConfig(StackConfig):
    """Blocks of Gated DeltaNet (Yang, Kautz and Hatamizadeh 2024)."""

    takes_time_scales: ClassVar[bool] = True

    cell: Literal["deltanet"] = "deltanet"
    """the name of this architecture"""
    num_heads: int = Field(default=2, ge=1, le=1024)
    """N, heads; each is H/N wide, rounded up"""

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> "GatedDeltaNet":
        return GatedDeltaNet(self.hidden_size, self.num_heads, device=device, dtype=dtype)


class DeltaState(NamedTuple):
    """What is carried from step to step."""

    memory: Tensor
    """S transposed, `(N, B, D, D)`: rows are keys, columns values"""
    recent: Tensor
    """the convolution's last inputs, `(3, B, 3*N*D)`"""


@final
class GatedDeltaNet(TimedMixer):
    """The gated delta rule in each of N heads.

        q_t, k_t, v_t = conv(W_qkv x_t),  q and k of length 1, q divided by sqrt(D)
        a_t = exp(-exp(A_log) softplus(w_a x_t + b_a)),  beta_t = sigmoid(w_b x_t + b_b)        one for each head
        S_t = a_t S_(t-1) (I - beta_t k_t k_t^T) + beta_t v_t k_t^T
        y_t = W_y (norm(S_t q_t) * silu(W_g x_t))

    Within a chunk the corrections u_s, by which S_t is a decayed sum of u_s k_s^T, solve a triangular system:
    u_t = beta_t (v_t - a_t S_(t-1) k_t). The norm is an RMSNorm over each head.
    """

    def __init__(self, width: int, heads: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.heads, self.head_size = heads, math.ceil(width / heads)
        inner = heads * self.head_size
        self.projections = nn.Linear(width, 3 * inner, bias=False, device=device, dtype=dtype)  # q, k, v
        self.convolution = ShortConvolution(3 * inner, device=device, dtype=dtype)
        self.decay = Decay(width, heads, device=device, dtype=dtype)
        self.strength = nn.Linear(width, heads, device=device, dtype=dtype)
        self.gate = nn.Linear(width, inner, bias=False, device=device, dtype=dtype)
        self.norm = nn.RMSNorm(self.head_size, NORM_EPS, device=device, dtype=dtype)
        self.output = nn.Linear(inner, width, bias=False, device=device, dtype=dtype)

    @property
    def time_scales(self) -> int:
        """One for each head."""
        return self.heads

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """a = sigmoid(keep) where w_a x = 0."""
        self.decay.set(keep)

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Chunk by chunk."""
        assert isinstance(state, DeltaState)
        mixed, recent = self.convolution(self.projections(x), state.recent, reset)
        _, log_keep = self.decay(x)
        parts = [*mixed.chunk(3, -1), log_keep, torch.sigmoid(self.strength(x))]
        read, memory = in_chunks(self._chunk, parts, state.memory, reset)
        normed = self.norm(per_head(read, self.heads)).flatten(2)
        return self.output(normed * F.silu(self.gate(x))), DeltaState(memory, recent)

    def _chunk(self, parts: Sequence[Tensor], memory: Tensor, reset: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v = (split_heads(part, self.heads) for part in parts[:3])
        q, k = F.normalize(q, dim=-1) * self.head_size**-0.5, F.normalize(k, dim=-1)
        log_keep, beta = (part.permute(2, 1, 0) for part in parts[3:])  # each (N, B, T)
        between, carried = decays(log_keep, reset)
        weights, left = between.exp(), carried.exp().unsqueeze(-1)
        earlier = beta.unsqueeze(-1) * weights * (k @ k.mT)
        wanted = beta.unsqueeze(-1) * (v - left * (k @ memory))
        # (I + earlier) u = wanted, earlier being below the diagonal: the solver reads ones on it
        corrections = torch.linalg.solve_triangular(earlier, wanted, upper=False, unitriangular=True)
        read = left * (q @ memory) + (weights * (q @ k.mT)) @ corrections
        last = weights[..., -1, :].unsqueeze(-1) * k
        return join_heads(read), left[..., -1:, :] * memory + last.mT @ corrections

    def initial_state(self, batch: int) -> State:
        memory = self.output.weight.new_zeros(self.heads, batch, self.head_size, self.head_size)
        return DeltaState(memory, self.convolution.initial_state(batch))
