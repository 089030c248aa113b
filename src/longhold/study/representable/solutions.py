"""Which task has a network whose weights are set by hand, and what that network scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any, TypeAlias, final, get_args

from longhold.models.classifier import Classifier
from longhold.study.representable.amounts import anbn, first_value_of_a_key, marked_product, marked_sum, one_bracket
from longhold.study.representable.circuit import Cell
from longhold.study.representable.latches import latch
from longhold.study.representable.machines import Automaton, chosen_slots, delay_line, slots
from longhold.study.trial.evaluation import TEST_STREAM, mean_score
from longhold.tasks import (
    MQAR,
    Adding,
    AddingAnywhere,
    Agreement,
    AnBn,
    AnBnStrings,
    Copy,
    CopyMarkers,
    CopyTail,
    Dyck,
    EmbeddedReber,
    MixedRecall,
    Multiplication,
    Parity,
    Recall,
    SelectiveCopy,
    SpanRecall,
    StreamRecall,
    Task,
    TemporalOrder,
    WordProblem,
)
from longhold.tasks.agreement import NOUNS, VERBS, VOCABULARY
from longhold.tasks.reber import EDGES, SYMBOLS
from longhold.tasks.temporal_order import TRIGGER, X
from longhold.tasks.word_problem import PRODUCT

Solution: TypeAlias = Callable[[Any, Cell], Classifier | None]
"""From a task of one class and a cell to a network; None where none is at hand."""


def _parity() -> Automaton:
    return Automaton(0, lambda q, x: q ^ x, lambda q, x: [q ^ x])


def _s3() -> Automaton:
    return Automaton(0, lambda q, x: PRODUCT[q][x], lambda q, x: [PRODUCT[q][x]])


def _order(task: TemporalOrder) -> Automaton:
    """A state is the marks so far as binary digits behind a leading 1."""
    full = 2**task.marks

    def step(state: int, symbol: int) -> int:
        return 2 * state + symbol - X if symbol >= X and state < full else state

    return Automaton(1, step, lambda q, x: [q - full] if x == TRIGGER and q >= full else [])


_BEFORE, _OUTER, _INNER = -1, -2, 7  # before all; after the first B; before the inner B, in the place of a node


def _reber() -> Automaton:
    """A state is the outer symbol with the node of the inner graph that its string has come to: `8 outer + node`."""
    plus = SYMBOLS.index("P")

    def step(state: int, symbol: int) -> int:
        if state == _BEFORE:
            return _OUTER
        if state == _OUTER:
            return 8 * (symbol == plus) + _INNER
        outer, node = divmod(state, 8)
        if node == _INNER:
            return 8 * outer
        return 8 * outer + {SYMBOLS.index(letter): lead for letter, lead in EDGES[node]}.get(symbol, 6)

    def answer(state: int, symbol: int) -> list[int]:
        after = step(state, symbol)
        letters = {5: "E", 6: "TP"[max(after, 0) // 8]}
        return [SYMBOLS.index(letters[after % 8])] if after >= 0 and after % 8 in letters else []

    return Automaton(_BEFORE, step, answer)


def _first_noun() -> Automaton:
    """0 until a noun whose form tells, then 1 or 2 by its number; the answers are the verbs of that number."""
    numbers = {VOCABULARY.index(noun): 1 + number for number in (0, 1) for noun in NOUNS[number]}
    verbs = [[VOCABULARY.index(verb) for verb in VERBS[number]] for number in (0, 1)]

    def step(state: int, symbol: int) -> int:
        return state or numbers.get(symbol, 0)

    return Automaton(0, step, lambda q, x: verbs[step(q, x) - 1] if step(q, x) else [])


_SOLUTIONS: dict[type[Task], Solution] = {
    Recall: lambda task, cell: latch(task, cell, task.symbols),
    MixedRecall: lambda task, cell: latch(task, cell, task.symbols),
    SpanRecall: lambda task, cell: delay_line(task, task.items + task.lag, task.symbols).on(cell),
    StreamRecall: lambda task, cell: delay_line(task, task.lag, task.symbols).on(cell),
    Copy: lambda task, cell: slots(task).on(cell),
    CopyMarkers: lambda task, cell: slots(task).on(cell),
    CopyTail: lambda task, cell: chosen_slots(task).on(cell),
    SelectiveCopy: lambda task, cell: chosen_slots(task).on(cell),
    Parity: lambda task, cell: _parity().circuit(task).on(cell),
    WordProblem: lambda task, cell: _s3().circuit(task).on(cell),
    TemporalOrder: lambda task, cell: _order(task).circuit(task).on(cell),
    EmbeddedReber: lambda task, cell: _reber().circuit(task).on(cell),
    Agreement: lambda task, cell: _first_noun().circuit(task).on(cell),
    AnBn: anbn,
    AnBnStrings: anbn,
    Dyck: lambda task, cell: one_bracket(task, cell) if task.kinds == 1 else None,
    Adding: marked_sum,
    AddingAnywhere: marked_sum,
    Multiplication: marked_product,
    MQAR: first_value_of_a_key,
}


def hand_set(task: Task, cell: str) -> Classifier | None:
    """A network whose weights are set by hand so that it solves the task, of the architecture that the study trains.

    Args:
        task: what it is to solve.
        cell: an architecture as `longhold.models.network` names it; `rnn`, `irnn`, `gru` and `lstm` have networks.

    Returns:
        None where no such network is at hand, which does not mean that there is none.
    """
    solution = _SOLUTIONS.get(type(task))
    known: dict[str, Cell] = {name: name for name in get_args(Cell)}
    return None if solution is None or cell not in known else solution(task, known[cell])


@final
@dataclass(frozen=True)
class Representable:
    """What a network scores whose weights were set by hand."""

    cell: str
    """Its architecture."""
    hidden_size: int
    """Units of a layer."""
    num_layers: int
    """Layers."""
    parameters: int
    """Numbers that would be trainable."""
    score: float
    """In the task's unit, mean over the tests."""
    recall: float
    """0 for guessing, 1 for perfect, mean over the tests."""
    solved: bool
    """Whether every test counts as solved."""
    sequences: int
    """In each test, the fewest where they differ."""


def representable(task: Task, tests: Sequence[Task], cell: str) -> Representable | None:
    """Examine the hand-set network for a task as trained networks are: on fresh sequences of each test.

    The sequences are those of seed 0, `tested_sequences` of each test. Measured once in a process.

    Returns:
        None where no such network is at hand.
    """
    return _measured(task, tuple(tests), cell) if type(task) in _SOLUTIONS else None


@cache
def _measured(task: Task, tests: tuple[Task, ...], cell: str) -> Representable | None:
    model = hand_set(task, cell)
    if model is None:
        return None
    scores = [mean_score(model, test, TEST_STREAM * (i + 1), test.tested_sequences) for i, test in enumerate(tests)]
    results = list(zip(tests, scores, strict=True))
    return Representable(
        cell=cell,
        hidden_size=model.config.hidden_size,
        num_layers=model.config.num_layers,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        score=fmean(scores),
        recall=fmean(test.recall(score) for test, score in results),
        solved=all(test.solved(score) for test, score in results),
        sequences=min(test.tested_sequences for test in tests),
    )
