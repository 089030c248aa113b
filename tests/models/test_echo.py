"""The echo state network: its reservoir, its equation, and both ways of training its read-out."""

import numpy as np
import pytest
import torch

from longhold.errors import InputError
from longhold.models.budget import fixed_count, parameter_count
from longhold.models.echo import EchoConfig, EchoStateNetwork


def network(**values: float) -> EchoStateNetwork:
    torch.manual_seed(0)
    config = EchoConfig(**{"input_size": 4, "output_size": 3, "hidden_size": 50, **values})
    return config.build(dtype=torch.float64)


@pytest.mark.parametrize(("size", "radius", "density"), [(1, 0.5, 0.1), (2, 0.9, 0.1), (50, 1.2, 0.2), (60, 0.9, 1.0)])
def test_the_reservoir_has_its_radius_and_density(size: int, radius: float, density: float) -> None:
    reservoir = network(hidden_size=size, spectral_radius=radius, density=density).reservoir
    assert np.abs(np.linalg.eigvals(reservoir.numpy())).max() == pytest.approx(radius)
    assert (reservoir != 0).sum(1).tolist() == [max(1, round(density * size))] * size


def test_it_is_the_leaky_equation_written_out() -> None:
    model = network(hidden_size=6, leak=0.3, input_scaling=2.0, density=0.5)
    assert model.input_weight.abs().max() <= 2
    assert model.input_weight.abs().max() > 1
    inputs, reset = torch.randint(4, (12, 2)), torch.rand(12, 2) < 0.2
    outputs, state = model(inputs, None, reset)
    weights, fixed, out = (x.detach().numpy() for x in (model.input_weight, model.reservoir, model.output.weight))
    for row in range(2):
        h = np.zeros(6)
        for t in range(12):
            h = np.zeros(6) if reset[t, row] else h
            u = np.eye(4)[inputs[t, row]]
            h = 0.7 * h + 0.3 * np.tanh(weights @ u + fixed @ h)
            y = out @ np.concatenate([h, u]) + model.output.bias.detach().numpy()
            np.testing.assert_allclose(outputs[t, row].detach().numpy(), y, atol=1e-12)
        np.testing.assert_allclose(state[0, row].numpy(), h, atol=1e-12)


def test_only_the_read_out_is_trained_and_all_is_saved() -> None:
    model = network()
    assert {name for name, _ in model.named_parameters()} == {"output.weight", "output.bias"}
    assert parameter_count(model.config) == 3 * (50 + 4 + 1)
    assert fixed_count(model.config) == 50 * 50 + 50 * 4
    again = network(spectral_radius=0.1)
    again.load_state_dict(model.state_dict())
    inputs = torch.randint(4, (5, 2))
    assert torch.equal(model(inputs)[0], again(inputs)[0])


def test_fit_is_the_ridge_regression_of_numpy() -> None:
    model, ridge = network(hidden_size=5, continuous=True), 0.1
    inputs, targets = torch.randn(20, 6, 4).double(), torch.randn(20, 6, 3).double()
    mask = torch.rand(20, 6) < 0.5
    rows = torch.cat([model._features(inputs, None, None)[0], torch.ones(20, 6, 1).double()], -1)[mask].numpy()
    # ridge as ordinary least squares: one more row for each coefficient, whose target is 0
    design = np.concatenate([rows, np.sqrt(ridge) * np.eye(10)])
    wanted = np.concatenate([targets[mask].numpy(), np.zeros((10, 3))])
    expected = np.linalg.lstsq(design, wanted, rcond=None)[0]
    halves = [(inputs[:, part], targets[:, part], mask[:, part]) for part in (slice(0, 2), slice(2, 6))]
    model.fit(halves, ridge)
    np.testing.assert_allclose(model.output.weight.detach().numpy(), expected[:-1].T, atol=1e-9)
    np.testing.assert_allclose(model.output.bias.detach().numpy(), expected[-1], atol=1e-9)


def test_a_fitted_network_names_the_symbol_of_three_steps_ago() -> None:
    model = network(hidden_size=100, output_size=4, input_scaling=0.3)
    inputs = torch.randint(4, (40, 30))
    targets = torch.full_like(inputs, -100)
    targets[3:] = inputs[:-3]
    model.fit([(inputs[:, :20], targets[:, :20], targets[:, :20] >= 0)])
    outputs = model(inputs[:, 20:])[0]
    assert (outputs[3:].argmax(-1) == inputs[:-3, 20:]).double().mean() > 0.95


@pytest.mark.parametrize(("mask", "ridge", "line"), [(True, 0.0, "ridge=0.0"), (False, 1.0, "has a target")])
def test_a_fit_that_cannot_be_is_one_line(mask: bool, ridge: float, line: str) -> None:
    inputs = torch.zeros(3, 2, dtype=torch.long)
    with pytest.raises(InputError, match=line):
        network().fit([(inputs, inputs, torch.full((3, 2), mask))], ridge)
