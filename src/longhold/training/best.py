"""The best weights of a run so far."""

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """Returns the model's weights by name, in memory of their own."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@final
@dataclass
class Best:
    """The lowest loss of a run on data that no weight was fitted to, and the weights that had it."""

    loss: float | None = None
    """That loss; None before the first evaluation."""
    step: int | None = None
    """Steps taken before it."""
    weights: dict[str, Tensor] | None = None
    """Those weights; None where none are kept."""

    def offer(self, loss: float, step: int, model: nn.Module, *, keep: bool = True) -> bool:
        """Note this loss if it is the lowest so far, and with `keep` the model's weights; returns whether it is."""
        if self.loss is not None and not loss < self.loss:
            return False
        self.loss, self.step = loss, step
        if keep:
            self.weights = copy_of(model)
        return True

    def restore(self, model: nn.Module) -> bool:
        """Put the kept weights into the model; returns False where there are none."""
        if self.weights is None:
            return False
        model.load_state_dict(self.weights)
        return True
