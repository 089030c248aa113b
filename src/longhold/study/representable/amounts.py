"""Networks that hold amounts: counters, sums, products, and pairs that are looked up."""

from collections.abc import Sequence

import torch
from torch import Tensor

from longhold.models.classifier import Classifier
from longhold.study.representable.circuit import OPEN, Cell, weights_of, zeroed
from longhold.tasks import Task
from longhold.tasks.anbn import END, A, B
from longhold.tasks.mqar import MQAR


def anbn(task: Task, cell: Cell) -> Classifier | None:
    """The counter is above 0 while b's are missing; a second unit tells a b from the rest. None for `rnn` and `gru`.

        lstm    logits (-100 r, 100 c + 10 r - 40, 10 r - 100 c + 40),   c = tanh(count), r = 0.76 at a b, else -0.76
        irnn    logits (50 - 100 r, 100 r + 100 c - 60, 90 r),           c = the count, r = 1 at a b, else 0

    An LSTM can count without bound (Gers and Schmidhuber 2001); a state within -1 and 1 cannot, in finite precision
    (Weiss, Goldberg and Yahav 2018).
    """
    if cell == "lstm":
        model = _counting_lstm(task, [1, -1, 0], [-1, 1, -1])
        return _answered(model, {A: (0, -100), B: (100, 10), END: (-100, 10)}, {A: 0, B: -40, END: 40})
    if cell == "irnn":
        model = _counting_irnn(task, [1, -1, 0], [0, 1, 0])
        return _answered(model, {A: (0, -100), B: (100, 100), END: (0, 90)}, {A: 50, B: -60, END: 0})
    return None


def one_bracket(task: Task, cell: Cell) -> Classifier | None:
    """Dyck's language of one kind: something is open while the counter is above 0. None for `rnn` and `gru`."""
    if cell not in ("lstm", "irnn"):
        return None
    count = _counting_lstm if cell == "lstm" else _counting_irnn
    return _answered(count(task, [1, -1], [0, 0]), {0: (-1, 0), 1: (1, 0)}, {0: 0.4, 1: -0.4})


def _counting_lstm(task: Task, steps: Sequence[int], recent: Sequence[int]) -> Classifier:
    """`c_0 = c_0 + tanh(OPEN steps[id])` by `f = i = 1`; `c_1` is `recent[id]` of the last id alone, by `f = 0`."""
    model = zeroed(task, "lstm", 2)
    own = weights_of(model)
    own["bias_ih_l0"][:] = torch.tensor([OPEN, OPEN, OPEN, -OPEN, 0, 0, OPEN, OPEN])  # i, f, g, o of both
    own["weight_ih_l0"][4:6] = OPEN * torch.tensor([steps, recent])
    return model


def _counting_irnn(task: Task, steps: Sequence[int], recent: Sequence[int]) -> Classifier:
    """`h_0 = max(0, h_0 + steps[id])`; `h_1 = max(0, recent[id])`."""
    model = zeroed(task, "irnn", 2)
    own = weights_of(model)
    own["weight_ih_l0"][:] = torch.tensor([steps, recent]).float()
    own["weight_hh_l0"][0, 0] = 1
    return model


def _answered(model: Classifier, weights: dict[int, tuple[float, float]], offsets: dict[int, float]) -> Classifier:
    for answer, weight in weights.items():
        model.output.weight.data[answer] = torch.tensor(weight)
        model.output.bias.data[answer] = offsets[answer]
    return model


_SCALE = 0.01  # of a value inside tanh, which takes it for (1 - _SCALE^2 / 3) times itself


def marked_sum(task: Task, cell: Cell) -> Classifier | None:
    """Inputs (value, marker): the sum of the marked values. None for `rnn` and `gru`.

        irnn    u_t = max(0, value + marker - 1),  s_t = max(0, s_(t-1) + u_(t-1)),  answer u + s; exact
        lstm    i = 1 at a marker, else 0; f = o = 1; g = tanh(value / 100), answer 100 h

    The carousel of Hochreiter and Schmidhuber (1997); the ReLU integrator is Le, Jaitly and Hinton's (2015).
    """
    if cell == "irnn":
        model = zeroed(task, cell, 2)
        _sum_in(model)
        model.output.weight.data[:] = 1
        return model
    if cell == "lstm":
        model = zeroed(task, cell, 1)
        own = weights_of(model)
        own["weight_ih_l0"][0, 1] = 2 * OPEN
        own["weight_ih_l0"][2, 0] = _SCALE
        own["bias_ih_l0"][:] = torch.tensor([-OPEN, OPEN, 0, OPEN])
        model.output.weight.data[:] = 1 / _SCALE
        return model
    return None


def _sum_in(model: Classifier) -> None:
    """Unit 0 is the value marked now, unit 1 the sum of those marked before."""
    own = weights_of(model)
    own["weight_ih_l0"][0] = 1
    own["bias_ih_l0"][0] = -1
    own["weight_hh_l0"][1, :2] = 1


_KNOTS = 32


def marked_product(task: Task, cell: Cell) -> Classifier | None:
    """Two layers for `x y = ((x + y)^2 - x^2 - y^2) / 2`, the squares made of straight pieces. Only for `irnn`.

    With `n = 32` pieces to a unit, a square is `sum_k c_k max(0, v - k / n)`, `c_0 = 1 / n`, else `2 / n`: too large by
    at most `1 / (4 n^2)`. The first layer holds the value marked now and the sum of those before it, as in
    `marked_sum`. The second has the terms of the marked value's square, the same added up over the steps before, and
    the terms of the whole sum's square.
    """
    if cell != "irnn":
        return None
    model = zeroed(task, cell, 4 * _KNOTS, num_layers=2)
    _sum_in(model)
    now, before, whole = slice(0, _KNOTS), slice(_KNOTS, 2 * _KNOTS), slice(2 * _KNOTS, None)
    places, own = torch.arange(2 * _KNOTS) / _KNOTS, weights_of(model)
    own["weight_ih_l1"][now, 0] = 1
    own["bias_ih_l1"][now] = -places[:_KNOTS]
    own["weight_hh_l1"][before, now] = own["weight_hh_l1"][before, before] = torch.eye(_KNOTS)
    own["weight_ih_l1"][whole, :2] = 1
    own["bias_ih_l1"][whole] = -places
    terms = torch.full((2 * _KNOTS,), 2 / _KNOTS)
    terms[0] = 1 / _KNOTS
    model.output.weight.data[:] = torch.cat([-terms[:_KNOTS], -terms[:_KNOTS], terms]) / 2
    return model


def first_value_of_a_key(task: MQAR, cell: Cell) -> Classifier | None:
    """Two layers: the first value that followed a key is kept and given whenever the key is read. Only for `irnn`.

    First layer: the key read now, `k_t`; a pair completed now, `w_t = max(0, k_(t-1) + [x_t is v] - 1 - kept)`, where
    `kept` says that some pair of this key is there; and the pairs completed before, `s_t = s_(t-1) + w_(t-1)`. Second
    layer: the pairs whose key is read now.
    """
    if cell != "irnn":
        return None
    keys = task.vocabulary // 2 - 1
    values = task.vocabulary - keys - 1
    model = zeroed(task, cell, keys + 2 * keys * values, num_layers=2)
    weights_of(model)["weight_ih_l0"][:keys, 1 : 1 + keys] = torch.eye(keys)
    for key in range(keys):
        pairs = torch.arange(keys + key * values, keys + (key + 1) * values)
        _keep_pairs(model, key, pairs, pairs + keys * values)
        weights_of(model)["weight_ih_l0"][pairs, 1 + keys + torch.arange(values)] = 1
        model.output.weight.data[1 + keys + torch.arange(values), pairs] = 1
    return model


def _keep_pairs(model: Classifier, key: int, new: Tensor, old: Tensor) -> None:
    own = weights_of(model)
    own["bias_ih_l0"][new] = own["bias_ih_l1"][new] = -1
    own["weight_hh_l0"][new, key] = 1
    for one in (new, old):
        own["weight_hh_l0"][new[:, None], one] = -1
        own["weight_hh_l0"][old, one] = 1
        own["weight_ih_l1"][new, one] = 1
    own["weight_ih_l1"][new, key] = 1
