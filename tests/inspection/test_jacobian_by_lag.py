"""Jacobians by lag against matrix powers and autograd's own Jacobian."""

import math

import pytest
import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.inspection import jacobian_by_lag
from longhold.models import KneserNey, LanguageModelConfig
from longhold.models.contract import map_state
from tests.inspection.calibration import DelayLine, LinearRecurrence


def test_of_a_linear_recurrence_they_are_those_of_a_power_of_its_matrix() -> None:
    weight = torch.randn(4, 4)
    found = jacobian_by_lag(LinearRecurrence(weight), torch.randn(12, 3, 4), [1, 2, 7], positions=3)
    for row, lag in enumerate([1, 2, 7]):
        expected = torch.linalg.svdvals(torch.linalg.matrix_power(weight.double(), lag))
        assert found.singular_values[row] == pytest.approx(expected.tolist(), rel=1e-9)
        assert found.norm.mean[row] == pytest.approx(float(expected[0]), rel=1e-9)
        root = math.sqrt(float(expected.square().mean()))
        assert found.root_mean_square.mean[row] == pytest.approx(root, rel=1e-9)
    assert found.norm.samples == 9


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_of_a_cell_they_are_those_of_autograds_jacobian(cell: str) -> None:
    model = LanguageModelConfig(cell=cell, vocab_size=5, hidden_size=3, num_layers=2).build(dtype=torch.float64)
    ids = torch.randint(5, (9, 2))
    found = jacobian_by_lag(model, ids, [1, 4], positions=2, burn_in=2, dtype=None)
    values: dict[int, list[Tensor]] = {1: [], 4: []}
    for start in (2, 5):  # 9 steps, burn-in 2, longest lag 4: from 2 to 5
        for row in range(2):
            _, state = model(ids[:start, row : row + 1])
            state = map_state(torch.Tensor.detach, state)
            leaves = (state,) if isinstance(state, Tensor) else tuple(state)
            for lag, kept in values.items():

                def ahead(*given: Tensor, start: int = start, lag: int = lag, row: int = row) -> tuple[Tensor, ...]:
                    hx = given[0] if len(given) == 1 else given
                    _, after = model(ids[start : start + lag, row : row + 1], hx)
                    return (after,) if isinstance(after, Tensor) else tuple(after)

                blocks = torch.autograd.functional.jacobian(ahead, leaves)
                size = leaves[0].numel()
                whole = torch.cat([torch.cat([b.reshape(size, size) for b in line], dim=1) for line in blocks])
                kept.append(torch.linalg.svdvals(whole))
    for row, lag in enumerate([1, 4]):
        expected = torch.stack(values[lag]).log().mean(0).exp()
        assert found.singular_values[row] == pytest.approx(expected.tolist(), rel=1e-7)


def test_the_rate_is_told_for_vanishing_and_exploding() -> None:
    inputs = torch.randn(40, 1, 2)
    vanishing = jacobian_by_lag(LinearRecurrence(torch.eye(2) * 0.9), inputs, [1, 2, 4, 8, 16])
    exploding = jacobian_by_lag(LinearRecurrence(torch.eye(2) * 1.1), inputs, [1, 2, 4, 8, 16])
    assert vanishing.norm.decay is not None
    assert exploding.norm.decay is not None
    assert vanishing.norm.decay.rate == pytest.approx(math.log(0.9), rel=1e-6)
    assert exploding.norm.decay.rate == pytest.approx(math.log(1.1), rel=1e-6)
    assert "grows" in str(exploding)
    assert "falls" in str(vanishing)


def test_a_delay_line_has_forgotten_after_its_length() -> None:
    found = jacobian_by_lag(DelayLine(3, 2), torch.randn(10, 1, 2), [1, 2, 3, 4], positions=1)
    held = [sum(value > 0.5 for value in row) for row in found.singular_values]
    assert held == [4, 2, 0, 0]  # of 3 x 2 numbers, two leave at each step
    assert found.norm.mean[2:] == (0.0, 0.0)


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    inputs, model = torch.randn(8, 2, 2), LinearRecurrence(torch.eye(2))
    ids = torch.zeros(8, 2, dtype=torch.long)
    for arguments, message in [
        ({"lags": [2, 2]}, "lags [2, 2]"),
        ({"lags": []}, "lags []"),
        ({"lags": [9]}, "8 steps"),
        ({"burn_in": 6}, "burn_in=6"),
        ({"positions": 0}, "positions=0"),
        ({"model": KneserNey(3, 7).fit([0, 1, 2]), "inputs": ids}, "KneserNey"),
    ]:
        with pytest.raises(InputError) as caught:
            jacobian_by_lag(**{"model": model, "inputs": inputs, "lags": [1, 3], **arguments})
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
