"""What comes into a model and what it is asked for: integers of any type, or one line."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models import LanguageModelConfig, SequenceModel
from longhold.models.classifier import ClassifierConfig
from longhold.models.ngram import KneserNey
from longhold.models.transformer import TransformerConfig

SIZES: dict[str, Any] = {"vocab_size": 7, "hidden_size": 4}
MODELS: dict[str, SequenceModel] = {
    "language model of one-hot ids": LanguageModelConfig(cell="lstm", **SIZES).build(),
    "language model with an embedding": LanguageModelConfig(cell="gru", embedding_size=3, **SIZES).build(),
    "classifier": ClassifierConfig(cell="rnn", num_classes=3, **SIZES).build(),
    "transformer": TransformerConfig(cell="transformer", input_size=7, output_size=3, hidden_size=8).build(),
    "n-gram": KneserNey(2, 7).fit(np.arange(7)),
}
CLASSES = {name: 7 if name.startswith(("language", "n-gram")) else 3 for name in MODELS}
INPUTS, TARGETS = torch.randint(7, (5, 2)), torch.randint(3, (5, 2))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16])
def test_integers_of_any_type_are_ids_and_targets(name: str, dtype: torch.dtype) -> None:
    model = MODELS[name].eval()
    expected, _ = model.loss(INPUTS, TARGETS)
    found, _ = model.loss(INPUTS.to(dtype), TARGETS.to(dtype))
    assert torch.equal(found, expected)


STRANGE: dict[str, Tensor] = {
    "floats": TARGETS.float(),
    "half floats": TARGETS.half(),
    "bools": TARGETS.bool(),
    "complex": TARGETS.to(torch.complex64),
    "flat": TARGETS.flatten(),
    "turned": TARGETS.T,
    "too few": TARGETS[:3],
    "one-hot": torch.nn.functional.one_hot(TARGETS, 7),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("case", STRANGE)
def test_targets_that_are_none_are_refused(name: str, case: str) -> None:
    wrong = STRANGE[case]
    with pytest.raises(InputError, match=r"^targets of shape .*: expected ") as refusal:
        MODELS[name].loss(INPUTS, wrong)
    line = str(refusal.value)
    assert str(wrong.dtype) in line
    assert f"expected (5, 2) integers from 0 to {CLASSES[name] - 1}, or -100 where there is no target" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", MODELS)
def test_ids_and_targets_outside_are_named(name: str) -> None:
    model, wrong = MODELS[name], TARGETS.clone()
    for outside in (CLASSES[name], -1, -99):
        wrong[2, 1] = outside
        with pytest.raises(InputError, match=rf"{outside}\b.*expected 0 to {CLASSES[name] - 1}$"):
            model.loss(INPUTS, wrong)
    ids = INPUTS.clone()
    for outside in (7, -100):
        ids[2, 1] = outside
        with pytest.raises(InputError, match=rf"{outside}\b.*expected 0 to 6$"):
            model.loss(ids, TARGETS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "wrong", [INPUTS.float(), INPUTS.bool(), INPUTS[:, 0], INPUTS[:0]], ids=["float", "bool", "1", "0"]
)
def test_inputs_that_are_no_ids_are_refused(name: str, wrong: Tensor) -> None:
    with pytest.raises(InputError, match=r"^inputs of shape .*: expected token ids \(T, B\)$"):
        MODELS[name].loss(wrong, TARGETS)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_asked_does_not_count(name: str) -> None:
    model, some = MODELS[name].eval(), TARGETS.clone()
    some[3:] = -100
    assert torch.allclose(model.loss(INPUTS, some)[0], model.loss(INPUTS[:3], TARGETS[:3])[0])
