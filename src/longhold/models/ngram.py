"""The n-gram baseline: interpolated modified Kneser-Ney, exact, over any token ids."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State
from longhold.models.inputs import read_targets, require_ids

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]

_FALLBACK_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)


@dataclass(frozen=True)
class _Level:
    """All grams of one length: a gram is its prefix (a gram one shorter, by rank) and its last token."""

    keys: _Ints  # (G,) ascending: prefix * V + token
    discounted: _Floats  # (G,) (count - discount) / total of the prefix
    backoff: _Floats  # (P + 1,) mass that the prefix leaves to the shorter context; the last is 1, for rank -1
    first: _Ints  # (P + 1,) the grams of prefix p are keys[first[p]:first[p + 1]]


class KneserNey(SequenceModel):
    r"""Interpolated modified Kneser-Ney over token ids (Chen and Goodman 1999, section 3).

    With `h` the last `k - 1` tokens and `h'` the same without the oldest one,

        p_k(w | h) = (a(hw) - D(a(hw))) / sum_v a(hv)  +  gamma(h) p_{k-1}(w | h')
        gamma(h)   = (D1 N1(h) + D2 N2(h) + D3 N3(h)) / sum_v a(hv)
        p_0(w)     = 1 / V

    where `a` is the count at the highest order and the number of different left neighbours below it (the beginning of
    the text is a neighbour too), `N1`, `N2`, `N3` count the continuations of `h` with `a` equal to 1, 2, 3 or more, and

        Y = n1 / (n1 + 2 n2),   D1 = 1 - 2Y n2/n1,   D2 = 2 - 3Y n3/n2,   D3 = 3 - 4Y n4/n3

    come from each order's own counts of counts. An order for which these have no value in `0 < Dk <= k` (a few dozen
    characters, none of them rare) takes 0.5, 1 and 1.5. A context never seen hands everything to the shorter one, so
    probabilities sum to one everywhere.

    It keeps the state contract: the state is the last `order - 1` tokens, shape `(1, B, order - 1)`, -1 where there
    is none; `reset` forgets them; outputs are log-probabilities, which are logits too.

    Example:
        >>> model = KneserNey(order=3, vocab_size=2).fit([0, 1, 0, 1, 0, 1, 0, 1])
        >>> bool(model.nats([0, 1, 0, 1])[-1] < 0.2)
        True
    """

    def __init__(self, order: int, vocab_size: int) -> None:
        super().__init__()
        if order < 1:
            raise InputError(f"order={order}: an n-gram model needs an order of at least 1")
        if vocab_size < 1:
            raise InputError(f"vocab_size={vocab_size}: expected at least 1")
        self.order = order
        self.vocab_size = vocab_size
        self._levels: tuple[_Level, ...] = ()

    def fit(self, tokens: ArrayLike) -> Self:
        """Count `tokens`, shape `(N,)` with values in `[0, V)`, and return the model itself.

        Raises:
            InputError: for no tokens at all, or an id outside the vocabulary.
        """
        ids = self._checked(tokens)
        if ids.size == 0:
            raise InputError("an n-gram model cannot be fitted to 0 tokens")
        self._levels = tuple(_estimate(ids, self.order, self.vocab_size))
        return self

    def nats(self, tokens: ArrayLike) -> _Floats:
        """`-ln p` of each token given those before it, shape `(N,)`; the first has no context."""
        ids = self._checked(tokens)
        history = np.full((1, max(self.order - 2 + ids.size, 0)), -1, dtype=np.int64)
        history[0, self.order - 1 :] = ids[:-1]
        contexts = self._contexts(history, np.zeros_like(history))
        return -np.log(self._probability([c[0] for c in contexts], ids)) if ids.size else np.zeros(0)

    def initial_state(self, batch: int) -> Tensor:
        """No tokens seen: -1 everywhere, shape `(1, B, order - 1)`."""
        return torch.full((1, batch, self.order - 1), -1, dtype=torch.long)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the next token, shape `(T, B, V)`, and the last `order - 1` tokens."""
        contexts, after = self._advance(inputs, state, reset)
        rows = self._distribution([c.reshape(-1) for c in contexts])
        outputs = torch.from_numpy(np.log(rows)).reshape(*inputs.shape[::-1], self.vocab_size).transpose(0, 1)
        return outputs.to(inputs.device, torch.get_default_dtype()), after

    def loss(
        self, inputs: Tensor, targets: Tensor, state: State | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean nats per target (a target of -100 is ignored), without the `(T, B, V)` outputs."""
        contexts, after = self._advance(inputs, state, reset)
        wanted = read_targets(targets, inputs.shape[:2], self.vocab_size).T.cpu().numpy().reshape(-1)
        kept = wanted != -100
        probability = self._probability([c.reshape(-1)[kept] for c in contexts], self._checked(wanted[kept]))
        nats = torch.from_numpy(-np.log(probability)).mean()
        return nats.to(inputs.device, torch.get_default_dtype()), after

    def _advance(self, inputs: Tensor, state: State | None, reset: Tensor | None) -> tuple[list[_Ints], Tensor]:
        """The context ids after each input, one `(B, T)` array per context length, and the state after the last."""
        require_ids(inputs)
        tokens = inputs.T.cpu().numpy()  # (B, T)
        self._checked(tokens.reshape(-1))
        held = self._held(state, len(tokens))
        history = np.concatenate([held, tokens], axis=1)
        segments = np.zeros_like(history)
        if reset is not None:
            segments[:, self.order - 1 :] = reset.T.cpu().numpy().cumsum(axis=1)
        kept = np.where(segments == segments[:, -1:], history, -1)[:, history.shape[1] - self.order + 1 :]
        after = torch.from_numpy(np.ascontiguousarray(kept)).to(inputs.device)[None]
        return self._contexts(history[:, 1:], segments[:, 1:]), after

    def _held(self, state: State | None, batch: int) -> _Ints:
        state = self.initial_state(batch) if state is None else state
        if not isinstance(state, Tensor) or state.shape != (1, batch, self.order - 1):
            found = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
            raise InputError(f"state {found}: expected a tensor of shape (1, {batch}, {self.order - 1})")
        held: _Ints = state[0].cpu().numpy()
        return held

    def _contexts(self, history: _Ints, segments: _Ints) -> list[_Ints]:
        """Ranks of the contexts of length 0 to order - 1 before each of T targets, -1 where never seen.

        `history` and `segments` have shape `(B, order - 2 + T)`; a context lies within one segment.
        """
        width = history.shape[1] + 1
        targets = width - (self.order - 1)
        ids = np.zeros((len(history), width), dtype=np.int64)  # ids[b, s]: the gram that starts at s
        contexts = [ids[:, :targets]]
        for length in range(1, self.order):
            ends = history[:, length - 1 :]
            unbroken = (segments[:, : width - length] == segments[:, length - 1 :]) & (ends >= 0)
            ids = np.where(unbroken, self._find(length, ids[:, :-1], ends), -1)
            contexts.append(ids[:, self.order - 1 - length :])
        return contexts

    def _find(self, length: int, prefixes: _Ints, tokens: _Ints) -> _Ints:
        keys = self._fitted()[length - 1].keys
        if keys.size == 0:
            return np.full_like(prefixes, -1)
        wanted = prefixes * self.vocab_size + tokens
        ranks = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        return np.where((prefixes >= 0) & (keys[ranks] == wanted), ranks, -1)

    def _probability(self, contexts: list[_Ints], targets: _Ints) -> _Floats:
        probability = np.full(targets.shape, 1.0 / self.vocab_size)
        for length, (level, context) in enumerate(zip(self._fitted(), contexts, strict=True), start=1):
            gram = self._find(length, context, targets)
            probability *= level.backoff[context]
            probability[gram >= 0] += level.discounted[gram[gram >= 0]]
        return probability

    def _distribution(self, contexts: list[_Ints]) -> _Floats:
        """The probability of every token, shape `(N, V)`, after each of N contexts."""
        rows = np.full((contexts[0].size, self.vocab_size), 1.0 / self.vocab_size)
        for level, context in zip(self._fitted(), contexts, strict=True):
            rows *= level.backoff[context, None]
            seen = np.flatnonzero(context >= 0)
            prefixes = context[seen]
            sizes = level.first[prefixes + 1] - level.first[prefixes]
            within = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
            grams = np.repeat(level.first[prefixes], sizes) + within
            rows[np.repeat(seen, sizes), level.keys[grams] % self.vocab_size] += level.discounted[grams]
        return rows

    def _fitted(self) -> tuple[_Level, ...]:
        if not self._levels:
            raise InputError("this n-gram model has not been fitted: call fit(tokens) first")
        return self._levels

    def _checked(self, tokens: ArrayLike) -> _Ints:
        ids = np.asarray(tokens, dtype=np.int64)
        if ids.ndim != 1:
            raise InputError(f"tokens of shape {ids.shape}: expected one dimension")
        if ids.size and not (ids.min() >= 0 and ids.max() < self.vocab_size):
            raise InputError(f"token ids from {ids.min()} to {ids.max()}: expected 0 to {self.vocab_size - 1}")
        return ids


@dataclass(frozen=True)
class _Grams:
    keys: _Ints  # (G,) as in _Level
    prefixes: int  # how many grams one shorter there are
    ids: _Ints  # (N - k + 1,) the gram that starts at each position
    starts: _Ints  # (G,) where each gram occurs first
    counts: _Ints  # (G,) how often


def _estimate(tokens: _Ints, order: int, vocab_size: int) -> list[_Level]:
    """Discounted probabilities and back-off weights of every order, from the counts of grams of length 1 to `order`."""
    grams = _count(tokens, order, vocab_size)
    neighbours = [_left_neighbours(short, long) for short, long in pairwise(grams)]
    adjusted = [*neighbours, grams[-1].counts]
    return [_level(g.keys, counts, g.prefixes, vocab_size) for g, counts in zip(grams, adjusted, strict=True)]


def _count(tokens: _Ints, order: int, vocab_size: int) -> list[_Grams]:
    grams: list[_Grams] = []
    ids, prefixes = np.zeros(tokens.size + 1, dtype=np.int64), 1
    for length in range(1, order + 1):
        spelled = ids[:-1] * vocab_size + tokens[length - 1 :]
        keys, starts, ids, counts = np.unique(spelled, return_index=True, return_inverse=True, return_counts=True)
        grams.append(_Grams(keys, prefixes, ids, starts, counts))
        prefixes = keys.size
    return grams


def _left_neighbours(short: _Grams, long: _Grams) -> _Ints:
    """How many different tokens stand to the left of each gram; the beginning of the text counts as one."""
    neighbours = np.bincount(short.ids[long.starts + 1], minlength=short.keys.size)
    neighbours[short.ids[:1]] += 1
    return neighbours


def _level(keys: _Ints, counts: _Ints, prefixes: int, vocab_size: int) -> _Level:
    prefix = keys // vocab_size
    discount = np.array(_discounts(counts))[np.minimum(counts, 3)]
    total = np.bincount(prefix, weights=counts, minlength=prefixes + 1)
    spared = np.bincount(prefix, weights=discount, minlength=prefixes + 1)
    backoff = np.divide(spared, total, out=np.ones(prefixes + 1), where=total > 0)
    return _Level(keys, (counts - discount) / total[prefix], backoff, np.searchsorted(prefix, np.arange(prefixes + 1)))


def _discounts(counts: _Ints) -> tuple[float, float, float, float]:
    n1, n2, n3, n4 = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if min(n1, n2, n3) == 0:
        return _FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    found = (0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d <= k for k, d in enumerate(found) if k) else _FALLBACK_DISCOUNTS
