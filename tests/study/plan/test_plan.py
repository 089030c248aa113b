import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.models.cost import flops_per_token
from longhold.study.plan.agenda import agenda
from longhold.study.plan.plan import Plan, load_plan, questions, shipped
from longhold.study.statistics import LEAST_SEEDS
from longhold.study.text.task import read_text
from longhold.study.trial.trial import network
from tests.study.tiny import RECALL, experiment, plan

TUNING = {"grid": [1e-3, 2e-3, 4e-3, 8e-3, 16e-3], "seeds": [90], "level": 2}
SEARCH = {"trials": 3, "seeds": [90], "level": 2, "lr": [1e-3, 1e-1], "clip_norm": [0.1, 10.0]}
QUESTION = {
    "measure": "solved",
    "name": "a or b",
    "task": "recall",
    "protocol": "trained",
    "levels": [2],
    "a": "lstm uniform",
    "b": "gru chrono (told the lag)",
    "minimum_effect": 0.3,
    "margin": 0.2,
}


def test_the_plans_that_are_shipped() -> None:
    assert set(shipped()) >= {"quick", "standard", "copy", "adding", "mqar", "modern", "truncation", "flops", "time"}
    assert set(questions()) == set(shipped())


@pytest.fixture
def treebank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plan `text` reads the Penn Treebank, whose characters it needs to know how large models become."""
    (tmp_path / "ptb").mkdir()
    for part in ("train", "valid"):
        text = "t h e _ c a t _ s a t \n" * 600
        (tmp_path / "ptb" / f"ptb.char.{part}.txt").write_text(text, encoding="utf-8")
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    read_text.cache_clear()
    yield
    read_text.cache_clear()


@pytest.mark.parametrize("name", shipped())
@pytest.mark.usefixtures("treebank")
def test_a_shipped_plan_can_be_used(name: str) -> None:
    chosen = load_plan(name)
    assert chosen.name == name
    assert questions()[name] == (chosen.question, chosen.core_seconds)
    if chosen.family is not None:
        assert all(len(one.seeds) >= LEAST_SEEDS for one in chosen.experiments if one.name != "climb")
    for one in chosen.experiments:
        specs = {item.arm: item for item in agenda(chosen, {}).specs() if item.experiment == one.name}
        count = parameter_count if one.flops is None else flops_per_token
        counts = [count(network(spec)) for spec in specs.values()]
        assert set(specs) == set(one.labels())
        assert max(counts) / min(counts) < 1.25, dict(zip(specs, counts, strict=True))


def test_standard_is_what_was_announced() -> None:
    chosen = load_plan("standard")
    recall = chosen.experiment("one-symbol recall")
    assert recall.protocol.lags == (16, 32, 64, 128, 256, 512)
    assert recall.protocol.failures_to_stop == 2
    assert len(recall.seeds) == 10
    assert len(recall.labels()) >= 8
    assert {"rnn uniform", "rnn orthogonal", "irnn identity", "gru uniform"} < set(recall.labels())
    assert chosen.core_seconds == 12000
    asked = chosen.questions()
    predicted = {(one.task, one.a.split()[0], one.b) for one in asked.questions if one.predicted}
    assert predicted == {
        ("anbn", "lstm", "gru uniform"),
        ("recall", "lstm", "lstm forget:0"),
        ("parity", "rnn", "minlstm uniform"),
        ("parity", "rnn", "transformer uniform"),
        ("parity", "lstm", "minlstm uniform"),
        ("parity", "lstm", "transformer uniform"),
    }
    assert asked.tuning.learning_rates == recall.tuning.grid
    assert asked.tuning.seeds == 2


def test_a_plan_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nquestion = "?"\ncore_seconds = 5\n[[experiments]]\nname = "e"\narms = { lstm = ["uniform"] }\n'
        'protocol = { name = "trained", task = { name = "recall" }, lags = [2] }\n'
        "seeds = [1]\nhidden_size = 4\nlr = 0.01\nsteps = 3\n",
        encoding="utf-8",
    )
    assert load_plan(str(path)).experiment("e").protocol.lags == (2,)
    path.write_text(path.read_text(encoding="utf-8").replace("steps", "stepz"), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.toml: .*stepz") as refused:
        load_plan(str(path))
    assert "\n" not in str(refused.value)
    path.write_text("no table", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        load_plan(str(path))
    for missing in ("nonsense", str(tmp_path / "none.toml")):
        with pytest.raises(InputError, match=r"none\.toml|nonsense"):
            load_plan(missing)


OF_TEXT = """
name = "mine"
question = "?"
core_seconds = 5
[[experiments]]
name = "e"
arms = {{ lstm = ["uniform"] }}
protocol = {{ name = "text", task = {{ name = "text", corpus = {corpus}, window = 9 }} }}
seeds = [1]
hidden_size = 4
lr = 0.01
steps = 3
"""


@pytest.mark.parametrize(
    "corpus", ["", ".", "..", "/etc/passwd", "../secret.txt", "~", "-", "*", "folder", "link.txt", "FIFO", "\\u0000"]
)
def test_a_strangers_plan_leads_to_no_text_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: str
) -> None:
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret " * 99)
    (here / "link.txt").symlink_to("../secret.txt")
    os.mkfifo(here / "FIFO")
    monkeypatch.chdir(here)
    read = []
    monkeypatch.setattr("longhold.study.text.task.load_corpus", read.append)
    path = here / "mine.toml"
    for named in (corpus, str(tmp_path / "secret.txt")):
        path.write_text(OF_TEXT.format(corpus=f'"{named}"'), encoding="utf-8")
        with pytest.raises(InputError, match=r"mine\.toml: text: corpus=") as refused:
            load_plan(str(path))
        assert str(refused.value).isprintable()
    assert read == []


def test_a_plan_may_name_a_file_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("diary.txt").write_text("a day like any other\n" * 3200)
    Path("mine.toml").write_text(OF_TEXT.format(corpus='"diary.txt"'), encoding="utf-8")
    (one,) = load_plan("mine.toml").experiments
    assert one.protocol.task["corpus"] == "diary.txt"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "has 2,092 held-out tokens: expected at least 6,400 to measure context use, or contexts = false"),
        ({"contexts": False, "window": 2093}, "has 2,092 tokens in its part 'held_out': expected at least window=2093"),
        (
            {"contexts": False, "window": 9415, "part": "fitted"},
            "has 9,413 tokens in its part 'fitted': expected at least window=9415",
        ),
    ],
)
def test_a_text_that_is_too_short_is_refused_before_any_run(
    tmp_path: Path, changes: dict[str, object], line: str
) -> None:
    (tmp_path / "short.txt").write_text("ab" * 10_460, encoding="utf-8")
    values = {"window": 9, "contexts": True, "part": "trained", **changes}
    contexts = values.pop("contexts")
    task = {"name": "text", "corpus": str(tmp_path / "short.txt"), **values}
    with pytest.raises(InputError) as refused:
        plan(experiment(protocol={"name": "text", "task": task, "contexts": contexts}, arms={"lstm": ["uniform"]}))
    assert str(refused.value).endswith(f"short.txt {line}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"arms": {}}, "arms"),
        ({"arms": {"abacus": ["uniform"]}}, "abacus"),
        ({"arms": {"rnn": ["chrono"]}}, "gate"),
        ({"arms": {"lstm": ["hope"]}}, "hope"),
        ({"hidden_size": None}, "hidden_size, parameters and flops"),
        ({"parameters": 900}, "hidden_size, parameters and flops"),
        ({"hidden_size": None, "parameters": 3}, "too small"),
        ({"lr": None}, "lr, tuning and search"),
        ({"tuning": TUNING}, "lr, tuning and search"),
        ({"lr": None, "tuning": {**TUNING, "level": 9}}, "level=9"),
        ({"lr": None, "tuning": {**TUNING, "level": None}}, "level=None"),
        ({"lr": None, "tuning": {**TUNING, "seeds": [1]}}, "seed 1 tunes and is reported"),
        ({"lr": None, "tuning": {**TUNING, "grid": [0.1]}}, "at least 5"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": []}, "seeds"),
        ({"test_sequences": 100}, "test_sequences"),
        ({"protocol": {"name": "guessed", "task": RECALL}}, "guessed"),
        ({"stop_at": 1.5}, "stop_at"),
        ({"expected_share": 0}, "expected_share"),
        ({"colour": 3}, "colour"),
        ({"flops": 900}, "hidden_size, parameters and flops"),
        ({"hidden_size": None, "flops": 3}, "3 FLOPs per token is too small"),
        ({"truncations": [4, 4]}, "each once"),
        ({"truncations": [0]}, "truncations"),
        ({"steps": None}, "steps and training_seconds"),
        ({"training_seconds": 2.0}, "steps and training_seconds"),
        ({"timing": {"steps": 9}}, "timing without training_seconds"),
        ({"lr": None, "search": {**SEARCH, "clip_norm": None}}, "over lr alone"),
        ({"lr": None, "search": {**SEARCH, "lr": [0.1, 0.1]}}, "a lowest and a higher"),
        ({"lr": None, "search": {**SEARCH, "embedding_size": [4, 4]}}, "each once"),
        ({"lr": None, "search": {**SEARCH, "seeds": [1]}}, "seed 1 tunes and is reported"),
        ({"lr": None, "search": {**SEARCH, "level": 9}}, "level=9"),
        ({"lr": None, "search": {**SEARCH, "embedding_size": [4, 8]}, "embedding_size": 4}, "same space for all"),
        (
            {"lr": None, "search": {**SEARCH, "embedding_size": [4, 8]}, "arms": {"mingru": ["uniform"]}},
            "mingru has none of its own",
        ),
        ({"lr": None, "search": SEARCH, "steps": None, "training_seconds": 2.0}, "search and training_seconds"),
    ],
)
def test_an_experiment_that_cannot_be_run_is_refused_in_a_line(changes: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as refused:
        plan(experiment(**changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"a": "lstm chrono"}, "found 0"),
        ({"levels": [7]}, "found 0"),
        ({"task": "parity"}, "found 0"),
        ({"protocol": "plain"}, "found 0"),
        ({"where": {"steps": 13}}, "found 0"),
        ({"b": "lstm uniform"}, "two that differ"),
    ],
)
def test_a_question_about_what_is_not_run_is_refused(changes: dict[str, object], word: str) -> None:
    plan(family={"questions": [{**QUESTION, "where": {"steps": 12, "symbols": 4}}]})
    with pytest.raises(InputError, match=word) as refused:
        plan(family={"questions": [{**QUESTION, **changes}]})
    assert "\n" not in str(refused.value)


def test_a_question_that_two_experiments_could_answer_is_refused() -> None:
    two = (experiment(), experiment(name="again", steps=13))
    with pytest.raises(InputError, match="found 2"):
        plan(*two, family={"questions": [QUESTION]})
    plan(*two, family={"questions": [{**QUESTION, "where": {"steps": 13}}]})
    with pytest.raises(InputError, match="two experiments"):
        plan(experiment(), experiment())


def test_the_family_tells_how_rates_were_chosen() -> None:
    tuned = experiment(lr=None, tuning=TUNING)
    assert plan(family={"questions": [QUESTION]}).questions().tuning is None
    assert plan().questions() is None
    asked = plan(tuned, family={"questions": [QUESTION]}).questions()
    assert (asked.tuning.learning_rates, asked.tuning.seeds) == (tuple(TUNING["grid"]), 1)
    with pytest.raises(InputError, match="follows from the experiments"):
        plan(family={"questions": [QUESTION], "tuning": {"learning_rates": [0.1], "seeds": 3}})
    parity = experiment(
        name="parity", protocol={"name": "plain", "task": {"name": "parity", "longest": 4, "tested": 6}}
    )
    other = {**QUESTION, "name": "other", "task": "parity", "protocol": "plain", "levels": []}
    with pytest.raises(InputError, match="not tuned alike"):
        plan(tuned, parity, family={"questions": [QUESTION, other]})


def test_a_plan_with_another_budget_is_otherwise_the_same() -> None:
    assert plan().with_core_seconds(None) == plan()
    assert plan().with_core_seconds(7.5).core_seconds == 7.5
    assert plan().with_core_seconds(7.5).experiments == plan().experiments
    with pytest.raises(InputError, match="core_seconds"):
        plan().with_core_seconds(-1)
    with pytest.raises(InputError, match="core_seconds"):
        plan().with_core_seconds(math.nan)


def test_a_plan_survives_json() -> None:
    whole = plan(experiment(lr=None, tuning=TUNING), family={"questions": [QUESTION]})
    assert Plan(**Plan.model_validate_json(whole.model_dump_json()).model_dump()) == whole


def test_truncation_is_crossed_with_the_arms() -> None:
    crossed = plan(experiment(truncations=[2, "full"])).experiments[0]
    assert crossed.labels() == (
        "lstm uniform, truncated at 2",
        "lstm uniform",
        "gru chrono (told the lag), truncated at 2",
        "gru chrono (told the lag)",
    )
    specs = list(agenda(plan(experiment(truncations=[2, "full"])), {}).specs())
    assert {(spec.truncation, spec.arm) for spec in specs if spec.cell == "lstm"} == {
        (2, "lstm uniform, truncated at 2"),
        (None, "lstm uniform"),
    }
