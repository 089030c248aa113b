"""Lyapunov spectra against eigenvalues, zero, minus infinity and the logistic map."""

import math

import pytest
import torch
from torch import Tensor

import longhold
from longhold.errors import InputError
from longhold.inspection import lyapunov_spectrum
from longhold.models import KneserNey, LanguageModelConfig, SequenceModel, State
from tests.inspection.calibration import DelayLine, LinearRecurrence


class OfFeatures(SequenceModel):
    """A layer of longhold behind the contract."""

    def __init__(self, layer: longhold.RNN | longhold.LSTM) -> None:
        super().__init__()
        self.layer = layer

    def initial_state(self, batch: int) -> State:
        return self.layer.initial_state(batch)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        return self.layer(inputs, state, reset=reset)


def rnn(weight: Tensor, nonlinearity: str) -> OfFeatures:
    layer = longhold.RNN(1, len(weight), nonlinearity=nonlinearity, bias=False)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(weight)
        layer.weight_ih_l0.fill_(0.0)
    return OfFeatures(layer)


def orthogonal(size: int) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size)).Q


def test_the_spectrum_of_a_linear_recurrence_is_its_eigenvalues() -> None:
    weight = torch.randn(6, 6) / math.sqrt(6)
    expected = torch.linalg.eigvals(weight.double()).abs().log().sort(descending=True).values
    found = lyapunov_spectrum(LinearRecurrence(weight), torch.zeros(1500, 1, 6), burn_in=10, warm_up=290)
    assert found.exponents == pytest.approx(expected.tolist(), rel=0.01)
    assert (found.steps, found.rows) == (1200, 1)


def test_our_rnn_at_rest_has_the_spectrum_of_its_matrix() -> None:
    basis = torch.randn(5, 5)
    weight = basis @ torch.diag(torch.tensor([0.95, 0.8, -0.6, 0.4, 0.2])) @ basis.inverse()
    found = lyapunov_spectrum(rnn(weight, "tanh"), torch.zeros(300, 1, 1), exponents=3, burn_in=0, warm_up=100)
    assert found.exponents == pytest.approx([math.log(0.95), math.log(0.8), math.log(0.6)], rel=0.01)


@pytest.mark.parametrize("every", [1, 4])
def test_the_spectrum_of_an_orthogonal_recurrence_is_zero(every: int) -> None:
    model = LinearRecurrence(orthogonal(7))
    found = lyapunov_spectrum(model, torch.randn(200, 3, 7), burn_in=10, warm_up=10, every=every)
    assert found.exponents == pytest.approx([0.0] * 7, abs=1e-6)  # the matrix is orthogonal to float32
    assert found.standard_errors == pytest.approx([0.0] * 7, abs=1e-6)


class LogisticMap(SequenceModel):
    """x -> 4 x (1 - x), chaotic, with the exponent ln 2."""

    def initial_state(self, batch: int) -> dict[str, Tensor]:
        return {"x": torch.linspace(0.1, 0.7, batch, dtype=torch.float64)[None, :, None]}

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        x = (self.initial_state(inputs.shape[1]) if state is None else state)["x"]  # type: ignore[index, call-overload]
        for _ in inputs:
            x = 4 * x * (1 - x)
        return x, {"x": x}


def test_the_logistic_map_doubles_a_distance_at_every_step() -> None:
    found = lyapunov_spectrum(LogisticMap(), torch.zeros(1000, 20, 1))
    assert found.exponents[0] == pytest.approx(math.log(2), rel=0.01)
    assert 0 < found.standard_errors[0] < 0.01
    assert abs(found.exponents[0] - math.log(2)) < 4 * found.standard_errors[0]
    assert "0.69" in str(found)
    assert "20 x 800 steps" in str(found)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_exponents_of_a_cell_add_up_to_the_mean_logarithm_of_its_determinant(cell: str) -> None:
    model = LanguageModelConfig(cell=cell, vocab_size=4, hidden_size=3).build(dtype=torch.float64)
    ids = torch.randint(4, (40, 1))
    found = lyapunov_spectrum(model, ids, burn_in=5, warm_up=5)
    _, state = model(ids[:10])
    total = 0.0
    for step in range(10, 40):
        leaves = (state,) if isinstance(state, Tensor) else tuple(state)

        def ahead(*given: Tensor, step: int = step) -> tuple[Tensor, ...]:
            _, after = model(ids[step : step + 1], given[0] if len(given) == 1 else given)
            return (after,) if isinstance(after, Tensor) else tuple(after)

        blocks = torch.autograd.functional.jacobian(ahead, tuple(leaf.detach() for leaf in leaves))
        whole = torch.cat([torch.cat([block.reshape(3, 3) for block in line], dim=1) for line in blocks])
        total += float(whole.det().abs().log())
        _, state = model(ids[step : step + 1], state)
    assert sum(found.exponents) == pytest.approx(total / 30, rel=1e-6)


def test_orthonormalising_less_often_changes_nothing_where_exponents_lie_close() -> None:
    model = LanguageModelConfig(cell="gru", vocab_size=4, hidden_size=4).build(dtype=torch.float64)
    ids = torch.randint(4, (80, 2))
    often, seldom = (lyapunov_spectrum(model, ids, burn_in=5, warm_up=15, every=every) for every in (1, 3))
    assert seldom.exponents == pytest.approx(often.exponents, rel=1e-6)
    assert (often.steps, seldom.steps) == (60, 60)


def test_what_a_delay_line_forgets_has_the_exponent_minus_infinity() -> None:
    found = lyapunov_spectrum(DelayLine(2, 1), torch.randn(20, 2, 1), burn_in=0, warm_up=5)
    assert found.exponents == (-math.inf, -math.inf)
    assert math.isnan(found.standard_errors[0])
    assert str(found).startswith("largest Lyapunov exponent -inf nats per step")


def test_a_warm_up_takes_the_first_frame_away() -> None:
    model = LinearRecurrence(torch.diag(torch.tensor([0.9, 0.3])))
    inputs = torch.zeros(40, 1, 2)
    biased = lyapunov_spectrum(model, inputs, burn_in=0, warm_up=0).exponents[0]
    warm = lyapunov_spectrum(model, inputs, burn_in=0, warm_up=20).exponents[0]
    assert abs(warm - math.log(0.9)) < 1e-6 < abs(biased - math.log(0.9))


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    inputs, model = torch.zeros(50, 2, 2), LinearRecurrence(torch.eye(2))
    for arguments, message in [
        ({}, "50 steps"),
        ({"burn_in": -1}, "burn_in=-1"),
        ({"burn_in": 0, "warm_up": 0, "every": 0}, "every=0"),
        ({"burn_in": 0, "warm_up": 48, "every": 3}, "every=3"),
        ({"burn_in": 0, "warm_up": 0, "exponents": 3}, "exponents=3"),
        ({"burn_in": 0, "warm_up": 0, "exponents": 0}, "exponents=0"),
    ]:
        with pytest.raises(InputError) as caught:
            lyapunov_spectrum(model, inputs, **arguments)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="KneserNey"):
        lyapunov_spectrum(KneserNey(3, 7).fit([0, 1, 2]), torch.zeros(50, 2).long(), burn_in=0, warm_up=0)
