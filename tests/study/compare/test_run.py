"""Texts and cells put together as a plan, run, and written down."""

import json
from pathlib import Path

import numpy as np
import pytest

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.models.budget import parameter_count
from longhold.models.language_model import LanguageModelConfig
from longhold.study.compare import run as comparing
from longhold.study.compare.run import CompareConfig, Compared, compare
from longhold.study.execution.executor import run_study
from longhold.study.plan.plan import load_plan
from longhold.study.rows.store import Store, from_jsonl
from longhold.study.text import texts
from longhold.study.text.task import read_text
from tests.study.tiny import Here

PANGRAM = "the quick brown fox jumps over the lazy dog while five boxing wizards vex a jolly queen"
TINY = CompareConfig(
    cells=("rnn", "lstm"), parameters=12_000, embedding_size=8, window=17, batch_size=4, written=20, recall=False,
    budget_seconds=600.0,
)  # fmt: skip


def made_up(name: str = "book.txt", seed: int = 0) -> Corpus:
    words = np.random.default_rng(seed).choice(PANGRAM.split(), 900)
    return Corpus(name, " ".join(words) + "\n", "utf-8", 1, ())


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Here:
    """Runs are made in this process, of at most 12 steps, and no text is known."""
    here = Here()
    monkeypatch.setattr(comparing, "pool_named", lambda name, workers: here)
    monkeypatch.setattr(comparing, "_MOST_STEPS", 12)
    monkeypatch.setattr(texts, "_folders", [])
    return here


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("standard input", "-"),
        ("/home/me/-x.txt", "./-x.txt"),
        ("my notes/*.md", "'*.md'"),
        ("it's.txt", "'it'\"'\"'s.txt'"),
    ],
)
def test_the_command_in_the_page_can_be_run(name: str, word: str) -> None:
    assert comparing._command([made_up(name)], TINY).startswith(f"longhold compare {word} --cells ")


def test_the_command_in_the_page_reads_the_texts_as_they_were_read() -> None:
    latin = TINY.model_copy(update={"encoding": "latin-1"})
    assert comparing._command([made_up()], latin) == (
        "longhold compare book.txt --cells rnn,lstm --budget 600s --parameters 12000 --encoding latin-1 --no-recall "
        "--seed 0"
    )
    assert "--encoding" not in comparing._command([made_up()], TINY)


def test_files_of_somebody_elses_are_kept_and_no_run_begins(tmp_path: Path, pool: Here) -> None:
    for name in ("index.html", "report.md", "rows.csv", "rows.jsonl", "study.sqlite"):
        (tmp_path / name).write_text("forty years")
        with pytest.raises(InputError, match=name):
            compare([made_up()], tmp_path, TINY)
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "forty years")]
        (tmp_path / name).unlink()


def results(made: Compared) -> list[dict[str, object]]:
    return [row.result() for row in made.rows]


def test_too_few_steps_are_said_first() -> None:
    said = comparing._too_short(1, CompareConfig(budget_seconds=30.0))
    assert said.startswith("Too short: after 1 step a model of a text has learnt too little")
    assert said.endswith("100 would take about 50 minutes. ")
    assert comparing._too_short(99, TINY) != comparing._too_short(100, TINY) == ""


def test_every_cell_has_equal_size_steps_and_settings_and_the_page_tells(tmp_path: Path) -> None:
    told: list[str] = []
    made = compare([made_up("/home/me/book.txt")], tmp_path / "new" / "out", TINY, on_plan=told.append)
    assert (made.left, [row.spec.cell for row in made.rows]) == (0, ["lstm", "rnn"])
    assert all(abs(row.parameters - 12_000) < 240 for row in made.rows)
    assert {(row.steps_used, row.spec.batch_size, row.spec.lr, row.spec.seed) for row in made.rows} == {
        (12, 4, 3e-3, 0)
    }
    assert told == [made.plan.notes]
    assert told[0].startswith("Too short: after 12 steps a model of a text has learnt too little for its bits to say")
    assert "To fit 600 s on" in told[0]
    assert "12 steps of 4 windows of 16 characters" in told[0]
    assert "Nothing is claimed" in told[0]
    page = made.files.page.read_text(encoding="utf-8")
    assert made.files.page.name == "index.html"
    for row in made.rows:
        assert row.writing is not None
        assert f"{row.writing.bits:.3f}" in page
        assert f"{row.writing.ngram_bits:.3f}" in page
    assert "longhold compare book.txt --cells rnn,lstm --budget 600s --parameters 12000 --no-recall --seed 0" in page
    assert f"longhold study run {made.plan.name}.toml --store again.sqlite" in page
    assert list(from_jsonl(made.files.lines)) == list(made.rows)
    for path in (tmp_path / "new" / "out").iterdir():
        if path.suffix in (".html", ".md", ".csv", ".jsonl", ".toml"):
            assert str(tmp_path) not in path.read_text(encoding="utf-8")
            assert "/home/me" not in path.read_text(encoding="utf-8")


def test_the_same_call_has_nothing_left_to_do(tmp_path: Path, pool: Here) -> None:
    first = compare([made_up()], tmp_path, TINY)
    pool.submitted.clear()
    again = compare([made_up()], tmp_path, TINY)
    assert not pool.submitted
    assert (again.plan, again.rows) == (first.plan, first.rows)


def test_a_comparison_that_was_stopped_goes_on_by_the_plan_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compare([made_up()], tmp_path / "whole", TINY)
    monkeypatch.setattr(comparing, "pool_named", lambda name, workers: Here(stop_after=1))
    with pytest.raises(KeyboardInterrupt):
        compare([made_up()], tmp_path / "cut", TINY)
    monkeypatch.setattr(comparing, "_MOST_STEPS", 99)  # what a quieter moment would have chosen
    on: list[int] = []
    rest = compare([made_up()], tmp_path / "cut", TINY, on_progress=lambda progress: on.append(progress.done))
    assert on == [1, 2]
    assert results(rest) == results(whole)


def test_its_plan_is_run_as_any_other(tmp_path: Path) -> None:
    made = compare([made_up()], tmp_path / "out", TINY)
    read_text.cache_clear()
    texts._folders.clear()
    plan = load_plan(str(tmp_path / "out" / f"{made.plan.name}.toml"))
    assert plan == made.plan
    with Store(tmp_path / "other.sqlite") as store:
        assert run_study(plan, store, Here()).left == 0
        assert [row.result() for row in store.rows(plan.name)] == results(made)


def test_another_comparison_in_the_same_folder_leaves_the_first_alone(tmp_path: Path) -> None:
    first = compare([made_up()], tmp_path, TINY)
    changed = [
        compare([made_up(seed=1)], tmp_path, TINY),
        compare([made_up()], tmp_path, TINY.model_copy(update={"seed": 7})),
    ]
    assert len({made.plan.name for made in (first, *changed)}) == 3
    assert all(len(made.rows) == 2 for made in changed)
    assert from_jsonl(changed[-1].files.lines) == changed[-1].rows
    assert compare([made_up()], tmp_path, TINY).rows == first.rows


def test_each_text_has_an_experiment_of_its_own(tmp_path: Path) -> None:
    named = [made_up(), made_up(seed=1), made_up("one-symbol recall", 2)]
    names = [texts.keep(corpus, tmp_path) for corpus in named]
    config = TINY.model_copy(update={"recall": True})
    plan = comparing._draft(names, config, "compare")
    assert [one.name for one in plan.experiments] == [
        "book.txt", "book.txt (2)", "one-symbol recall (2)", "one-symbol recall",
    ]  # fmt: skip
    assert [one.protocol.task.get("corpus") for one in plan.experiments] == [*names, None]
    assert plan.question == (
        "How well do RNN and LSTM learn book.txt, book.txt (2) and one-symbol recall (2), and how long can each be "
        "taught to hold a symbol?"
    )


def test_recall_is_the_plan_quick_for_the_chosen_cells(tmp_path: Path) -> None:
    config = TINY.model_copy(update={"recall": True})
    *_, recall = comparing._draft([texts.keep(made_up(), tmp_path)], config, "compare").experiments
    (quick,) = load_plan("quick").experiments
    assert recall.arms == {cell: quick.arms[cell] for cell in ("rnn", "lstm")}
    assert recall.model_copy(update={"arms": quick.arms, "steps": quick.steps}) == quick


def test_when_time_is_over_what_there_is_is_shown_and_the_rest_is_named(tmp_path: Path) -> None:
    config = TINY.model_copy(update={"recall": True, "cells": ("rnn",), "budget_seconds": 0.5})
    made = compare([made_up()], tmp_path, config)
    assert made.left > 0
    assert len(made.rows) + made.left == 1 + 2 * 3 * 3
    assert "of the plan not there" in made.files.page.read_text(encoding="utf-8")


def test_without_a_number_of_parameters_it_is_that_of_an_lstm_of_160_units(tmp_path: Path) -> None:
    config = CompareConfig(cells=("rnn", "gru", "lstm"), recall=False)
    name = texts.keep(made_up(), tmp_path)
    (one,) = comparing._draft([name], config, "compare").experiments
    size = read_text(name).tokenizer.vocab_size
    lstm = LanguageModelConfig(cell="lstm", vocab_size=size, hidden_size=160, embedding_size=64)
    assert one.parameters == parameter_count(lstm)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": ()}, "at least one cell"),
        ({"cells": ("rnn", "rnn")}, "each once"),
        ({"cells": ("rnn", "cnn")}, "cells"),
        ({"budget_seconds": 0}, "budget_seconds"),
        ({"workers": 0}, "workers"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_settings_are_named_in_a_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        CompareConfig(**changes)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_texts_that_cannot_be_compared_on_are_refused_before_anything_is_run(tmp_path: Path, pool: Here) -> None:
    refusals = {
        "at least 1000 characters to compare": [Corpus("a.txt", "short", "utf-8", 1, ())],
        "given twice": [made_up(), made_up()],
        "no text": [],
    }
    for message, corpora in refusals.items():
        with pytest.raises(InputError, match=message) as caught:
            compare(corpora, tmp_path, TINY)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="too small"):
        compare([made_up()], tmp_path, TINY.model_copy(update={"parameters": 100}))
    assert not pool.submitted


def test_a_text_by_a_hostile_name_does_no_harm(tmp_path: Path) -> None:
    made = compare([made_up("</script><script>alert(1)</script>.txt")], tmp_path, TINY)
    page = made.files.page.read_text(encoding="utf-8")
    assert "<script" not in page
    assert json.loads(made.files.lines.read_text(encoding="utf-8").splitlines()[0])["task"]["corpus"].startswith(
        "script>"
    )
