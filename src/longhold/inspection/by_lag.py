"""Norms by lag, and the law by which they fall."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from torch import Tensor

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that are kept."""

_Floats = NDArray[np.float64]

_EXACT = 0.05  # nats: a line this near is a line, whatever else is near too
_UNEXPLAINED = 0.05  # of the variance of the logarithm


@dataclass(frozen=True)
class Decay:
    """How a norm falls with the lag: an exponential and a power law, each fitted to its logarithm by least squares.

    ln norm = a + rate * lag          ln norm = a - b ln lag
    """

    rate: float
    """nats per step: below 0 the norm vanishes, above 0 it explodes"""
    tau: float
    """steps in which the norm falls by a factor e, -1/rate; inf where it does not fall"""
    error: float
    """nats: root mean square distance of the logarithm from the exponential"""
    power_error: float
    """nats: the same for the power law"""
    exponential: bool
    """the decay is exponential: the exponential is within 0.05 nats, or it leaves at most 5 % of the logarithm's
    variance unexplained and fits no worse than the power law"""

    def __str__(self) -> str:
        if abs(self.rate) < 1e-6:
            law = "stays level"
        elif math.isinf(self.tau):
            law = f"grows by {self.rate:.3g} nats per step"
        else:
            law = f"falls by a factor e in {self.tau:.3g} steps"
        return law if self.exponential else f"{law} on the whole, but not exponentially"


def fit_decay(lags: Sequence[int], norms: Sequence[float]) -> Decay | None:
    """The law of `norms` by `lags`, fitted where both are above 0; None where that leaves fewer than three lags."""
    pairs = [(lag, norm) for lag, norm in zip(lags, norms, strict=True) if lag > 0 and 0 < norm < math.inf]
    if len(pairs) < 3:
        return None
    at = np.array([lag for lag, _ in pairs], dtype=np.float64)
    logs = np.log([norm for _, norm in pairs])
    rate, error = _line(at, logs)
    _, power_error = _line(np.log(at), logs)
    exponential = error <= _EXACT or (error <= power_error and error**2 <= _UNEXPLAINED * float(logs.var()))
    return Decay(rate, -1 / rate if rate < 0 else math.inf, error, power_error, exponential)


def _line(x: _Floats, y: _Floats) -> tuple[float, float]:
    fit = scipy.stats.linregress(x, y)
    slope, intercept = float(fit.slope), float(fit.intercept)
    return slope, float(np.sqrt(np.mean((y - intercept - slope * x) ** 2)))


@dataclass(frozen=True)
class NormsByLag:
    """A norm at each lag, over positions and rows."""

    lags: tuple[int, ...]
    """steps"""
    mean: tuple[float, ...]
    """arithmetic mean at each lag"""
    geometric_mean: tuple[float, ...]
    """exp of the mean logarithm, which the largest few do not rule; 0 where one of them is 0"""
    quantiles: tuple[tuple[float, ...], ...]
    """at each lag, the quantiles of `LEVELS`"""
    samples: int
    """positions times rows"""
    decay: Decay | None
    """law of the geometric mean; None where it is above 0 at fewer than three lags"""

    def __str__(self) -> str:
        first, last = self.geometric_mean[0], self.geometric_mean[-1]
        ends = f"{first:.3g} at lag {self.lags[0]}, {last:.3g} at lag {self.lags[-1]}"
        return ends if self.decay is None else f"{ends}; {self.decay}"


def norms_by_lag(lags: Sequence[int], norms: Tensor) -> NormsByLag:
    """The statistics of `norms` `(lags, samples)`."""
    values = norms.detach().double().cpu()
    geometric = tuple(values.log().mean(1).exp().tolist())
    levels = torch.tensor(LEVELS, dtype=values.dtype)
    return NormsByLag(
        lags=tuple(lags),
        mean=tuple(values.mean(1).tolist()),
        geometric_mean=geometric,
        quantiles=tuple(map(tuple, values.quantile(levels, dim=1).T.tolist())),
        samples=values.shape[1],
        decay=fit_decay(lags, geometric),
    )
