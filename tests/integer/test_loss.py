"""How much is lost in integers, and that it is counted rightly."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longhold.data.tokenizers import CharTokenizer
from longhold.errors import InputError
from longhold.integer import TOTAL, IntegerStepper, float_bits, integer_bits, quantization_loss, quantize
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from tests.integer.models import KINDS, model_of


def trained(cell: str, ids: torch.Tensor, vocab_size: int) -> LanguageModel:
    """A model trained for some seconds."""
    model = LanguageModel(LanguageModelConfig(cell=cell, vocab_size=vocab_size, hidden_size=48))
    optimizer, generator = torch.optim.Adam(model.parameters(), lr=1e-2), torch.Generator().manual_seed(0)
    for _ in range(120):
        starts = torch.randint(len(ids) - 41, (32,), generator=generator)
        rows = torch.stack([ids[start : start + 41] for start in starts], dim=1)
        optimizer.zero_grad()
        model.loss(rows[:-1], rows[1:])[0].backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_trained_model_loses_almost_nothing(cell: str) -> None:
    folder = os.environ.get("LONGHOLD_DATA")
    if folder is None or not (path := Path(folder) / "timemachine.txt").is_file():
        pytest.skip("needs timemachine.txt in LONGHOLD_DATA")
    text = path.read_text(encoding="utf-8")
    tokenizer = CharTokenizer("".join(set(text)), fallback=False)
    ids = tokenizer.encode(text)
    model = trained(cell, torch.from_numpy(ids[:-20_000]), tokenizer.vocab_size)
    held_out = ids[-12_000:]
    bits = float_bits(model, held_out)
    assert bits < 3.5  # 4.3 without looking at what stands before
    for width, bar in ((8, 0.02), (16, 0.0005)):
        integers = quantize(model, width)  # type: ignore[arg-type]
        loss = quantization_loss(model, integers, held_out)
        assert abs(loss) < bar
        assert loss == integer_bits(integers, held_out) - bits


def test_bits_are_those_of_the_frequencies_one_by_one() -> None:
    model = quantize(model_of(KINDS["gru"]), 8)
    ids = np.random.default_rng(0).integers(0, 7, 50)
    bits = 0.0
    for piece in (ids[:16], ids[16:32], ids[32:48]):
        stepper = IntegerStepper(model)
        for read, target in pairwise(piece):
            bits -= math.log2(stepper.step(np.array([read]))[0, target] / TOTAL)
    assert integer_bits(model, ids, columns=3) == pytest.approx(bits / 45, rel=1e-12)


def test_bits_in_floating_point_are_the_cross_entropy_of_the_logits() -> None:
    model = model_of(KINDS["lstm"], scale=1.0)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 7, 1400))
    rows = ids.reshape(2, 700).T
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(rows[:-1])[0].flatten(0, 1), rows[1:].flatten())
    found = float_bits(model, ids.numpy(), columns=2)
    assert found == pytest.approx(float(expected) / math.log(2), rel=1e-5)


@pytest.mark.parametrize(("tokens", "columns"), [(1, 1), (7, 4), (10, 0)])
def test_too_few_tokens_are_refused(tokens: int, columns: int) -> None:
    ids: Any = np.zeros(tokens, dtype=np.int64)
    with pytest.raises(InputError, match=f"{tokens} tokens in {columns} columns"):
        integer_bits(quantize(model_of(KINDS["rnn"]), 8), ids, columns=columns)
