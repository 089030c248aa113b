"""The classifier: an answer after every token."""

from typing import final

import torch
from pydantic import Field

from longhold.models.recurrent import RecurrentConfig, RecurrentModel


@final
class ClassifierConfig(RecurrentConfig):
    """A recurrent classifier of token sequences.

    Example:
        >>> config = ClassifierConfig(cell="gru", vocab_size=18, num_classes=8, hidden_size=64, init="chrono:128")
        >>> config.build().output
        Linear(in_features=64, out_features=8, bias=True)
    """

    num_classes: int = Field(ge=1, le=2**24)
    """number of answers"""

    def build(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Classifier":
        """A freshly initialised classifier."""
        return Classifier(self, device=device, dtype=dtype)


@final
class Classifier(RecurrentModel):
    """Token ids `(T, B)` to the logits `(T, B, num_classes)` of the answer as it stands after each of them.

    Where only some steps are asked, the targets of the others are -100 (see `SequenceModel.loss`). See
    `RecurrentModel` for the parts and the state.

    Attributes:
        config: what it was built from.
    """

    def __init__(
        self, config: ClassifierConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(config, config.num_classes, device, dtype)
        self.config = config
