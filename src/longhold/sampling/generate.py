"""Tokens out of a model, one at a time, with the state carried."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from longhold.data.tokenizers import Continuations
from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, evaluation_mode
from longhold.models.stepper import Stepper, stepper_of
from longhold.sampling.following import Following
from longhold.sampling.sampler import NotFinite, SamplingConfig, draw_uniforms, sample

_WORTH_PACKING = 16  # tokens: a stepper packs the weights once, which takes as long as a few tokens
_LARGEST_CHUNK = 64  # tokens drawn before the first of them is handed out
_PATIENCE = 0.01  # seconds that a chunk may take
_READ_AT_ONCE = 1024  # tokens of a prompt; the logits of every one of them are made


def generate(
    model: SequenceModel,
    prompt: Tensor,
    length: int,
    config: SamplingConfig,
    *,
    seed: int | None = None,
    continuations: Continuations | None = None,
) -> Iterator[int]:
    """Token ids that continue `prompt`, yielded as they are drawn.

    The whole prompt is read, however long it is, then each token with one step, from the state the last one left. The
    model is in evaluation mode while it runs and back in its own mode whenever a token is handed out.

    A language model on the CPU is stepped in C++ (`longhold.models.stepper`): its weights are read once, after the
    first token, and tokens are drawn a few ahead. The rules and the random numbers are the same either
    way, and so are the ids, but where two of them are as near as the rounding of a sum. Draws that look back, for a
    repetition penalty, are made in Python.

    Args:
        model: any model of the contract over token ids.
        prompt: `(T,)` ids, at least one.
        length: tokens to draw.
        config: how to draw.
        seed: of the draws, from 0 to 2^64 - 1; None: fresh entropy each time.
        continuations: which ids may follow each other, `tokenizer.continuations` for ids that are UTF-8 at every step;
            None: any may.

    Raises:
        InputError: at once for an empty prompt, a negative length or such a seed; later if the model's output is not
            finite.
    """
    if prompt.dim() != 1:
        raise ValueError(f"expected a prompt of shape (T,), got {tuple(prompt.shape)}; see generate_batch for rows")
    chunks = _checked(model, prompt.unsqueeze(1), length, config, seed, continuations)
    return (token for chunk in chunks for token in chunk[:, 0].tolist())


def generate_batch(
    model: SequenceModel,
    prompts: Tensor,
    length: int,
    config: SamplingConfig,
    *,
    seed: int | None = None,
    continuations: Continuations | None = None,
) -> Iterator[Tensor]:
    """As `generate` for the columns of `prompts` `(T, B)`: ids `(B,)`, `length` times."""
    if prompts.dim() != 2:
        raise ValueError(f"expected prompts of shape (T, B), got {tuple(prompts.shape)}")
    chunks = _checked(model, prompts, length, config, seed, continuations)
    return (ids.clone() for chunk in chunks for ids in chunk)  # made outside inference mode, to enter a graph


def _checked(
    model: SequenceModel,
    prompts: Tensor,
    length: int,
    config: SamplingConfig,
    seed: int | None,
    rule: Continuations | None,
) -> Iterator[Tensor]:
    if 0 in prompts.shape:
        raise InputError("the prompt is empty: at least one token is needed to begin from")
    if not is_count(length):
        raise InputError(f"length={length!r:.40}: expected 0 or more tokens")
    following = None if rule is None else Following(rule, prompts)
    return _drawn(model, prompts, length, config, generator_from(seed, prompts.device), following)


def is_count(value: object) -> bool:
    """Whether it is a number of something: an integer from 0."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 0


def generator_from(seed: int | None, device: torch.device) -> torch.Generator:
    """A generator of its own for draws on `device`; fresh entropy for None, `InputError` for a seed that is none."""
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    elif is_count(seed) and seed < 2**64:
        generator.manual_seed(seed)
    else:
        raise InputError(f"seed={seed!r:.40}: expected an integer from 0 to 2^64 - 1")
    return generator


def _drawn(
    model: SequenceModel,
    prompts: Tensor,
    length: int,
    config: SamplingConfig,
    generator: torch.Generator,
    following: Following | None,
) -> Iterator[Tensor]:
    """Chunks of ids `(N, B)`, `length` rows in all."""
    inputs: Tensor = prompts
    state: State | None = None
    recent = recent_ids(prompts[:0], prompts, config)
    for done in range(1, length + 1):
        with evaluation_mode(model), torch.inference_mode():
            logits, state = read(model, inputs, state)
            allowed = None if following is None else following.allowed()
            inputs = sample(logits, config, generator, recent.T, allowed).unsqueeze(0)
            recent = recent_ids(recent, inputs, config)
            if following is not None:
                following.take(inputs[0])
        yield inputs
        worth_it = done == 1 and length > _WORTH_PACKING and not config.looks_back
        stepper = stepper_of(model, inputs.shape[1]) if worth_it else None
        if stepper is not None:
            stepper.begin(state)
            if following is not None:
                stepper.follow(following.table, following.places.to(torch.int8))
            yield from _stepped(stepper, inputs[0], length - 1, config, generator)
            return


def read(model: SequenceModel, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
    """The logits `(B, V)` after the ids `(T, B)`, T >= 1, and the state, in memory that does not grow with T."""
    *parts, last = torch.split(inputs, _READ_AT_ONCE)
    for part in parts:
        _, state = model(part, state)
    outputs, after = model(last, state)
    return outputs[-1], after


def recent_ids(before: Tensor, ids: Tensor, config: SamplingConfig) -> Tensor:
    """What a penalty falls on, `(N, B)`, once `ids` `(T, B)` have come; none where there is no penalty."""
    return torch.cat([before, ids])[-config.repetition_window :] if config.looks_back else before


def _stepped(
    stepper: Stepper, ids: Tensor, length: int, config: SamplingConfig, generator: torch.Generator
) -> Iterator[Tensor]:
    """Chunks of one token, two, four ..., so that the first appear at once."""
    size = 1
    while length > 0:
        wanted = min(size, length)
        began = time.perf_counter()
        chunk = stepper.draw(
            ids,
            draw_uniforms((wanted, len(ids)), config, generator, ids.device),
            temperature=0.0 if config.greedy else config.temperature,
            top_k=config.top_k,
            top_p=1.0 if config.top_p is None else config.top_p,
            min_p=0.0 if config.min_p is None else config.min_p,
        )
        if time.perf_counter() - began < _PATIENCE:
            size = min(2 * size, _LARGEST_CHUNK)
        yield chunk
        if len(chunk) < wanted:
            raise NotFinite()
        ids, length = chunk[-1], length - wanted
