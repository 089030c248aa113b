"""The rows of one arm, picked and turned into one figure per seed."""

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from longhold.errors import InputError
from longhold.inspection.h50 import h50
from longhold.study.claims.rows import Run
from longhold.study.horizon.levels import skipped
from longhold.study.statistics import Proportion
from longhold.study.statistics.estimates import Floats


@final
@dataclass(frozen=True)
class Side:
    """The rows of one arm that a question is about."""

    arm: str
    """The arm."""
    runs: tuple[Run, ...]
    """Its rows."""


def side_of(question: str, arm: str, runs: Sequence[Run]) -> Side:
    """The rows of an arm among some.

    Raises:
        InputError: there are two for one seed at one level of one task, or rows of several sizes or budgets.
    """
    mine = [run for run in runs if run.arm == arm]
    sizes = [(run.task, "hidden_size", run.row.hidden_size) for run in mine]
    parameters = [(run.task, "parameters", run.row.parameters) for run in mine]
    budgets = [(run.task, *run.budget) for run in mine]
    for values in (set(sizes), set(parameters), set(budgets)):
        if len(values) > len({run.task for run in mine}):
            name = " or ".join(sorted({name for _, name, _ in values}))
            found = ", ".join(str(value) for value in sorted({value for *_, value in values}))
            raise InputError(f"{question}: rows of {arm!r} with {name} {found}: expected one, name it in `where`")
    twice = [key for key, count in Counter((run.task, run.level, run.seed) for run in mine).items() if count > 1]
    if twice:
        raise InputError(f"{question}: several rows of {arm!r} for seed {twice[0][2]}: expected one each level")
    return Side(arm, tuple(mine))


def at_level(runs: Sequence[Run], level: int) -> list[Run]:
    """The rows at one level, and of the seeds that skipped it what stands for their rows.

    A study may stop an arm's seed after two failures in a row (`longhold.study.horizon.levels`). To leave such seeds
    out would keep only those that did well.
    """
    by_seed, levels = defaultdict[tuple[str, str, int], list[Run]](list), defaultdict[str, set[int]](lambda: {level})
    for run in runs:
        if run.level is not None:
            by_seed[run.task, run.arm, run.seed].append(run)
            levels[run.task].add(run.level)
    found = []
    for (task, _, _), mine in by_seed.items():
        there = [run for run in mine if run.level == level]
        solved = {run.level: run.solved for run in mine if run.level is not None}
        if there:
            found += there
        elif level in skipped(solved, sorted(levels[task])):
            last = max(mine, key=lambda run: run.level or 0)
            found.append(replace(last, level=level, skipped=True))
    return found


def one_per_seed(question: str, side: Side) -> tuple[Run, ...]:
    """The rows of a side, checked to be one for each seed.

    Raises:
        InputError: they are not.
    """
    if len({run.seed for run in side.runs}) < len(side.runs):
        raise InputError(f"{question}: several rows of {side.arm!r} for a seed: expected one level and one task")
    return side.runs


def solve_rate(runs: Sequence[Run]) -> Proportion:
    """How many of some rows solved."""
    return Proportion(sum(run.solved for run in runs), len(runs))


def complete(side: Side, wanted: Set[tuple[str, int | None]]) -> Side:
    """The rows at some tasks and levels, of seeds that have all levels of their task."""
    mine = [run for run in side.runs if (run.task, run.level) in wanted]
    needed = Counter(task for task, _ in wanted)
    had = Counter((run.task, run.seed) for run in mine)
    return Side(side.arm, tuple(run for run in mine if had[run.task, run.seed] == needed[run.task]))


def strata(a: Side, b: Side) -> list[tuple[Floats, Floats]]:
    """For each task the mean recall of every seed, `(n_a,)` and `(n_b,)`; tasks that one side lacks are left out."""
    one, other = _seed_means(a), _seed_means(b)
    return [(one[task], other[task]) for task in sorted(one.keys() & other.keys())]


def _seed_means(side: Side) -> dict[str, Floats]:
    recalls = defaultdict[str, dict[int, list[float]]](dict)
    for run in side.runs:
        recalls[run.task].setdefault(run.seed, []).append(run.recall)
    return {task: np.array([np.mean(known[seed]) for seed in sorted(known)]) for task, known in recalls.items()}


def solved_by_seed(question: str, side: Side) -> dict[int, dict[int, bool]]:
    """`solved[seed][lag]` of the models of one task.

    Raises:
        InputError: a row has no lag, or there are several tasks.
    """
    table = defaultdict[int, dict[int, bool]](dict)
    for run in side.runs:
        if run.level is None:
            raise InputError(f"{question}: row {run.id} has no lag: expected one for a trained horizon")
        table[run.seed][run.level] = run.solved
    if len({run.task for run in side.runs}) > 1:
        raise InputError(f"{question}: rows of several tasks: expected one, name its fields in `where`")
    return table


def horizon(run: Run) -> tuple[float, bool]:
    """The horizon and whether it lies within the lags tested; a run that failed holds nothing."""
    if run.failed:
        return 0.0, True
    found = h50([lag for lag, _ in run.by_lag], [recall for _, recall in run.by_lag])
    return float(found.value), not found.censored
