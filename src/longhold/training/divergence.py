"""The error of a training that diverged, and its message; `stopping` decides when it has."""

from typing import final

from longhold.errors import InputError
from longhold.training.config import TrainConfig

_USUAL_LR = TrainConfig().lr
_USUAL_DECAY = 0.01


@final
class Diverged(InputError):
    """The loss or the weights of a training are past use; the text gives the step, and the setting to change."""


def divergence(what: str, config: TrainConfig) -> str:
    """Returns a line on a training that diverged: what was seen, the likely setting, and what to try."""
    seen = f"diverged: {what} (learning rate {config.lr:g}"
    if config.weight_decay > max(config.lr, 1 / config.lr):  # then a step turns each weight round and makes it larger
        return f"{seen}, weight_decay {config.weight_decay:g}): try a smaller weight_decay such as {_USUAL_DECAY:g}"
    lower = min(config.lr / 10, _USUAL_LR) if config.optimizer == "adamw" else config.lr / 10
    return f"{seen}): try a lower lr such as {lower:g}, or a smaller clip_norm"
