"""Slow answers to check fast ones against. Nothing of longhold is imported here.

Two oracles. `rows_and_segments` cuts a ragged batch with resets into pieces and hands each, alone and whole, to
whatever runs a plain sequence: torch.nn, or `stack` below. `stack` runs the options' equations, one step at a time, as
the papers write them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Alone = Callable[[Tensor, State, int, slice], tuple[Tensor, State]]


def rows_and_segments(
    alone: Alone,
    x: Tensor,
    hx: State,
    initial: State,
    directions: int,
    lengths: Sequence[int] | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, State]:
    """What a layer with `lengths` and `reset` should return, each piece run by itself.

    `alone(x, hx, row, steps)` runs one piece: x (S, 1, I), each field of hx (L*D, 1, .). `hx` and `initial` are the
    states before the first step and after a cut, each field (L*D, B, .). A row of length 0 has no piece.
    """
    steps, batch, _ = x.shape
    outputs, finals = [], []
    for b in range(batch):
        length = steps if lengths is None else int(lengths[b])
        if length == 0:  # nothing comes out, and the state stays what it was
            nothing = (0 * x[:, b : b + 1]).sum(-1, keepdim=True)
            outputs.append(nothing.expand(-1, -1, directions * hx[0].shape[-1]))
            finals.append(tuple(field[:, b : b + 1] + nothing.sum() for field in hx))
            continue
        marks = [t for t in range(1, length) if reset is not None and reset[t, b]]
        pieces = [slice(start, stop) for start, stop in zip([0, *marks], [*marks, length], strict=True)]
        forgets_hx = reset is not None and bool(reset[0, b])
        results = []
        for k, piece in enumerate(pieces):
            starts = [k == 0 and not forgets_hx, k == len(pieces) - 1]
            state = tuple(
                torch.stack([(given if starts[n % directions] else fresh)[n, b : b + 1] for n in range(given.shape[0])])
                for given, fresh in zip(hx, initial, strict=True)
            )
            results.append(alone(x[piece, b : b + 1], state, b, piece))
        width = results[0][0].shape[-1]
        outputs.append(torch.cat([*(r[0] for r in results), x.new_zeros(steps - length, 1, width)]))
        last_of = [results[-1][1], results[0][1]]
        rows = hx[0].shape[0]
        finals.append(tuple(torch.stack([last_of[n % directions][f][n] for n in range(rows)]) for f in range(len(hx))))
    return torch.cat(outputs, 1), tuple(torch.cat(column, 1) for column in zip(*finals, strict=True))


def torch_alone(layer: torch.nn.Module) -> Alone:
    """torch.nn's layer as the runner of pieces."""

    def run(x: Tensor, state: State, row: int, steps: slice) -> tuple[Tensor, State]:
        output, final = layer(x, state[0] if len(state) == 1 else state)
        return output, (final,) if isinstance(final, Tensor) else final

    return run


@dataclass
class Options:
    """What `stack` can do beyond torch.nn; each field is off as it stands."""

    nonlinearity: str = "tanh"
    layer_norm: bool = False
    peephole: bool = False
    coupled: bool = False
    reset_after: bool = True
    masks: Sequence[Any] | None = None
    """per layer and direction: recurrent_dropout, zoneout_h, zoneout_c, weight_dropout, any of them None"""
    zoneout: tuple[float, float] = (0.0, 0.0)
    """rates for h and c whose expectation is taken, as in eval mode"""


def stack_alone(
    cell: str, parameters: dict[str, Tensor], num_layers: int, directions: int, options: Options | None = None
) -> Alone:
    """`stack` as the runner of pieces."""
    chosen = options or Options()

    def run(x: Tensor, state: State, row: int, steps: slice) -> tuple[Tensor, State]:
        return stack(cell, parameters, num_layers, directions, chosen, x, state, row, steps)

    return run


def stack(
    cell: str,
    parameters: dict[str, Tensor],
    num_layers: int,
    directions: int,
    options: Options,
    x: Tensor,
    state: State,
    row: int,
    steps: slice,
) -> tuple[Tensor, State]:
    """One piece of one row through every layer and direction."""
    finals: list[State] = []
    for k in range(num_layers):
        sides = []
        for d in range(directions):
            suffix = f"_l{k}" + ("_reverse" if d else "")
            p = Parameters({n.removesuffix(suffix): v for n, v in parameters.items() if n.endswith(suffix)})
            n = k * directions + d
            masks = None if options.masks is None else options.masks[n]
            now = tuple(part[n] for part in state)
            seen: list[Tensor] = []
            for t in reversed(range(len(x))) if d else range(len(x)):
                now = step(cell, p, options, masks, x[t], now, row, steps.start + t)
                seen.append(now[0])
            sides.append(torch.stack(seen[::-1] if d else seen))
            finals.append(now)
        x = torch.cat(sides, -1)
    return x, tuple(torch.stack(column) for column in zip(*finals, strict=True))


@dataclass
class Parameters:
    """The parameters of one layer and direction by torch's names without their suffix; 0 for an absent bias."""

    values: dict[str, Tensor] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name, 0.0) if name.startswith("bias") else self.values[name]


def normed(v: Tensor) -> Tensor:
    """(v - mean) / sqrt(variance + 1e-5), over the last dimension."""
    centred = v - v.mean(-1, keepdim=True)
    return centred / ((centred * centred).mean(-1, keepdim=True) + 1e-5).sqrt()


def step(cell: str, p: Parameters, options: Options, masks: Any, x: Tensor, state: State, row: int, t: int) -> State:
    """One step of one row: x (1, I), h (1, P), c (1, H). `t` is the time in the whole sequence."""
    h = state[0]
    seen, weight_hh = h, p["weight_hh"]
    if masks is not None and masks.recurrent_dropout is not None:
        seen = h * masks.recurrent_dropout[row]
    if masks is not None and masks.weight_dropout is not None:
        weight_hh = weight_hh * masks.weight_dropout
    new = {"rnn": rnn, "gru": gru, "lstm": lstm}[cell](p, options, weight_hh, x, seen, state)
    drawn = (None, None) if masks is None else (masks.zoneout_h, masks.zoneout_c)
    zoned = []
    for old, fresh, mask, rate in zip(state, new, drawn, options.zoneout, strict=False):
        if mask is None:
            zoned.append(rate * old + (1 - rate) * fresh)
        else:
            keep = mask[t, row].to(fresh)
            zoned.append(keep * old + (1 - keep) * fresh)
    return tuple(zoned)


def share(
    options: Options, values: Tensor, weight: Tensor, gain_name: str, p: Parameters, groups: list[slice]
) -> list[Tensor]:
    """The products of `values` with groups of rows, each layer-normalized and scaled where there are gains; no bias."""
    products = [values @ weight[rows].T for rows in groups]
    if options.layer_norm:
        products = [normed(v) * p[gain_name][rows] for v, rows in zip(products, groups, strict=True)]
    return products


def rnn(p: Parameters, options: Options, weight_hh: Tensor, x: Tensor, seen: Tensor, state: State) -> State:
    (from_x,) = share(options, x, p["weight_ih"], "weight_norm_ih", p, [slice(None)])
    (from_h,) = share(options, seen, weight_hh, "weight_norm_hh", p, [slice(None)])
    total = from_x + p["bias_ih"] + from_h + p["bias_hh"]
    return (torch.tanh(total) if options.nonlinearity == "tanh" else total.clamp(min=0),)


def gru(p: Parameters, options: Options, weight_hh: Tensor, x: Tensor, seen: Tensor, state: State) -> State:
    H = seen.shape[-1]
    pair, alone = slice(0, 2 * H), slice(2 * H, 3 * H)
    b_ih, b_hh = (b if isinstance(b, Tensor) else x.new_zeros(3 * H) for b in (p["bias_ih"], p["bias_hh"]))
    x_pair, x_n = share(options, x, p["weight_ih"], "weight_norm_ih", p, [pair, alone])
    (h_pair,) = share(options, seen, weight_hh, "weight_norm_hh", p, [pair])
    r, z = torch.sigmoid(x_pair + b_ih[pair] + h_pair + b_hh[pair]).chunk(2, -1)
    if options.reset_after:
        (h_n,) = share(options, seen, weight_hh, "weight_norm_hh", p, [alone])
        n = torch.tanh(x_n + b_ih[alone] + r * (h_n + b_hh[alone]))
    else:
        (h_n,) = share(options, r * seen, weight_hh, "weight_norm_hh", p, [alone])
        n = torch.tanh(x_n + b_ih[alone] + h_n + b_hh[alone])
    return ((1 - z) * n + z * state[0],)


def lstm(p: Parameters, options: Options, weight_hh: Tensor, x: Tensor, seen: Tensor, state: State) -> State:
    c = state[1]
    (from_x,) = share(options, x, p["weight_ih"], "weight_norm_ih", p, [slice(None)])
    (from_h,) = share(options, seen, weight_hh, "weight_norm_hh", p, [slice(None)])
    order = "igo" if options.coupled else "ifgo"
    total = from_x + p["bias_ih"] + from_h + p["bias_hh"]
    a = dict(zip(order, total.chunk(len(order), -1), strict=True))
    look: dict[str, Any] = dict.fromkeys("ifo", 0.0)
    if options.peephole:
        names = [name for name in order if name != "g"]
        look |= dict(zip(names, p["weight_peephole"].chunk(len(names)), strict=True))
    i = torch.sigmoid(a["i"] + look["i"] * c)
    f = 1 - i if options.coupled else torch.sigmoid(a["f"] + look["f"] * c)
    c_new = f * c + i * torch.tanh(a["g"])
    o = torch.sigmoid(a["o"] + look["o"] * c_new)
    visible = normed(c_new) * p["weight_norm_c"] + p["bias_norm_c"] if options.layer_norm else c_new
    h_new = o * torch.tanh(visible)
    return (h_new @ p["weight_hr"].T if "weight_hr" in p.values else h_new, c_new)
