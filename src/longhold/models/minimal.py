"""minGRU and minLSTM: gates that look at the input alone, so that all steps are computed at once."""

from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.scan import linear_scan
from longhold.models.stack import Mixer, StackConfig, TimedMixer


@final
class MinimalConfig(StackConfig):
    """Blocks of minGRU or minLSTM (Feng et al. 2024).

    Example:
        >>> MinimalConfig(cell="mingru", input_size=18, output_size=8, hidden_size=32).build().state_bytes()
        256
    """

    takes_time_scales: ClassVar[bool] = True

    cell: Literal["mingru", "minlstm"]
    """which of the two"""

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> Mixer:
        return {"mingru": MinGRU, "minlstm": MinLSTM}[self.cell](self.hidden_size, device=device, dtype=dtype)


class _Minimal(TimedMixer):
    """A linear recurrence h `(1, B, H)` whose coefficients depend on the input, and a linear map of h."""

    gates: ClassVar[int]

    def __init__(self, width: int, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.input = nn.Linear(width, (self.gates + 1) * width, device=device, dtype=dtype)
        self.output = nn.Linear(width, width, device=device, dtype=dtype)

    @property
    def time_scales(self) -> int:
        """One for each unit."""
        return self.output.in_features

    def initial_state(self, batch: int) -> State:
        return self.output.weight.new_zeros(1, batch, self.time_scales)


@final
class MinGRU(_Minimal):
    """The minimal GRU.

        z_t = sigmoid(W_z x_t + b_z)
        h_t = (1 - z_t) * h_(t-1) + z_t * (W_h x_t + b_h)
        y_t = W_o h_t + b_o

    These are the equations of the paper's section 3.1; its log-space form also makes the candidate positive, which the
    scan here has no need of. The rows of `input` are z, then h.
    """

    gates = 1

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """All steps by one scan."""
        assert isinstance(state, Tensor)
        z, candidate = self.input(x).chunk(2, -1)
        h = linear_scan(torch.sigmoid(-z), torch.sigmoid(z) * candidate, state[0], reset)
        return self.output(h), h[-1:]

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """b_z = -keep."""
        self.input.bias[: self.time_scales] = -keep


@final
class MinLSTM(_Minimal):
    """The minimal LSTM, with the two gates made to sum to one.

        f_t = sigmoid(W_f x_t + b_f),  i_t = sigmoid(W_i x_t + b_i)
        h_t = f_t / (f_t + i_t) * h_(t-1) + i_t / (f_t + i_t) * (W_h x_t + b_h)
        y_t = W_o h_t + b_o

    The rows of `input` are f, i, then h.
    """

    gates = 2

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """All steps by one scan."""
        assert isinstance(state, Tensor)
        f, i, candidate = self.input(x).chunk(3, -1)
        balance = F.logsigmoid(f) - F.logsigmoid(i)  # f / (f + i) is its sigmoid
        h = linear_scan(torch.sigmoid(balance), torch.sigmoid(-balance) * candidate, state[0], reset)
        return self.output(h), h[-1:]

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """b_f = keep, b_i = enter: with enter = -keep the fraction kept is sigmoid(keep)."""
        units = self.time_scales
        self.input.bias[:units] = keep
        if enter is not None:
            self.input.bias[units : 2 * units] = enter
