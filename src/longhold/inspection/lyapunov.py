"""The Lyapunov spectrum of a model's state: the mean rates at which its directions grow or shrink."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection.frozen import frozen_copy, in_precision
from longhold.inspection.state_map import StateMap
from longhold.models import SequenceModel
from longhold.models.contract import able_to_learn


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Exponents in nats per step, over `rows` trajectories of `steps` counted steps."""

    exponents: tuple[float, ...]
    """mean over the rows, largest first; -inf for a direction that the model forgets altogether"""
    standard_errors: tuple[float, ...]
    """of those means; nan for one row, and where an exponent is -inf"""
    steps: int
    """steps counted, after burn-in and warm-up"""
    rows: int
    """trajectories"""

    def __str__(self) -> str:
        largest, error = self.exponents[0], self.standard_errors[0]
        spread = "" if math.isnan(error) else f" +- {error:.2g}"
        return (
            f"largest Lyapunov exponent {largest:.4g}{spread} nats per step "
            f"({len(self.exponents)} exponents, {self.rows} x {self.steps} steps)"
        )


@able_to_learn()
def lyapunov_spectrum(
    model: SequenceModel,
    inputs: Tensor,
    *,
    exponents: int | None = None,
    burn_in: int = 100,
    warm_up: int = 100,
    every: int = 1,
    seed: int = 0,
    dtype: torch.dtype | None = torch.float64,
) -> LyapunovSpectrum:
    r"""Carry an orthonormal frame along the trajectory and add up how each of its directions is stretched.

        Q_t R_t = J_t Q_(t-1),   J_t = d s_t / d s_(t-1),   lambda_i = (1/S) sum over t of ln |R_t[i, i]|

    (Benettin et al. 1980; for recurrent networks Vogt et al. 2020 and Engelken et al. 2023.) The products `J_t Q` come
    from forward-mode differentiation of the model's step, so any state tree of real numbers and fixed size will do. The
    exponents belong to these inputs: they are the driven network's, conditional on what it reads.

    Three stretches of the inputs follow each other. In the *burn-in* only the state moves, away from where it began. In
    the *warm-up* the frame moves too and is not counted: a random frame first has to turn into the directions it is to
    measure, and each exponent is biased by O(1/S) where that is counted. The rest is counted.

    Args:
        model: any `SequenceModel` with a state of real numbers and fixed size.
        inputs: `(T, B)` ids or `(T, B, F)` features; every row is a trajectory.
        exponents: how many, the largest; None: all N.
        burn_in: steps before the frame starts.
        warm_up: steps before the frame counts.
        every: steps between two orthonormalisations; 1 is safest, more is faster where the exponents lie close.
        seed: of the first frame.
        dtype: what to compute in; None: the model's own.

    Raises:
        InputError: fewer than `every` steps are left to count, a number is out of range, or the state is not of real
            numbers and fixed size.
    """
    counted = (len(inputs) - burn_in - warm_up) // max(every, 1) * every
    if min(burn_in, warm_up) < 0 or every < 1 or counted < every or counted <= 0:
        raise InputError(
            f"{len(inputs)} steps, burn_in={burn_in}, warm_up={warm_up}, every={every}: expected at least `every` >= 1 "
            "steps after a burn-in and a warm-up of 0 or more"
        )
    model, inputs = frozen_copy(model, dtype), in_precision(inputs, dtype)
    with torch.no_grad():
        states = StateMap(model, inputs.shape[1])
        if exponents is not None and not 1 <= exponents <= states.size:
            raise InputError(f"exponents={exponents}: expected 1 to {states.size}, the numbers of the state")
        sums = _stretched(states, inputs[: burn_in + warm_up + counted], exponents, burn_in, warm_up, every, seed)
    rates = (sums / counted).sort(dim=1, descending=True).values  # (B, q)
    rows = len(rates)
    errors = rates.std(dim=0) / math.sqrt(rows) if rows > 1 else torch.full_like(rates[0], math.nan)
    return LyapunovSpectrum(tuple(rates.mean(0).tolist()), tuple(errors.tolist()), counted, rows)


def _stretched(
    states: StateMap, inputs: Tensor, exponents: int | None, burn_in: int, warm_up: int, every: int, seed: int
) -> Tensor:
    """The sums of ln |R[i, i]| over the counted steps, `(B, q)`."""
    state = states.run(inputs[:burn_in], states.initial)
    frame = _frame(states, exponents, seed)
    sums = frame.new_zeros(frame.shape[0], frame.shape[2])
    for step, now in enumerate(inputs[burn_in:], start=1):
        state, frame = states.push(now, state, frame)
        if step <= warm_up:
            frame = torch.linalg.qr(frame).Q
        elif (step - warm_up) % every == 0:
            frame, stretch = torch.linalg.qr(frame)
            sums += stretch.diagonal(dim1=1, dim2=2).abs().log()
    return sums


def _frame(states: StateMap, exponents: int | None, seed: int) -> Tensor:
    like = states.identity(exponents)
    drawn = torch.randn(like.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    frame: Tensor = torch.linalg.qr(drawn.to(like)).Q
    return frame
