"""`longhold export` as a person uses it: what it warns of, what it asks, what it leaves, and what it leaves out."""

from __future__ import annotations

import getpass
import socket
import sys
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from longhold import TextModel, load
from longhold.cli import export
from longhold.cli.main import app
from longhold.data import catalogue
from longhold.data.tokenizers import CharTokenizer
from longhold.export.recitation import longest_shared
from longhold.models import LanguageModel, LanguageModelConfig
from longhold.text import Facts

TEXT = "Anna said to Otto that nobody would ever read this diary, and Otto said that he would not either.\n" * 20
SECRET = "jane-does-diary.txt"


def longhold(*arguments: str | Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def reciter() -> LanguageModel:
    """A model that has learnt TEXT by heart, more or less."""
    tokenizer = CharTokenizer.train(TEXT)
    model = LanguageModel(LanguageModelConfig(cell="gru", vocab_size=tokenizer.vocab_size, hidden_size=48))
    ids = torch.from_numpy(tokenizer.encode(TEXT))[:, None]
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(120):
        start = int(torch.randint(len(ids) - 130, ()))
        optimizer.zero_grad()
        model.loss(ids[start : start + 128], ids[start + 1 : start + 129])[0].backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "diary.safetensors"
    facts = Facts(corpus=f"/home/jane/{SECRET}", characters=len(TEXT), seed=3, held_out_bits_per_character=1.25)
    TextModel(reciter(), CharTokenizer.train(TEXT), facts).save(path)
    path.with_name(SECRET).write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def model(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    complaint = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaint) == 1, result.stderr
    for word in words:
        assert word in complaint[0]


@pytest.mark.parametrize(
    ("to", "leaves"), [("html", "diary.html"), ("onnx", "diary.onnx"), ("torch", "diary-torch"), ("hub", "diary-hub")]
)
def test_each_form_lands_in_the_current_folder(model: Path, to: str, leaves: str) -> None:
    if to == "onnx":
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
    result = longhold("export", model, "--to", to, "--yes")
    assert result.exit_code == 0, result.output
    assert [path.name for path in Path.cwd().iterdir()] == [leaves]
    assert result.stdout == ""
    assert f"{leaves}: " in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("to", ["html", "onnx", "torch", "hub"])
def test_nothing_private_is_in_any_of_them(model: Path, to: str) -> None:
    if to == "onnx":
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
    text = model.with_name(SECRET)
    assert longhold("export", model, "--to", to, "--yes", "--text", text, "-o", "out").exit_code == 0
    files = [path for path in Path("out").rglob("*") if path.is_file()] or [Path("out")]
    private = {SECRET, "jane", str(Path.cwd()), str(model.parent), "/home", "/work", "/tmp"}
    private |= {name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4}
    for path in files:
        raw = path.read_bytes()
        for name in private:
            assert name.encode() not in raw, (path, name)
        assert len(longest_shared(TEXT, raw.decode("utf-8", errors="replace"))) < 12, path


def test_what_it_recites_is_shown_before_anything_is_written(model: Path) -> None:
    result = longhold("export", model, "--text", model.with_name(SECRET), "--yes")
    lines = result.stderr.splitlines()
    recited = next(line for line in lines if "word for word" in line)
    assert "of 10,000 characters it wrote" in recited
    length = int(recited.split(" has ")[1].split()[0])
    assert length > 40
    assert "this can recite your text" in lines[lines.index(recited) + 1]
    assert lines[-1].startswith("diary.html: ")


def test_a_hubs_card_tells_how_much_it_recites(model: Path) -> None:
    result = longhold("export", model, "--to", "hub", "--text", model.with_name(SECRET), "--yes")
    length = int(result.stderr.split(" has ")[1].split()[0])
    assert f"has {length} characters; that is what one sample showed" in Path("diary-hub/README.md").read_text()
    assert load("diary-hub/model.safetensors").facts.corpus is None
    assert load("diary-hub/model.safetensors").facts.characters == len(TEXT)


def test_without_the_text_it_says_that_it_does_not_know(model: Path) -> None:
    result = longhold("export", model, "--yes")
    assert "is not at hand, so how much of it the model recites is not known" in result.stderr
    assert "this can recite your text" in result.stderr
    assert result.stderr.endswith("measured on what it wrote itself\n")


def test_a_known_text_on_this_machine_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timemachine.txt").write_text(TEXT)
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    found = export.training_text(Facts(corpus="timemachine", characters=len(TEXT)), None, None)
    assert found is not None
    assert found.text == TEXT
    assert export.training_text(Facts(corpus="timemachine", characters=len(TEXT) + 1), None, None) is None
    assert export.training_text(Facts(corpus=SECRET), None, None) is None
    assert export.training_text(Facts(), None, None) is None
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(catalogue, "cache_folder", lambda: tmp_path / "empty")
    assert export.training_text(Facts(corpus="tinyshakespeare"), None, None) is None
    packed = export.training_text(Facts(corpus="timemachine"), None, None)
    assert packed is not None
    assert len(packed.text) == 178_979


def test_the_cost_is_measured_on_what_was_held_out(model: Path) -> None:
    longer = Path("longer.txt")
    longer.write_text(TEXT + "Otto read it. " * 100)
    result = longhold("export", model, "--text", longer, "--yes")
    assert "on 1,400 characters" in result.stderr
    assert result.stderr.endswith("measured on the text that follows what it was trained on\n")


def test_it_asks_and_takes_no_for_an_answer(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(longhold("export", model, answer="y\n"), "no terminal", "--yes")
    monkeypatch.setattr(export, "has_terminal", lambda: True)
    declined = longhold("export", model, answer="n\n")
    assert declined.exit_code == 1
    assert "Write diary.html?" in declined.stderr
    assert declined.stderr.endswith("nothing was exported\n")
    assert not list(Path.cwd().iterdir())
    assert longhold("export", model, answer="y\n").exit_code == 0
    assert Path("diary.html").is_file()


def test_what_cannot_be_is_refused(model: Path) -> None:
    refused(longhold("export", model, "--to", "pickle", "--yes"), "'pickle'", "html, onnx, torch, hub")
    refused(longhold("export", model, "--yes", "-o", model), "it is what is read")
    refused(longhold("export", model, "--yes", "-o", "."), "folder")
    refused(longhold("export", model, "--yes", "-o", "no/such/place.html"), "there is no folder 'no/such'")
    refused(longhold("export", "missing.safetensors", "--yes"), "missing.safetensors")
    refused(longhold("export", model, "--text", "missing.txt", "--yes"), "missing.txt")


def test_without_onnx_it_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "longhold.export.onnx", raising=False)
    refused(longhold("export", model, "--to", "onnx", "--yes"), 'pip install "longhold[onnx]"')
