"""Rows of a study that nobody ran: seeds that solve or fail by lag, horizons beyond the grid, a run that failed.

`python -m tests.study.report.rows_made_up FOLDER` writes the report of the large study, to be looked at.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from longhold.study.plan.plan import Experiment, Plan
from longhold.study.plan.tuning import Setting
from longhold.study.report import write_study_report
from longhold.study.rows.results import LagScore
from longhold.study.rows.row import Row
from longhold.study.rows.spec import Arm, TrialSpec
from longhold.tasks import task_from_json

HOLDS = {"rnn uniform": 20.0, "rnn orthogonal": 55.0, "gru uniform": 30.0, "gru chrono (told the lag)": 400.0}
HOLDS |= {
    "lstm uniform": 12.0,
    "lstm forget:1": 70.0,
    "lstm chrono (told the lag)": 900.0,
    "transformer uniform": 180.0,
}
"""The lag at which half of the seeds of an arm solve; 100 for an arm that is not there."""

FAILURE = "the loss became non-finite in step 12"


def small() -> Plan:
    """Two arms, three lags, three seeds; one comparison."""
    return Plan(**_plan([_recall(arms={"lstm": ["uniform", "chrono"]}, lags=[16, 64, 256], seeds=[0, 1, 2])]))


def large() -> Plan:
    """One experiment of each protocol, tuned learning rates, predictions."""
    recall = _recall(
        arms={"rnn": ["uniform", "orthogonal"], "gru": ["uniform", "chrono"],
              "lstm": ["uniform", "forget:1", "chrono"], "transformer": ["uniform"]},
        lags=[16, 32, 64, 128, 256, 512],
        seeds=list(range(10)),
        lr=None,
        tuning={"grid": [0.0003, 0.001, 0.003, 0.01, 0.03], "seeds": [100, 101, 102], "level": 64},
    )  # fmt: skip
    mixed = _experiment(
        "mixed lags", {"name": "extrapolated", "task": {"name": "mixed_recall"}, "lags": [4, 16, 64, 256]},
        arms={"gru": ["uniform"], "lstm": ["uniform"]}, lr=None, tuning=recall["tuning"] | {"level": None},
    )  # fmt: skip
    read = _experiment(
        "read the state",
        {"name": "readable", "task": {"name": "stream_recall", "lag": 4, "asked": 60}, "lags": [1, 2, 4, 8, 16]},
        arms={"rnn": ["uniform"], "lstm": ["uniform"]},
    )  # fmt: skip
    amount = _experiment(
        "capacity",
        {"name": "capacity", "task": {"name": "span_recall", "lag": 8}, "vary": "items", "values": [1, 2, 4, 8]},
        arms={"rnn": ["uniform"], "lstm": ["uniform"]},
    )
    adding = _experiment(
        "adding", {"name": "plain", "task": {"name": "adding", "steps": 50}},
        arms={"rnn": ["uniform"], "gru": ["uniform"], "lstm": ["uniform"], "transformer": ["uniform"]},
    )  # fmt: skip
    agreement = _experiment(
        "agreement",
        {"name": "plain", "task": {"name": "agreement"}, "examined": {"modifiers": 4}, "examine": "attractors",
         "examine_values": [0, 1, 2, 3, 4]},
        arms={"gru": ["uniform"], "lstm": ["uniform"]},
    )  # fmt: skip
    chrono, solved = "lstm chrono (told the lag)", {"minimum_effect": 0.3, "margin": 0.2}
    family = [
        _question("longer", "trained horizon", "recall", "trained", chrono, "lstm forget:1", predicted=True),
        _question("at 128", "solved", "recall", "trained", chrono, "lstm uniform", levels=[128], predicted=True,
                  **solved),
        _question("gates", "solved", "recall", "trained", "gru uniform", "rnn orthogonal", levels=[32], predicted=True,
                  **solved),
        _question("sooner", "steps", "recall", "trained", "gru chrono (told the lag)", chrono, levels=[64],
                  minimum_effect=0.2, margin=0.2),
        _question("mixed", "seed horizon", "mixed_recall", "extrapolated", "lstm uniform", "gru uniform"),
    ]  # fmt: skip
    return Plan(**_plan([recall, mixed, read, amount, adding, agreement], family, name="large"))


def rows_of(plan: Plan, seed: int = 0) -> list[Row]:
    """Rows as runs of a plan could have left them: ladders end where they end, one run failed, the last is missing."""
    rng = np.random.default_rng(seed)
    rows = [row for experiment in plan.experiments for row in _experiment_rows(plan.name, experiment, rng)]
    return rows[:-1]


def made(of: TrialSpec, rng: np.random.Generator, **changes: Any) -> Row:
    """A row of one run."""
    task = task_from_json(of.task)
    ease = HOLDS.get(of.arm, 100.0) / (of.level or 64)
    solved = bool(rng.random() < 1 / (1 + ease**-2.5))
    by_lag = _by_lag(of, ease, rng)
    recall = _recall_of(solved, rng) if not by_lag else float(np.mean([one.recall for one in by_lag]))
    if by_lag:
        solved = all(one.solved for one in by_lag)
    solved_step = int(of.steps * np.clip(rng.lognormal(-0.9, 0.35) / ease**0.3, 0.03, 0.97)) if solved else None
    used = of.steps if solved_step is None else min(of.steps, solved_step + 40)
    hidden = {"rnn": 81, "gru": 44, "lstm": 38}.get(of.cell, 24)
    values: dict[str, Any] = {
        "spec": of, "test_sequences": of.test_sequences, "lag": task.lag, "hidden_size": hidden,
        "parameters": 7000 + hidden, "state_bytes": 4 * hidden * (2 if of.cell == "lstm" else 1),
        "flops_per_token": 13_900 + 7 * hidden, "steps_used": used, "solved": solved, "solved_step": solved_step,
        "score": task.chance + recall * (task.perfect - task.chance), "chance": task.chance, "recall": recall,
        "unit": task.unit, "by_lag": by_lag, "control": _control(of, rng),
        "curve": _curve(used, recall, solved_step, rng),
        "tokens_per_second": float(rng.normal(90_000, 4_000)), "seconds": used / 130, "core_seconds": used / 140,
        "machine": "Linux x86_64, Made-up Processor 9000, 2 cores",
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu", "longhold": "0.1.0"}, "error": None,
    }  # fmt: skip
    return Row(**{**values, **changes})


def failed(row: Row) -> Row:
    """The same run had its loss become non-finite."""
    lost = {"score": None, "recall": None, "solved": False, "solved_step": None, "steps_used": 12, "error": FAILURE}
    return row.model_copy(update={**lost, "by_lag": (), "control": (), "curve": ((12, 2.1, 0.0),)})


def _plan(experiments: list[dict[str, Any]], family: Any = None, **changes: Any) -> dict[str, Any]:
    told = [_question("chrono", "trained horizon", "recall", "trained", "lstm chrono (told the lag)", "lstm uniform")]
    return {
        "name": "small", "question": "Who holds a symbol longer?", "core_seconds": 12_000,
        "experiments": experiments, "family": {"questions": family or told}, **changes,
    }  # fmt: skip


def _question(name: str, measure: str, task: str, protocol: str, a: str, b: str, **changes: Any) -> dict[str, Any]:
    values = {"name": name, "measure": measure, "task": task, "protocol": protocol, "a": a, "b": b}
    return {**values, "minimum_effect": 1.5, "margin": 1.5, **changes}


def _recall(lags: list[int], **changes: Any) -> dict[str, Any]:
    task = {"name": "recall", "symbols": 8, "distractors": 8}
    return _experiment("hold", {"name": "trained", "task": task, "lags": lags, "stop_after": 2}, **changes)


def _experiment(name: str, protocol: dict[str, Any], **changes: Any) -> dict[str, Any]:
    values = {
        "name": name,
        "protocol": protocol,
        "seeds": list(range(10)),
        "parameters": 7000,
        "lr": 0.003,
        "steps": 1500,
    }
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


def _experiment_rows(plan: str, experiment: Experiment, rng: np.random.Generator) -> Iterator[Row]:
    lost = False
    for arm in experiment.every_arm():
        yield from _tuning_rows(plan, experiment, arm, rng)
        for seed in experiment.seeds:
            failures = 0
            for test_spec in experiment.protocol.test_specs():
                if failures == experiment.protocol.failures_to_stop:
                    break
                row = made(experiment.spec(plan, arm, test_spec, seed, Setting(experiment.lr or 0.003)), rng)
                if not lost and not row.solved:
                    lost, row = True, failed(row)
                failures = failures + 1 if not row.solved else 0
                yield row


def _tuning_rows(plan: str, experiment: Experiment, arm: Arm, rng: np.random.Generator) -> Iterator[Row]:
    if experiment.tuning is None:
        return
    test_spec = experiment.tuning_test_spec()
    for lr in experiment.tuning.grid:
        for seed in experiment.tuning.seeds:
            yield made(experiment.spec(plan, arm, test_spec, seed, Setting(lr), "tuning"), rng)


def _recall_of(solved: bool, rng: np.random.Generator) -> float:
    return (
        float(rng.uniform(0.92, 1.0)) if solved else float(rng.choice([rng.normal(0.0, 0.02), rng.uniform(0.1, 0.8)]))
    )


def _by_lag(of: TrialSpec, ease: float, rng: np.random.Generator) -> tuple[LagScore, ...]:
    if of.examine is not None:
        seen = [(test[of.examine], float(rng.uniform(0.8, 1.0) - 0.15 * test[of.examine])) for test in of.tests]
        return tuple(LagScore(lag=None, level=n, score=0.5 + r / 2, recall=r, solved=r >= 0.9) for n, r in seen)
    lags = [test["lag"] for test in of.tests] if of.protocol == "extrapolated" else list(of.probed)
    middle = float(rng.lognormal(np.log(64 * ease if of.protocol == "extrapolated" else 6), 0.5))
    return tuple(_lag_score(lag, 1 / (1 + (lag / middle) ** 4)) for lag in lags)


def _lag_score(lag: Any, recall: float) -> LagScore:
    return LagScore(lag=lag, score=0.125 + 0.875 * recall, recall=recall, solved=recall >= 0.9)


def _control(of: TrialSpec, rng: np.random.Generator) -> tuple[LagScore, ...]:
    return tuple(_lag_score(lag, float(rng.normal(0, 0.03))) for lag in of.probed)


def _curve(used: int, recall: float, solved_step: int | None, rng: np.random.Generator) -> tuple[Any, ...]:
    points = np.linspace(30, used, max(2, used // 30)).astype(int)
    middle = solved_step * 0.8 if solved_step is not None else used
    rise = max(recall, 0.0) / (1 + np.exp(-(points - middle) / (0.05 * used)))
    noisy = np.clip(rise + rng.normal(0, 0.02, len(points)), -0.1, 1)
    return tuple((int(step), float(2.1 * (1 - value)), float(value)) for step, value in zip(points, noisy, strict=True))


if __name__ == "__main__":
    print(write_study_report(rows_of(large()), large(), Path(sys.argv[1])))
