"""Tokens out of a model, one at a time, with the state carried."""

from collections.abc import Iterator

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, evaluation_mode
from longhold.sampling.sampler import SamplingConfig, sample


def generate(
    model: SequenceModel, prompt: Tensor, length: int, config: SamplingConfig, *, seed: int | None = None
) -> Iterator[int]:
    """Token ids that continue `prompt`, yielded as they are drawn.

    The whole prompt goes in with one call, then each token with one step, from the state the last one left. The model
    is in evaluation mode while it runs and back in its own mode whenever a token is handed out.

    Args:
        model: any model of the contract over token ids.
        prompt: `(T,)` ids, at least one.
        length: tokens to draw.
        config: how to draw.
        seed: of the draws, from 0 to 2^64 - 1; None: fresh entropy each time.

    Raises:
        InputError: at once for an empty prompt, a negative length or such a seed; later if the model's output is not
            finite.
    """
    if prompt.dim() != 1:
        raise ValueError(f"expected a prompt of shape (T,), got {tuple(prompt.shape)}; see generate_batch for rows")
    return (int(ids) for ids in generate_batch(model, prompt.unsqueeze(1), length, config, seed=seed))


def generate_batch(
    model: SequenceModel, prompts: Tensor, length: int, config: SamplingConfig, *, seed: int | None = None
) -> Iterator[Tensor]:
    """As `generate` for the columns of `prompts` `(T, B)`: ids `(B,)`, `length` times."""
    if prompts.dim() != 2:
        raise ValueError(f"expected prompts of shape (T, B), got {tuple(prompts.shape)}")
    if 0 in prompts.shape:
        raise InputError("the prompt is empty: at least one token is needed to begin from")
    if length < 0:
        raise InputError(f"length={length}: expected 0 or more tokens")
    return _drawn(model, prompts, length, config, _generator(seed, prompts.device))


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    elif 0 <= seed < 2**64:
        generator.manual_seed(seed)
    else:
        raise InputError(f"seed={seed}: expected a whole number from 0 to 2^64 - 1")
    return generator


def _drawn(
    model: SequenceModel, inputs: Tensor, length: int, config: SamplingConfig, generator: torch.Generator
) -> Iterator[Tensor]:
    state: State | None = None
    for _ in range(length):
        with evaluation_mode(model), torch.inference_mode():
            outputs, state = model(inputs, state)
            ids = sample(outputs[-1], config, generator)
        inputs = ids.unsqueeze(0)
        yield ids.clone()  # made outside, so that it may enter a graph
