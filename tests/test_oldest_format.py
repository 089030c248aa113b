"""Files of format 1, stored when it was new, open for ever: one per tokenizer, all cells and many of their options."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.sampling import SamplingConfig, generate
from longhold.text import TextModel, load

DATA = Path(__file__).parent / "data"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "format-1.json").read_text())
TEXT = "The Time Traveller (for so it will be convenient to speak of him) — was expounding.\n其眼閃爍。\n"


@pytest.fixture(params=EXPECTED)
def stored(request: pytest.FixtureRequest) -> tuple[TextModel, dict[str, Any]]:
    return load(DATA / f"format-1-{request.param}.safetensors"), EXPECTED[request.param]


def test_it_reads_writes_and_scores_as_it_did(stored: tuple[TextModel, dict[str, Any]]) -> None:
    model, expected = stored
    assert model.tokenizer.encode(TEXT).tolist() == expected["tokens"]
    assert model.tokenizer.decode(expected["tokens"]) == TEXT
    assert model.score(TEXT).nats == pytest.approx(expected["nats"], rel=1e-5)
    stream = model.tokenizer.stream()
    drawn = generate(model.model, torch.from_numpy(model.prompt_ids("The ")), 12, SamplingConfig(greedy=True))
    assert "".join(map(stream.push, drawn)) == expected["greedy"]


def test_it_writes_whole_characters(stored: tuple[TextModel, dict[str, Any]]) -> None:
    model, expected = stored
    assert "".join(model.write("The ", length=12, greedy=True)) == expected["whole"]
    assert "\ufffd" in expected["greedy"]
    assert "\ufffd" not in expected["whole"]


def test_its_facts_are_those_that_were_written(stored: tuple[TextModel, dict[str, Any]]) -> None:
    facts = stored[0].facts
    assert (facts.corpus, facts.characters, facts.steps, facts.tokens_seen) == ("time.txt", 99, 12, 1000)
    assert (facts.seconds, facts.seed, facts.held_out_bits_per_character) == (1.5, 7, 3.25)
    assert facts.longhold_version == "0.1.0"


def test_what_is_saved_again_is_the_same_model(stored: tuple[TextModel, dict[str, Any]], tmp_path: Path) -> None:
    model, _ = stored
    model.save(tmp_path / "again")
    again = load(tmp_path / "again")
    assert again.model.config == model.model.config
    assert again.tokenizer.to_dict() == model.tokenizer.to_dict()
    weights = again.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.model.state_dict().items())


def test_the_examples_cover_every_cell_and_tokenizer() -> None:
    models = [load(DATA / f"format-1-{name}.safetensors") for name in EXPECTED]
    assert {model.model.config.cell for model in models} == {"rnn", "gru", "lstm"}
    assert {model.tokenizer.kind for model in models} == {"char", "byte", "word", "bpe"}
