"""The echo state network: a fixed random reservoir, of which only the read-out is trained."""

from collections.abc import Iterable
from typing import Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State
from longhold.models.inputs import read_inputs
from longhold.models.model_config import LARGEST, ModelConfig


@final
class EchoConfig(ModelConfig):
    """An echo state network (Jaeger 2001; leaky units: Jaeger et al. 2007)."""

    cell: Literal["echo"] = "echo"
    """the name of this architecture"""
    input_size: int = Field(ge=1, le=LARGEST)
    """I, number of token ids that may come in, or width of the features"""
    output_size: int = Field(ge=1, le=LARGEST)
    """number of answers, or of values for a regression"""
    continuous: bool = False
    """whether features `(T, B, I)` come in instead of token ids `(T, B)`"""
    spectral_radius: float = Field(default=0.95, gt=0, le=10)
    """largest magnitude of an eigenvalue of the reservoir; below 1 the past fades"""
    leak: float = Field(default=1.0, gt=0, le=1)
    """fraction of a unit that is new at each step"""
    input_scaling: float = Field(default=0.5, gt=0, le=1000)
    """input weights are drawn from U(-input_scaling, input_scaling)"""
    density: float = Field(default=0.1, gt=0, le=1)
    """fraction of reservoir weights that are not zero, at least one for each unit"""
    init: Literal["uniform"] = "uniform"
    """the read-out starts as torch's; there is no other way"""

    def build(
        self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "EchoStateNetwork":
        """A network with a freshly drawn reservoir."""
        return EchoStateNetwork(self, device=device, dtype=dtype)


@final
class EchoStateNetwork(SequenceModel):
    """Token ids `(T, B)` or features `(T, B, I)` to outputs `(T, B, output_size)`.

        h_t = (1 - leak) h_(t-1) + leak tanh(W_in u_t + W h_(t-1))
        outputs_t = W_out [h_t; u_t] + b_out

    u is the input, ids as one-hot vectors. W and W_in are buffers: they are saved, and no optimizer sees them. The
    state is h, `(1, B, H)`. The read-out learns by gradient as every model does, or at once by `fit`.

    Attributes:
        config: what it was built from.
        output: `nn.Linear` with bias, all that is trained.
    """

    reservoir: Tensor
    input_weight: Tensor

    def __init__(
        self, config: EchoConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.output = nn.Linear(width + config.input_size, config.output_size, device=device, dtype=dtype)
        like = self.output.weight
        self.register_buffer("reservoir", like.new_empty(width, width))
        self.register_buffer("input_weight", like.new_empty(width, config.input_size))
        if not like.is_meta:
            self.input_weight.uniform_(-config.input_scaling, config.input_scaling)
            self.reservoir.copy_(_draw_reservoir(width, config.density, config.spectral_radius))

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        features, state = self._features(inputs, state, reset)
        return self.output(features), state

    def _features(self, inputs: Tensor, state: State | None, reset: Tensor | None) -> tuple[Tensor, State]:
        """What the read-out sees, `(T, B, H + I)`."""
        config = self.config
        u = read_inputs(inputs, config.input_size, config.continuous, self.output.weight.dtype)
        u = u if config.continuous else F.one_hot(u.long(), config.input_size).to(self.output.weight.dtype)
        driven = F.linear(u, self.input_weight)
        state = self.initial_state(inputs.shape[1]) if state is None else state
        assert isinstance(state, Tensor)
        h, steps = state[0], []
        for t in range(u.shape[0]):
            h = h if reset is None else torch.where(reset[t].unsqueeze(-1), 0, h)
            h = torch.lerp(h, torch.tanh(driven[t] + F.linear(h, self.reservoir)), config.leak)
            steps.append(h)
        return torch.cat([torch.stack(steps), u], -1), h.unsqueeze(0)

    def initial_state(self, batch: int) -> State:
        return self.output.weight.new_zeros(1, batch, self.config.hidden_size)

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor, Tensor]], ridge: float = 1e-6) -> None:
        """Set the read-out by ridge regression, as Jaeger (2001) trains it.

            W_out, b_out = argmin sum over target steps of |outputs - target|^2 + ridge |W_out, b_out|^2

        Args:
            batches: `(inputs, targets, mask)` such as a task's; targets `(T, B)` long stand for one-hot vectors,
                `(T, B, output_size)` floats for themselves; `mask` `(T, B)` bool says which steps have a target.
            ridge: what is added to the diagonal; more than 0.

        Raises:
            InputError: ridge is not positive, or no step has a target.
        """
        if not ridge > 0:
            raise InputError(f"ridge={ridge}: expected more than 0")
        size = self.output.in_features + 1
        squares = torch.zeros(size, size, dtype=torch.float64, device=self.output.weight.device)
        products = squares.new_zeros(size, self.config.output_size)
        count = 0
        for inputs, targets, mask in batches:
            seen = self._features(inputs, None, None)[0][mask].double()
            seen = torch.cat([seen, seen.new_ones(len(seen), 1)], -1)
            wanted = targets[mask]
            wanted = wanted if wanted.is_floating_point() else F.one_hot(wanted, self.config.output_size)
            squares += seen.T @ seen
            products += seen.T @ wanted.double()
            count += len(seen)
        if count == 0:
            raise InputError("no step of the batches given to fit has a target")
        solved = torch.linalg.solve(squares + ridge * torch.eye(size).to(squares), products)
        self.output.weight.copy_(solved[:-1].T)
        self.output.bias.copy_(solved[-1])


def _draw_reservoir(width: int, density: float, spectral_radius: float) -> Tensor:
    """Normal weights at random places, the same number in each row, scaled to the spectral radius; float64."""
    # With a weight in every row there is a cycle, so some eigenvalue is not 0
    filled = max(1, round(density * width))
    places = torch.rand(width, width).topk(filled, dim=1).indices
    weights = torch.zeros(width, width, dtype=torch.float64)
    weights.scatter_(1, places, torch.randn(width, filled, dtype=torch.float64))
    weights *= spectral_radius / torch.linalg.eigvals(weights).abs().max()
    return weights
