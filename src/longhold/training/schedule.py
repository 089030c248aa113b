"""The learning rate of each step: a pure function of the configuration and the step."""

import math

from longhold.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate with which step `step` (from 0 to `steps - 1`) is taken.

    With `w` warm-up steps, `S` steps in all and the final fraction `f`:

        step < w:   lr (step + 1) / w
        otherwise:  p = (step - w) / (S - 1 - w)
            constant  lr
            linear    lr (1 - (1 - f) p)
            cosine    lr (f + (1 - f) (1 + cos(pi p)) / 2)      Loshchilov and Hutter 2017, one period
    """
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
        case "cosine":
            return config.lr * (final + (1 - final) * (1 + math.cos(math.pi * passed)) / 2)
