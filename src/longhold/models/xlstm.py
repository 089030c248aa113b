"""mLSTM and sLSTM: exponential input gates, a matrix or a vector of memory."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.scan import decays, in_chunks, join_heads, per_head, split_heads
from longhold.models.stack import StackConfig, TimedMixer


@final
class XLSTMConfig(StackConfig):
    """Blocks of mLSTM or sLSTM cells (Beck et al. 2024) in the plain residual network, not in the paper's own blocks.

    The forget gate is a sigmoid, one of the paper's two choices.
    """

    takes_time_scales: ClassVar[bool] = True

    cell: Literal["mlstm", "slstm"]
    """which of the two"""
    num_heads: int = Field(default=2, ge=1, le=1024)
    """N, heads; each is H/N wide, rounded up"""

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> "MLSTM | SLSTM":
        kind = MLSTM if self.cell == "mlstm" else SLSTM
        return kind(self.hidden_size, self.num_heads, device=device, dtype=dtype)


def _nothing_yet(like: Tensor) -> float:
    """The logarithm of the scale of an empty memory: below every gate's, and finite so that no NaN comes of it."""
    return torch.finfo(like.dtype).min / 4


class MLSTMState(NamedTuple):
    """The memory after a step, scaled by exp(-m)."""

    memory: Tensor
    """C transposed, `(N, B, D, D)`: rows are keys, columns values"""
    normalizer: Tensor
    """n, `(N, B, D)`"""
    scale: Tensor
    """m, `(N, B)`"""


@final
class MLSTM(TimedMixer):
    """The mLSTM: each of N heads writes values under keys into a matrix.

        q_t = W_q x_t + b_q,  k_t = (W_k x_t + b_k) / sqrt(D),  v_t = W_v x_t + b_v,  o_t = sigmoid(W_o x_t + b_o)
        i_t = exp(w_i x_t + b_i),  f_t = sigmoid(w_f x_t + b_f)                      one number for each head
        C_t = f_t C_(t-1) + i_t v_t k_t^T,  n_t = f_t n_(t-1) + i_t k_t
        y_t = W_y (o_t * C_t q_t / max(|n_t^T q_t|, 1)) + b_y

    C and n are kept divided by exp(m_t), m_t = max(log f_t + m_(t-1), log i_t), which changes no result. Steps of a
    chunk are computed together: the weight of step s at step t is the exponential of a sum of logarithms.
    """

    def __init__(self, width: int, heads: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.heads, self.head_size = heads, math.ceil(width / heads)
        inner = heads * self.head_size
        self.projections = nn.Linear(width, 4 * inner, device=device, dtype=dtype)  # q, k, v, o
        self.gates = nn.Linear(width, 2 * heads, device=device, dtype=dtype)  # i, f
        self.output = nn.Linear(inner, width, device=device, dtype=dtype)

    @property
    def time_scales(self) -> int:
        """One for each head."""
        return self.heads

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """b_f = keep, b_i = enter."""
        self.gates.bias[self.heads :] = keep
        if enter is not None:
            self.gates.bias[: self.heads] = enter

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Chunk by chunk."""
        assert isinstance(state, MLSTMState)
        q, k, v, o = self.projections(x).chunk(4, -1)
        parts = [q, k * self.head_size**-0.5, v, self.gates(x)]
        read, after = in_chunks(self._chunk, parts, state, reset)
        return self.output(torch.sigmoid(o) * read), after

    def _chunk(self, parts: Sequence[Tensor], state: MLSTMState, reset: Tensor | None) -> tuple[Tensor, MLSTMState]:
        q, k, v = (split_heads(part, self.heads) for part in parts[:3])
        log_i, f = parts[3].permute(2, 1, 0).chunk(2)  # each (N, B, T)
        between, carried = decays(F.logsigmoid(f), reset)
        written = between + log_i.unsqueeze(-2)  # log weight of step s at step t
        carried = carried + state.scale.unsqueeze(-1)
        scale = torch.maximum(written.amax(-1), carried)  # m, (N, B, T)
        weights = torch.exp(written - scale.unsqueeze(-1))
        left = torch.exp(carried - scale).unsqueeze(-1)
        scores = weights * (q @ k.mT)
        values = scores @ v + left * (q @ state.memory)
        norms = scores.sum(-1) + (left * q * state.normalizer.unsqueeze(-2)).sum(-1)
        one = torch.exp((-scale).clamp(max=80.0))  # the 1 of max(|n q|, 1); beyond e^80 the read-out is 0 all the same
        read = values / torch.maximum(norms.abs(), one).unsqueeze(-1)
        last = weights[..., -1, :].unsqueeze(-1) * k
        after = MLSTMState(
            last.mT @ v + left[..., -1:, :] * state.memory,
            last.sum(-2) + left[..., -1, :] * state.normalizer,
            scale[..., -1],
        )
        return join_heads(read), after

    def initial_state(self, batch: int) -> State:
        like, size = self.output.weight, self.head_size
        return MLSTMState(
            like.new_zeros(self.heads, batch, size, size),
            like.new_zeros(self.heads, batch, size),
            like.new_full((self.heads, batch), _nothing_yet(like)),
        )


class SLSTMState(NamedTuple):
    """The memory after a step; c and n scaled by exp(-m). All `(1, B, N*D)`."""

    h: Tensor
    """what was read out"""
    c: Tensor
    """cell"""
    n: Tensor
    """normalizer"""
    m: Tensor
    """logarithm of the scale"""


@final
class SLSTM(TimedMixer):
    """The sLSTM: an LSTM with an exponential input gate and a normalizer, its recurrence inside each of N heads.

        z_t = tanh(.),  i_t = exp(.),  f_t = sigmoid(.),  o_t = sigmoid(.)           of  W x_t + R h_(t-1) + b
        c_t = f_t c_(t-1) + i_t z_t,  n_t = f_t n_(t-1) + i_t
        h_t = o_t * c_t / n_t,  y_t = W_y h_t + b_y

    R has a block for each head and gate. c and n are kept divided by exp(m_t), m_t = max(log f_t + m_(t-1), log i_t),
    which changes no result. The gates see h, so steps follow one another. The rows of `input` are z, i, f, o.
    """

    def __init__(self, width: int, heads: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        size = math.ceil(width / heads)
        self.heads = heads
        self.input = nn.Linear(width, 4 * heads * size, device=device, dtype=dtype)
        self.recurrent = nn.Parameter(torch.empty(heads, size, 4 * size, device=device, dtype=dtype))
        self.output = nn.Linear(heads * size, width, device=device, dtype=dtype)
        nn.init.uniform_(self.recurrent, -(size**-0.5), size**-0.5)

    @property
    def time_scales(self) -> int:
        """One for each unit."""
        return self.output.in_features

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """b_f = keep, b_i = enter."""
        units = self.time_scales
        self.input.bias[2 * units : 3 * units] = keep
        if enter is not None:
            self.input.bias[units : 2 * units] = enter

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Step by step."""
        assert isinstance(state, SLSTMState)
        fields = tuple(field[0] for field in state)
        fresh = tuple(field[0] for field in self.initial_state(x.shape[1]))
        outputs = []
        for t, gates_x in enumerate(self.input(x).unbind()):
            if reset is not None:
                cut = reset[t].unsqueeze(-1)
                fields = tuple(torch.where(cut, new, old) for new, old in zip(fresh, fields, strict=True))
            fields = self._step(gates_x, *fields)
            outputs.append(fields[0])
        return self.output(torch.stack(outputs)), SLSTMState(*(field.unsqueeze(0) for field in fields))

    def _step(self, gates_x: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        product = torch.bmm(per_head(h, self.heads).transpose(0, 1), self.recurrent)  # (N, B, 4D)
        gates_h = per_head(product, 4).permute(1, 2, 0, 3).flatten(1)
        z, log_i, f, o = (gates_x + gates_h).chunk(4, -1)
        carried = F.logsigmoid(f) + m
        m = torch.maximum(carried, log_i)
        kept, entering = torch.exp(carried - m), torch.exp(log_i - m)
        c, n = kept * c + entering * torch.tanh(z), kept * n + entering
        return torch.sigmoid(o) * c / n, c, n, m

    def initial_state(self, batch: int) -> SLSTMState:
        like = self.output.weight
        zeros = like.new_zeros(1, batch, self.time_scales)
        return SLSTMState(zeros, zeros, zeros, torch.full_like(zeros, _nothing_yet(like)))
