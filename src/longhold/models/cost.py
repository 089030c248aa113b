"""What a model costs: parameters, bytes of state and products per token, read off the built model."""

from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from longhold.errors import InputError
from longhold.kernels import use_backend
from longhold.models.budget import closest_hidden_size, fixed_count, parameter_count
from longhold.models.contract import SequenceModel
from longhold.models.model_config import ModelConfig
from longhold.models.recurrent import RecurrentConfig
from longhold.models.stack import StackModel


@dataclass(frozen=True)
class Cost:
    """The cost of one model at a length."""

    parameters: int
    """trainable numbers"""
    fixed: int
    """numbers that are drawn once and never trained"""
    state_bytes: int
    """bytes of one row's state after `tokens` tokens"""
    flops_per_token: int
    """see `flops_per_token`"""
    tokens: int
    """the length it was computed for"""


def cost(config: ModelConfig, tokens: int = 1) -> Cost:
    """All of it; `tokens` matters to models whose state grows."""
    return Cost(
        parameter_count(config),
        fixed_count(config),
        state_bytes(config, tokens),
        flops_per_token(config, tokens),
        tokens,
    )


def state_bytes(config: ModelConfig, tokens: int = 1) -> int:
    """Bytes that the state of one row takes after `tokens` tokens, in float32.

    Raises:
        InputError: `tokens` is negative.
    """
    if tokens < 0:
        raise InputError(f"tokens={tokens}: expected 0 or more")
    return _bytes_after(config.build(device="meta"), tokens)


def _bytes_after(model: SequenceModel, tokens: int) -> int:
    return model.state_bytes(1, tokens) if isinstance(model, StackModel) else model.state_bytes(1)


def flops_per_token(config: ModelConfig, tokens: int = 1) -> int:
    """Floating point operations of the forward pass over the last of `tokens` tokens, given the state before it.

    Matrix products only, a multiplication and an addition each, counted by torch's own counter while the model runs on
    the meta device. Elementwise work and look-ups of embeddings are not counted, nor are resets.

    Raises:
        InputError: `tokens` is below 1.
    """
    if tokens < 1:
        raise InputError(f"tokens={tokens}: expected 1 or more")
    model = config.build(device="meta").eval()
    grows = _bytes_after(model, 1) != _bytes_after(model, 0)
    with torch.no_grad(), use_backend("reference"), sdpa_kernel(SDPBackend.MATH):
        state = model.initial_state(1)
        if grows and tokens > 1:
            _, state = model(_nothing(config, tokens - 1), state)
        with FlopCounterMode(display=False) as counter:
            model(_nothing(config, 1), state)
    return int(counter.get_total_flops())


def solve_hidden_size_for_flops(config: ModelConfig, target: int, tokens: int = 1) -> int:
    """The hidden size at which `flops_per_token(config, tokens)` is closest to the target; of two the smaller.

    Raises:
        InputError: the target is below the smallest network of this configuration, or beyond the largest.
    """
    return closest_hidden_size(config, target, lambda sized: flops_per_token(sized, tokens), "FLOPs per token")


def _nothing(config: ModelConfig, steps: int) -> torch.Tensor:
    continuous = getattr(config, "continuous", False)
    width = config.vocab_size if isinstance(config, RecurrentConfig) else getattr(config, "input_size", 1)
    if continuous:
        return torch.zeros(steps, 1, width, device="meta")
    return torch.zeros(steps, 1, dtype=torch.long, device="meta")
