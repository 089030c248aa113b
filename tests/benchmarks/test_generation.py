"""Writing loops and steps."""

import pytest
import torch
from benchmarks.timing import QUICK

from benchmarks import generation
from longhold.models.language_model import LanguageModelConfig
from longhold.sampling import SamplingConfig, generate


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_torchs_loops_write_what_the_model_writes(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def likeliest(probabilities: torch.Tensor, count: int) -> torch.Tensor:
        assert count == 1
        return probabilities.argmax(-1, keepdim=True)

    monkeypatch.setattr(torch, "multinomial", likeliest)
    values = {"cell": cell, "vocab_size": generation.VOCABULARY, "hidden_size": 32}
    model = LanguageModelConfig.model_validate(values).build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()  # so that it writes many letters
    written = list(generate(model, torch.tensor([1]), 20, SamplingConfig(greedy=True)))
    assert len(set(written)) > 5
    assert generation.layer_loop(model, cell, 20)().tolist() == written
    assert generation.cell_loop(model, cell, 20)().tolist() == written


def test_a_row_of_writing_and_one_of_stepping() -> None:
    row = generation.writing("gru", hidden=4, length=3, budget=QUICK)
    assert row["characters_per_second"].keys() == {"longhold", "layer", "cell", "layer, one thread", "cell, one thread"}
    assert min(row["characters_per_second"].values()) > 0
    step = generation.stepping("GRU", size=4, steps=5, budget=QUICK)
    assert {"torch cell", "torch layer, whole sequence"} <= step["microseconds"].keys()
    assert ("missing" in step) == ("stream.step" not in step["microseconds"])
    assert generation.line(row).startswith("gru of 4, characters/s: longhold ")
    assert generation.line(step).startswith("GRU I = H = 4, microseconds a step: ")


def test_bars() -> None:
    rates = {"longhold": 40_000, "layer": 1_000, "cell": 1_900, "layer, one thread": 1_500}
    step = {"stepping": "LSTM", "size": 64, "microseconds": {"stream.run": 2.5, "stream.step": 3.5}}
    rows = [{"writing": "lstm", "hidden": 256, "characters_per_second": rates}, step]
    bars = generation.bars(rows)
    assert [bar.reached for bar in bars] == [True, False, True]
    assert bars[0].value == pytest.approx(40_000 / 1_900)
    assert generation.bars([{**step, "microseconds": {}}])[0].reached is None
