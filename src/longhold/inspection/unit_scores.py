"""Unit scores: how well one unit's state predicts a property of the text, such as being inside quotes.

Karpathy, Johnson and Li (2015) found such units by looking. Here each is found on the first half of a text and measured
on the second, which it was not chosen by.
"""

from dataclasses import dataclass

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold.errors import InputError

LEAST = 20
"""Steps with and without a property, or values, that each half needs."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitScore:
    """One unit and one property."""

    layer: int
    """from 0"""
    unit: int
    """from 0"""
    found: float
    """score on the first half, by which units are sorted; at least 0.5 or 0"""
    held_out: float
    """score on the second half, with the direction that the first half decided"""
    rises: bool
    """whether the state is higher where the property holds, or grows with it"""


@dataclass(frozen=True)
class UnitScores:
    """The units that predict a property best."""

    measure: str
    """`AUC` of a property that holds or not: the probability that a step with it has the more extreme state, 0.5 by
    chance; `rank correlation` (Spearman) of a number, 0 by chance"""
    units: tuple[UnitScore, ...]
    """the best first, by the first half"""
    steps: int
    """steps of the second half"""


def unit_scores(states: Tensor, labels: Tensor, *, best: int = 10) -> UnitScores | None:
    """Find on the first half of the steps, and measure on the second, the units that predict `labels`.

    Args:
        states: `(L, T, H)`, one number per unit and step.
        labels: `(T,)`, bool for a property that holds or not, else numbers.
        best: units returned.

    Returns:
        None where a half has fewer than `LEAST` steps with, or without, the property, or numbers that never change.

    Raises:
        InputError: shapes do not go together.
    """
    if states.dim() != 3 or labels.shape != states.shape[1:2]:
        raise InputError(f"states {tuple(states.shape)} and labels {tuple(labels.shape)}: expected (L, T, H) and (T,)")
    values = states.detach().double().cpu().movedim(1, 0).flatten(1).numpy()  # (T, L*H)
    half = len(values) // 2
    parts = [(values[:half], labels[:half].cpu().numpy()), (values[half:], labels[half:].cpu().numpy())]
    if not all(_enough(wanted) for _, wanted in parts):
        return None
    holds = labels.dtype == torch.bool
    found, held_out = ((_auc if holds else _correlation)(*part) for part in parts)  # from -1 to 1
    width = states.shape[2]
    order = np.argsort(-np.abs(found), kind="stable")[:best]
    units = [
        UnitScore(int(at) // width, int(at) % width, *_signed(found[at], held_out[at], holds), bool(found[at] >= 0))
        for at in order
    ]
    return UnitScores("AUC" if holds else "rank correlation", tuple(units), len(values) - half)


def _enough(labels: NDArray[np.generic]) -> bool:
    if labels.dtype == np.bool_:
        count = int(labels.sum())
        return min(count, len(labels) - count) >= LEAST
    return len(labels) >= 2 * LEAST and bool(labels.min() != labels.max())


def _signed(found: float, held_out: float, holds: bool) -> tuple[float, float]:
    kept = held_out if found >= 0 else -held_out
    return ((1 + abs(found)) / 2, (1 + kept) / 2) if holds else (abs(found), float(kept))


def _auc(values: _Floats, labels: NDArray[np.bool_]) -> _Floats:
    """2 AUC - 1 of each column, by ranks (Mann-Whitney U); ties count half."""
    ranks = scipy.stats.rankdata(values, axis=0)
    with_it = int(labels.sum())
    below = ranks[labels].sum(0) - with_it * (with_it + 1) / 2
    result: _Floats = 2 * below / (with_it * (len(labels) - with_it)) - 1
    return result


def _correlation(values: _Floats, labels: NDArray[np.generic]) -> _Floats:
    """Spearman's coefficient of each column; 0 for a unit that never changes."""
    ranks, wanted = scipy.stats.rankdata(values, axis=0), scipy.stats.rankdata(labels)
    ranks, wanted = ranks - ranks.mean(0), wanted - wanted.mean()
    norms = np.sqrt((ranks**2).sum(0) * (wanted**2).sum())
    result: _Floats = np.divide(wanted @ ranks, norms, out=np.zeros_like(norms), where=norms > 0)
    return result
