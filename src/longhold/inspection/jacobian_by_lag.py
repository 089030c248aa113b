"""Jacobian by lag: what is left of a change of the state after `k` steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection.by_lag import NormsByLag, norms_by_lag
from longhold.inspection.frozen import frozen_copy, in_precision
from longhold.inspection.state_map import StateMap
from longhold.models import SequenceModel
from longhold.models.contract import able_to_learn


@dataclass(frozen=True)
class JacobianByLag:
    """The Jacobian d s_t / d s_(t-k) of the whole state, over positions and rows."""

    norm: NormsByLag
    """its largest singular value; `norm.decay.rate` is the rate, in nats per step, at which it vanishes or explodes"""
    root_mean_square: NormsByLag
    """root mean square of its singular values: the mean effect of a change in a random direction"""
    singular_values: tuple[tuple[float, ...], ...]
    """at each lag, all N of them, largest first, each the geometric mean over positions and rows"""

    def __str__(self) -> str:
        return f"largest singular value of the state's Jacobian: {self.norm}"


@able_to_learn()
def jacobian_by_lag(
    model: SequenceModel,
    inputs: Tensor,
    lags: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    *,
    positions: int = 4,
    burn_in: int = 1,
    dtype: torch.dtype | None = torch.float64,
) -> JacobianByLag:
    """Push all directions of the state along the model's trajectory and see how long they stay.

    From each of `positions` evenly spaced steps, `d s_(t+k) / d s_t` is carried forward as a product of the steps'
    Jacobians, and its singular values are taken at the requested lags. A state of `N` numbers takes memory for `B N^2`
    and time for `N^3` at each lag: where N is in the thousands `lyapunov_spectrum` with few exponents is the
    instrument.

    Args:
        model: any `SequenceModel` with a state of real numbers and fixed size.
        inputs: `(T, B)` ids or `(T, B, F)` features.
        lags: in steps, positive and rising.
        positions: steps t to begin from, at most.
        burn_in: steps before the first of them; at least one, since the initial state is a place of its own, where a
            Jacobian may be 0.
        dtype: what to compute in; None: the model's own.

    Raises:
        InputError: the lags are not positive and rising, the inputs are too short for them, or the state is not of
            real numbers and fixed size.
    """
    steps = len(inputs) - burn_in
    if len(lags) == 0 or any(late <= early for early, late in zip([0, *lags], lags, strict=False)):
        raise InputError(f"lags {list(lags)}: expected positive steps, each longer than the one before")
    if burn_in < 0 or positions < 1 or steps < lags[-1]:
        raise InputError(
            f"{len(inputs)} steps, burn_in={burn_in}, positions={positions}: lag {lags[-1]} needs {lags[-1]} steps "
            "after a burn-in of at least 0, from at least 1 position"
        )
    model, inputs = frozen_copy(model, dtype), in_precision(inputs, dtype)
    count = min(positions, steps - lags[-1] + 1)
    starts = torch.linspace(burn_in, len(inputs) - lags[-1], count).long().tolist()
    with torch.no_grad():
        found = _along(StateMap(model, inputs.shape[1]), inputs, starts, lags)
    values = torch.cat(found, dim=1)  # (lags, samples, N)
    return JacobianByLag(
        norm=norms_by_lag(lags, values[..., 0]),
        root_mean_square=norms_by_lag(lags, values.square().mean(2).sqrt()),
        singular_values=tuple(map(tuple, values.log().mean(1).exp().tolist())),
    )


def _along(states: StateMap, inputs: Tensor, starts: list[int], lags: Sequence[int]) -> list[Tensor]:
    """The singular values `(lags, B, N)` from each start."""
    state, done, found = states.initial, 0, []
    for start in starts:
        state, done = states.run(inputs[done:start], state), start
        ahead, product, values = state, states.identity(), []
        for lag in range(1, lags[-1] + 1):
            ahead, product = states.push(inputs[start + lag - 1], ahead, product)
            if lag in lags:
                values.append(torch.linalg.svdvals(product))
        found.append(torch.stack(values))
    return found
