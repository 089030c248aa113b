import json
import math

import pytest
import torch

from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.study.recall import ARMS, Arm, RecallConfig, RecallRow, fit_steps, run_recall, run_study
from longhold.study.row import TrialSpec
from longhold.study.trial import network
from longhold.study.workers import Job, Workers

EASY = RecallConfig(
    arms=(Arm(cell="gru", init="chrono"), Arm(cell="lstm", init="chrono")), lags=(2, 5), seeds=(0, 1), steps=4
)


def run_of(**changes):
    values = {"arms": (Arm(cell="lstm", init="chrono"),), "lags": (3,), "seeds": (0,), **changes}
    return RecallConfig(**values).runs()[0]


def test_every_arm_has_the_same_number_of_parameters_within_two_percent():
    counts = [parameter_count(network(run.spec())) for run in RecallConfig().runs()]
    assert len(counts) == len(ARMS) * 3 * 3
    assert max(counts) / min(counts) < 1.02
    assert max(abs(count - RecallConfig().parameters) for count in counts) < 0.02 * RecallConfig().parameters


def test_the_prior_is_given_to_every_cell_that_can_take_it():
    assert {arm.cell for arm in ARMS if arm.init == "chrono"} == {"gru", "lstm"}
    assert {arm.cell for arm in ARMS if arm.init == "uniform"} == {"rnn", "gru", "lstm"}


def test_chrono_alone_is_told_the_length_of_the_task():
    assert Arm(cell="gru", init="chrono").told(32) == "chrono:34"
    assert Arm(cell="gru", init="chrono:99").told(32) == "chrono:99"
    assert Arm(cell="rnn", init="orthogonal").told(32) == "orthogonal"
    assert run_of().spec().initialisation == "chrono:5"
    assert run_of().task.length == 5


def test_an_easy_lag_is_learnt_and_training_stops_there():
    row = run_recall(run_of(lr=0.02, steps=300))
    assert row.solved
    assert row.failure is None
    assert 20 <= row.steps < 300
    assert row.accuracy > 0.97
    assert row.recall == pytest.approx((row.accuracy - 1 / 8) / (7 / 8))
    assert row.parameters == parameter_count(network(row.run.spec()))


def test_an_untrained_model_guesses():
    row = run_recall(run_of(steps=1, lr=1e-9, test_sequences=4096))
    assert not row.solved
    assert row.steps == 1
    assert abs(row.recall) < 4 * math.sqrt((1 / 8) * (7 / 8) / 4096) / (7 / 8) + 0.03


def test_a_loss_that_becomes_non_finite_is_a_failed_run():
    row = run_recall(run_of(lr=1e36, steps=50))
    assert row.accuracy is None
    assert row.recall is None
    assert not row.solved
    assert "non-finite" in row.failure


def test_a_row_depends_on_its_run_alone():
    run = run_of(steps=5)
    first = run_recall(run)
    torch.manual_seed(99)
    torch.rand(7)
    run_recall(run_of(steps=3, seeds=(4,)))
    assert run_recall(run) == first
    assert run_recall(run_of(steps=5, seeds=(1,))).accuracy != first.accuracy


def test_a_row_survives_json():
    for row in (run_recall(run_of(steps=2)), RecallRow(run_of(), 5, 2, None, "broke", 0.5)):
        assert RecallRow.from_json(json.loads(json.dumps(row.to_json()))) == row


@pytest.mark.slow
def test_rows_do_not_depend_on_the_order_or_the_number_of_workers():
    alone = tuple(run_recall(run) for run in reversed(EASY.runs()))[::-1]
    seen = []
    with Workers(2) as workers:
        together = run_study(EASY, workers, seen.append)
        jobs = [Job("recall", run.model_dump(mode="json")) for run in EASY.runs()]
        backwards = {7 - i: RecallRow.from_json(values) for i, values in workers.map(jobs[::-1])}
    assert together == tuple(backwards[i] for i in range(8))
    assert [row.run for row in together] == list(EASY.runs())
    assert {row.run for row in seen} == set(EASY.runs())
    for a, b in zip(
        together, alone, strict=True
    ):  # here with as many threads as the test has: close, not the same bits
        assert (a.run, a.steps, a.parameters) == (b.run, b.steps, b.parameters)
        assert a.accuracy == pytest.approx(b.accuracy, abs=0.01)


class FakeWorkers:
    """Every step takes a second per unit of lag; the GRU's takes twice that."""

    count = 2

    def map(self, jobs):
        for i, job in enumerate(jobs):
            assert job.name == "step_time"
            run = TrialSpec(**job.argument)
            yield i, (run.level * (2 if run.cell == "gru" else 1), 1e-9)


def test_steps_fit_the_time_of_all_workers_and_never_exceed_the_limit():
    total = 2 * (2 + 5) * (1 + 2)  # seconds for one step of each of the 8 runs
    test_steps = EASY.test_sequences / EASY.batch_size / 3
    many = EASY.model_copy(update={"steps": 1000})
    fitted = fit_steps(many, lambda: 2100.0, FakeWorkers())
    assert fitted.steps == int(2100 * 2 * 0.9 / total - test_steps)
    assert fitted.model_copy(update={"steps": 1000}) == many
    assert fit_steps(EASY, lambda: 1e9, FakeWorkers()).steps == EASY.steps
    assert fit_steps(EASY, lambda: -5.0, FakeWorkers()).steps == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lags": (0,)}, "lags"),
        ({"lags": ()}, "lags"),
        ({"arms": ()}, "arms"),
        ({"seeds": ()}, "seeds"),
        ({"test_sequences": 999}, "test_sequences"),
        ({"seeds": (-1,)}, "seeds"),
        ({"lrr": 1}, "lrr"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        RecallConfig(**changes)


def test_an_initialisation_that_a_cell_cannot_take_is_refused():
    with pytest.raises(InputError, match="gate"):
        RecallConfig(arms=(Arm(cell="rnn", init="chrono"),)).runs()
