"""Circuits that remember: finite automata, delay lines, slots that are filled and read in turn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import final

from longhold.study.representable.circuit import Circuit, bits_of, spell
from longhold.tasks import Task
from longhold.tasks.copying import Copy, CopyMarkers, CopyTail, SelectiveCopy


@final
@dataclass(frozen=True)
class Automaton:
    """A machine with finitely many states that answers by its state and what it reads."""

    start: int
    """The first state."""
    step: Callable[[int, int], int]
    """`step(state, id)`, the next state."""
    answer: Callable[[int, int], Iterable[int]]
    """`answer(state, id)`, what is right once the id is read in the state; nothing where no answer is due."""

    def circuit(self, task: Task) -> Circuit:
        """One unit for each pair of a state and a kind of ids, besides unit 0: "I was in this state and have read such
        an id" (after Minsky 1967, chapter 3).

            z = [the state before was this one] + [the id is of this kind] - 1

        where exactly one unit said which state it was, and before the first step it is the start's. Ids that lead to
        the same states with the same answers are of one kind; states that are never reached have no units.
        """
        states = self._reached(task)
        kinds: dict[tuple[object, ...], list[int]] = {}
        for symbol in range(task.input_size):
            does = tuple((self.step(q, symbol), tuple(self.answer(q, symbol))) for q in states)
            kinds.setdefault(does, []).append(symbol)
        pairs = [(state, symbols) for state in states for symbols in kinds.values()]
        circuit = Circuit(task, 1 + len(pairs))
        for unit, (state, symbols) in enumerate(pairs, 1):
            circuit.inputs[unit, symbols] = 1
            circuit.bias[unit] = float(state == self.start) - 1
            circuit.units[unit, 0] = -float(state == self.start)
            for other, (before, read) in enumerate(pairs, 1):
                circuit.units[unit, other] = float(self.step(before, read[0]) == state)
            for given in self.answer(state, symbols[0]):
                circuit.weight[given, unit] = 1
        return circuit

    def _reached(self, task: Task) -> list[int]:
        found = [self.start]
        for state in found:  # which grows as it goes
            found += {self.step(state, symbol) for symbol in range(task.input_size)} - set(found)
        return found


def delay_line(task: Task, lag: int, symbols: int) -> Circuit:
    """A shift register of binary digits: block `k` is the code of the id `k` steps ago, the last is the answer.

        u^0_t = code(x_t),      u^k_t = u^(k-1)_(t-1)

    Args:
        task: gives the sizes.
        lag: the delay in steps.
        symbols: the ids `0 ... symbols - 1` enter the line and are the answers.
    """
    codes = bits_of(symbols)
    digits = codes.shape[1]
    circuit = Circuit(task, 1 + (lag + 1) * digits)
    circuit.inputs[1 : 1 + digits, :symbols] = codes.T
    for unit in range(1 + digits, len(circuit.bias)):
        circuit.units[unit, unit - digits] = 1
    spell(circuit, range(symbols), [[1 + lag * digits + digit] for digit in range(digits)])
    return circuit


def slots(task: Copy | CopyMarkers) -> Circuit:
    """The copy problem with `K (3 bits + 2) + 1` units, one more for a row of markers, whatever the number of blanks.

    For each place `j` of `K`, and each binary digit `b` of a symbol:

        l_(j+1) = l_j              the step at which place j is read: one after another from the beginning
        n_jb = l_j + bit_b - 1     a 1 is read there
        s_jb = s_jb + n_jb         and kept
        q_1 = [marker], q_(j+1) = q_j      of a row of markers the first, see `_first`
        y_jb = s_jb + q_j - 1      given back, one place after another from the marker
        v = sum_j q_j              a symbol is the answer, not a blank

    all right sides but the input's of the step before.
    """
    codes = bits_of(task.symbols)
    digits, places = codes.shape[1], task.items
    rows = isinstance(task, CopyMarkers)
    circuit = Circuit(task, 1 + places * (3 * digits + 2) + rows)
    units = iter(range(1, len(circuit.bias)))
    answering, loads, gives = next(units), [0, *_chain(circuit, units, places - 1)], _chain(circuit, units, places)
    if places > 1:
        circuit.bias[loads[1]], circuit.units[loads[1], 0] = 1, -1  # at the first step, for the second
    circuit.inputs[gives[0], task.symbols + 1] = 1
    if rows:
        _first(circuit, gives[0], next(units))
    circuit.units[answering, gives] = 1
    spoken: list[list[int]] = [[] for _ in range(digits)]
    for load, give in zip(loads, gives, strict=True):
        for digit in range(digits):
            new, kept, given = next(units), next(units), next(units)
            circuit.inputs[new, 1 : task.symbols + 1] = codes[:, digit]
            circuit.units[new, load], circuit.bias[new] = (-1, 0) if load == 0 else (1, -1)
            circuit.units[kept, [kept, new]] = 1
            circuit.units[given, [kept, give]], circuit.bias[given] = 1, -1
            spoken[digit].append(given)
    spell(circuit, range(1, task.symbols + 1), spoken, _SURE)
    circuit.weight[0, answering], circuit.offset[0] = -4 * digits * _SURE, 2 * digits * _SURE
    return circuit


def chosen_slots(task: CopyTail | SelectiveCopy) -> Circuit:
    """Symbols wherever they stand, given back at a row of markers, with `K (3 bits + 3)` units, one more for `K = 1`.

    For each place `j` of `K`, each binary digit `b` of a symbol, and `l_j = a_j + w_j`, the place that is next:

        a_(j+1) = l_j + [symbol] - 1       the place before it was filled
        w_j = l_j - [symbol]               or it was next already, and no symbol came; from the beginning w_1
        n_jb = l_j + bit_b - 1             a 1 is read there
        s_jb = s_jb + n_jb                 and kept
        q_1 = [first marker], q_(j+1) = q_j
        y_1b = s_1b + n_1b - 1 + [first marker],  y_(j+1)b = s_(j+1)b + n_(j+1)b - 1 + q_j

    all right sides but the input's of the step before.
    """
    codes = bits_of(task.symbols)
    digits, places = codes.shape[1], task.items
    symbols, marker = slice(1, task.symbols + 1), task.symbols + 1
    circuit = Circuit(task, places * (3 * digits + 3) + (places == 1))
    units = iter(range(1, len(circuit.bias)))
    waits = [next(units) for _ in range(places)]
    nexts = [[waits[0]], *([next(units), wait] for wait in waits[1:])]
    gone, gives = next(units), [next(units) for _ in range(max(1, places - 1))]

    def put(unit: int, place: int, bias: int) -> None:
        """`l_j + bias` to a unit's sum."""
        circuit.units[unit, nexts[place]] = 1
        circuit.bias[unit] = bias + (place == 0)
        circuit.units[unit, 0] = -float(place == 0)  # before the first step the first place is next

    for place in range(places):
        put(waits[place], place, 0)
        circuit.inputs[waits[place], symbols] = -1
        if place + 1 < places:
            put(nexts[place + 1][0], place, -1)
            circuit.inputs[nexts[place + 1][0], symbols] = 1
    circuit.inputs[gives[0], marker] = 1
    _first(circuit, gives[0], gone)
    for before, after in pairwise(gives):
        circuit.units[after, before] = 1
    spoken: list[list[int]] = [[] for _ in range(digits)]
    for place in range(places):
        for digit in range(digits):
            new, kept, given = next(units), next(units), next(units)
            put(new, place, -1)
            circuit.inputs[new, symbols] = codes[:, digit]
            circuit.units[kept, [kept, new]] = 1
            circuit.units[given, [kept, new]], circuit.bias[given] = 1, -1
            if place == 0:
                circuit.inputs[given, marker] = 1
                circuit.units[given, [gone, gives[0]]] = -1
            else:
                circuit.units[given, gives[place - 1]] = 1
            spoken[digit].append(given)
    spell(circuit, range(1, task.symbols + 1), spoken, _SURE)
    circuit.offset[[0, marker]] = -4 * digits * _SURE
    return circuit


def _first(circuit: Circuit, first: int, gone: int) -> None:
    """Make the unit `first`, which says that a marker is read, say so once: `gone` says that it has."""
    circuit.units[gone, [gone, first]] = 1
    circuit.units[first, [gone, first]] = -1


_SURE = 100.0  # nats between an answer and the next, so that the loss is 0


def _chain(circuit: Circuit, units: Iterable[int], count: int) -> list[int]:
    """So many units, each what the one before it was."""
    found = list(islice(units, count))
    for before, after in pairwise(found):
        circuit.units[after, before] = 1
    return found
