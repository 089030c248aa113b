"""When a training has diverged, and what is said of it."""

from typing import NamedTuple, final

from longhold.errors import InputError
from longhold.training.config import TrainConfig

EVALUATIONS = 2
"""Evaluations in a row above a uniform guess after which a training has diverged."""

_USUAL = {"lr": TrainConfig().lr, "weight_decay": 0.01}


@final
class Diverged(InputError):
    """The loss or the weights of a training are past use; the text says since when and which setting it is."""


class Lost(NamedTuple):
    """Where a training stood when it was found to have diverged."""

    what: str
    """What was seen, with the step."""
    lr: float
    """The learning rate of that step."""

    def line(self, config: TrainConfig) -> str:
        """The same in a line that names the setting and what to try."""
        settings = f"learning rate {self.lr:g}"
        if self.lr * config.weight_decay > 1:  # then each step turns a weight round and makes it larger
            settings += f", weight_decay {config.weight_decay:g}"
            return f"diverged: {self.what} ({settings}): try a smaller weight_decay such as {_USUAL['weight_decay']:g}"
        lower = min(self.lr / 10, _USUAL["lr"]) if config.optimizer == "adamw" else self.lr / 10
        return f"diverged: {self.what} ({settings}): try a lower lr such as {lower:g}, or a smaller clip_norm"
