"""`longhold info`: what it says is what was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold import TextModel
from longhold.cli.main import app
from longhold.data.tokenizers import ByteTokenizer, CharTokenizer
from longhold.models import LanguageModel, LanguageModelConfig, write_model
from longhold.text import Facts
from longhold.text.information import ABSENT, Information


def longhold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tokenizer = CharTokenizer("abc\n")
    config = LanguageModelConfig(
        cell="lstm", vocab_size=260, hidden_size=5, num_layers=2, embedding_size=5, tie_weights=True, peephole=True
    )
    facts = Facts(corpus="/home/me/my.txt", characters=12345, steps=60, seconds=1.25, held_out_bits_per_character=2.5)
    TextModel(LanguageModel(config), tokenizer, facts).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_json_says_all_of_it(path: Path) -> None:
    result = longhold("info", path, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    assert found == json.loads(Information(**found).model_dump_json())
    layers = 2 * (2 * 20 * 5 + 2 * 20 + 15)  # W_ih, W_hh, two biases, peepholes
    assert found["parameters"] == layers + 260 * 5 + 260
    assert found["bytes"] == path.stat().st_size
    assert (found["file"], found["format"], found["kind"]) == ("model.safetensors", 1, "language_model")
    assert found["dtype"] == "float32"
    assert found["state_bytes"] == 2 * 2 * 5 * 4
    assert found["tokenizer"] == {"kind": "char", "ids": 260, "single_bytes": 260}
    assert (found["model"]["peephole"], found["model"]["tie_weights"]) == (True, True)
    assert (found["facts"]["corpus"], found["facts"]["characters"]) == ("my.txt", 12345)
    assert found["absent"] == list(ABSENT)


def test_a_person_reads_lines(path: Path) -> None:
    lines = longhold("info", path).stdout.splitlines()
    said = [" ".join(line.split()) for line in lines]
    assert "model LSTM, 2 layers of 5 units" in said
    assert "reads 260 ids as learned vectors of 5, tied to the output layer" in said
    assert "option peephole = True" in said
    assert "held out 2.500 bits per character on text it was not trained on" in said
    assert "characters 12,345" in said
    assert "seconds 1.2" in said
    assert sum(line.startswith("not inside") for line in said) == len(ABSENT)
    assert not any("hidden_size" in line or "seed" in line for line in said)


def test_one_layer_and_one_hot(tmp_path: Path) -> None:
    model = LanguageModel(LanguageModelConfig(cell="rnn", vocab_size=256, hidden_size=3))
    TextModel(model, ByteTokenizer()).save(tmp_path / "m.safetensors")
    said = longhold("info", tmp_path / "m.safetensors").stdout
    assert "RNN, 1 layer of 3 units" in said
    assert "256 ids as one-hot vectors" in said
    assert "not known" in said


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    model = LanguageModel(LanguageModelConfig(cell="rnn", vocab_size=256, hidden_size=3))
    TextModel(model, ByteTokenizer(), Facts(corpus="a\x1b[2J[red]b")).save(tmp_path / "m.safetensors")
    said = longhold("info", tmp_path / "m.safetensors").stdout
    assert "\x1b" not in said
    assert r"a\x1b[2J[red]b" in said


def test_other_files_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "other.safetensors", {}, {"kind": "checkpoint"})
    (tmp_path / "text.txt").write_text("text")
    for name, word in (("other.safetensors", "'checkpoint'"), ("text.txt", "not a safetensors"), ("none", "none")):
        result = longhold("info", tmp_path / name)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
        assert word in result.stderr
        assert len(result.stderr.splitlines()) == 1
