"""Gradients by lag against whole-graph back-propagation, closed forms and finite differences."""

import math

import pytest
import torch
from torch import Tensor, nn

import longhold
from longhold.errors import InputError
from longhold.inspection import LEVELS, GradientByLag, gradient_by_lag, jacobian_by_lag, lyapunov_spectrum
from longhold.models import KneserNey, LanguageModelConfig, SequenceModel, State
from longhold.models.language_model import LanguageModel
from tests.inspection.calibration import DelayLine, LinearRecurrence, UnreliableLatch


def language_model(cell: str, embedding_size: int | None = 5, layers: int = 2) -> LanguageModel:
    config = LanguageModelConfig(
        cell=cell, vocab_size=7, hidden_size=6, num_layers=layers, embedding_size=embedding_size, dropout=0.5
    )
    return config.build(dtype=torch.float64)


def plain_gradients(model: LanguageModel, ids: Tensor, targets: Tensor, step: int) -> Tensor:
    """|d loss_step / d x_s| for every step s and row, (T, B), by one graph over the whole sequence."""
    if model.embedding is None:
        x = nn.functional.one_hot(ids, 7).double().requires_grad_()
    else:
        x = model.embedding(ids).detach().requires_grad_()
    model.eval()
    with longhold.use_backend("reference"):
        features, _ = model.layer(x)
    loss = nn.functional.cross_entropy(model.output(features[step]), targets[step], reduction="sum")
    model.train()
    (found,) = torch.autograd.grad(loss, x)
    return found.norm(dim=2)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("embedding_size", [5, None])
def test_it_is_what_one_graph_over_everything_gives(cell: str, embedding_size: int | None) -> None:
    model = language_model(cell, embedding_size)
    ids, targets = torch.randint(7, (12, 5)), torch.randint(7, (12, 5))
    found = gradient_by_lag(model, ids, targets, max_lag=4, positions=3, rows_at_once=2)
    steps = [4, 7, 11]
    expected = torch.stack(
        [torch.cat([plain_gradients(model, ids, targets, step)[step - lag] for step in steps]) for lag in range(5)]
    )
    assert found.by_input.samples == 15
    assert found.by_input.lags == (0, 1, 2, 3, 4)
    assert found.by_input.mean == pytest.approx(expected.mean(1).tolist(), rel=1e-10)
    assert found.by_input.geometric_mean == pytest.approx(expected.log().mean(1).exp().tolist(), rel=1e-10)
    for column, level in enumerate(LEVELS):
        expected_here = expected.quantile(level, dim=1).tolist()
        assert [row[column] for row in found.by_input.quantiles] == pytest.approx(expected_here, rel=1e-10)
    assert model.training


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradient_by_the_state_is_a_finite_difference(cell: str) -> None:
    model = language_model(cell, layers=1).eval()
    ids, targets = torch.randint(7, (6, 1)), torch.randint(7, (6, 1))
    found = gradient_by_lag(model, ids, targets, max_lag=3, positions=1)
    step = 3  # the only position: the first of 3, 4, 5
    for lag in (1, 2, 3):
        _, state = model(ids[: step - lag + 1])
        leaves = [state] if isinstance(state, Tensor) else list(state)
        squares = 0.0
        for leaf in leaves:
            for index in range(leaf.shape[-1]):
                sides = []
                for sign in (1, -1):
                    moved = [other.detach().clone() for other in leaves]
                    moved[[other is leaf for other in leaves].index(True)][0, 0, index] += sign * 1e-5
                    given = moved[0] if len(moved) == 1 else tuple(moved)
                    outputs, _ = model(ids[step - lag + 1 : step + 1], given)
                    sides.append(nn.functional.cross_entropy(outputs[-1], targets[step]).item())
                squares += ((sides[0] - sides[1]) / 2e-5) ** 2
        assert found.by_state.mean[lag - 1] == pytest.approx(math.sqrt(squares), rel=1e-5)


def test_of_a_linear_recurrence_it_is_a_power_of_its_matrix() -> None:
    weight = torch.randn(3, 3, dtype=torch.float64) / 2
    model = LinearRecurrence(weight)
    inputs, wanted = torch.randn(9, 4, 3), torch.randn(9, 4, 3)

    def first_output(outputs: Tensor, _: Tensor) -> Tensor:
        return outputs[:, 0]

    found = gradient_by_lag(model, inputs.double(), wanted, max_lag=5, positions=2, row_loss=first_output)
    expected = [float(torch.linalg.matrix_power(weight, lag)[0].norm()) for lag in range(6)]
    assert found.by_input.mean == pytest.approx(expected, rel=1e-12)
    assert found.by_state.mean == pytest.approx(expected[1:], rel=1e-12)


def test_only_asked_steps_and_rows_count() -> None:
    model = LinearRecurrence(torch.eye(2))
    inputs = torch.randn(8, 3, 2)
    targets = torch.full((8, 3), -100)
    targets[5, 0] = targets[7, 0] = targets[7, 2] = 1
    found = gradient_by_lag(model, inputs, targets, max_lag=4)
    assert found.by_input.samples == 3
    assert min(found.by_input.mean) > 0


def test_a_gradient_below_float32_is_seen_in_float64() -> None:
    model = LinearRecurrence(torch.eye(2) * 1e-3)
    arguments = (model, torch.randn(30, 1, 2), torch.randint(2, (30, 1)))
    single = gradient_by_lag(*arguments, max_lag=20, positions=1)
    double = gradient_by_lag(*arguments, max_lag=20, positions=1, dtype=torch.float64)
    assert single.by_input.mean[-1] == 0
    assert double.by_input.decay is not None
    assert double.by_input.decay.rate == pytest.approx(math.log(1e-3), rel=1e-6)
    assert next(model.parameters()).dtype == torch.float32


class SmallAttention(SequenceModel):
    """Attends over all inputs so far; its state, the cache, begins empty and grows."""

    state_batch_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.query = nn.Linear(4, 4)

    def initial_state(self, batch: int) -> Tensor:
        return self.query.weight.new_zeros(0, batch, 4)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        cache = self.initial_state(inputs.shape[1]) if state is None else state
        assert isinstance(cache, Tensor)
        x = self.embedding(inputs)
        outputs = []
        for step in x:
            cache = torch.cat([cache, step[None]])
            shares = (cache * self.query(step)).sum(2).softmax(0)
            outputs.append(self.query((shares[..., None] * cache).sum(0)))
        return torch.stack(outputs), cache


def test_a_model_with_a_cache_is_measured_too() -> None:
    model = SmallAttention().double()
    ids, targets = torch.randint(7, (9, 2)), torch.randint(4, (9, 2))
    found = gradient_by_lag(model, ids, targets, max_lag=4, positions=2)
    x = model.embedding(ids).detach().requires_grad_()
    expected = []
    for step in (4, 8):
        cache = x[: step + 1]
        shares = (cache * model.query(x[step])).sum(2).softmax(0)
        outputs = model.query((shares[..., None] * cache).sum(0))
        loss = nn.functional.cross_entropy(outputs, targets[step], reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        expected.append(torch.stack([gradient[step - lag].norm(dim=1) for lag in range(5)]))
    assert found.by_input.mean == pytest.approx(torch.cat(expected, dim=1).mean(1).tolist(), rel=1e-10)


def test_a_sentence_tells_the_decay() -> None:
    model = LinearRecurrence(torch.eye(2) * math.exp(-1 / 8))
    found = gradient_by_lag(model, torch.randn(30, 2, 2), torch.randint(2, (30, 2)), max_lag=20)
    assert isinstance(found, GradientByLag)
    assert "falls by a factor e in 8 steps" in str(found)
    assert "\n" not in str(found)


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    ids = torch.randint(7, (6, 2))
    model = language_model("lstm")
    for arguments, message in [
        ({"max_lag": 6}, "max_lag=6"),
        ({"max_lag": 0}, "max_lag=0"),
        ({"positions": 0}, "positions=0"),
        ({"rows_at_once": 0}, "rows_at_once=0"),
        ({"targets": ids[1:]}, "(5, 2)"),
        ({"targets": torch.full_like(ids, -100)}, "max_lag=3"),
        ({"model": KneserNey(3, 7).fit([0, 1, 2])}, "KneserNey"),
        ({"model": UnreliableLatch(3, 0.5)}, "UnreliableLatch"),
        ({"model": DelayLine(2, 3)}, "DelayLine turns its token ids into no vectors"),
    ]:
        with pytest.raises(InputError) as caught:
            gradient_by_lag(**{"model": model, "inputs": ids, "targets": ids, "max_lag": 3, **arguments})
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_instruments_take_gradients_whatever_the_caller_has_turned_off(mode: type) -> None:
    model, ids = language_model("lstm"), torch.randint(7, (30, 2))

    def measured() -> tuple[object, ...]:
        gradient = gradient_by_lag(model, ids, ids, max_lag=5, positions=2)
        jacobian = jacobian_by_lag(model, ids, [1, 5])
        return gradient, jacobian, lyapunov_spectrum(model, ids, burn_in=2, warm_up=2).exponents

    expected = measured()
    with mode():
        assert repr(measured()) == repr(expected)
