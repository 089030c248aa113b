"""Optimizers by configuration, and gradient clipping."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from longhold.training.config import TrainConfig


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """torch's SGD or AdamW over the model's trainable parameters.

    Weight decay is for parameters of two or more dimensions; biases, norms and initial states keep their scale.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Take the next step with this learning rate, in every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float | None) -> Tensor:
    """Scale all gradients by `min(1, max_norm / norm)` and return their total 2-norm before that, a scalar tensor.

    With `max_norm` None they are measured and left alone. A norm that is not finite is returned, not raised.
    """
    owners = [parameter for parameter in parameters if parameter.grad is not None]
    if max_norm is not None:
        return nn.utils.clip_grad_norm_(owners, max_norm)
    return nn.utils.get_total_norm([parameter.grad for parameter in owners if parameter.grad is not None])
