"""What a comparison came to, in the terminal."""

from pathlib import Path
from typing import Any

import pytest

from longhold.study.compare.table import show_comparison
from longhold.study.plan.plan import Plan
from longhold.study.rows.results import Writing
from longhold.study.rows.row import Row
from tests.study.tiny import experiment, plan, row

WRITING = Writing(
    bits=2.4136, characters=1000, frequency_bits=4.4412, ngram_bits=2.1391, xz_bits=2.6352, xz_alone_bits=3.4763,
    best_step=9, prime="so", temperature=0.8, sample="it was",
)  # fmt: skip


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, list[Row]]:
    """A text by two arms, of which one failed, and recall at three lags."""
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "book.txt").write_text("it was so, and so it was " * 20, encoding="utf-8")
    task = {"name": "text", "corpus": str(tmp_path / "book.txt"), "window": 9}
    book = experiment(name="[red]book[/red]\x1b[2J", protocol={"name": "text", "task": task, "contexts": False},
                      arms={"rnn": ["uniform"], "lstm": ["uniform"]}, seeds=[0])  # fmt: skip
    study = plan(book, experiment())
    rows = [row(spec) for spec in specs(study)]
    for place, one in enumerate(rows):
        if one.spec.protocol == "text":
            rows[place] = told(one, one.spec.cell == "lstm")
    return study, rows[:-1]


def specs(study: Plan) -> list[Any]:
    return [
        one.spec(study.name, arm, test_spec, seed, one.some_setting)
        for one in study.experiments
        for arm in one.every_arm()
        for test_spec in one.protocol.test_specs()
        for seed in one.seeds
    ]


def told(one: Row, failed: bool) -> Row:
    if failed:
        return one.model_copy(update={"error": "broke", "curve": (), "tokens_per_second": None, "recall": None})
    return one.model_copy(update={"writing": WRITING, "curve": ((12, 1.25, 0.5),)})


def test_it_has_every_arm_and_rival_in_the_order_of_the_plan(
    made: tuple[Plan, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    study, rows = made
    show_comparison(rows[::-1], study)
    shown = capsys.readouterr().out
    words = [line.split() for line in shown.splitlines()]
    assert ["rnn", "uniform", "900", "12", "100,000", "3.49", "2.414"] in words
    assert ["lstm", "uniform", "900", "12", "failed"] in words
    for name, bits in (("n-gram of order 6", "2.139"), ("xz after training", "2.635"), ("xz alone", "3.476")):
        assert [*name.split(), bits] in words
    assert shown.index("rnn uniform") < shown.index("lstm uniform") < shown.index("n-gram") < shown.index("hold:")
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "[red]book[/red]" in shown
    assert "\x1b[2J" not in shown
    assert "as few as one run for an arm" in " ".join(shown.split())


def test_recall_has_every_seed_and_how_many_solved(
    made: tuple[Plan, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    study, rows = made
    show_comparison([one for one in rows if one.spec.protocol == "trained"], study)
    shown = capsys.readouterr().out
    assert "book" not in shown
    words = [line.split() for line in shown.splitlines()]
    assert ["lag", "1", "lag", "2", "lag", "3"] in words
    assert ["lstm", "uniform", *["0.95", "0.95"] * 3] in words
    assert ["2", "of", "2"] * 3 in words
    assert ["2", "of", "2", "2", "of", "2", "1", "of", "1"] in words  # the last row is missing
    show_comparison([], study)
    assert "not run" not in capsys.readouterr().out


def test_three_seeds_at_three_lags_fit_80_columns(
    made: tuple[Plan, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    study = plan(experiment(seeds=[0, 1, 2], arms={"lstm": ["chrono"]}))
    show_comparison([row(spec, solved=False, recall=-0.05) for spec in specs(study)], study)
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert shown.split().count("-0.05") == 9
    assert "lstm chrono" in shown
    assert "lag)" in shown
