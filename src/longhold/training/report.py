"""The progress report of a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a run. Losses are nats per token."""

    step: int
    """Steps taken."""
    steps: int
    """Steps in the whole run."""
    loss: float
    """Training loss of the last step."""
    smoothed: float
    """Exponential mean of the training loss, with weight 0.95 on what was before."""
    tokens_per_second: float
    """Targets trained on per second of stepping since the last report, over all workers."""
    seconds: float
    """Time spent on the run so far, everything included."""
    eta_seconds: float
    """Time to the end at the pace of this process so far, evaluations included."""
    held_out: float | None
    """Held-out loss at the last evaluation, if there was one; of the averaged weights where it is lower."""
    lr: float
    """Learning rate of the last step."""
    grad_norm: float
    """Norm of its gradients before clipping."""
    sample: str | None = None
    """What the model writes now, when a sample was due."""
    characters_per_token: float = 1.0
    """Of the text, for bits per character; 1 where it is not known."""
    bytes_per_token: float = 1.0
    """Of the text in UTF-8, for bits per byte."""
    diagnosis: str | None = None
    """The diagnosis so far, a `longhold.training.diagnosis.Kind`; None where there is none yet."""
