"""Running a plan: what is ready goes to processes, rows go to the store, until nothing is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from longhold.errors import InputError
from longhold.study.execution.cost import Bill, Costs, Forecast, bills, measure, refuse_beyond_budget
from longhold.study.execution.preflight import require_runnable
from longhold.study.execution.ray_pool import RayPool
from longhold.study.execution.workers import Job, Pool, Workers
from longhold.study.plan.agenda import Agenda, Item, Planner, agenda
from longhold.study.plan.plan import Plan
from longhold.study.rows.row import Row
from longhold.study.rows.spec import TrialSpec
from longhold.study.rows.store import Store
from longhold.training.presets import available_cores


def pool_named(name: str, workers: int | None = None) -> Pool:
    """Processes on this machine (`local`) or on a Ray cluster (`ray`), one thread each.

    Args:
        name: `local` or `ray`.
        workers: how many; None: one for each core that there is.

    Raises:
        InputError: another name, no workers, or Ray is not installed.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers={workers}: expected at least 1")
    if name == "local":
        return Workers(workers or available_cores())
    if name == "ray":
        return RayPool(workers)
    raise InputError(f"executor {name!r}: expected local or ray")


@final
@dataclass(frozen=True)
class StudyProgress:
    """Where a study stands."""

    done: int
    """Rows of the plan that there are."""
    left: int
    """Runs that are left at most; fewer where levels are skipped."""
    running: int
    """Runs in hand."""
    seconds_left: float | None
    """Time until nothing is left, at most; None while nothing tells."""
    row: Row | None
    """The run that has just ended, if this report is about one."""


@final
@dataclass(frozen=True)
class StudyEnd:
    """How a study ended."""

    done: int
    """Rows of the plan that there are."""
    left: int
    """Runs that are left at most; 0 for a study that is through."""
    seconds: float
    """Time taken."""


def cost_of(plan: Plan, store: Store, pool: Pool) -> tuple[Bill, ...]:
    """What is left of a plan, in core-seconds, by experiment; times a few steps of each kind of run."""
    left = agenda(plan, _rows(plan, store))
    require_runnable(left.specs(), pool)
    return bills(plan, left, measure(left.specs(), pool))


def run_study(
    plan: Plan,
    store: Store,
    pool: Pool,
    *,
    seconds: float | None = None,
    begin_within: float | None = None,
    costs: Costs | None = None,
    on_progress: Callable[[StudyProgress], None] | None = None,
) -> StudyEnd:
    """Run what is left of a plan, the longest first, and keep each row as it comes.

    Whatever ends this early (a signal, an exception, the time) loses the runs in hand and nothing else; the next call
    goes on from the rows.

    Args:
        plan: the plan.
        store: where rows are kept.
        pool: processes that have been started.
        seconds: no longer than this; None: until nothing is left.
        begin_within: no run begins after so many seconds, and those in hand are finished; None: always.
        costs: what its runs cost, where that is known already; None: it is measured.
        on_progress: called when the study begins and after each row.

    Raises:
        InputError: the plan is predicted to take more than its budget, its runs lack memory or data, or the store
            cannot be used.
        RuntimeError: a run raised or its process died, with what it said.
    """
    store.require_writable()
    began = time.monotonic()
    limits = _Limits(*(None if limit is None else began + limit for limit in (seconds, begin_within)))
    return _Run(plan, store, pool, limits, costs, on_progress or (lambda progress: None)).to_the_end()


@dataclass(frozen=True)
class _Limits:
    """Moments of the monotonic clock; None: no limit."""

    end: float | None
    last_begin: float | None

    def left(self) -> float | None:
        """Seconds to the end, at least 0."""
        return None if self.end is None else max(0.0, self.end - time.monotonic())

    def may_begin(self) -> bool:
        return self.last_begin is None or time.monotonic() < self.last_begin


class _Run:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        pool: Pool,
        limits: _Limits,
        costs: Costs | None,
        on_progress: Callable[[StudyProgress], None],
    ) -> None:
        self._began = time.monotonic()
        self._plan, self._store, self._pool, self._watch = plan, store, pool, on_progress
        self._limits = limits
        self._rows = _rows(plan, store)
        self._in_hand: dict[int, TrialSpec] = {}
        self._planner = Planner(plan)
        self._left = self._planner.agenda(self._rows)
        require_runnable(self._left.specs(), pool)
        self._costs = self._affordable(costs or measure(self._left.specs(), self._pool))

    def _affordable(self, costs: Costs) -> Costs:
        used = sum(row.core_seconds for row in self._left.done)
        refuse_beyond_budget(self._plan, bills(self._plan, self._left, costs), used)
        return costs

    def to_the_end(self) -> StudyEnd:
        self._report(None)
        while self._left.runs and self._limits.left() != 0:
            if self._limits.may_begin():
                self._begin()
            if not self._in_hand:
                break
            ended = self._pool.collect(self._limits.left())
            if ended is not None:
                self._end(*ended)
        return StudyEnd(len(self._left.done), self._left.runs, time.monotonic() - self._began)

    def _begin(self) -> None:
        """Give every free process the run that has most behind it; what decides something of others comes first."""
        taken = {spec.digest for spec in self._in_hand.values()}
        waiting = sorted((item for item in self._left.ready if item.spec.digest not in taken), key=self._urgency)
        for item in waiting[: self._pool.count - len(self._in_hand)]:
            self._in_hand[self._pool.submit(Job("trial", item.spec.model_dump(mode="json")))] = item.spec

    def _urgency(self, item: Item) -> tuple[bool, float]:
        return item.spec.stage == "result", -sum(self._costs.at_most(spec) for spec in (item.spec, *item.then))

    def _end(self, ticket: int, values: dict[str, object]) -> None:
        del self._in_hand[ticket]
        row = Row.from_json(values)
        self._store.write(row)
        self._rows[row.digest] = row
        self._left = self._planner.agenda(self._rows)
        self._report(row)

    def _report(self, row: Row | None) -> None:
        left = Forecast(self._plan, self._left.done, self._costs).total(self._left.specs())
        seconds = None if left is None else left / self._pool.count
        running = min(self._pool.count, len(self._left.ready))
        self._watch(StudyProgress(len(self._left.done), self._left.runs, running, seconds, row))


def status(plan: Plan, store: Store) -> tuple[StudyProgress, Agenda]:
    """Where a study stands by its rows alone; the time left is that of one process."""
    left = agenda(plan, _rows(plan, store))
    seconds = Forecast(plan, left.done).total(left.specs())
    return StudyProgress(len(left.done), left.runs, 0, seconds, None), left


def _rows(plan: Plan, store: Store) -> dict[str, Row]:
    return {row.digest: row for row in store.rows(plan.name, stage=None)}
