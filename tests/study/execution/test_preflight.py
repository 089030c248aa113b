"""What is refused before any run starts."""

import json
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.models import memory
from longhold.study.execution.executor import cost_of, run_study
from longhold.study.execution.preflight import require_runnable
from longhold.study.rows.store import Store
from longhold.study.trial.trial import training_bytes
from longhold.tasks.blimp import PARADIGMS
from tests.study.tiny import Here, experiment, plan, spec


def refusal(*specs, pool: Here | None = None) -> str:
    with pytest.raises(InputError) as caught:
        require_runnable(specs, pool or Here())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_as_many_runs_as_there_are_workers_have_to_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = spec(), spec(hidden_size=200)
    need = training_bytes(large)
    assert need > 4 * 4 * 4 * 200 * 200 > 20 * training_bytes(small)
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * need - 1)
    require_runnable([small, spec(seed=1), large], Here())
    line = refusal(large, spec(hidden_size=200, seed=1))
    assert line.startswith("hold: training 2 runs at once (workers=2) takes at least 5.")
    assert "and there are 5." in line
    one = Here()
    one.count = 1
    require_runnable([large, spec(hidden_size=200, seed=1)], one)
    monkeypatch.setattr(memory, "free_memory", lambda device: need - 1)
    assert "training 1 run (workers=1) takes" in refusal(large, small, pool=one)


def test_a_study_is_refused_before_it_takes_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large, pool = plan(experiment(hidden_size=200)), Here()
    monkeypatch.setattr(memory, "free_memory", lambda device: 1_000_000)
    with Store(tmp_path / "study.sqlite") as store:
        for started in (run_study, cost_of):
            with pytest.raises(InputError, match="2 runs at once"):
                started(large, store, pool)
    assert not pool.submitted


def test_data_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    digits = {"name": "digits"}
    unread = spec(task=digits, tests=(digits,), vary=None, level=None)
    assert "LONGHOLD_DATA" in refusal(unread)
    paired = spec(pairs=(PARADIGMS[0],))
    assert PARADIGMS[0] in refusal(paired)
    (tmp_path / "blimp").mkdir()
    path = tmp_path / "blimp" / f"{PARADIGMS[0]}.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    assert path.name in refusal(paired)
    values = {"sentence_good": "a", "sentence_bad": "b", "UID": PARADIGMS[0], "pairID": "0"}
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    require_runnable([paired], Here())


def test_other_machines_have_memory_and_data_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    cluster = Here()
    cluster.is_local = False
    require_runnable([spec(pairs=(PARADIGMS[0],))], cluster)
