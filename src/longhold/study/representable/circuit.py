"""Threshold circuits, and the recurrent cells that are them: any cell that can be a finite machine is the same one."""

from collections.abc import Sequence
from math import tanh
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from longhold.models.classifier import Classifier, ClassifierConfig
from longhold.tasks import Task

Cell: TypeAlias = Literal["rnn", "irnn", "gru", "lstm"]
"""`rnn` is tanh's, `irnn` relu's."""

OPEN = 30.0
"""A pre-activation at which float32's sigmoid and tanh are 1, and at half of which tanh still is; at its negative the
sigmoid is below 1e-13."""


def zeroed(task: Task, cell: Cell, hidden_size: int, num_layers: int = 1) -> Classifier:
    """The network that the study trains with this cell, at the sizes of a task and with every parameter 0."""
    config = ClassifierConfig(
        cell="rnn" if cell == "irnn" else cell,
        nonlinearity="relu" if cell == "irnn" else "tanh",
        vocab_size=task.input_size,
        num_classes=task.output_size,
        continuous=task.continuous,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )
    model = config.build().eval()
    for parameter in model.parameters():
        parameter.data.zero_()
    return model


def weights_of(model: Classifier) -> dict[str, Tensor]:
    """The parameters of the recurrent layers by torch's names, to be written to."""
    return {name: parameter.data for name, parameter in model.layer.named_parameters()}


@final
class Circuit:
    """`N` units that are 0 or 1, over ids:

        u_t = max(0, inputs[x_t] + units u_(t-1) + bias),      u_0 = 0

    with integer weights chosen such that no sum is ever above 1. Unit 0 is 0 before the first step and 1 after it;
    by it a circuit knows where a sequence begins. The logits are `weight u_t + offset`.

    Such a circuit is what McCulloch and Pitts (1943) call a nervous net: a unit fires where a sum of integers
    reaches a threshold. `on` makes it a network of any cell, with as many units:

    - `irnn` computes the equation above as it stands.
    - `rnn` holds `a = 2u - 1` as `tanh(OPEN (z - 1/2))`, `z` the sum above: integers lie at least 1/2 from the
      threshold, and float32's tanh of 15 is 1, so nothing is lost over any number of steps. In the state before the
      first step every `a` is 0, unit 0's too, and `u_j = (a_j + a_0) / 2` is right there as well.
    - `gru` with its update gate at 0 and its reset gate at 1 is that RNN.
    - `lstm` with its forget gate at 0 and the others at 1 is it but for `tanh(1) a` in place of `a`.

    Attributes:
        inputs: `(N, I)`.
        units: `(N, N)`.
        bias: `(N,)`.
        weight: `(O, N)`.
        offset: `(O,)`.
    """

    def __init__(self, task: Task, units: int) -> None:
        self._task = task
        self.inputs = torch.zeros(units, task.input_size)
        self.units = torch.zeros(units, units)
        self.bias = torch.zeros(units)
        self.weight = torch.zeros(task.output_size, units)
        self.offset = torch.zeros(task.output_size)
        self.bias[0] = 1

    def on(self, cell: Cell) -> Classifier:
        """The network of this cell that is the circuit."""
        model = zeroed(self._task, cell, len(self.bias))
        if cell == "irnn":
            _put(model, cell, self.inputs, self.units, self.bias)
            _read(model, self.weight, self.offset)
            return model
        full = tanh(1) if cell == "lstm" else 1.0
        _put(model, cell, OPEN * self.inputs, OPEN / full * _centred(self.units), OPEN * (self.bias - 0.5))
        _read(model, _centred(self.weight) / full, self.offset)
        return model


def _centred(weight: Tensor) -> Tensor:
    """`weight u` as a product with `a`: `u_j = (a_j + a_0) / 2`, `u_0 = a_0`."""
    halves = weight / 2
    halves[:, 0] = weight[:, 0] + weight[:, 1:].sum(1) / 2
    return halves


def _put(model: Classifier, cell: Cell, inputs: Tensor, units: Tensor, bias: Tensor) -> None:
    """Make a layer `h = f(inputs[x] + units h + bias)`, its gates held open or shut."""
    size = len(bias)
    block = {"rnn": 0, "irnn": 0, "gru": 2, "lstm": 2}[cell]  # r z n and i f g o
    rows = slice(block * size, (block + 1) * size)
    own = weights_of(model)
    own["weight_ih_l0"][rows], own["weight_hh_l0"][rows], own["bias_ih_l0"][rows] = inputs, units, bias
    for place, sign in {"gru": {0: 1, 1: -1}, "lstm": {0: 1, 1: -1, 3: 1}}.get(cell, {}).items():
        own["bias_ih_l0"][place * size : (place + 1) * size] = sign * OPEN


def _read(model: Classifier, weight: Tensor, offset: Tensor) -> None:
    model.output.weight.data[:], model.output.bias.data[:] = weight, offset


def bits_of(count: int) -> Tensor:
    """`(count, bits)`: the binary digits of `0 ... count - 1`, as few as will do, at least one."""
    digits = max(1, (count - 1).bit_length())
    return (torch.arange(count)[:, None] >> torch.arange(digits) & 1).float()


def spell(circuit: Circuit, answers: Sequence[int], digits: Sequence[Sequence[int]], size: float = 1.0) -> None:
    """Make the code that is read the greatest of the logits `size sum_b (2 code_b - 1)(2 u_b - 1)`.

    Args:
        circuit: whose readout is set.
        answers: the answers, in the order of their codes.
        digits: for each digit the units that stand for it, at most one of which is 1.
        size: by how much.
    """
    signs = 2 * bits_of(len(answers)) - 1
    for answer, code in zip(answers, signs, strict=True):
        circuit.offset[answer] = -size * code.sum()
        for sign, units in zip(code, digits, strict=True):
            circuit.weight[answer, list(units)] = 2 * size * sign
