"""Gradient by lag: how much an input, or the state, of `k` steps ago moves the loss now."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.inspection.by_lag import NormsByLag, norms_by_lag
from longhold.inspection.differentiable import DifferentiableInputs
from longhold.inspection.frozen import frozen_copy, in_precision
from longhold.inspection.state_map import real_leaves
from longhold.models import SequenceModel, State
from longhold.models.contract import able_to_learn

RowLoss = Callable[[Tensor, Tensor], Tensor]
"""Outputs `(B, V)` and targets `(B, ...)` of one step to the loss of each row, `(B,)`."""


@dataclass(frozen=True)
class GradientByLag:
    """Norms of the gradient of the loss at single steps, in nats per unit of what it is taken by."""

    by_input: NormsByLag
    """|d loss_t / d x_(t-k)|, lags 0 to max_lag; x is the feature vector, the embedding, or the one-hot vector"""
    by_state: NormsByLag
    """|d loss_t / d s_(t-k)|, lags 1 to max_lag; s is the state after its step, all its real numbers: for the LSTM
    h and c together, for a Transformer the cache"""

    def __str__(self) -> str:
        return f"gradient by input: {self.by_input}; by state: {self.by_state}"


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of each row in nats, 0 where the target is -100."""
    return F.cross_entropy(outputs, targets, reduction="none")


@able_to_learn()
def gradient_by_lag(
    model: SequenceModel,
    inputs: Tensor,
    targets: Tensor,
    *,
    max_lag: int = 64,
    positions: int = 8,
    row_loss: RowLoss = cross_entropy,
    dtype: torch.dtype | None = None,
    rows_at_once: int = 32,
) -> GradientByLag:
    """Back-propagate the loss of single steps and see what arrives at each lag.

    The steps are evenly spaced over those that have `max_lag` steps before them and a target other than -100 (or, for
    targets that are real numbers, all). The graph spans `max_lag + 1` steps of `rows_at_once` rows and no more; what
    came before enters as a state without a graph. The model is copied, runs in evaluation mode, and is left as it was.

    Args:
        model: any `SequenceModel` whose inputs are features, or ids that an `nn.Embedding` or a recurrent layer reads.
        inputs: `(T, B)` ids or `(T, B, F)` features.
        targets: `(T, B)` ids, -100 where there is no target, or `(T, B, ...)` real numbers, as `row_loss` takes them.
        max_lag: largest lag in steps.
        positions: steps whose loss is looked at, at most.
        row_loss: the loss; default cross-entropy in nats.
        dtype: what to compute in, such as torch.float64 where a gradient of 1e-38 still counts; None: the model's own.
        rows_at_once: rows of one graph.

    Raises:
        InputError: no step with a target has `max_lag` steps before it, shapes do not go together, or the model has
            nothing to be differentiated by (an n-gram model).
    """
    _check(inputs, targets, max_lag, positions, rows_at_once)
    model = frozen_copy(model, dtype)
    inputs = in_precision(inputs, dtype)
    supervised = torch.ones_like(targets, dtype=torch.bool) if targets.is_floating_point() else targets != -100
    supervised = supervised.flatten(2).any(2) if supervised.dim() > 2 else supervised
    steps = _positions(supervised, max_lag, positions)
    found = [
        _rows(model, inputs[:, part], targets[:, part], supervised[:, part], steps, max_lag, row_loss)
        for part in torch.split(torch.arange(inputs.shape[1], device=inputs.device), rows_at_once)
    ]
    by_input, by_state = (torch.cat([part[side] for part in found], dim=1) for side in (0, 1))
    lags = range(max_lag + 1)
    return GradientByLag(norms_by_lag(lags, by_input), norms_by_lag(lags[1:], by_state))


def _rows(
    model: SequenceModel,
    inputs: Tensor,
    targets: Tensor,
    supervised: Tensor,
    steps: list[int],
    max_lag: int,
    row_loss: RowLoss,
) -> tuple[Tensor, Tensor]:
    """The norms by input `(max_lag + 1, N)` and by state `(max_lag, N)` of some rows at steps with a target."""
    state, done = model.initial_state(inputs.shape[1]), 0
    by_input, by_state = [], []
    with DifferentiableInputs.opened(model) as call:
        for step in steps:
            start = step - max_lag
            if start > done:
                with torch.no_grad():
                    _, state = model(inputs[done:start], state)
                done = start
            norms = _window(call, model, inputs[start : step + 1], targets[step], state, row_loss)
            by_input.append(norms[0][:, supervised[step]])
            by_state.append(norms[1][:, supervised[step]])
    return torch.cat(by_input, dim=1), torch.cat(by_state, dim=1)


def _window(
    call: DifferentiableInputs, model: SequenceModel, window: Tensor, targets: Tensor, state: State, row_loss: RowLoss
) -> tuple[Tensor, Tensor]:
    """The norms, nearest lag first, of one loss by the inputs and the states before it, `(lags, B)` each."""
    leaves: list[Tensor] = []
    states: list[list[Tensor]] = []
    outputs = window
    for inputs in torch.split(window, 1):
        outputs, state, leaf = call(inputs, state)
        leaves.append(leaf)
        states.append(real_leaves(state))
    loss = row_loss(outputs[-1], targets).sum()
    wanted = [*leaves, *(tensor for step in states[:-1] for tensor in step)]
    if not loss.requires_grad:
        raise InputError(f"the loss of {type(model).__name__} depends on no input by a derivative")
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    norms = [_row_norms(tensor, gradient, dim=1) for tensor, gradient in zip(leaves, found, strict=False)]
    rest = iter(zip(wanted[len(leaves) :], found[len(leaves) :], strict=True))
    dim = model.state_batch_dim
    by_state = [_together(norms[0], [_row_norms(*next(rest), dim=dim) for _ in step]) for step in states[:-1]]
    return torch.stack(norms[::-1]), torch.stack(by_state[::-1])


def _together(like: Tensor, norms: list[Tensor]) -> Tensor:
    """The norm of a whole state from those of its leaves; 0 for a state that has none."""
    whole: Tensor = torch.linalg.vector_norm(torch.stack([torch.zeros_like(like), *norms]), dim=0)
    return whole


def _row_norms(tensor: Tensor, gradient: Tensor | None, *, dim: int) -> Tensor:
    gradient = torch.zeros_like(tensor) if gradient is None else gradient
    norms: Tensor = torch.linalg.vector_norm(gradient.movedim(dim, 0).flatten(1), dim=1)
    return norms


def _positions(supervised: Tensor, max_lag: int, positions: int) -> list[int]:
    """At most `positions` steps, evenly spaced among those with a target in some row and enough steps before them."""
    possible = [int(step) for step in supervised.any(1).nonzero().flatten() if step >= max_lag]
    if not possible:
        raise InputError(f"max_lag={max_lag}: no step with a target, of these {len(supervised)}, has so many before it")
    picked = torch.linspace(0, len(possible) - 1, min(positions, len(possible))).long()
    return [possible[index] for index in picked.tolist()]


def _check(inputs: Tensor, targets: Tensor, max_lag: int, positions: int, rows_at_once: int) -> None:
    if inputs.dim() < 2 or inputs.shape[:2] != targets.shape[:2]:
        raise InputError(
            f"inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}: expected the same (T, B) at the front"
        )
    for name, value in (("max_lag", max_lag), ("positions", positions), ("rows_at_once", rows_at_once)):
        if value < 1:
            raise InputError(f"{name}={value}: expected at least 1")
