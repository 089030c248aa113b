"""`longhold study` from the command line."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.plans import PLAN
from tests.study.tiny import row, spec
from typer.testing import CliRunner

from longhold.cli.main import app
from longhold.study.rows.store import Store, to_jsonl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "tiny.toml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def study(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["study", *arguments])


def test_list_names_every_plan_and_its_question(folder: Path) -> None:
    shown = study("list")
    assert shown.exit_code == 0, shown.output
    for word in ("quick", "standard", "12,000", "adding", "mqar"):
        assert word in shown.stdout


def test_plan_shows_experiments_and_predictions(folder: Path) -> None:
    shown = study("plan", "tiny.toml")
    assert shown.exit_code == 0, shown.output
    for word in ("Does it run?", "1,000 core-seconds", "gru chrono (told the lag)", "lag 1, 2", "prediction 'which'"):
        assert word in shown.stdout
    assert study("plan", "standard").exit_code == 0


@pytest.mark.slow
def test_a_study_from_its_cost_to_its_rows(folder: Path) -> None:
    cost = study("cost", "tiny.toml", "--workers", "1")
    assert cost.exit_code == 0, cost.output
    assert "1,000 core-seconds" in cost.stdout
    assert not (folder / "longhold-study.sqlite").exists()

    ran = study("run", "tiny.toml", "--workers", "2", "--store", "s.sqlite")
    assert ran.exit_code == 0, ran.output
    assert "4 rows in s.sqlite" in ran.stderr
    assert "hold: lstm uniform, lag 2, seed 0: " in ran.stderr

    again = study("run", "tiny.toml", "--workers", "1", "--store", "s.sqlite")
    assert "4 of at most 4 runs" in again.stderr

    shown = study("status", "tiny.toml", "--store", "s.sqlite")
    assert "hold" in shown.stdout
    assert "4" in shown.stdout.splitlines()[-1].split()

    lines = study("rows", "tiny", "--format", "jsonl", "--store", "s.sqlite").stdout.splitlines()
    assert [json.loads(line)["level"] for line in lines] == [1, 2, 1, 2]
    table = study("rows", "--store", "s.sqlite").stdout.splitlines()
    assert len(table) == 5
    assert table[0].startswith("digest,plan,experiment,")


def test_rows_go_into_a_store_and_status_tells_of_a_plan_it_does_not_have(folder: Path) -> None:
    made = (row(spec()), row(spec(seed=1), solved=False), row(spec(seed=2, stage="tuning")))
    (folder / "rows.jsonl").write_text("".join(to_jsonl(made)), encoding="utf-8")
    for new in ("3 of 3", "0 of 3"):
        assert new in study("import", "rows.jsonl", "--store", "s.sqlite").stderr
    assert len(study("rows", "--format", "jsonl", "--store", "s.sqlite").stdout.splitlines()) == 2
    assert len(study("rows", "--format", "jsonl", "--tuning", "--store", "s.sqlite").stdout.splitlines()) == 3
    shown = study("status", "--store", "s.sqlite")
    assert shown.exit_code == 0, shown.output
    assert "tiny" in shown.stdout
    assert "not given" in shown.stdout


def test_report_writes_the_page_and_says_where(folder: Path) -> None:
    with Store(folder / "s.sqlite") as store:
        store.write(row(spec()))
    for name in ("tiny.toml", "tiny", "s.sqlite"):
        told = study("report", name, "--store", "s.sqlite", "--output", "out")
        assert told.exit_code == 0, told.output
        assert told.stderr.splitlines() == [
            f"report: {folder / 'out' / 'report.html'}, with report.md, rows.csv and rows.jsonl beside it"
        ]
        assert "lstm uniform" in (folder / "out" / "report.md").read_text(encoding="utf-8")
        assert len((folder / "out" / "rows.csv").read_text(encoding="utf-8").splitlines()) == 2
    assert study("report", "other", "--store", "s.sqlite").exit_code == 2


def test_status_of_a_shipped_plan_is_found_by_its_rows(folder: Path) -> None:
    with Store(folder / "s.sqlite") as store:
        store.write(row(spec(plan="quick")))
    shown = study("status", "--store", "s.sqlite")
    assert shown.exit_code == 0, shown.output
    assert "one-symbol recall" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nonsense"), ("nonsense", "standard")),
        (("run", "missing.toml"), ("missing.toml",)),
        (("run", "tiny.toml", "--workers", "0"), ("workers=0",)),
        (("run", "tiny.toml", "--budget", "soon"), ("soon",)),
        (("run", "tiny.toml", "--executor", "cloud"), ("cloud", "ray")),
        (("run", "tiny.toml", "--core-seconds", "-3"), ("-3",)),
        (("cost", "broken.toml"), ("broken.toml", "colour")),
        (("rows", "--format", "yaml"), ("yaml", "jsonl")),
        (("rows", "--store", "tiny.toml"), ("tiny.toml", "database")),
        (("status", "--store", "tiny.toml"), ("tiny.toml", "database")),
        (("import", "tiny.toml"), ("tiny.toml", "line 2")),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (folder / "broken.toml").write_text(PLAN.replace("seeds", "colour"), encoding="utf-8")
    result = study(*arguments)
    assert result.exit_code == 2, result.output
    complaints = result.stderr.splitlines()
    assert len(complaints) == 1, result.stderr
    assert complaints[0].startswith("error: ")
    for word in words:
        assert word in complaints[0]


def test_a_text_that_is_too_short_is_one_line_and_exit_code_2(folder: Path) -> None:
    (folder / "short.txt").write_text("ab" * 10_460, encoding="utf-8")
    protocol = '{ name = "text", task = { name = "text", corpus = "short.txt", window = 9 } }'
    text = PLAN.partition("[[family")[0].replace(PLAN.partition("protocol = ")[2].partition("\n")[0], protocol)
    (folder / "text.toml").write_text(text, encoding="utf-8")
    result = study("run", "text.toml", "--workers", "1", "--store", "s.sqlite")
    assert result.exit_code == 2, result.output
    (complaint,) = result.stderr.splitlines()
    assert complaint.startswith("error: text.toml: ")
    assert "short.txt has 2,092 held-out tokens: expected at least 6,400" in complaint
    assert not (folder / "s.sqlite").exists()


def test_a_plan_over_its_budget_is_refused_with_what_to_cut(folder: Path) -> None:
    result = study("run", "tiny.toml", "--workers", "1", "--core-seconds", "1e-6")
    assert result.exit_code == 2
    assert "over its budget" in result.stderr
    assert "'hold'" in result.stderr
