"""Optimizers by configuration, and gradient clipping."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from longhold.kernels.addresses import check_memory
from longhold.kernels.optimizer import Leaf, adamw, gradient_norm, sgd, takes
from longhold.training.config import OptimizerName, TrainConfig


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
    return optimizer_of(groups, config.optimizer, config.lr, momentum=config.momentum, betas=config.betas)


def optimizer_of(
    groups: list[dict[str, Any]],
    rule: OptimizerName,
    lr: float,
    *,
    momentum: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """Returns torch's optimizer over groups of parameters, each with its own `weight_decay`.

    Args:
        groups: as torch's optimizers take them.
        rule: the update rule; `adamw` without weight decay is Adam.
        lr: learning rate.
        momentum: of `sgd`.
        betas: decay rates of the two moments of `adamw`.
    """
    if rule == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum)
    return torch.optim.AdamW(groups, lr=lr, betas=betas)


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


def clip_and_step(optimizer: torch.optim.Optimizer, max_norm: float | None) -> Tensor:
    """Clip all gradients of the optimizer's parameters, take one step, and return their norm before that, a scalar.

    What `clip_gradients` and `optimizer.step()` do. For torch's SGD and AdamW over dense float32 or float64 parameters
    on the CPU it is done in two walks over the numbers instead of about ten: same rule, same state, other rounding; and
    the gradients are left as they were.
    """
    leaves = _leaves(optimizer)
    if not leaves or not takes(leaves):
        _check_memory(optimizer)
        measured = clip_gradients((p for group in optimizer.param_groups for p in group["params"]), max_norm)
        optimizer.step()
        return measured
    norm = gradient_norm(leaves)
    scale = 1.0 if max_norm is None else max_norm / (norm + 1e-6)
    scale = 1.0 if scale > 1 else scale  # NaN stays
    if type(optimizer) is torch.optim.SGD:
        sgd(leaves, scale)
    else:
        adamw(leaves, scale)
        torch._foreach_add_([optimizer.state[leaf.value]["step"] for leaf in leaves], 1.0)
    return torch.tensor(norm, dtype=leaves[0].value.dtype)


def _check_memory(optimizer: torch.optim.Optimizer) -> None:
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        state = optimizer.state.get(parameter, {}).values()
        check_memory([parameter, parameter.grad, *(value for value in state if isinstance(value, Tensor))])


def _leaves(optimizer: torch.optim.Optimizer) -> list[Leaf]:
    """What one step updates, its state made where it is missing; empty where the step is not known here."""
    known = {torch.optim.SGD: _sgd_leaf, torch.optim.AdamW: _adamw_leaf}.get(type(optimizer))
    if known is None or _has_step_hooks(optimizer):
        return []
    groups = optimizer.param_groups
    if not all(isinstance(group["lr"], float | int) and not any(map(group.get, _UNKNOWN)) for group in groups):
        return []
    owners = [(p, group) for group in groups for p in group["params"] if p.grad is not None]
    return [known(p, optimizer.state, group) for p, group in owners]


_UNKNOWN = ("nesterov", "dampening", "maximize", "amsgrad", "capturable", "differentiable")


def _has_step_hooks(optimizer: torch.optim.Optimizer) -> bool:
    own = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    return bool(own or _global_optimizer_pre_hooks or _global_optimizer_post_hooks)


def _sgd_leaf(parameter: Tensor, states: dict[Tensor, Any], group: dict[str, Any]) -> Leaf:
    gradient, momentum = cast(Tensor, parameter.grad), group["momentum"]
    rates = (group["lr"], group["weight_decay"], momentum)
    if momentum == 0:
        return Leaf(parameter, gradient, rates)
    state = states[parameter]
    if state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(parameter)
    return Leaf(parameter, gradient, rates, state["momentum_buffer"])


def _adamw_leaf(parameter: Tensor, states: dict[Tensor, Any], group: dict[str, Any]) -> Leaf:
    state = states[parameter]
    if not state:
        state["step"] = torch.tensor(0.0, dtype=torch.float32)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
    rates = (group["lr"], group["weight_decay"], *group["betas"], group["eps"], float(state["step"]) + 1)
    return Leaf(parameter, cast(Tensor, parameter.grad), rates, state["exp_avg"], state["exp_avg_sq"])
