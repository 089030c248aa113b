import pytest

from longhold.errors import InputError
from longhold.study.execution.cost import (
    Bill,
    Costs,
    Forecast,
    bills,
    kind_of,
    measure,
    refuse_beyond_budget,
    representatives,
)
from longhold.study.execution.workers import Job, Pool
from longhold.study.plan.agenda import agenda
from tests.study.tiny import experiment, plan, row, spec


class Clock(Pool):
    """Every step takes a hundredth of a second per unit of lag."""

    count = 3

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> None:
        pass

    def submit(self, job: Job) -> int:
        self.jobs.append(job)
        return 100 + len(self.jobs)

    def collect(self, timeout=None):
        job = self.jobs.pop()
        return 101 + len(self.jobs), [99.0, job.argument["level"] / 100]


def test_what_does_not_change_a_step_is_not_timed_twice() -> None:
    alike = [spec(), spec(seed=3), spec(lr=0.5), spec(init="forget:1"), spec(steps=7), spec(stage="tuning")]
    assert len({kind_of(one) for one in alike}) == 1
    other = [
        spec(),
        spec(lag=9),
        spec(cell="gru"),
        spec(hidden_size=13),
        spec(batch_size=33),
        spec(test_sequences=2000),
    ]
    assert len({kind_of(one) for one in other}) == 6
    assert list(representatives(alike).values()) == [alike[0]]


def test_a_run_costs_its_steps_and_its_tests() -> None:
    costs = measure([spec(lag=4), spec(lag=8)], Clock())
    test_batches = 1000 / 32 / 3
    assert costs.at_most(spec(lag=8, steps=150)) == pytest.approx(0.08 * (150 + test_batches))
    assert costs.at_most(spec(lag=4, steps=10)) == pytest.approx(0.04 * (10 + test_batches))


class Busy(Clock):
    """A quarter of the time on the clock goes to others."""

    def collect(self, timeout=None):
        ticket, (_, core) = super().collect(timeout)
        return ticket, [core * 4 / 3, core]


def test_a_busy_machine_is_told_and_costs_stay_processor_time() -> None:
    costs = measure([spec(lag=4), spec(lag=8)], Busy())
    assert costs.slowdown == pytest.approx(4 / 3)
    assert costs.at_most(spec(lag=8, steps=150)) == measure([spec(lag=8)], Clock()).at_most(spec(lag=8, steps=150))
    assert measure([], Busy()).slowdown == 1.0
    step, tests = costs.step_and_tests(spec(lag=8, steps=150))
    assert 150 * step + tests == pytest.approx(costs.at_most(spec(lag=8, steps=150)))


def test_the_bill_is_the_sum_over_what_is_left() -> None:
    study = plan(experiment(expected_share=0.25))
    everything = agenda(study, {})
    costs = Costs(dict.fromkeys(representatives(everything.specs()), 0.01))
    (bill,) = bills(study, everything, costs)
    each = 0.01 * (12 + 1000 / 16 / 3)
    assert bill.runs == 12
    assert bill.at_most == pytest.approx(12 * each)
    assert bill.predicted == pytest.approx(bill.at_most / 4)
    begun = row(everything.ready[0].spec)
    (rest,) = bills(study, agenda(study, {begun.digest: begun}), costs)
    assert rest.at_most == pytest.approx(11 * each)


def test_a_plan_over_its_budget_is_refused_with_what_to_cut() -> None:
    two = plan(experiment(), experiment(name="other", steps=40), core_seconds=100)
    refuse_beyond_budget(two, (Bill("hold", 6, 90, 30), Bill("other", 6, 90, 60)))
    with pytest.raises(InputError, match="90 core-seconds, over its budget of 80") as found:
        refuse_beyond_budget(two.with_core_seconds(80), (Bill("hold", 6, 90, 30), Bill("other", 6, 90, 60)))
    assert "'other'" in str(found.value)
    assert "steps to 33" in str(found.value)  # 40 * (80 - 30) / 60
    with pytest.raises(InputError, match="steps to 20"):
        refuse_beyond_budget(two.with_core_seconds(80), (Bill("hold", 6, 90, 30), Bill("other", 6, 90, 60)), used=20)
    with pytest.raises(InputError, match="leave it out"):
        refuse_beyond_budget(two.with_core_seconds(20), (Bill("hold", 6, 90, 30), Bill("other", 6, 90, 60)))


def test_a_forecast_takes_rows_of_its_like_then_costs_then_anything_near() -> None:
    study = plan()
    specs = [item.spec for item in agenda(study, {}).ready]  # two arms, seeds 0 and 1, level 1
    same, other = specs[1], specs[2]
    rows = [row(specs[0], core_seconds=3.0)]
    costs = Costs({kind_of(other): 1.0})
    assert Forecast(study, rows).of(same) == 3.0
    assert Forecast(study, rows, costs).of(other) == costs.at_most(other)
    assert Forecast(study, rows).of(other) == 3.0
    assert Forecast(study, []).of(other) is None
    assert Forecast(study, []).total([other]) is None
    assert Forecast(study, rows, costs).total([same, other]) == 3.0 + costs.at_most(other)
