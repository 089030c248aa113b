"""One symbol held for ever: what each cell's own means of keeping can do, with a unit for each symbol."""

import torch

from longhold.models.classifier import Classifier
from longhold.study.representable.circuit import OPEN, Cell, Circuit, weights_of, zeroed
from longhold.tasks import Task


def latch(task: Task, cell: Cell, symbols: int) -> Classifier:
    """A network that says which of the ids `0 ... symbols - 1` it read; another one has to come in at every later step.

    - `lstm`: `i = 1` at a symbol and 0 elsewhere, `f = o = 1`: the cell of the symbol becomes 1 and stays.
    - `gru`: `z = 0` at a symbol and 1 elsewhere, so that `h` becomes the symbol and stays.
    - `rnn`: `h = tanh(3 h + OPEN [x is the symbol])`; 0 and about 0.995 are fixed points of `tanh(3 h)`, of which 0 is
      unstable but met exactly.
    - `irnn`: `u = max(0, u + [x is the symbol])`, a circuit with unit 0.

    After Hochreiter and Schmidhuber (1997), whose cell is made for this, and Bengio, Simard and Frasconi (1994) for the
    unit that feeds itself.
    """
    if cell == "irnn":
        return _circuit(task, symbols).on(cell)
    model, eye = zeroed(task, cell, symbols), torch.eye(symbols)
    own, rows = weights_of(model), [slice(k * symbols, (k + 1) * symbols) for k in range(4)]
    read, bias = own["weight_ih_l0"], own["bias_ih_l0"]
    model.output.weight.data[:symbols] = eye
    if cell == "rnn":
        read[:, :symbols] = OPEN * eye
        own["weight_hh_l0"][:] = 3 * eye
        return model
    opened, value, sign = (rows[0], rows[2], 1) if cell == "lstm" else (rows[1], rows[2], -1)
    read[opened] = -sign * OPEN
    read[opened, :symbols] = sign * OPEN
    read[value, :symbols] = OPEN * eye
    if cell == "lstm":
        bias[rows[1]] = bias[rows[3]] = OPEN
    return model


def _circuit(task: Task, symbols: int) -> Circuit:
    circuit = Circuit(task, 1 + symbols)
    for symbol in range(symbols):
        circuit.inputs[1 + symbol, symbol] = circuit.units[1 + symbol, 1 + symbol] = circuit.weight[
            symbol, 1 + symbol
        ] = 1
    return circuit
