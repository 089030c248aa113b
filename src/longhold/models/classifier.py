"""The classifier: an answer after every token."""

from typing import Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor

from longhold.models.contract import State
from longhold.models.inputs import read_inputs
from longhold.models.recurrent import RecurrentConfig, RecurrentModel


@final
class ClassifierConfig(RecurrentConfig):
    """A recurrent classifier of sequences of tokens or, with `continuous`, of feature vectors.

    Example:
        >>> config = ClassifierConfig(cell="gru", vocab_size=18, num_classes=8, hidden_size=64, init="chrono:128")
        >>> config.build().output
        Linear(in_features=64, out_features=8, bias=True)
    """

    num_classes: int = Field(ge=1, le=2**24)
    """number of answers, or of values for a regression"""
    continuous: bool = False
    """False: token ids come in; True: feature vectors of width `vocab_size`, which is then not a number of tokens"""

    @model_validator(mode="after")
    def _features_are_not_embedded(self) -> Self:
        if self.continuous and self.embedding_size is not None:
            raise ValueError(f"embedding_size={self.embedding_size} is for token ids, and continuous inputs have none")
        return self

    def build(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Classifier":
        return Classifier(self, device=device, dtype=dtype)


@final
class Classifier(RecurrentModel):
    """Token ids `(T, B)`, or features `(T, B, F)`, to the answer as it stands after each step, `(T, B, num_classes)`.

    Where only some steps have a target, the targets of the others are -100 (see `SequenceModel.loss`). See
    `RecurrentModel` for the parts and the state.

    Attributes:
        config: what it was built from.
    """

    def __init__(
        self, config: ClassifierConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(config, config.num_classes, device, dtype)
        self.config = config

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs `(T, B, num_classes)` after each step, and the state after the last."""
        read = read_inputs(inputs, self.config.vocab_size, self.config.continuous, self.output.weight.dtype)
        return super().forward(read, state, reset)
