"""Models and a source whose memory is known, to hold the instruments to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models import SequenceModel, State


@final
class DelayLine(SequenceModel):
    """Holds its last `length` inputs perfectly and nothing older.

    At step t it has the symbols of steps t - length to t; its outputs are how often each of them is there. Asked for
    the one symbol of a sequence it is right up to a lag of `length` steps, and beyond that all outputs are 0.

    Inputs are ids, of which those below `symbols` are symbols and all others count as noise, or features
    `(T, B, symbols)`. The state is `(1, B, length * symbols)`, the oldest input first.
    """

    def __init__(self, length: int, symbols: int) -> None:
        super().__init__()
        if length < 1 or symbols < 1:
            raise InputError(f"length={length}, symbols={symbols}: a delay line needs at least 1 of each")
        self.length = length
        self.symbols = symbols
        self.zero: Tensor
        self.register_buffer("zero", torch.zeros(()))  # carries dtype and device

    def initial_state(self, batch: int) -> Tensor:
        """An empty line."""
        return self.zero.new_zeros(1, batch, self.length * self.symbols)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """How often each symbol is in the line, `(T, B, symbols)`, and the line."""
        steps, batch = inputs.shape[:2]
        held = self.initial_state(batch) if state is None else state
        assert isinstance(held, Tensor)
        line = held.view(batch, self.length, self.symbols).transpose(0, 1)
        line = torch.cat([line, self._vectors(inputs)])  # (length + T, B, K)
        if reset is None:
            begin = torch.zeros(steps, batch, dtype=torch.long, device=inputs.device)
        else:
            stamps = torch.arange(steps, device=inputs.device)[:, None] + self.length
            begin = torch.where(reset, stamps, 0).cummax(dim=0).values
        window = torch.maximum(begin, torch.arange(steps, device=inputs.device)[:, None])  # (T, B)
        sums = F.pad(line.cumsum(0), (0, 0, 0, 0, 1, 0))
        outputs = sums[self.length + 1 :] - sums.gather(0, window[..., None].expand(-1, -1, self.symbols))
        kept = torch.arange(len(line), device=inputs.device)[:, None] >= begin[-1]
        after = (line * kept[..., None])[steps:]
        return outputs, after.transpose(0, 1).reshape(1, batch, -1)

    def _vectors(self, inputs: Tensor) -> Tensor:
        if inputs.is_floating_point():
            return inputs
        return F.one_hot(inputs.clamp(max=self.symbols), self.symbols + 1)[..., :-1].to(self.zero.dtype)


@final
class LinearRecurrence(SequenceModel):
    """`s_t = W s_(t-1) + x_t`, and the output is the state.

    Its Lyapunov exponents are ln |eigenvalue| of `W`, its Jacobian over k steps is `W^k`. Inputs are features
    `(T, B, N)`, the state is `(1, B, N)`.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        if weight.dim() != 2 or weight.shape[0] != weight.shape[1]:
            raise InputError(f"weight {tuple(weight.shape)}: expected a square matrix")
        self.weight = torch.nn.Parameter(weight.clone())

    def initial_state(self, batch: int) -> Tensor:
        """Zeros."""
        return self.weight.new_zeros(1, batch, len(self.weight))

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The state after every step, `(T, B, N)`, and after the last."""
        held = self.initial_state(inputs.shape[1]) if state is None else state
        assert isinstance(held, Tensor)
        h, outputs = held[0], []
        for step, x in enumerate(inputs):
            if reset is not None:
                h = torch.where(reset[step, :, None], 0.0, h)
            h = F.linear(h, self.weight) + x
            outputs.append(h)
        return torch.stack(outputs), h[None]


def leaky_integrator(taus: Sequence[float]) -> LinearRecurrence:
    """Units that forget with the time constants `taus`, in steps: `s_t = exp(-1/tau) s_(t-1) + x_t`.

    Raises:
        InputError: no tau, or one that is not above 0.
    """
    if len(taus) == 0 or not all(tau > 0 for tau in taus):
        raise InputError(f"taus {list(taus)}: expected at least one, each above 0 steps")
    return LinearRecurrence(torch.diag(torch.tensor([math.exp(-1 / tau) for tau in taus])))


@final
class UnreliableLatch(SequenceModel):
    """Holds the first symbol of a sequence for ever, and answers it right with probability `reliability` at every lag.

    Inputs are ids, of which those below `symbols` are symbols. Otherwise the answer is uniform over the other symbols,
    and before it has seen a symbol over all. Whether it is right depends on `seed` and on the ids read so far alone, so
    it keeps the state contract; sequences of equal ids get equal answers. `reliability = 1 / symbols` is pure guessing.
    The state is `(1, B, 2)` long: the symbol (-1: none yet) and the bits from which the next answers come.
    """

    def __init__(self, symbols: int, reliability: float, seed: int = 0) -> None:
        super().__init__()
        if symbols < 2 or not 0 <= reliability <= 1 or seed < 0:
            raise InputError(
                f"symbols={symbols}, reliability={reliability}, seed={seed}: expected at least 2 symbols, a "
                "probability and a seed of at least 0"
            )
        self.symbols = symbols
        self.reliability = reliability
        bits = np.random.SeedSequence(seed).generate_state(1, np.uint64).astype(np.int64)
        self.start: Tensor
        self.register_buffer("start", torch.tensor([-1, int(bits[0])]))

    def initial_state(self, batch: int) -> Tensor:
        """No symbol, and the bits of the seed."""
        return self.start.repeat(1, batch, 1)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """1 at the answer and 0 elsewhere, `(T, B, symbols)`, and the state."""
        held = self.initial_state(inputs.shape[1]) if state is None else state
        assert isinstance(held, Tensor)
        symbol, noise = held[0].unbind(1)
        answers = []
        for step, ids in enumerate(inputs):
            if reset is not None:
                symbol = torch.where(reset[step], self.start[0], symbol)
                noise = torch.where(reset[step], self.start[1], noise)
            symbol = torch.where((symbol < 0) & (ids < self.symbols), ids, symbol)
            noise = noise * _MULTIPLIER + ids + 1  # wraps
            answers.append(self._answer(symbol, noise))
        outputs = F.one_hot(torch.stack(answers), self.symbols).to(torch.get_default_dtype())
        return outputs, torch.stack([symbol, noise], dim=1)[None]

    def _answer(self, symbol: Tensor, noise: Tensor) -> Tensor:
        right, which = _uniform(noise, 1), _uniform(noise, 2)
        wrong = symbol + 1 + (which * (self.symbols - 1)).long()
        answer = torch.where(right < self.reliability, symbol, wrong % self.symbols)
        return torch.where(symbol < 0, (which * self.symbols).long(), answer)


def chance_model(symbols: int, seed: int = 0) -> UnreliableLatch:
    """A model that guesses: right once in `symbols` times, at every lag."""
    return UnreliableLatch(symbols, 1 / symbols, seed)


_MULTIPLIER = 6364136223846793005  # Knuth's, of the 64-bit linear congruential generator


def _uniform(noise: Tensor, stream: int) -> Tensor:
    """A number in [0, 1) from the bits of each `noise`; the streams have nothing to do with each other."""
    for shift in (32, 29, 32):  # Stafford's finaliser with Knuth's multiplier
        noise = (noise ^ ((noise >> shift) & ((1 << (64 - shift)) - 1))) * (_MULTIPLIER + 2 * stream)
    return ((noise >> 33) & (2**31 - 1)).double() / 2**31


@final
@dataclass(frozen=True)
class MarkovSource:
    """Tokens of which each repeats the one `order` steps before with probability `fidelity`, else is another one.

    All tokens nearer than `order` tell nothing and all farther ones nothing more, so its memory is exactly `order`.
    """

    order: int
    """lag, in tokens, that tells all there is"""
    symbols: int = 2
    """V, size of the alphabet"""
    fidelity: float = 0.9
    """probability of the repetition"""

    def __post_init__(self) -> None:
        if self.order < 1 or self.symbols < 2 or not 0 < self.fidelity < 1:
            raise InputError(
                f"order={self.order}, symbols={self.symbols}, fidelity={self.fidelity}: expected an order of at least "
                "1, at least 2 symbols, a fidelity between 0 and 1"
            )

    @property
    def worth(self) -> float:
        """Bits that lag `order` is worth: log2 V minus the entropy of a token given its past."""
        p, q = self.fidelity, (1 - self.fidelity) / (self.symbols - 1)
        return math.log2(self.symbols) + p * math.log2(p) + (1 - p) * math.log2(q)

    def tokens(self, count: int, seed: int) -> Tensor:
        """`count` tokens, `(count,)` long; the seed decides them."""
        generator = np.random.default_rng(seed)
        rows = -(-count // self.order)  # the source is `order` interleaved chains
        moves = generator.integers(1, self.symbols, size=(rows, self.order))
        moves[generator.random(moves.shape) < self.fidelity] = 0
        moves[:1] = generator.integers(self.symbols, size=(1, self.order))
        return torch.from_numpy((moves.cumsum(0) % self.symbols).reshape(-1)[:count])
