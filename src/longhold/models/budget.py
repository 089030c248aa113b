"""The parameter budget: which hidden size gives a network of a wanted size."""

from collections.abc import Callable
from functools import cache

from longhold.errors import InputError
from longhold.models.model_config import ModelConfig


def parameter_count(config: ModelConfig) -> int:
    """Trainable numbers in a model of this configuration; tied weights count once.

    Counted on the built model, on the meta device: no memory is taken and no random number drawn.
    """
    return sum(parameter.numel() for parameter in config.build(device="meta").parameters())


def fixed_count(config: ModelConfig) -> int:
    """Numbers of the model that are drawn once and never trained, such as an echo state network's reservoir."""
    return sum(buffer.numel() for buffer in config.build(device="meta").buffers())


def solve_hidden_size(config: ModelConfig, target_parameters: int) -> int:
    """The hidden size at which `config` has the number of parameters closest to the target; of two the smaller.

    The count grows with the hidden size, so bisection finds the two sizes around the target. `config`'s own hidden size
    plays no part.

    Raises:
        InputError: the target is below the smallest network of this configuration, or beyond the largest.
    """
    return closest_hidden_size(config, target_parameters, parameter_count, "parameters")


def closest_hidden_size(config: ModelConfig, target: int, count: Callable[[ModelConfig], int], unit: str) -> int:
    """The hidden size at which `count` is closest to the target; of two the smaller.

    Args:
        config: its own hidden size plays no part.
        target: what is wanted.
        count: what grows with the hidden size.
        unit: what it counts, for the error.

    Raises:
        InputError: the target is below the smallest network of this configuration, or beyond the largest.
    """
    smallest = config.smallest_hidden_size

    @cache
    def at(hidden_size: int) -> int:
        return count(config.with_hidden_size(hidden_size))

    if target < at(smallest):
        raise InputError(
            f"a budget of {target} {unit} is too small: this {config.cell} has at least {at(smallest)} "
            f"(hidden_size={smallest})"
        )
    low, high = smallest, 2 * smallest
    while at(high) <= target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if at(middle) <= target:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda size: abs(at(size) - target))
