"""A run under a time budget keeps to its time: its number of steps follows the pace that it really has."""

import math

from longhold.training.config import TrainConfig

_UNTIL = 0.75  # of a run


def fitted_steps(config: TrainConfig, step: int, seconds: float) -> int:
    """How many steps a run should have that took `seconds` for its first `step` steps.

    As many as fit into `config.run_seconds` at that pace, evaluations, samples and files included. In the last quarter
    of a run the number stays, since the learning rate goes with the share of the run that is over and would jump; so it
    does once an average of the weights has begun.
    """
    until = _UNTIL if config.average_from is None else min(_UNTIL, config.average_from)
    if config.run_seconds is None or seconds <= 0 or step > until * config.steps:
        return config.steps
    return max(step + 1, math.floor(step * config.run_seconds / seconds))
