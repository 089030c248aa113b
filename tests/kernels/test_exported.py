"""What torch's exporters and tracers write of a layer, run by ONNX Runtime or without longhold, against torch.nn."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves

import longhold
from longhold.errors import InputError
from longhold.models import LanguageModelConfig

TOLERANCE = 1e-5
OTHERS = ((1, 1), (9, 2), (63, 5))
"""Steps and rows other than those of the example, which has 5 and 3."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Exporters warn of their own deprecated parts, and tracers of every number that they hold for constant."""
    logging.disable(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


class Model(nn.Module):
    """A layer in a model, as users have it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"rnn": layer})

    def forward(self, x: Tensor) -> Any:
        return self.inner["rnn"](x)


class WithLengths(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        return self.inner["rnn"](x, lengths=lengths)


class WithStates(Model):
    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        return self.inner["rnn"](x, (h, c))


class WithReset(Model):
    def forward(self, x: Tensor, reset: Tensor) -> Any:
        return self.inner["rnn"](x, reset=reset)


class WithPacking(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        output, state = self.inner["rnn"](pack_padded_sequence(x, lengths))
        return pad_packed_sequence(output)[0], state


class TwoSteps(Model):
    def forward(self, x: Tensor) -> Any:
        cell = self.inner["rnn"]
        return cell(x, cell(x))


def drawn(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(-0.6, 0.6)  # peepholes and learned states start at zero
    return module.eval()


def exported(model: nn.Module, example: tuple[Tensor, ...], free: tuple[set[int], ...], dynamo: bool) -> bytes:
    """The model as torch.onnx.export writes it, with these dimensions of each input free."""
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    names = [f"input_{number}" for number in range(len(example))]
    if dynamo:
        pytest.importorskip("onnxscript", reason="onnxscript, which dynamo's exporter needs, is not installed")
        shapes = tuple(dict.fromkeys(dims, torch.export.Dim.DYNAMIC) for dims in free)
        options = {"dynamic_shapes": shapes, "input_names": names, "verbose": False}
        return torch.onnx.export(model, example, dynamo=True, **options).model_proto.SerializeToString()
    file = io.BytesIO()
    axes = {name: {dim: f"{name}_{dim}" for dim in dims} for name, dims in zip(names, free, strict=True)}
    torch.onnx.export(model, example, file, dynamo=False, input_names=names, dynamic_axes=axes)
    return file.getvalue()


def assert_runs_as(expected: nn.Module, data: bytes, *inputs: tuple[Tensor, ...]) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    for given in inputs:
        found = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
        with torch.no_grad():
            assert_equal(map(torch.from_numpy, found), expected(*given))


def assert_equal(found: Any, expected: Any) -> None:
    for actual, value in zip(found, tree_leaves(expected), strict=True):
        assert actual.shape == value.shape
        assert (actual - value).abs().max() <= TOLERANCE


TORCHS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {"num_layers": 2}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru, batch first": ("GRU", {"batch_first": True, "num_layers": 2}),
    "gru, no bias": ("GRU", {"bias": False}),
    "lstm, both directions": ("LSTM", {"num_layers": 2, "bidirectional": True}),
}


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("case", TORCHS)
def test_both_exporters_leave_steps_and_rows_free(case: str, dynamo: bool) -> None:
    name, options = TORCHS[case]
    layer = getattr(longhold, name)(4, 6, **options)
    twin = getattr(nn, name)(4, 6, **options)
    twin.load_state_dict(layer.state_dict())
    data = exported(Model(layer).eval(), (torch.randn(5, 3, 4),), ({0, 1},), dynamo)
    assert_runs_as(twin.eval(), data, *((torch.randn(*sizes, 4),) for sizes in OTHERS))


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_layer_alone_and_states_that_are_given(dynamo: bool) -> None:
    layer = longhold.LSTM(4, 6, 2).eval()
    twin = nn.LSTM(4, 6, 2)
    twin.load_state_dict(layer.state_dict())
    assert_runs_as(
        twin, exported(layer, (torch.randn(5, 3, 4),), ({0, 1},), dynamo), *((torch.randn(*at, 4),) for at in OTHERS)
    )

    def given(steps: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        return torch.randn(steps, rows, 4), torch.randn(2, rows, 6), torch.randn(2, rows, 6)

    data = exported(WithStates(layer), given(5, 3), ({0, 1}, {1}, {1}), dynamo)
    assert_runs_as(WithStates(twin), data, *(given(*sizes) for sizes in OTHERS))


BEYOND_TORCH = {
    "projection": lambda: longhold.LSTM(4, 6, 2, bidirectional=True, proj_size=3),
    "peephole, learned": lambda: longhold.LSTM(4, 6, peephole=True, learn_initial_state=True),
    "coupled": lambda: longhold.LSTM(4, 6, coupled_gates=True, peephole=True),
    "GRU of 2014": lambda: longhold.GRU(4, 6, 2, reset_after=False),
    "dropouts, off": lambda: longhold.RNN(4, 6, 2, dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5),
}


@pytest.mark.parametrize("case", BEYOND_TORCH)
def test_dynamo_takes_the_options_that_onnx_can_say(case: str) -> None:
    model = drawn(Model(BEYOND_TORCH[case]()))
    data = exported(model, (torch.randn(5, 3, 4),), ({0, 1},), True)
    assert_runs_as(model, data, *((torch.randn(*sizes, 4),) for sizes in OTHERS))


def test_dynamo_takes_lengths() -> None:
    model = drawn(WithLengths(longhold.GRU(4, 6, 2, bidirectional=True)))
    data = exported(model, (torch.randn(5, 3, 4), torch.tensor([5, 1, 3])), ({0, 1}, {0}), True)
    padded = torch.randn(9, 2, 4)
    padded[4:, 1] = float("nan")
    assert_runs_as(model, data, (torch.randn(1, 1, 4), torch.tensor([1])), (padded, torch.tensor([9, 4])))


def test_the_older_exporter_takes_packed_rows() -> None:
    layer = longhold.GRU(4, 6)
    data = exported(WithPacking(layer), (torch.randn(5, 3, 4), torch.tensor([5, 3, 1])), ({0, 1}, {0}), False)
    twin = nn.GRU(4, 6)
    twin.load_state_dict(layer.state_dict())
    assert_runs_as(WithPacking(twin), data, (torch.randn(9, 2, 4), torch.tensor([9, 2])))


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(
    "cell",
    [
        longhold.LSTMCell(4, 6, peephole=True),
        longhold.GRUCell(4, 6),
        longhold.RNNCell(4, 6, nonlinearity="relu"),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_cells_in_a_loop_of_the_caller(cell: nn.Module, dynamo: bool) -> None:
    model = drawn(TwoSteps(cell))
    data = exported(model, (torch.randn(3, 4),), ({0},), dynamo)
    assert_runs_as(model, data, (torch.randn(1, 4),), (torch.randn(7, 4),))


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_language_model_of_ids(dynamo: bool) -> None:
    model = drawn(LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=6, num_layers=2).build())
    data = exported(model, (torch.randint(7, (5, 3)),), ({0, 1},), dynamo)
    assert_runs_as(model, data, *((torch.randint(7, sizes),) for sizes in OTHERS))


X, LENGTHS = torch.randn(5, 3, 4), torch.tensor([5, 3, 1])
REFUSED: dict[str, tuple[Any, tuple[Tensor, ...], str]] = {
    "layer norm": (lambda: Model(longhold.GRU(4, 6, layer_norm=True)), (X,), "its GRU has no layer norm"),
    "zoneout": (lambda: Model(longhold.RNN(4, 6, zoneout=0.1)), (X,), "its RNN has no zoneout"),
    "reset": (lambda: WithReset(longhold.GRU(4, 6)), (X, torch.zeros(5, 3, dtype=torch.bool)), "no reset"),
    "projection": (
        lambda: WithStates(longhold.LSTM(4, 6, proj_size=3)),
        (X, torch.zeros(1, 3, 3), torch.zeros(1, 3, 6)),
        "no projection that begins from a given state",
    ),
}


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("case", REFUSED)
def test_what_onnx_lacks_is_named_with_what_does_it(case: str, dynamo: bool) -> None:
    make, inputs, named = REFUSED[case]
    with pytest.raises(Exception, match=named) as refusal:  # dynamo's exporter puts the line into an error of its own
        exported(make().eval(), inputs, tuple({1} for _ in inputs), dynamo)
    (line,) = set(re.findall(r"cannot export to ONNX.*", str(refusal.value)))
    assert 'dynamo=True within longhold.use_backend("reference")' in line


def test_the_reference_loop_is_written_out_for_one_number_of_steps() -> None:
    model = drawn(Model(longhold.GRU(4, 6, layer_norm=True, zoneout=0.1)))
    with longhold.use_backend("reference"):
        data = exported(model, (X[:2],), ({1},), True)
    assert_runs_as(model, data, (torch.randn(2, 1, 4),), (torch.randn(2, 7, 4),))


def test_packed_rows_are_refused_by_dynamo() -> None:
    with pytest.raises(Exception, match="a PackedSequence has no form there; pass padded rows with lengths="):
        exported(WithPacking(longhold.GRU(4, 6)), (X, LENGTHS), ({0, 1}, {0}), True)


@pytest.mark.parametrize(
    ("model", "inputs", "named"),
    [
        (Model(longhold.LSTM(4, 6, peephole=True)), (X,), "it has no peepholes"),
        (Model(longhold.LSTM(4, 6, proj_size=3)), (X,), "it has no projection"),
        (WithLengths(longhold.GRU(4, 6)), (X, LENGTHS), "it has no lengths"),
        (TwoSteps(longhold.LSTMCell(4, 6, layer_norm=True)), (X[0],), "takes no layer norm"),
    ],
)
def test_what_only_dynamo_can_do_is_said(model: nn.Module, inputs: tuple[Tensor, ...], named: str) -> None:
    with pytest.raises(InputError, match=f"cannot export to ONNX with dynamo=False: .*{named}.*; dynamo=True does it"):
        exported(model, inputs, tuple(set() for _ in inputs), False)


WITHOUT_LONGHOLD = """
import sys
sys.modules["longhold"] = None
import torch
for number in range(int(sys.argv[2])):
    loaded = torch.jit.load(f"{sys.argv[1]}/{number}.pt").eval()
    with torch.no_grad():
        for program in (loaded, torch.jit.freeze(loaded), torch.jit.optimize_for_inference(loaded)):
            for inputs, expected in torch.load(f"{sys.argv[1]}/{number}.expected"):
                found = torch.utils._pytree.tree_leaves(program(*inputs))
                assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True)), number
print("the same")
"""


TRACED: dict[str, tuple[Any, Any]] = {
    "lstm": (lambda: Model(longhold.LSTM(4, 6, 2, bidirectional=True)), lambda t, b: (torch.randn(t, b, 4),)),
    "relu": (lambda: Model(longhold.RNN(4, 6, nonlinearity="relu")), lambda t, b: (torch.randn(t, b, 4),)),
    "learned": (lambda: Model(longhold.GRU(4, 6, learn_initial_state=True)), lambda t, b: (torch.randn(t, b, 4),)),
    "lengths": (
        lambda: WithLengths(longhold.GRU(4, 6, 2, bidirectional=True)),
        lambda t, b: (torch.randn(t, b, 4), torch.tensor([t, 1, t, t, 1][:b])),
    ),
    "packed": (
        lambda: WithPacking(longhold.LSTM(4, 6)),
        lambda t, b: (torch.randn(t, b, 4), torch.tensor([t, t, 1, 1, 1][:b])),
    ),
    "cell": (lambda: TwoSteps(longhold.LSTMCell(4, 6)), lambda t, b: (torch.randn(b, 4),)),
}


@torch.no_grad()
def test_traced_models_run_without_longhold(tmp_path: Path) -> None:
    for number, (make, inputs) in enumerate(TRACED.values()):
        model = drawn(make())
        torch.jit.trace(model, inputs(5, 3)).save(str(tmp_path / f"{number}.pt"))
        given = [inputs(*sizes) for sizes in ((5, 3), (9, 2), (7, 5))]
        torch.save([(each, tree_leaves(model(*each))) for each in given], tmp_path / f"{number}.expected")
    command = [sys.executable, "-W", "ignore", "-c", WITHOUT_LONGHOLD, str(tmp_path), str(len(TRACED))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("the same", "")


def test_a_trace_of_what_torch_lacks_runs_where_longhold_is() -> None:
    model = drawn(Model(longhold.GRU(4, 6, layer_norm=True)))
    traced = torch.jit.trace(model, torch.randn(5, 3, 4))
    x = torch.randn(9, 2, 4)
    with torch.no_grad():
        assert_equal(tree_leaves(traced(x)), model(x))


def test_a_backend_that_is_named_is_traced() -> None:
    model = drawn(Model(longhold.GRU(4, 6)))
    with longhold.use_backend("cpu"):
        named = torch.jit.trace(model, X)
    assert "longhold::gru_forward" in str(named.inlined_graph)
    assert "longhold::" not in str(torch.jit.trace(model, X).inlined_graph)
