import copy
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.models.cost import flops_per_token
from longhold.study.trial.evaluation import TEST_STREAM
from longhold.study.trial.trial import _Learner, network, run_trial, sequences, step_time, windows
from longhold.tasks import StreamRecall, task_from_json
from longhold.training.stopping import WINDOW
from tests.study.tiny import RECALL, spec


def test_an_easy_size_is_solved_and_a_size_beyond_the_steps_is_not() -> None:
    easy, hard = run_trial(spec(lag=2)), run_trial(spec(lag=60, steps=25))
    assert easy.solved
    assert easy.score is not None
    assert easy.score > 0.92
    assert easy.recall == pytest.approx((easy.score - 1 / 4) / (3 / 4))
    assert WINDOW <= easy.steps_used < 150
    assert not hard.solved
    assert hard.solved_step is None
    assert hard.steps_used == 25
    assert hard.error is None


def test_the_score_is_the_accuracy_on_sequences_of_its_own() -> None:
    """A model that reads the symbol off the input at the question, where it never is, can only guess."""
    untrained = run_trial(spec(steps=1, lr=1e-9, test_sequences=4000))
    assert untrained.test_sequences == 4000
    assert abs(untrained.score - 1 / 4) < 5 * math.sqrt(1 / 4 * 3 / 4 / 4000)
    task = task_from_json(spec().task)
    first, second = (task.batches(seed, 64).at(0).inputs for seed in (0, TEST_STREAM))
    assert not torch.equal(first, second)


def test_the_step_of_solving_is_when_the_last_batches_first_count_as_solved() -> None:
    """Recall rises through 0.9 (solved) before it reaches 0.97 (stop)."""
    made = run_trial(spec())
    assert made.solved_step is not None
    assert WINDOW <= made.solved_step <= made.steps_used
    assert run_trial(spec(stop_at=None)).solved_step == made.solved_step
    assert run_trial(spec(stop_at=None)).steps_used == 150
    assert run_trial(spec(steps=made.solved_step - 1, stop_at=None)).solved_step in (None, made.solved_step - 1)


def test_the_curve_is_the_mean_between_its_points_and_ends_where_the_run_ends() -> None:
    made = run_trial(spec(steps=130, stop_at=None))
    assert [point[0] for point in made.curve] == list(range(2, 131, 2))
    every = run_trial(spec(steps=40, stop_at=None))
    assert [point[0] for point in every.curve] == list(range(1, 41))
    both = [every.curve[0][1], every.curve[1][1]]
    assert made.curve[0][1] == pytest.approx(np.mean(both))
    assert every.curve[0][1] == pytest.approx(math.log(4), abs=0.3)


ADDING = {"name": "adding", "steps": 6}


@pytest.mark.parametrize(("steps", "word"), [(40, "in step 2"), (1, "score")])
def test_a_run_that_diverges_is_a_row_that_failed(steps: int, word: str) -> None:
    """Also where it diverges in its last step, so that only the test can tell."""
    made = run_trial(spec(cell="irnn", init="identity", lr=1e36, steps=steps, task=ADDING, tests=(ADDING,)))
    assert made.error is not None
    assert "non-finite" in made.error
    assert word in made.error
    assert (made.score, made.recall, made.solved, made.solved_step) == (None, None, False, None)
    assert made.steps_used == min(steps, 2)
    made.to_json()


def test_a_row_depends_on_its_specification_alone() -> None:
    wanted = spec(steps=8)
    first = run_trial(wanted)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_trial(spec(steps=3, seed=4))
        assert torch.get_num_threads() == 2
        assert run_trial(wanted).result() == first.result()
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert run_trial(spec(steps=8, seed=1)).curve != first.curve


def test_shuffled_labels_give_chance() -> None:
    """The control: the same code, the same size, but in training the answers belong to other sequences."""
    control, real = run_trial(spec(lag=1, shuffled_labels=True)), run_trial(spec(lag=1))
    assert real.solved
    assert not control.solved
    assert control.steps_used == 150
    assert abs(control.recall) < 0.15
    assert control.curve[-1][1] == pytest.approx(math.log(4), abs=0.1)


def test_the_size_is_given_or_solved() -> None:
    given, solved = network(spec(hidden_size=9)), network(spec(hidden_size=None, parameters=2000))
    assert given.hidden_size == 9
    assert abs(parameter_count(solved) - 2000) < 120
    made = run_trial(spec(hidden_size=None, parameters=2000, steps=1))
    assert made.hidden_size == solved.hidden_size
    assert made.parameters == parameter_count(solved)
    assert made.state_bytes == 2 * 4 * made.hidden_size
    assert made.flops_per_token > 2 * 4 * made.hidden_size**2


@pytest.mark.parametrize(
    ("cell", "init"),
    [
        ("rnn", "orthogonal"),
        ("irnn", "identity"),
        ("gru", "chrono:9"),
        ("minlstm", "uniform"),
        ("transformer", "uniform"),
    ],
)
def test_every_architecture_runs(cell: str, init: str) -> None:
    made = run_trial(spec(cell=cell, init=init, steps=2))
    assert made.error is None
    assert made.tokens_per_second > 0


@pytest.mark.parametrize(
    "task",
    [
        {"name": "adding", "steps": 8},
        {"name": "anbn"},
        {"name": "parity", "longest": 5, "tested": 9},
        {"name": "copy", "blanks": 3, "items": 2},
        {"name": "mqar", "pairs": 2, "steps": 12, "vocabulary": 8},
        {"name": "agreement"},
        {"name": "stream_recall", "lag": 2, "symbols": 3},
    ],
    ids=lambda task: task["name"],
)
def test_every_task_is_trained_and_examined(task: dict[str, object]) -> None:
    """An untrained model is no better than chance allows, in the task's own unit."""
    plain = task_from_json(task)
    tests = (plain.examination.to_json(),)
    made = run_trial(spec(task=plain.to_json(), tests=tests, vary=None, level=None, protocol="plain", steps=2, lr=1e-6))
    assert made.error is None
    assert not made.solved
    assert made.unit == plain.unit
    assert made.chance == pytest.approx(plain.examination.chance)
    assert made.recall < 0.6


def test_a_model_of_many_lags_is_tested_at_each() -> None:
    mixed = {"name": "mixed_recall", "shortest": 1, "longest": 4, "symbols": 4, "distractors": 3}
    tests = tuple({**RECALL, "lag": lag} for lag in (2, 40))
    made = run_trial(spec(protocol="extrapolated", task=mixed, tests=tests, vary=None, level=None, steps=300))
    near, far = made.by_lag
    assert (near.lag, far.lag) == (2, 40)
    assert near.solved
    assert made.recall == pytest.approx((near.recall + far.recall) / 2)
    assert made.solved == far.solved
    assert made.lag is None


def test_an_examination_at_several_values_tells_them() -> None:
    task, tests = (
        {"name": "parity", "longest": 6, "tested": 6},
        ({"name": "parity", "longest": n, "tested": n} for n in (3, 9)),
    )
    made = run_trial(spec(task=task, tests=tuple(tests), examine="longest", vary=None, level=None, steps=2))
    assert [(test.level, test.lag) for test in made.by_lag] == [(3, None), (9, None)]


def test_more_sequences_are_tested_where_the_task_asks_for_more() -> None:
    task = task_from_json({"name": "anbn"}).examination
    assert sequences(spec(), task) == max(1000, task.tested_sequences)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cell": "abacus"}, "abacus"),
        ({"init": "hope"}, "hope"),
        ({"cell": "rnn", "init": "chrono:9"}, "gate"),
        ({"task": {"name": "nonsense"}}, "nonsense"),
        ({"tests": ({"name": "parity"},)}, "same inputs"),
        ({"hidden_size": None, "parameters": 5}, "too small"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(changes: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as refused:
        run_trial(spec(**changes))
    assert "\n" not in str(refused.value)


def test_a_longer_task_takes_longer() -> None:
    short, long = step_time(spec(lag=1)), step_time(spec(lag=300))
    assert 0 < short.core < long.core
    assert short.wall > 0


def test_a_probe_reads_what_the_state_holds_and_its_control_does_not() -> None:
    """A model that answers two steps late holds the last three symbols, whatever it says, and no more than a few."""
    task = {"name": "stream_recall", "lag": 2, "symbols": 4, "asked": 10}
    made = run_trial(spec(protocol="readable", task=task, tests=(task,), probed=(1, 2, 9), vary=None, level=None))
    assert made.solved
    assert [read.lag for read in made.by_lag] == [1, 2, 9]
    assert [read.solved for read in made.by_lag] == [True, True, False]
    assert [read.lag for read in made.control] == [1, 2, 9]
    assert max(abs(read.recall) for read in made.control) < 0.15
    assert run_trial(spec(steps=2)).control == ()


@pytest.mark.parametrize(
    ("steps", "sizes"), [(None, [7]), (7, [7]), (9, [7]), (3, [1, 3, 3]), (1, [1] * 7), (5, [2, 5])]
)
def test_windows_are_counted_from_the_end_and_leave_nothing_out(steps: int | None, sizes: list[int]) -> None:
    batch = StreamRecall(3, 4, 4).batches(0, 5).at(0)
    found = list(windows(batch, steps))
    assert [len(one.inputs) for one in found] == sizes
    for whole, *parts in zip(batch, *found, strict=True):
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
@pytest.mark.parametrize("truncation", [2, 3, 30])
def test_gradients_of_all_windows_add_up_and_go_no_further_back(cell: str, truncation: int) -> None:
    """Against one forward pass, step by step, with the state cut at the borders, and one mean loss over all answers."""
    task = {"name": "stream_recall", "lag": 2, "symbols": 3, "asked": 5}
    learner = _Learner(spec(task=task, tests=(task,), cell=cell, vary=None, level=None, truncation=truncation))
    other = copy.deepcopy(learner.model)
    batch = learner.task.batches(0, 32).at(0)
    seen: list[torch.Tensor] = []
    learner._optimizer.register_step_pre_hook(
        lambda *_: seen.extend(p.grad.clone() for p in learner.model.parameters())
    )
    loss, _ = learner.step(0)
    outputs, state, length = [], None, len(batch.inputs)
    for t in range(length):
        if t and (length - t) % truncation == 0:
            state = other.detach(state)
        output, state = other(batch.inputs[t : t + 1], state)
        outputs.append(output)
    whole = functional.cross_entropy(torch.cat(outputs)[batch.mask], batch.targets[batch.mask])
    whole.backward()
    assert loss == pytest.approx(float(whole.detach()), rel=1e-5)
    torch.nn.utils.clip_grad_norm_(other.parameters(), learner.spec.clip_norm)
    for name, given, expected in zip(dict(other.named_parameters()), seen, other.parameters(), strict=True):
        torch.testing.assert_close(given, expected.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_window_as_long_as_the_sequence_is_no_truncation() -> None:
    whole, cut = (run_trial(spec(steps=20, truncation=steps)) for steps in (None, 5))
    assert cut.spec.arm == "lstm uniform, truncated at 5"
    assert (whole.curve, whole.score) == (cut.curve, cut.score)
    assert run_trial(spec(steps=20, truncation=2)).curve != whole.curve


def test_a_run_that_is_only_timed_is_not_tested() -> None:
    timed = run_trial(spec(stage="timing", steps=3, stop_at=None))
    assert (timed.score, timed.recall, timed.solved, timed.error, timed.steps_used) == (None, None, False, None, 3)
    assert 0 < timed.step_seconds < timed.core_seconds


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "transformer", "mingru"])
def test_the_size_is_solved_for_operations(cell: str) -> None:
    config = network(spec(cell=cell, hidden_size=None, flops=20_000))
    length = task_from_json(spec().task).length
    counts = [flops_per_token(config.with_hidden_size(config.hidden_size + by), length) for by in (-1, 0, 1)]
    assert abs(counts[1] - 20_000) <= min(abs(counts[0] - 20_000), abs(counts[2] - 20_000))
    assert flops_per_token(config, length) == counts[1]
