"""The LRU against the complex recurrence written out, and the ring that its eigenvalues come from."""

import math

import numpy as np
import pytest
import torch

from longhold.models.lru import LRU, LRUConfig


def lru(**values: float) -> LRU:
    torch.manual_seed(0)
    config = LRUConfig(**{"input_size": 3, "output_size": 3, "hidden_size": 5, **values})
    return config.make_mixer(None, torch.float64)


def test_it_is_the_recurrence_written_out() -> None:
    """Orvieto et al. 2023, equations of section 3: complex matrices, one step after the other, in numpy."""
    mixer, width = lru(r_min=0.2, r_max=0.95), 5
    p = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    eigenvalues = np.diag(np.exp(-np.exp(p["nu_log"]) + 1j * np.exp(p["theta_log"])))
    b_matrix = p["input.weight"][:width] + 1j * p["input.weight"][width:]
    c_matrix = p["output.weight"][:, :width] - 1j * p["output.weight"][:, width:]
    x = torch.randn(40, 2, width, dtype=torch.float64)
    reset = torch.rand(40, 2) < 0.1
    outputs, state = mixer(x, mixer.initial_state(2), reset)
    for row in range(2):
        h = np.zeros(width, dtype=complex)
        for t in range(40):
            h = np.zeros(width, dtype=complex) if reset[t, row] else h
            u = x[t, row].numpy()
            h = eigenvalues @ h + np.diag(np.exp(p["gamma_log"])) @ b_matrix @ u
            y = (c_matrix @ h).real + p["skip"] * u
            expected = torch.from_numpy(y * 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in y])))
            torch.testing.assert_close(outputs[t, row], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(state[:, row].detach().numpy(), [h.real, h.imag], atol=1e-12)


def test_eigenvalues_fill_the_ring_evenly() -> None:
    mixer = lru(hidden_size=1000, r_min=0.5, r_max=0.9, max_phase=1.0)
    magnitude, phase = torch.exp(-torch.exp(mixer.nu_log)), torch.exp(mixer.theta_log)
    assert 0.5 <= magnitude.min() < 0.52
    assert 0.89 < magnitude.max() <= 0.9
    assert magnitude.square().mean().item() == pytest.approx((0.25 + 0.81) / 2, rel=0.02)  # uniform in area
    assert phase.max() <= 1.0
    assert phase.mean().item() == pytest.approx(0.5, rel=0.05)
    assert torch.allclose(torch.exp(mixer.gamma_log).square(), 1 - magnitude.square())


def test_it_cannot_blow_up() -> None:
    mixer = lru()
    with torch.no_grad():
        mixer.nu_log.fill_(-30.0)
    assert torch.exp(-torch.exp(mixer.nu_log)).max() < 1
    full = lru(hidden_size=500)
    assert full.nu_log.isfinite().all()
    assert full.gamma_log.isfinite().all()
