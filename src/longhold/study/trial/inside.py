"""What instruments see inside a run's model, before and after its training."""

import copy
import math
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.study.rows.results import GradientAt, TimeQuantiles
from longhold.tasks import Task

if TYPE_CHECKING:
    from longhold.inspection import GradientByLag, NormsByLag
    from longhold.models import SequenceModel

_ROWS = 16
"""Sequences that are looked at."""


@final
class Inside:
    """The instruments of one run, which keep the model as it was before training.

    They look at one fixed set of sequences, `stream` names them. A task without a lag, and a model that an instrument
    does not apply to, give nothing: an RNN has no gate that keeps its state.
    """

    def __init__(self, model: "SequenceModel", task: Task, stream: int) -> None:
        self._start = copy.deepcopy(model)
        self._task = task
        self._batch = task.batch_at(stream, 0, _ROWS)

    def look(self, model: "SequenceModel") -> tuple[tuple[GradientAt, ...], TimeQuantiles | None]:
        """Gradient by lag and time constants of the trained model, beside those of the start."""
        start, trained = self._gradient(self._start), self._gradient(model)
        return _beside(start, trained), self._time_constants(model, trained)

    def _gradient(self, model: "SequenceModel") -> "GradientByLag | None":
        from longhold.inspection import gradient_by_lag  # which imports scipy, for a second

        lag, targets = self._task.lag, self._batch.targets
        if lag is None:
            return None
        # in float64, since what vanishes over a few hundred steps is 0 in float32
        try:
            return gradient_by_lag(
                model, self._batch.inputs, targets, max_lag=lag, positions=1, row_loss=self._loss, dtype=torch.float64
            )
        except InputError:
            return None

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if targets.is_floating_point():
            return F.mse_loss(outputs, targets.to(outputs), reduction="none").flatten(1).mean(1)
        return F.cross_entropy(outputs, targets, reduction="none")

    def _time_constants(self, model: "SequenceModel", gradient: "GradientByLag | None") -> TimeQuantiles | None:
        from longhold.inspection import LEVELS, time_constants

        try:
            found = time_constants(model, self._batch.inputs, start=self._start, gradient=gradient)
        except InputError:
            return None
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        start, trained = (
            tuple(units.double().flatten().quantile(levels).tolist())
            for units in (found.by_bias if found.at_start is None else found.at_start, found.along_path)
        )
        longest = float(found.along_path.max())
        if not math.isfinite(longest):
            return None
        return TimeQuantiles(start=start, trained=trained, longest=longest, caution=found.caution)


def _beside(start: "GradientByLag | None", trained: "GradientByLag | None") -> tuple[GradientAt, ...]:
    if start is None or trained is None:
        return ()
    before, after = (_norms(found.by_state) for found in (start, trained))
    kept = tuple(GradientAt(lag=lag, start=before[lag], trained=after[lag]) for lag in _kept(max(after)))
    return kept if all(math.isfinite(at.start) and math.isfinite(at.trained) for at in kept) else ()


def _norms(found: "NormsByLag") -> dict[int, float]:
    return dict(zip(found.lags, found.geometric_mean, strict=True))


def _kept(longest: int) -> list[int]:
    """1, 2, 4, 8 ... and the longest."""
    return sorted({*(2**power for power in range(longest.bit_length())), longest})
