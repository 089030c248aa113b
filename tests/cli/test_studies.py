"""`longhold tutorial`, `compare` and `demo` from the command line."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app
from longhold.errors import InputError
from longhold.tutorial import experiment as tutorial


def longhold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """12,000 characters or so of words drawn from a few, one line each ten."""
    monkeypatch.chdir(tmp_path)
    words = np.random.default_rng(0).choice(["time", "traveller", "for", "so", "it", "will", "be"], size=2600)
    lines = [" ".join(words[start : start + 10]) for start in range(0, len(words), 10)]
    path = tmp_path / "book.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    complaints = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaints) == 1, result.stderr
    for word in words:
        assert word in complaints[0]


def test_tutorial_sets_its_number_beside_the_published_ones(text: Path) -> None:
    result = longhold("tutorial", "--cell", "rnn", "--epochs", "1", "--seeds", "2", "--text", text)
    assert result.exit_code == 0, result.output
    for word in (
        "seed 0",
        "seed 1",
        "median of 2",
        "97 published, 512 units",
        "not to be set beside",
        "time traveller",
    ):
        assert word in " ".join(result.stdout.split())


def test_tutorial_reads_the_book_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    (tmp_path / "timemachine").write_text("too short to be read")
    read: list[str] = []

    def run(text: str, *args: object, **kwargs: object) -> None:
        read.append(text)
        raise InputError("read")

    monkeypatch.setattr(tutorial, "run_tutorial", run)
    refused(longhold("tutorial", "--epochs", "1"), "read")
    assert [len(text) for text in read] == [178_979]


def test_tutorial_refuses_what_it_cannot_do(text: Path) -> None:
    refused(longhold("tutorial", "--cell", "transformer", "--text", text), "transformer")
    refused(longhold("tutorial", "--text", "missing.txt"), "missing.txt")
    assert longhold("tutorial", "--seeds", "0").exit_code == 2


@pytest.mark.slow
def test_compare_leaves_tables_a_page_and_a_plan_that_can_be_run_again(text: Path) -> None:
    options = (
        "--budget",
        "3s",
        "--no-recall",
        "--parameters",
        "25000",
        "--cells",
        "rnn",
        "--workers",
        "1",
        "--out",
        "out",
    )
    result = longhold("compare", text, *options)
    assert result.exit_code == 0, result.output
    for word in ("rnn uniform", "n-gram of order 6", "xz alone", "bits/char", "Indicative"):
        assert word in " ".join(result.stdout.split())
    assert "lstm" not in result.stdout
    assert "To fit 3 s on 1 process" in result.stderr
    folder = text.parent / "out"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "book.txt" in page
    assert str(text.parent) not in page
    (plan,) = folder.glob("compare-*.toml")
    assert f"1 rows in {Path('out') / 'study.sqlite'}" in result.stderr
    again = longhold("study", "report", plan, "--store", folder / "study.sqlite", "-o", text.parent / "again")
    assert again.exit_code == 0, again.output
    rows = [(place / "rows.jsonl").read_text(encoding="utf-8") for place in (folder, text.parent / "again")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.txt",), ("missing.txt",)),
        (("book.txt", "missing.txt"), ("missing.txt",)),
        (("book.txt", "book.txt"), ("book.txt", "twice")),
        (("book.txt", "--cells", "rnn,abacus"), ("abacus",)),
        (("book.txt", "--cells", "rnn,rnn"), ("rnn,rnn",)),
        (("book.txt", "--budget", "0"), ("0",)),
        (("book.txt", "--workers", "0"), ("workers=0",)),
        (("book.txt", "--parameters", "3", "--no-recall"), ("3",)),
        (("book.txt", "-o", "book.txt"), ("book.txt",)),
    ],
)
def test_compare_refuses_what_it_cannot_do(text: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(longhold("compare", *arguments), *words)


def test_demo_refuses_a_budget_that_is_none(text: Path) -> None:
    refused(longhold("demo", "--budget", "soon"), "soon")
