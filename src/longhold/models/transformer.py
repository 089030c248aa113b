"""The causal Transformer: attention with rotary positions, and the cache of keys and values as its state."""

import math
from typing import Literal, NamedTuple, final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.models.contract import State
from longhold.models.scan import per_head
from longhold.models.stack import Mixer, StackConfig

_BASE = 10_000.0


@final
class TransformerConfig(StackConfig):
    """A causal Transformer (Vaswani et al. 2017) with norms before its branches and rotary positions (Su et al. 2021).

    Example:
        >>> config = TransformerConfig(input_size=18, output_size=8, hidden_size=32)
        >>> config.build().state_bytes(tokens=100)
        51216
    """

    cell: Literal["transformer"] = "transformer"
    """the name of this architecture"""
    mlp_ratio: int = Field(default=4, ge=0, le=64)
    """width of a block's second branch in multiples of H; 0: no such branch"""
    num_heads: int = Field(default=2, ge=1, le=1024)
    """N, attention heads; each is H/N wide, rounded up to the next even number"""
    window: int | None = Field(default=None, ge=1)
    """how many steps, its own among them, a step sees; None: all"""

    def make_mixer(self, device: torch.device | str | None, dtype: torch.dtype | None) -> "Attention":
        """Attention over what was seen."""
        return Attention(self, device=device, dtype=dtype)


class Cache(NamedTuple):
    """What attention has stored of the steps that can still be seen, S for every row."""

    keys: Tensor
    """turned keys, `(S, B, N*D)`"""
    values: Tensor
    """values, `(S, B, N*D)`"""
    seen: Tensor
    """steps since the row's beginning or last reset, `(1, B)` long; rows see no more than these"""


@final
class Attention(Mixer):
    """Causal multi-head attention.

        q_t, k_t, v_t = W_qkv x_t + b
        y_t = W_o softmax_s(<R_t q_t, R_s k_s> / sqrt(D)) v_s + b_o        over the steps s <= t that t may see

    `R_t` turns the pairs `(i, i + D/2)` of a head by the angle `t / 10000^(2i/D)`. A reset hides all steps before it,
    and positions count from it. The state is a `Cache`; with a window its S stays below it.
    """

    def __init__(
        self, config: TransformerConfig, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        self.heads, self.window = config.num_heads, config.window
        self.head_size = 2 * math.ceil(config.hidden_size / config.num_heads / 2)
        inner = self.heads * self.head_size
        self.queries_keys_values = nn.Linear(config.hidden_size, 3 * inner, device=device, dtype=dtype)
        self.output = nn.Linear(inner, config.hidden_size, device=device, dtype=dtype)

    def forward(self, x: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Attend from each of `T` steps to itself and to what came before."""
        assert isinstance(state, Cache)
        seen = state.seen
        position = positions(seen, x.shape[0], reset)
        query, key, value = (per_head(part, self.heads) for part in self.queries_keys_values(x).chunk(3, -1))
        keys = torch.cat([state.keys, rotate(key, position).flatten(2)])  # (S + T, B, N*D)
        values = torch.cat([state.values, value.flatten(2)])
        plain = keys.shape[0] == x.shape[0] and reset is None and self.window is None
        mixed = F.scaled_dot_product_attention(
            rotate(query, position).permute(1, 2, 0, 3),
            per_head(keys, self.heads).permute(1, 2, 0, 3),
            per_head(values, self.heads).permute(1, 2, 0, 3),
            attn_mask=None if plain else self._visible(position, keys.shape[0]),
            is_causal=plain,
        )
        after = position[-1:] + 1
        kept = self._kept(keys.shape[0], None if reset is None else after)
        keys, values = (x if kept == x.shape[0] else x[x.shape[0] - kept :].clone() for x in (keys, values))
        return self.output(mixed.permute(2, 0, 1, 3).flatten(2)), Cache(keys, values, after)

    def _visible(self, position: Tensor, stored: int) -> Tensor:
        """`(B, 1, T, S + T)` bool: a step sees those from its row's beginning on, itself included."""
        steps = position.shape[0]
        at = torch.arange(stored, device=position.device)
        lag = (at[stored - steps :].unsqueeze(1) - at).unsqueeze(0)  # (1, T, S + T)
        reach = position if self.window is None else position.clamp(max=self.window - 1)
        return ((lag >= 0) & (lag <= reach.T.unsqueeze(-1))).unsqueeze(1)

    def _kept(self, stored: int, after: Tensor | None) -> int:
        kept = stored if self.window is None else min(stored, self.window - 1)
        return kept if after is None else min(kept, int(after.max()))

    def initial_state(self, batch: int) -> State:
        weight = self.output.weight
        empty = weight.new_zeros(0, batch, weight.shape[1])
        return Cache(empty, empty, torch.zeros(1, batch, dtype=torch.long, device=weight.device))

    def state_bytes(self, batch: int, tokens: int) -> int:
        """Keys and values of the steps that can be seen, and one number per row."""
        weight = self.output.weight
        return batch * (2 * self._kept(tokens, None) * weight.shape[1] * weight.element_size() + 8)


def positions(seen: Tensor, steps: int, reset: Tensor | None) -> Tensor:
    """`(T, B)` long: how many steps of its row lie between each step and the row's beginning or last reset."""
    at = torch.arange(steps, device=seen.device).unsqueeze(1)
    start = -seen  # (1, B), the step at which the row's segment began
    return at - (start if reset is None else torch.where(reset, at, start).cummax(0).values)


def rotate(x: Tensor, position: Tensor) -> Tensor:
    """`(T, B, N, D)` with the pairs `(i, i + D/2)` turned by `position / 10000^(2i/D)`; position `(T, B)`."""
    exact = torch.promote_types(x.dtype, torch.float32)
    half = x.shape[-1] // 2
    rate = _BASE ** -(torch.arange(half, device=x.device, dtype=exact) / half)
    angle = position.unsqueeze(-1).unsqueeze(-1) * rate
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)
