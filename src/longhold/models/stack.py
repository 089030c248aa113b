"""The plain residual network of all rivals of the recurrent layers; they differ in the mixer alone."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.layers.init import Chrono, ForgetBias, Initialization, Tutorial, Uniform, by_name
from longhold.models.contract import SequenceModel, State, state_leaves
from longhold.models.inputs import read_inputs
from longhold.models.model_config import LARGEST, ModelConfig

NORM_EPS = 1e-6


class Mixer(nn.Module, ABC):
    """What carries information from step to step inside a block, `(T, B, H)` to `(T, B, H)`.

    It keeps the state contract of `longhold.models.SequenceModel` with rows in dimension 1 of every leaf.
    """

    if TYPE_CHECKING:

        def __call__(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]: ...

    @abstractmethod
    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Run `T` steps from a state; the outputs and the state after the last."""

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state before the first step of `batch` rows."""

    def state_bytes(self, batch: int, tokens: int) -> int:
        """Bytes of the state of `batch` rows after `tokens` steps."""
        return sum(leaf.numel() * leaf.element_size() for leaf in state_leaves(self.initial_state(batch)))


class TimedMixer(Mixer):
    """A mixer whose units, or heads, each keep a fraction of their state that can be set at initialization."""

    @property
    @abstractmethod
    def time_scales(self) -> int:
        """How many such fractions there are."""

    @abstractmethod
    def set_time_scales(self, keep: Tensor, enter: Tensor | None) -> None:
        """Make sigmoid(keep) the fraction of the state kept from step to step where the input has no effect.

        It writes into the parameters, so it is called without gradients.

        Args:
            keep: `(time_scales,)`.
            enter: what the input gate's bias becomes where there is a gate apart; None leaves it as it was drawn.
        """


class StackConfig(ModelConfig):
    """Blocks on top of each other between an encoder of the inputs and a linear read-out.

        x = E inputs                                ids: a learned vector each; features: a linear map
        x = x + mixer(norm(x));  x = x + W_2 gelu(W_1 norm(x))      in each of L blocks
        outputs = W_out norm(x) + b_out

    The norms are RMSNorm (Zhang and Sennrich 2019) before each branch.
    """

    takes_time_scales: ClassVar[bool] = False

    input_size: int = Field(ge=1, le=LARGEST)
    """I, number of token ids that may come in, or width of the features"""
    output_size: int = Field(ge=1, le=LARGEST)
    """number of answers, or of values for a regression"""
    continuous: bool = False
    """whether features `(T, B, I)` come in instead of token ids `(T, B)`"""
    num_layers: int = Field(default=2, ge=1, le=1000)
    """L, blocks on top of each other"""
    mlp_ratio: int = Field(default=2, ge=0, le=64)
    """width of a block's second branch in multiples of H; 0: no such branch"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate at which the encoded input and the output of every branch are dropped in training"""
    init: str = "uniform"
    """`uniform`: torch's own for all linear maps, the paper's for whatever else the mixer has; `tutorial[:std]`: linear
    maps and embeddings from N(0, std^2), their biases 0; where the mixer has time scales `forget[:bias]` and
    `chrono:max_lag` (`longhold.layers.init`), set after torch's own"""

    @abstractmethod
    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> Mixer:
        """The mixer of one block."""

    def build(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "StackModel":
        return StackModel(self, device=device, dtype=dtype)

    @model_validator(mode="after")
    def _initialisation_fits(self) -> Self:
        initialization = by_name(self.init)
        if isinstance(initialization, ForgetBias | Chrono):
            if not self.takes_time_scales:
                raise ValueError(f"init={self.init!r} sets how long a state is kept, and {self.cell} has no such unit")
        elif not isinstance(initialization, Uniform | Tutorial):
            raise ValueError(f"init={self.init!r} is for a recurrent matrix, and {self.cell} does not take it")
        return self


class _Block(nn.Module):
    def __init__(self, config: StackConfig, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        width, wide = config.hidden_size, config.mlp_ratio * config.hidden_size
        self.norm = nn.RMSNorm(width, NORM_EPS, device=device, dtype=dtype)
        self.mixer = config.make_mixer(device, dtype)
        self.mlp = None
        if wide:
            self.mlp = nn.Sequential(
                nn.RMSNorm(width, NORM_EPS, device=device, dtype=dtype),
                nn.Linear(width, wide, device=device, dtype=dtype),
                nn.GELU(),
                nn.Linear(wide, width, device=device, dtype=dtype),
            )
        self.dropout = config.dropout

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        mixed, state = self.mixer(self.norm(x), state, reset)
        x = x + F.dropout(mixed, self.dropout, self.training)
        if self.mlp is not None:
            x = x + F.dropout(self.mlp(x), self.dropout, self.training)
        return x, state


@final
class StackModel(SequenceModel):
    """Token ids `(T, B)` or features `(T, B, I)` to outputs `(T, B, output_size)`; see `StackConfig`.

    The state is a tuple with the state of each block's mixer.

    Attributes:
        config: what it was built from.
        encoder: `nn.Embedding` or `nn.Linear` to width H.
        blocks: each with a `mixer`.
        output: `nn.Linear` with bias.
    """

    def __init__(
        self, config: StackConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.config = config
        encoder = nn.Linear if config.continuous else nn.Embedding
        self.encoder: nn.Module = encoder(config.input_size, config.hidden_size, device=device, dtype=dtype)
        self.blocks = nn.ModuleList(_Block(config, device, dtype) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.hidden_size, NORM_EPS, device=device, dtype=dtype)
        self.output = nn.Linear(config.hidden_size, config.output_size, device=device, dtype=dtype)
        if not self.output.weight.is_meta:
            _initialise(self, by_name(config.init))

    @property
    def mixers(self) -> list[Mixer]:
        """The mixer of each block, the lowest first."""
        return [block.mixer for block in self.blocks]  # type: ignore[misc]

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        config = self.config
        x = self.encoder(read_inputs(inputs, config.input_size, config.continuous, self.output.weight.dtype))
        x = F.dropout(x, config.dropout, self.training)
        before = self.initial_state(inputs.shape[1]) if state is None else state
        after = []
        for block, part in zip(self.blocks, before, strict=True):
            x, part = block(x, part, reset)
            after.append(part)
        return self.output(self.norm(x)), tuple(after)

    def initial_state(self, batch: int) -> State:
        """What every mixer starts from."""
        return tuple(mixer.initial_state(batch) for mixer in self.mixers)

    def state_bytes(self, batch: int = 1, tokens: int = 0) -> int:
        """Bytes taken by the state of `batch` rows that have each seen `tokens` steps."""
        return sum(mixer.state_bytes(batch, tokens) for mixer in self.mixers)


@torch.no_grad()
def _initialise(model: StackModel, initialization: Initialization) -> None:
    if isinstance(initialization, Tutorial):
        for part in model.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                part.weight.normal_(0.0, initialization.std)
            if isinstance(part, nn.Linear) and part.bias is not None:
                part.bias.zero_()
    for mixer in model.mixers:
        if isinstance(initialization, ForgetBias | Chrono) and isinstance(mixer, TimedMixer):
            keep = model.output.weight.new_full((mixer.time_scales,), getattr(initialization, "bias", 0.0))
            if isinstance(initialization, Chrono):
                keep.uniform_(1.0, initialization.max_lag - 1.0).log_()
            mixer.set_time_scales(keep, -keep if isinstance(initialization, Chrono) else None)
