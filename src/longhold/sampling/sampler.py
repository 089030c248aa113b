"""From logits to the next token."""

from typing import final

import torch
from pydantic import Field
from torch import Tensor

from longhold.config import Config
from longhold.errors import InputError


@final
class NotFinite(InputError):
    """A model's output is not finite, so that no token is the most probable one."""

    def __init__(self) -> None:
        super().__init__("cannot sample: the model's output is not finite (did its training diverge?)")


@final
class SamplingConfig(Config):
    """How a token is drawn from a model's logits; the default is the model's own distribution."""

    temperature: float = Field(default=1.0, ge=0)
    """logits are divided by it: below 1 sharpens, above 1 flattens, 0 is greedy"""
    top_k: int | None = Field(default=None, ge=1)
    """keep the k most probable tokens, and all that tie with the last of them; None: all"""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """keep the fewest most probable tokens that together have at least this probability (Holtzman et al. 2020)"""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """keep tokens at least this fraction as probable as the most probable one (Nguyen et al. 2024)"""
    greedy: bool = False
    """take the most probable token, of equals the one with the smallest id; of the other fields only the repetition
    penalty then changes anything"""
    repetition_penalty: float = Field(default=1.0, ge=1, le=100)
    """how strongly recent tokens are penalized; 1: not at all"""
    repetition_window: int = Field(default=64, ge=1, le=2**20)
    """tokens before the next one, the prompt's among them, that the penalty falls on"""

    @property
    def takes_the_best(self) -> bool:
        """Whether nothing is left to chance."""
        return self.greedy or self.temperature == 0

    @property
    def looks_back(self) -> bool:
        """Whether a draw depends on the tokens before it, beside the model's own memory of them."""
        return self.repetition_penalty != 1


def filter_logits(
    logits: Tensor, config: SamplingConfig, recent: Tensor | None = None, allowed: Tensor | None = None
) -> Tensor:
    """The logits of the distribution that is drawn from: `softmax(filter_logits(logits, config))`.

    In this order, each on what the one before left, renormalized: what is allowed, repetition penalty, temperature,
    top-k, top-p, min-p. At least one token is kept.

    The penalty `p` is CTRL's (Keskar et al. 2019) in the form that never rewards: the logit `x` of each token that is
    among the recent ones, however often, becomes

        x / p  where x > 0,  else  x p

    It works on the logits as the model gives them, so unlike the other rules it is not the same for two models whose
    logits differ by a constant.

    Args:
        logits: `(..., V)`, unnormalised log-probabilities; -inf means impossible.
        config: how to sample.
        recent: `(..., N)` ids that the repetition penalty falls on; None: there are none.
        allowed: `(..., V)` bool, the tokens that may come; None: any. See `only_allowed`.

    Returns:
        `(..., V)` in float32, or float64 for that input: shifted so that the largest is 0, -inf where a token is out.

    Raises:
        NotFinite: a row has no finite largest value (NaN, +inf, or every token impossible).
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if allowed is not None:
        logits = only_allowed(logits, allowed)
    if recent is not None and config.looks_back:
        logits = _penalized(logits, recent, config.repetition_penalty)
    largest = logits.amax(-1, keepdim=True)
    if not torch.isfinite(largest).all():
        raise NotFinite
    shifted = logits - largest
    if config.takes_the_best:
        best = shifted.argmax(-1, keepdim=True)
        return torch.full_like(shifted, -torch.inf).scatter(-1, best, 0.0)
    shifted = shifted / config.temperature
    if config.top_k is not None:
        shifted = _keep_top_k(shifted, config.top_k)
    if config.top_p is not None and config.top_p < 1:  # at 1 rounding in the sum could drop the rarest
        shifted = _keep_top_p(shifted, config.top_p)
    if config.min_p is not None:
        shifted = _only(shifted, shifted.exp() >= config.min_p)  # exp(shifted) is the probability over the largest one
    return shifted


def only_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """The logits `(..., V)` of the same model that knows which tokens may come: -inf for all others.

    Where the model holds everything allowed for impossible (-inf), it is equally likely. A row without a finite largest
    value stays as it is, and `filter_logits` refuses it.
    """
    kept = _only(logits, allowed)
    even = torch.zeros_like(logits).masked_fill(~allowed, -torch.inf)
    kept = torch.where(kept.amax(-1, keepdim=True) == -torch.inf, even, kept)
    return torch.where(torch.isfinite(logits.amax(-1, keepdim=True)), kept, logits)


def sample(
    logits: Tensor,
    config: SamplingConfig,
    generator: torch.Generator | None = None,
    recent: Tensor | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """One token per row of `logits` `(B, V)`: ids `(B,)`; `recent` `(B, N)` and `allowed` `(B, V)` as in
    `filter_logits`.

    By the inverse of the cumulated distribution: of one uniform number `u` per row, the first id whose probability,
    added to those of all smaller ids, is above `u`. So each draw takes one number of the generator, whatever V is.

    `generator` is on the device of the logits; None is torch's own. Greedy sampling draws nothing from it.
    """
    filtered = filter_logits(logits, config, recent, allowed)
    if config.takes_the_best:
        return filtered.argmax(-1)
    uniforms = draw_uniforms((*filtered.shape[:-1], 1), config, generator, filtered.device)
    cumulated = filtered.to(uniforms.dtype).exp().cumsum(-1).contiguous()
    return torch.searchsorted(cumulated, uniforms * cumulated[..., -1:], right=True).squeeze(-1)


def draw_uniforms(
    shape: tuple[int, ...], config: SamplingConfig, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """Numbers from [0, 1), one per draw: as many at once as you like are the same as one by one.

    Zeros, and the generator left alone, where nothing is left to chance. In float64 where the device has it.
    """
    dtype = torch.float32 if device.type == "mps" else torch.float64
    if config.takes_the_best:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.rand(shape, dtype=dtype, generator=generator, device=device)


def _penalized(logits: Tensor, recent: Tensor, penalty: float) -> Tensor:
    recent_logits = logits.gather(-1, recent)
    return logits.scatter(-1, recent, torch.where(recent_logits > 0, recent_logits / penalty, recent_logits * penalty))


def _only(logits: Tensor, keep: Tensor) -> Tensor:
    return logits.masked_fill(~keep, -torch.inf)


def _keep_top_k(logits: Tensor, k: int) -> Tensor:
    last = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
    return _only(logits, logits >= last)


def _keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep a token if those before it, from the most probable down, have less than `p` together."""
    ranked, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ranked.softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    keep = (before < p).scatter(-1, order, before < p)
    return _only(logits, keep)
