"""Surprise of each token against the whole sequence at once in torch, and models whose surprise is known."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.language_model import LanguageModelConfig
from longhold.sampling import surprise


@pytest.mark.parametrize("length", [2, 3, 256, 257, 258, 600])
def test_surprise_is_the_cross_entropy_of_each_token_given_all_before(length: int) -> None:
    torch.manual_seed(2)
    model = LanguageModelConfig(cell="lstm", vocab_size=9, hidden_size=7, dropout=0.5).build(dtype=torch.float64)
    ids = torch.randint(9, (length,))
    found = surprise(model, ids.numpy())
    with torch.no_grad():
        outputs, _ = model.eval()(ids[:-1].unsqueeze(1))
    expected = F.cross_entropy(outputs[:, 0], ids[1:], reduction="none")
    assert found.shape == (length - 1,)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12)


def test_a_uniform_model_is_always_as_surprised() -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=16, hidden_size=3).build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.train()
    np.testing.assert_allclose(surprise(model, np.arange(16)), math.log(16), rtol=1e-12)
    assert model.training


def test_the_impossible_is_infinitely_surprising_and_nan_is_refused() -> None:
    model = LanguageModelConfig(cell="rnn", vocab_size=3, hidden_size=3).build()
    with torch.no_grad():
        model.output.bias[2] = -torch.inf
    assert np.isposinf(surprise(model, np.array([0, 1, 2]))).tolist() == [False, True]
    with torch.no_grad():
        model.output.bias[0] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        surprise(model, np.array([0, 1]))
