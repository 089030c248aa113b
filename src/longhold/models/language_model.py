"""The language model: which token comes next."""

from typing import Self, final

import torch
from pydantic import model_validator
from torch import Tensor

from longhold.kernels.loss import linear_cross_entropy
from longhold.models.contract import State
from longhold.models.inputs import read_inputs, read_targets
from longhold.models.recurrent import RecurrentConfig, RecurrentModel


@final
class LanguageModelConfig(RecurrentConfig):
    """A recurrent language model.

    Example:
        >>> config = LanguageModelConfig(cell="lstm", vocab_size=28, hidden_size=256, init="forget:1")
        >>> config.build().output
        Linear(in_features=256, out_features=28, bias=True)
    """

    tie_weights: bool = False
    """one matrix for the embedding and the output layer (Press and Wolf 2017), drawn as an output layer's; needs
    `embedding_size` equal to the width that leaves the recurrent layers"""

    def with_hidden_size(self, hidden_size: int) -> Self:
        """The same network at another width, checked anew; the embedding of a tied model follows."""
        width = self.proj_size or hidden_size
        tied = {"embedding_size": width} if self.tie_weights else {}
        return type(self)(**{**self.model_dump(), "hidden_size": hidden_size, **tied})

    def build(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "LanguageModel":
        return LanguageModel(self, device=device, dtype=dtype)

    @model_validator(mode="after")
    def _tied_widths_are_equal(self) -> Self:
        if self.tie_weights and self.embedding_size != self.output_features:
            raise ValueError(
                f"tie_weights needs embedding_size={self.output_features}, the width that leaves the recurrent layers, "
                f"got embedding_size={self.embedding_size}"
            )
        return self


@final
class LanguageModel(RecurrentModel):
    """Token ids `(T, B)` to the logits `(T, B, V)` of the token after each of them.

        p(x_(t+1) | x_1 .. x_t) = softmax(outputs[t])

    See `RecurrentModel` for the parts and the state.

    Attributes:
        config: what it was built from.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(config, config.vocab_size, device, dtype)
        self.config = config
        self._tie()

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Logits `(T, B, V)` of the token after each of the ids `(T, B)`, and the state after the last."""
        return super().forward(self._read(inputs), state, reset)

    def loss(
        self, inputs: Tensor, targets: Tensor, state: State | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Mean cross-entropy in nats over the targets, and the state after the last step, as in the contract.

        The logits `(T, B, V)` are not made where `longhold.kernels.loss` has a kernel: on the CPU a block at a time.
        """
        features, state = self._features(self._read(inputs), state, reset)
        weight, bias = self.output.weight, self.output.bias
        wanted = read_targets(targets, features.shape[:2], self.config.vocab_size)
        return linear_cross_entropy(features.flatten(0, 1), weight, bias, wanted.flatten()), state

    def _read(self, inputs: Tensor) -> Tensor:
        return read_inputs(inputs, self.config.vocab_size, False, inputs.dtype)

    def _tie(self) -> None:
        if self.config.tie_weights and self.embedding is not None:
            self.embedding.weight = self.output.weight
