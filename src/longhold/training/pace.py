"""A run under a time budget keeps to its time: its number of steps follows the pace that it really has."""

import math

from longhold.training.config import TrainConfig

_UNTIL = 0.75  # of a run


def fitted_steps(config: TrainConfig, step: int, seconds: float) -> int:
    """Returns how many steps a run should have that took `seconds` for its first `step` steps.

    They are as many as fit into `config.run_seconds` at that pace, evaluations, samples and files included. The number
    stays in the last quarter of a run, since the learning rate depends on the fraction that is over and would jump, and
    once weights are averaged.
    """
    until = _UNTIL if config.average_from is None else min(_UNTIL, config.average_from)
    if config.run_seconds is None or seconds <= 0 or step > until * config.steps:
        return config.steps
    return max(step + 1, math.floor(step * config.run_seconds / seconds))
