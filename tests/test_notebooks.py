"""The notebooks: each runs from top to bottom, and what is stored of a run tells nothing of the machine."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in outputs(notebook) if output.get("name") == "stdout")


def pictures(notebook: nbformat.NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_there_is_one() -> None:
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_from_top_to_bottom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text.txt"
    words = "The man who had eaten the bread was full, and the women who looked round the old room were not. "
    text.write_text(words * 60, encoding="utf-8")
    monkeypatch.setenv("NOTEBOOK_TEXT", str(text))
    monkeypatch.setenv("NOTEBOOK_BUDGET", "2s")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(FOLDER / name, as_version=4)
    stored = pictures(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert pictures(notebook) == stored > 0
    assert "steps here" in printed(notebook)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_of_a_run_is_whole_and_tells_no_path(name: str) -> None:
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(cell.outputs for cell in code)
    assert {output.output_type for output in outputs(notebook)} <= {"stream", "display_data"}
    assert all(output.get("name", "stdout") == "stdout" for output in outputs(notebook))
    text = printed(notebook) + "".join(cell.source for cell in notebook.cells)
    assert not re.search(r"/(work|home|tmp|usr|root)/", text)
