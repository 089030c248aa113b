"""The command line: one section, and all of them with an interruption."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import benchmarks.memory
import pytest
from benchmarks.section import Section
from benchmarks.store import Row

from benchmarks import machine, main, store
from tests.benchmarks.made_up import grid_rows, section

FACTS = {"processor": "Made Up", "threads": 1, "commit": "abc"}


@pytest.fixture(autouse=True)
def facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "facts", lambda: dict(FACTS))
    monkeypatch.setattr(store, "RESULTS", tmp_path)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(quick: bool) -> Iterator[Row]:
        yield {"quick": quick}

    made = Section("A made up section", rows, line=lambda row: f"row {row}", summary=lambda rows: ["the end"])
    monkeypatch.setattr(benchmarks.memory, "SECTION", made)


@pytest.mark.usefixtures("tiny")
def test_a_section_is_printed_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["memory"]) == 0
    printed = capsys.readouterr().out
    assert "row {'quick': False}" in printed
    assert "the end" in printed
    stored = store.read(tmp_path / "cpu-made-up-1-threads.json")["sections"]["memory"]
    assert stored["rows"] == [{"quick": False}]
    assert stored["machine"] == FACTS
    assert stored["date"].endswith("UTC")


@pytest.mark.usefixtures("tiny")
def test_a_quick_section_is_stored_only_where_it_is_told(tmp_path: Path) -> None:
    main.main(["memory", "--quick"])
    assert list(tmp_path.iterdir()) == []
    main.main(["memory", "--quick", "--output", str(tmp_path / "here.json")])
    assert store.read(tmp_path / "here.json")["sections"]["memory"]["quick"] is True


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["gird"])
    assert ended.value.code == 2
    assert "no section 'gird': expected some of grid" in capsys.readouterr().err


class Children:
    """Stands in for the processes of the sections; some of them end badly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.broken: set[str] = set()
        monkeypatch.setattr(subprocess, "run", self.run)

    def run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        name, output = command[3], Path(command[command.index("--output") + 1])
        assert command[:3] == [sys.executable, "-m", "benchmarks"]
        self.ran.append(name)
        if name in self.broken:
            return subprocess.CompletedProcess(command, 1)
        found = {**section([]), "machine": dict(machine.facts()), "quick": "--quick" in command}
        store.put(output, name, found)
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Children:
    return Children(monkeypatch)


def test_all_sections_run_and_replace_the_results_at_the_end(tmp_path: Path, children: Children) -> None:
    results = tmp_path / "cpu-made-up-1-threads.json"
    results.write_text("an older result, of another format")
    assert main.main([]) == 0
    assert children.ran == list(main.SECTIONS)
    assert store.read(results)["sections"].keys() == set(main.SECTIONS)
    assert list(tmp_path.iterdir()) == [results]


def test_an_interrupted_run_goes_on(tmp_path: Path, children: Children, capsys: pytest.CaptureFixture[str]) -> None:
    children.broken = {"others"}
    assert main.main([]) == 1
    assert "not finished: others" in capsys.readouterr().out
    assert not (tmp_path / "cpu-made-up-1-threads.json").exists()
    children.ran, children.broken = [], set()
    assert main.main([]) == 0
    assert children.ran == ["others"]
    assert store.read(tmp_path / "cpu-made-up-1-threads.json")["sections"].keys() == set(main.SECTIONS)


def test_an_interruption_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(command: Sequence[str], **_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    assert main.main([]) == 130
    assert "continues with the section under way" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["commit", "quick"])
def test_figures_of_another_source_are_not_mixed(
    change: str, tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ["--output", str(tmp_path / "here.json")]
    children.broken = {"growth"}
    main.main([*here, "--quick"] if change == "quick" else here)
    children.ran, children.broken = [], set()
    if change == "commit":
        monkeypatch.setattr(machine, "facts", lambda: {**FACTS, "commit": "def"})
    main.main(here)
    assert children.ran == list(main.SECTIONS)


def test_a_quick_run_of_all_leaves_the_results_alone(
    tmp_path: Path, children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main.tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    assert main.main(["--quick"]) == 0
    assert children.ran == list(main.SECTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_tables_are_printed_from_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.put(tmp_path / "x.json", "grid", section(grid_rows()))
    assert main.main(["tables", "--output", str(tmp_path / "x.json")]) == 0
    assert "| GRU, ragged |" in capsys.readouterr().out


def test_a_file_of_another_format_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text("{}")
    assert main.main(["tables", "--output", str(tmp_path / "old.json")]) == 2
    assert (
        capsys.readouterr().err == f"error: {tmp_path / 'old.json'} is not of format 2: move it away to measure anew\n"
    )
