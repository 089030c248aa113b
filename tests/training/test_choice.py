"""What a time budget is spent on, on machines of any speed."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.data.corpora import Corpus
from longhold.errors import InputError
from longhold.models.cost import flops_per_token
from longhold.training import forecast
from longhold.training.choice import choose
from longhold.training.plan import TextOptions, TextPlan, plan_text, within_budget
from longhold.training.presets import Candidate, Preset, candidates, preset
from longhold.training.recipe import train_text
from tests.training.test_recipe import story

SIZES = (1_000, 2_700, 30_000, 49_999, 54_000, 161_000, 900_000, 3_000_000, 10_000_000)
SPEEDS = (1e8, 1e9, 1e10, 1e11, 1e12)
BUDGETS = (5, 10, 30, 70, 150, 600, 1800)


operations = functools.cache(flops_per_token)


class Machine:
    """Takes for each step as long as its operations need."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.timed: list[Preset] = []
        self.spent = 0.0

    def seconds(self, given: Preset) -> float:
        tokens = given.config.batch_size * given.config.sequence_length
        return 3 * tokens * operations(given.model_config(100)) / self.speed

    def __call__(self, given: Preset) -> float:
        self.timed.append(given)
        self.spent += self.seconds(given)
        return self.seconds(given)


def offered(characters: int, cores: int = 2, **given: Any) -> tuple[Candidate, ...]:
    return candidates(characters, "cpu", cores, **given)


@pytest.mark.parametrize("characters", SIZES)
@pytest.mark.parametrize("cores", [2, 16])
def test_no_richer_network_gets_fewer_steps_than_the_text_needs(characters: int, cores: int) -> None:
    own, offers = preset(characters, "cpu", cores), offered(characters, cores)
    for speed in SPEEDS:
        for seconds in BUDGETS:
            machine = Machine(speed)
            chosen = choose(offers, seconds, machine)
            if chosen == offers[-1].preset:
                continue
            steps = seconds / machine.seconds(chosen)
            if characters < 2_000_000:
                tokens = chosen.config.batch_size * chosen.config.sequence_length
                needed = own.config.steps * own.config.batch_size * own.config.sequence_length
                assert steps * tokens >= needed
            assert steps >= min(own.config.steps, 1000)


@pytest.mark.parametrize("characters", SIZES)
@pytest.mark.parametrize("cores", [2, 16])
def test_more_time_never_chooses_what_needs_less(characters: int, cores: int) -> None:
    offers = offered(characters, cores)
    places = [[one.preset for one in offers].index(choose(offers, seconds, Machine(speed)))
              for speed in SPEEDS for seconds in BUDGETS]  # fmt: skip
    for row in range(0, len(places), len(BUDGETS)):
        course = places[row : row + len(BUDGETS)]
        assert course == sorted(course, reverse=True)
    by_speed = [places[column :: len(BUDGETS)] for column in range(len(BUDGETS))]
    assert all(course == sorted(course, reverse=True) for course in by_speed)
    if len(offers) > 1:
        assert {places[0], places[-1]} == {len(offers) - 1, 0}  # both ends are chosen somewhere


@pytest.mark.parametrize("characters", SIZES)
def test_what_is_out_of_reach_is_not_timed(characters: int) -> None:
    offers = offered(characters, 16)
    for speed in SPEEDS:
        for seconds in BUDGETS:
            machine = Machine(speed)
            choose(offers, seconds, machine)
            least = machine.seconds(offers[-1].preset)
            assert machine.spent - least <= 0.15 * seconds
            assert len(machine.timed) <= len(offers)


def test_the_text_that_once_ended_worse_with_a_budget() -> None:
    """3 kB, 30 s, 24 steps of AWD-LSTM by a rule of thumb, where a step took more than a second."""
    offers = offered(2700)
    awd = next(one.preset for one in offers if one.preset.regularization)
    assert choose(offers, 30, lambda given: 1.2 if given == awd else 0.35) == offers[-1].preset
    assert choose(offers, 30, lambda given: 0.05 if given == awd else 0.015) == awd


def test_one_candidate_needs_no_clock() -> None:
    def clock(given: Preset) -> float:
        raise AssertionError

    (only,) = offered(2700, hidden_size=64)
    assert choose((only,), 30, clock) == only.preset


def text(words: int = 700) -> Corpus:
    return Corpus("story.txt", story(words), "utf-8", 1, ())


def planned(folder: Path | None = None, words: int = 700, **values: Any) -> tuple[TextPlan, list[str]]:
    said: list[str] = []
    options = TextOptions(budget_seconds=values.pop("budget_seconds", 30), **values)
    plan = plan_text(text(words), options, None, torch.device("cpu"), folder, False, said.append)
    return within_budget(plan, options.budget_seconds, said.append), said


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Seconds of a step by the width of the network, in place of a clock."""
    seconds = {128: 0.01, 256: 0.02}

    def probe(model: Any, batches: Any, config: Any) -> Any:
        return lambda: seconds[model.config.hidden_size]

    class Clock:
        perf_counter = staticmethod(lambda: 0.0)

    for place in ("choice", "budget"):
        monkeypatch.setattr(f"longhold.training.{place}.step_probe", probe)
    monkeypatch.setattr("longhold.training.budget.time", Clock)
    return seconds


def test_the_machine_decides_and_all_that_is_said_agrees(pace: dict[int, float]) -> None:
    plan, said = planned()
    assert plan.model.config.weight_dropout > 0
    assert (
        said[-1]
        == f"30 s are about {plan.config.steps:,} steps here, {plan.scale().passes(plan.config.steps)} over the text"
    )
    pace |= {128: 0.4, 256: 1.2}
    plan, said = planned()
    assert plan.model.config.weight_dropout == 0
    assert plan.config.steps == 71
    assert said[-1].startswith("30 s are about 71 steps here, ")
    assert said[-1].endswith("too few to learn much; 200 would take about 85 s")
    assert sum("pass" in sentence for sentence in said) == 1


def test_what_a_person_decided_is_not_weighed(pace: dict[int, float]) -> None:
    assert planned(hidden_size=128)[0].model.config.weight_dropout == 0
    assert planned(num_layers=2, model={"hidden_size": 256})[0].model.config.weight_dropout == 0
    assert planned(recipe="standard")[0].model.config.weight_dropout == 0
    pace |= {128: 0.4, 256: 1.2}
    slow, _ = planned(recipe="awd")
    assert (slow.model.config.hidden_size, slow.model.config.weight_dropout > 0) == (128, True)
    assert planned(training={"lr": 0.123})[0].config.lr == 0.123


def test_what_does_not_go_with_a_setting_is_not_chosen(pace: dict[int, float]) -> None:
    assert planned(model={"tie_weights": True, "input_dropout": 0.1})[0].model.config.input_dropout == 0.1
    with pytest.raises(InputError, match="weight_drop"):
        planned(model={"weight_drop": 0.2})


def test_steps_that_were_given_are_not_exceeded(pace: dict[int, float]) -> None:
    few, _ = planned(training={"steps": 60})
    assert (few.config.steps, few.config.run_seconds, few.config.evaluate_every) == (60, None, None)
    many, _ = planned(training={"steps": 10**6})
    assert 1000 < many.config.steps < 2000
    assert many.config.run_seconds is not None


def test_timing_leaves_no_trace() -> None:
    """The run is that of the same settings without a budget, to the bit."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    timed = train_text(text(300), TextOptions(budget_seconds=20, training={"steps": 3, "evaluate_every": 3}))
    assert torch.equal(torch.get_rng_state(), before)
    config = timed.model.config
    settled = {"hidden_size": config.hidden_size, "recipe": "awd" if config.weight_dropout else "standard"}
    found = forecast(text(300), TextOptions(budget_seconds=20, training={"steps": 3, "evaluate_every": 3}))
    plain = {"steps": 3, "evaluate_every": 3, "lr": found.training.lr, "warmup_steps": found.training.warmup_steps}
    again = train_text(text(300), TextOptions(**settled, training=plain))
    assert again.model.config == config
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, timed.model.state_dict()[name])


def test_a_run_has_decided_once(pace: dict[int, float], tmp_path: Path) -> None:
    first, _ = planned(tmp_path)
    assert first.run is not None
    with first.run.opened(first.config):
        pass
    stored = json.loads((tmp_path / "plan.json").read_text())
    assert stored["facts"].keys() == {"text_sha256", "tokenizer_sha256", "model"}
    pace |= {128: 4.0, 256: 12.0}
    again, _ = planned(tmp_path)
    assert (again.config, again.model.config) == (first.config, first.model.config)
    other, _ = planned(tmp_path, budget_seconds=31)
    assert other.model.config != first.model.config
    pace |= {128: math.inf, 256: math.inf}
    assert planned(tmp_path)[0].config == first.config


def test_the_slowest_worker_counts(pace: dict[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        rank, world, main = 0, 1, True

        def from_main(self, function: Any) -> Any:
            return function()

        def gather(self, value: Any) -> list[Any]:
            return [value]

        def largest(self, values: list[float]) -> list[float]:
            return [100 * value for value in values]

    monkeypatch.setattr("longhold.training.choice.join", Slow)
    assert planned()[0].model.config.weight_dropout == 0
