"""One training step: gradients of the losses of a batch, clipping, the optimizer's update."""

from collections.abc import Iterable
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from longhold.models.contract import SequenceModel, State, map_state, state_leaves
from longhold.training.optim import clip_and_step, set_learning_rate


@final
class Step(NamedTuple):
    """What a training step had to go by."""

    losses: tuple[Tensor, ...]
    """The losses before it, scalars, detached."""
    grad_norm: Tensor
    """Norm of the gradients before clipping, a scalar."""


def take_step(
    optimizer: torch.optim.Optimizer, losses: Iterable[Tensor], *, lr: float, clip_norm: float | None
) -> Step:
    """Take one step down the gradient of the sum of `losses`.

    Each loss is differentiated before the next one is computed, so with an iterator over the windows of a batch only
    one window's graph is in memory at a time.

    Args:
        optimizer: over the parameters to update.
        losses: scalars; none leaves the weights to what the optimizer does without gradients.
        lr: learning rate of this step.
        clip_norm: largest total norm of the gradients; None never scales them.
    """
    set_learning_rate(optimizer, lr)
    optimizer.zero_grad(set_to_none=True)
    found = []
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
        found.append(loss.detach())
    return Step(tuple(found), clip_and_step(optimizer, clip_norm))


@final
class Objective(nn.Module):
    """Loss and carried state in one forward, so that a data-parallel wrapper sees all that gradients depend on."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Returns the mean nats per target and the state after the batch, cut from the graph."""
        start = self.model.initial_state(inputs.shape[1]) if state is None else state
        nats, after = self.model.loss(inputs, targets, start)
        dtypes = iter([leaf.dtype for leaf in state_leaves(start)])
        # Autocast may narrow a state and a kernel may leave it strided; a resumed run reads it back plain.
        return nats, map_state(lambda leaf: leaf.to(next(dtypes)).contiguous(), self.model.detach(after))
