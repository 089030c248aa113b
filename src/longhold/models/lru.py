"""The linear recurrent unit: a diagonal complex recurrence, stable by its parameters."""

import math
from typing import ClassVar, Literal, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.scan import linear_scan
from longhold.models.stack import StackConfig, TimedMixer


@final
class LRUConfig(StackConfig):
    """Blocks of the linear recurrent unit (Orvieto et al. 2023)."""

    takes_time_scales: ClassVar[bool] = True

    cell: Literal["lru"] = "lru"
    """the name of this architecture"""
    r_min: float = Field(default=0.0, ge=0, lt=1)
    """least magnitude of an eigenvalue at initialization"""
    r_max: float = Field(default=1.0, gt=0, le=1)
    """largest magnitude of an eigenvalue at initialization"""
    max_phase: float = Field(default=2 * math.pi, gt=0, le=2 * math.pi)
    """largest phase of an eigenvalue at initialization, in radians"""

    @model_validator(mode="after")
    def _ring(self) -> Self:
        if self.r_min >= self.r_max:
            raise ValueError(f"r_min={self.r_min} should be below r_max={self.r_max}")
        return self

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> "LRU":
        return LRU(self, device=device, dtype=dtype)


@final
class LRU(TimedMixer):
    """The linear recurrent unit, N = H complex units.

        lambda = exp(-exp(nu_log) + i exp(theta_log))
        h_t = lambda * h_(t-1) + exp(gamma_log) * (B x_t)
        y_t = gelu(Re(C h_t) + D * x_t)

    Eigenvalues are drawn uniformly from the ring between r_min and r_max, gamma makes a white input keep its variance:
    gamma = sqrt(1 - |lambda|^2). The state is h as real and imaginary parts, `(2, B, N)`. `input` holds the rows
    `[Re B; Im B]`, `output` the columns `[Re C, -Im C]`.
    """

    def __init__(self, config: LRUConfig, *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        width = config.hidden_size
        for name in ("nu_log", "theta_log", "gamma_log", "skip"):
            self.register_parameter(name, nn.Parameter(torch.empty(width, device=device, dtype=dtype)))
        self.input = nn.Linear(width, 2 * width, bias=False, device=device, dtype=dtype)
        self.output = nn.Linear(2 * width, width, bias=False, device=device, dtype=dtype)
        if not self.skip.is_meta:
            self._draw(config)

    nu_log: nn.Parameter
    theta_log: nn.Parameter
    gamma_log: nn.Parameter
    skip: nn.Parameter

    @torch.no_grad()
    def _draw(self, config: LRUConfig) -> None:
        low, high = config.r_min**2, config.r_max**2
        uniform = torch.rand_like(self.nu_log).clamp(1e-6, 1 - 1e-6)
        self._set_magnitude(0.5 * (low + uniform * (high - low)).log())
        self.theta_log.copy_((torch.rand_like(uniform).clamp(min=1e-6) * config.max_phase).log())
        width = config.hidden_size
        self.input.weight.normal_(0.0, (2 * width) ** -0.5)
        self.output.weight.normal_(0.0, width**-0.5)
        self.skip.normal_()

    def _set_magnitude(self, log_magnitude: Tensor) -> None:
        self.nu_log.copy_((-log_magnitude).log())
        self.gamma_log.copy_(0.5 * torch.log(-torch.expm1(2 * log_magnitude)))

    @property
    def time_scales(self) -> int:
        """One for each eigenvalue."""
        return self.skip.shape[0]

    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """|lambda| = sigmoid(keep), with its gamma; phases stay."""
        self._set_magnitude(F.logsigmoid(keep))

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """All steps by one scan."""
        assert isinstance(state, Tensor)
        eigenvalue = torch.polar(torch.exp(-self.nu_log.exp()), self.theta_log.exp())
        drive = torch.complex(*self.input(x).chunk(2, -1)) * self.gamma_log.exp()
        h = linear_scan(eigenvalue.view(1, 1, -1), drive, torch.complex(state[0], state[1]), reset)
        read = self.output(torch.cat([h.real, h.imag], -1)) + self.skip * x
        return F.gelu(read), torch.stack([h[-1].real, h[-1].imag])

    def initial_state(self, batch: int) -> State:
        return self.skip.new_zeros(2, batch, self.time_scales)
