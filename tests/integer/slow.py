"""What docs/math/integer.md says, in Python's own integers, one number at a time: the oracle of the stepper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longhold.integer import IntegerModel

UNIT, TOTAL = 2**16, 2**24


def rounded(numerator: int, bits: int) -> int:
    return (numerator + 2 ** (bits - 1)) // 2**bits


def lookup(table: Sequence[int], a: int) -> int:
    a = min(a, (len(table) - 2) * 512)
    index, rest = divmod(a, 512)
    return table[index] + ((table[index + 1] - table[index]) * rest + 256) // 512


def product(matrix: Any, x: Sequence[int], bias: np.ndarray, rows: slice = slice(None)) -> list[int]:
    found = []
    for values, multiplier, shift, b in zip(
        matrix.values.tolist()[rows],
        matrix.multiplier.tolist()[rows],
        matrix.shift.tolist()[rows],
        bias.tolist()[rows],
        strict=True,
    ):
        numerator = multiplier * sum(q * value for q, value in zip(values, x, strict=True))
        found.append(rounded(numerator, shift) + b)
    return found


class Slow:
    """One row of an `IntegerStepper`."""

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.states = [[field.tolist() for field in layer.initial] for layer in model.layers]
        self.tables = {name: table.tolist() for name, table in vars(model.tables).items()}

    def sigmoid(self, a: int) -> int:
        table = self.tables["sigmoid"]
        return UNIT - lookup(table, -a) if a < 0 else lookup(table, a)

    def tanh(self, a: int) -> int:
        table = self.tables["tanh"]
        return -lookup(table, -a) if a < 0 else lookup(table, a)

    def step(self, token: int) -> list[int]:
        x = self.embedded(token)
        for row, layer in enumerate(self.model.layers):
            old = self.states[row]
            new = getattr(self, self.model.cell)(layer, product(layer.weight_ih, x, layer.bias_ih), old)
            self.states[row] = [
                [rounded(z * a + (UNIT - z) * b, 16) if z else b for a, b in zip(before, after, strict=True)]
                for z, before, after in zip(layer.zoneout, old, new, strict=True)
            ]
            x = self.states[row][0]
        return self.frequencies(product(self.model.output, x, self.model.output_bias))

    def embedded(self, token: int) -> list[int]:
        table = self.model.embedding
        if table is None:
            return [UNIT * (v == token) for v in range(self.model.vocab_size)]
        multiplier, shift = int(table.multiplier[token]), int(table.shift[token])
        return [rounded(q * multiplier * UNIT, shift) for q in table.values[token].tolist()]

    def rnn(self, layer: Any, x: list[int], state: list[list[int]]) -> list[list[int]]:
        share = product(layer.weight_hh, state[0], layer.bias_hh)
        return [[self.tanh(a + b) for a, b in zip(x, share, strict=True)]]

    def gru(self, layer: Any, x: list[int], state: list[list[int]]) -> list[list[int]]:
        (h,), H = state, self.model.hidden_size
        share = product(layer.weight_hh, h, layer.bias_hh)
        r = [self.sigmoid(x[k] + share[k]) for k in range(H)]
        z = [self.sigmoid(x[H + k] + share[H + k]) for k in range(H)]
        if self.model.reset_after:
            ofn = [rounded(r[k] * share[2 * H + k], 16) for k in range(H)]
        else:
            read = [rounded(r[k] * h[k], 16) for k in range(H)]
            ofn = product(layer.weight_hh, read, layer.bias_hh, slice(2 * H, None))
        n = [self.tanh(x[2 * H + k] + ofn[k]) for k in range(H)]
        return [[n[k] + rounded(z[k] * (h[k] - n[k]), 16) for k in range(H)]]

    def lstm(self, layer: Any, x: list[int], state: list[list[int]]) -> list[list[int]]:
        (h, c), H = state, self.model.hidden_size
        share = product(layer.weight_hh, h, layer.bias_hh)
        a = [p + q for p, q in zip(x, share, strict=True)]
        blocks = [a[k * H : (k + 1) * H] for k in range(len(a) // H)]
        i, *f = [[self.sigmoid(v) for v in block] for block in blocks[:-2]]
        g, o = [self.tanh(v) for v in blocks[-2]], [self.sigmoid(v) for v in blocks[-1]]
        forget = f[0] if f else [UNIT - v for v in i]
        new = [rounded(forget[k] * c[k] + i[k] * g[k], 16) for k in range(H)]
        new = [max(-(2**31), min(2**31, v)) for v in new]
        return [[rounded(o[k] * self.tanh(new[k]), 16) for k in range(H)], new]

    def frequencies(self, logits: list[int], temperature: int = 100, allowed: list[bool] | None = None) -> list[int]:
        may = [True] * len(logits) if allowed is None else allowed
        largest = max(y for y, there in zip(logits, may, strict=True) if there)
        best = next(v for v, y in enumerate(logits) if may[v] and y == largest)
        below = [(largest - y) * 100 // temperature for y in logits]
        e = [lookup(self.tables["exp"], d) if there else 0 for d, there in zip(below, may, strict=True)]
        found = [1 + value * (TOTAL - len(e)) // sum(e) for value in e]
        found[best] += TOTAL - sum(found)
        return found
