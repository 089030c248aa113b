"""The tutorial's loop against the same recipe written out with plain matrices."""

import math
import pydoc_data.topics
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from longhold.data.timemachine import TutorialText, time_machine_tutorial
from longhold.errors import InputError
from longhold.tutorial.experiment import (
    PUBLISHED,
    TutorialEpoch,
    TutorialReport,
    TutorialRun,
    run_tutorial,
    tutorial_model,
)

TEXT = "\n".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))[:12_000]
EPOCHS = 2
Parameters = dict[str, Tensor]
Step = Callable[[Parameters, Tensor, list[Tensor]], list[Tensor]]

GATES = {"rnn": ["h"], "gru": ["r", "z", "h"], "lstm": ["i", "f", "c", "o"]}


def gate(p: Parameters, name: str, x: Tensor, h: Tensor) -> Tensor:
    return x @ p["W_x" + name] + h @ p["W_h" + name] + p["b_" + name]


def rnn(p: Parameters, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    return [torch.tanh(gate(p, "h", x, state[0]))]


def gru(p: Parameters, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    (h,) = state
    r, z = torch.sigmoid(gate(p, "r", x, h)), torch.sigmoid(gate(p, "z", x, h))
    candidate = torch.tanh(x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"])
    return [z * h + (1 - z) * candidate]


def lstm(p: Parameters, x: Tensor, state: list[Tensor]) -> list[Tensor]:
    h, c = state
    i, f, o = (torch.sigmoid(gate(p, name, x, h)) for name in "ifo")
    c = f * c + i * torch.tanh(gate(p, "c", x, h))
    return [o * torch.tanh(c), c]


STEPS: dict[str, Step] = {"rnn": rnn, "gru": gru, "lstm": lstm}


class Notebook:
    """The tutorial's from-scratch model and training, in its own form: one matrix per gate, row vectors."""

    def __init__(self, cell: str, text: TutorialText, seed: int) -> None:
        self.cell, self.text, self.seed = cell, text, seed
        start = tutorial_model(cell, len(text.vocabulary), 256, seed).state_dict()
        self.parameters: Parameters = {"W_hq": start["output.weight"].T, "b_q": start["output.bias"]}
        for k, name in enumerate(GATES[cell]):
            rows = slice(256 * k, 256 * (k + 1))
            self.parameters["W_x" + name] = start["layer.weight_ih_l0"][rows].T
            self.parameters["W_h" + name] = start["layer.weight_hh_l0"][rows].T
            self.parameters["b_" + name] = start["layer.bias_ih_l0"][rows]
        self.parameters = {name: p.double().clone().requires_grad_() for name, p in self.parameters.items()}

    def fresh(self, batch: int) -> list[Tensor]:
        return [torch.zeros(batch, 256, dtype=torch.float64) for _ in range(2 if self.cell == "lstm" else 1)]

    def logits(self, ids: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        eye = torch.eye(len(self.text.vocabulary), dtype=torch.float64)
        outputs = []
        for column in ids:
            state = STEPS[self.cell](self.parameters, eye[column], state)
            outputs.append(state[0] @ self.parameters["W_hq"] + self.parameters["b_q"])
        return torch.stack(outputs), state

    def epoch(self, epoch: int) -> float:
        corpus = self.text.train.tolist()
        offset = int(np.random.default_rng([self.seed, epoch]).integers(0, 36))
        usable = (len(corpus) - offset - 1) // 32 * 32
        xs = torch.tensor(corpus[offset : offset + usable]).reshape(32, -1)
        ys = torch.tensor(corpus[offset + 1 : offset + 1 + usable]).reshape(32, -1)
        state, total, count = self.fresh(32), 0.0, 0
        for begin in range(0, xs.shape[1] // 35 * 35, 35):
            x, y = xs[:, begin : begin + 35].T, ys[:, begin : begin + 35].T
            outputs, state = self.logits(x, [part.detach() for part in state])
            picked = outputs.log_softmax(-1).gather(-1, y[..., None])
            loss = -picked.mean()
            self.descend(torch.autograd.grad(loss, list(self.parameters.values())))
            total, count = total + float(loss.detach()) * y.numel(), count + y.numel()
        return total / count

    def descend(self, gradients: tuple[Tensor, ...]) -> None:
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        scale = 1 / norm if norm > 1 else 1.0
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
                parameter -= 1.0 * scale * gradient

    @torch.no_grad()
    def held_out(self) -> float:
        ids = torch.from_numpy(self.text.held_out)
        outputs, _ = self.logits(ids[:-1, None], self.fresh(1))
        return float(-outputs[:, 0].log_softmax(-1).gather(-1, ids[1:, None]).mean())

    @torch.no_grad()
    def write(self, prefix: str) -> str:
        state, ids = self.fresh(1), [self.text.vocabulary.index(c) for c in prefix]
        for position in range(len(prefix) + 49):
            outputs, state = self.logits(torch.tensor([[ids[position]]]), state)
            if position >= len(prefix) - 1:
                ids.append(int(outputs[0, 0].argmax()))
        return "".join(self.text.vocabulary[token] for token in ids)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_run_equals_the_notebook_s_plain_matrices(cell: str) -> None:
    prepared = time_machine_tutorial(TEXT)
    seen: list[TutorialEpoch] = []
    report = run_tutorial(TEXT, cell, [7], epochs=EPOCHS, hidden_size=256, on_epoch=seen.append)
    notebook = Notebook(cell, prepared, 7)
    expected = [notebook.epoch(epoch) for epoch in range(EPOCHS)]
    assert [math.log(epoch.perplexity) for epoch in seen] == pytest.approx(expected, rel=1e-5)
    assert [(epoch.seed, epoch.epoch) for epoch in seen] == [(7, 1), (7, 2)]
    (run,) = report.runs
    assert run.perplexity == seen[-1].perplexity
    assert run.tokens_per_second == seen[-1].tokens_per_second > 0
    assert math.log(run.held_out_perplexity) == pytest.approx(notebook.held_out(), rel=1e-5)
    assert run.continuations == (notebook.write("time traveller"), notebook.write("traveller"))
    assert expected[-1] < expected[0] - 0.1


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_the_first_weights_are_the_tutorial_s(cell: str, gates: int) -> None:
    before = torch.get_rng_state()
    model = tutorial_model(cell, 28, 256, 0)
    assert torch.equal(torch.get_rng_state(), before)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert set(trained) == {
        "layer.weight_ih_l0",
        "layer.weight_hh_l0",
        "layer.bias_ih_l0",
        "output.weight",
        "output.bias",
    }
    assert sum(p.numel() for p in trained.values()) == gates * 256 * (28 + 256 + 1) + 28 * 257
    for name, parameter in model.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            assert float(parameter.detach().std()) == pytest.approx(0.01, rel=0.05)


def test_a_seed_decides_everything() -> None:
    first = run_tutorial(TEXT, "rnn", [3, 4], epochs=2)
    second = run_tutorial(TEXT, "rnn", [4, 3], epochs=2)

    def numbers(run: TutorialRun) -> TutorialRun:
        return replace(run, tokens_per_second=0.0)

    assert [numbers(run) for run in first.runs] == [numbers(run) for run in reversed(second.runs)]
    assert first.runs[0].perplexity != first.runs[1].perplexity


def test_the_recurrent_bias_stays_out_of_it() -> None:
    seen = {}

    def look(epoch: TutorialEpoch) -> None:
        seen[epoch.epoch] = epoch.perplexity

    run_tutorial(TEXT, "rnn", [0], epochs=2, on_epoch=look)
    doubled = Notebook("rnn", time_machine_tutorial(TEXT), 0)
    original = doubled.descend

    def twice(gradients: tuple[Tensor, ...]) -> None:
        original(gradients)
        with torch.no_grad():
            doubled.parameters["b_h"] -= gradients[list(doubled.parameters).index("b_h")]

    doubled.descend = twice  # type: ignore[method-assign]
    assert [math.exp(doubled.epoch(e)) for e in range(2)] != pytest.approx(list(seen.values()), rel=1e-5)


@pytest.mark.parametrize(
    ("cell", "runs", "median", "smallest", "largest"),
    [("rnn", 97, 1.0, 1.0, 1.6), ("gru", 93, 1.1, 1.0, 1.8), ("lstm", 81, 1.1, 1.1, 2.4)],
)
def test_the_published_runs(cell: str, runs: int, median: float, smallest: float, largest: float) -> None:
    published = PUBLISHED[cell]
    assert (published.runs, published.median) == (runs, median)
    assert len(published.perplexities) == runs
    assert (published.perplexities[0], published.perplexities[-1]) == (smallest, largest)


def report(perplexities: list[float], epochs: int, hidden_size: int = 256) -> TutorialReport:
    runs = [TutorialRun(s, "lstm", p, 100.0 + s, 9.0 - s, ("", "")) for s, p in enumerate(perplexities)]
    return TutorialReport("lstm", hidden_size, epochs, tuple(runs))


def test_a_report_sums_up_its_runs() -> None:
    three = report([1.3, 1.12, 1.2], 500)
    assert (three.median, three.range, three.held_out_median, three.tokens_per_second) == (1.2, (1.12, 1.3), 8.0, 101.0)
    assert three.published is PUBLISHED["lstm"]
    assert three.median_in_published_range is True
    assert report([1.06], 500).median_in_published_range is True
    assert report([1.04], 500).median_in_published_range is False
    assert report([2.46], 500).median_in_published_range is False
    assert report([1.2], 499).median_in_published_range is None
    assert report([1.2], 500, hidden_size=255).median_in_published_range is None


@pytest.mark.parametrize(
    ("cell", "seeds", "epochs", "message"),
    [
        ("transformer", [0], 1, "rnn, gru, lstm, got 'transformer'"),
        ("rnn", [], 1, "one or more integers"),
        ("rnn", [0, -1], 1, r"got \[0, -1\]"),
        ("rnn", [0], 0, "epochs must be at least 1, got 0"),
    ],
)
def test_wrong_requests_are_refused(cell: str, seeds: list[int], epochs: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_tutorial(TEXT, cell, seeds, epochs=epochs)


def test_a_short_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"10000 letters and a held-out rest need more than 9$"):
        run_tutorial("too short", "rnn", [0])


def test_a_loss_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(cell: str, vocab_size: int, hidden_size: int, seed: int) -> torch.nn.Module:
        model = tutorial_model(cell, vocab_size, hidden_size, seed)
        torch.nn.init.constant_(model.output.weight, math.inf)
        return model

    monkeypatch.setattr("longhold.tutorial.experiment.tutorial_model", broken)
    with pytest.raises(InputError, match="the loss became nan in epoch 1 of seed 5"):
        run_tutorial(TEXT, "rnn", [5], epochs=2)
