"""The learning rate of each step: a pure function of the configuration and the step.

Runs of the study, which have neither warm-up nor one cycle, use `along_cosine` alone.
"""

import math

from longhold.training.config import TrainConfig

_CYCLE_START = 1 / 25


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate with which step `step` (from 0 to `steps - 1`) is taken.

    With `w` warm-up steps, `S` steps in all and the final fraction `f`:

        step < w:   lr (step + 1) / w
        otherwise:  p = (step - w) / (S - 1 - w)
            constant  lr
            linear    lr (1 - (1 - f) p)
            cosine    lr (f + (1 - f) (1 + cos(pi p)) / 2)      Loshchilov and Hutter 2017, one period

    `one_cycle` (Smith and Topin 2018) has its top at step w - 1, or 3/10 S - 1 with w = 0, and half a cosine on both
    sides of it: from lr / 25 up, and down to f lr. AdamW's moments keep their rates.
    """
    if config.schedule == "one_cycle":
        return _one_cycle(config, step)
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    span = config.steps - 1 - config.warmup_steps
    passed = min(1.0, (step - config.warmup_steps) / span) if span > 0 else 0.0
    final = config.final_fraction
    match config.schedule:
        case "constant":
            return config.lr
        case "linear":
            return config.lr * (1 - (1 - final) * passed)
        case _:
            return config.lr * along_cosine(1.0, final, math.pi * passed)


def _one_cycle(config: TrainConfig, step: int) -> float:
    top = (config.warmup_steps or 0.3 * config.steps) - 1
    if step <= top:
        return config.lr * along_cosine(_CYCLE_START, 1.0, math.pi * (step / top if top > 0 else 1.0))
    span = config.steps - 1 - top
    passed = min(1.0, (step - top) / span) if span > 0 else 1.0
    return config.lr * along_cosine(1.0, config.final_fraction, math.pi * passed)


def along_cosine(start: float, end: float, angle: float) -> float:
    """Returns `start` at angle 0, `end` at pi, and between them half a cosine."""
    return end + (start - end) * (1 + math.cos(angle)) / 2
