"""The folder for a hub: a card that says what is so, a file that loads, nothing of the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

import longhold
from longhold.data.tokenizers import ByteTokenizer, CharTokenizer
from longhold.errors import InputError
from longhold.export.hub import card, export_hub
from longhold.export.recitation import Recitation
from longhold.models import LanguageModel, LanguageModelConfig

TOKENIZER = CharTokenizer("abc", fallback=False)
FACTS = {"corpus": "diary-of-jane.txt", "seconds": 9.5, "characters": 1234, "held_out_bits_per_character": 1.23456}


def language_model() -> LanguageModel:
    return LanguageModelConfig(cell="gru", vocab_size=3, hidden_size=4, num_layers=2).build()


def test_the_card_says_what_the_model_is() -> None:
    model = language_model()
    text = card(model, TOKENIZER, {"characters": 1234, "held_out_bits_per_character": 1.23456}, None)
    _, front, body = text.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "longhold",
        "pipeline_tag": "text-generation",
        "tags": ["recurrent-neural-network", "gru", "longhold"],
    }
    count = sum(parameter.numel() for parameter in model.parameters())
    for row in (
        "| network | GRU, 2 x 4 units |",
        f"| parameters | {count:,} |",
        "| state | 32 bytes |",
        "| vocabulary | 3 ids (char) |",
        "| characters trained on | 1,234 |",
        "| held out bits per character | 1.235 |",
    ):
        assert row in body
    assert "How much of it this model repeats was not measured." in body
    headings = [token.content for token in MarkdownIt().parse(body) if token.type == "inline" and token.level == 1]
    assert {"It can repeat its text verbatim", "What it is for", "Licence"} <= set(headings)


def test_of_the_verbatim_overlap_only_the_length_is_stated() -> None:
    recited = Recitation(run="my name is Jane", sampled=10_000, training=99)
    text = card(language_model(), TOKENIZER, {}, recited)
    assert "In 10,000 characters" in text
    assert "has 15 characters" in text
    assert "Jane" not in text


def test_the_folder_holds_the_file_and_its_configuration(tmp_path: Path) -> None:
    model = language_model()
    longhold.TextModel(model, TOKENIZER).save(tmp_path / "m.safetensors")
    file = (tmp_path / "m.safetensors").read_bytes()
    size = export_hub(model, TOKENIZER, tmp_path / "hub", file, FACTS)
    assert size == sum(path.stat().st_size for path in (tmp_path / "hub").iterdir())
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    found = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert found["model_type"] == "longhold"
    assert LanguageModelConfig(**{name: found[name] for name in model.config.model_dump()}) == model.config
    assert found["facts"] == {"characters": 1234, "held_out_bits_per_character": 1.23456}
    again = longhold.load(tmp_path / "hub" / "model.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)
    assert "jane" not in "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "hub").iterdir()).lower()
    export_hub(model, TOKENIZER, tmp_path / "hub", file)
    (tmp_path / "hub" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.txt"):
        export_hub(model, TOKENIZER, tmp_path / "hub", file)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_examples_of_the_card_run(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = ByteTokenizer()
    model = LanguageModelConfig(cell=cell, vocab_size=256, hidden_size=4).build()  # type: ignore[arg-type]
    longhold.TextModel(model, tokenizer).save(tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    fences = MarkdownIt().parse(card(model, tokenizer, {}, None).split("---\n", 2)[2])
    (code,) = (token.content for token in fences if token.type == "fence" and token.info == "python")
    exec(compile(code, "README.md", "exec"), {})
