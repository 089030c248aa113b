"""ONNX files run by ONNX Runtime against torch.nn, and against the reference loop where torch.nn has no such option."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from longhold import GRU, LSTM, RNN, InputError, use_backend
from longhold.models import LanguageModel, LanguageModelConfig

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

from longhold.export.onnx import OPSET, export_layer, export_model, save_onnx  # noqa: E402

TOLERANCE = 1e-5
CELLS: dict[str, tuple[Any, Any]] = {"rnn": (RNN, nn.RNN), "gru": (GRU, nn.GRU), "lstm": (LSTM, nn.LSTM)}
LENGTHS = torch.tensor([4, 13, 1, 7])


def session(model: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    return [torch.from_numpy(value) for value in session(model).run(None, {k: v.numpy() for k, v in inputs.items()})]


def twins(cell: str, **options: Any) -> tuple[Any, nn.Module]:
    ours, torchs = CELLS[cell]
    layer, twin = ours(5, 7, **options), torchs(5, 7, **options)
    twin.load_state_dict(layer.state_dict())
    return layer.eval(), twin.eval()


def states(layer: Any, batch: int) -> dict[str, Tensor]:
    shape = (layer.num_layers * layer.directions, batch, layer.hidden_size)
    return {f"{name}_0": torch.randn(shape) for name in layer.recurrence.state_names}


def torchs_form(before: dict[str, Tensor]) -> Any:
    return tuple(before.values()) if len(before) == 2 else before["h_0"]


def compare(actual: list[Tensor], output: Tensor, state: Any) -> None:
    expected = [output, *(state if isinstance(state, tuple) else (state,))]
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= TOLERANCE


@pytest.mark.parametrize(
    ("cell", "layers", "bidirectional"), list(product(CELLS, (1, 2, 3), (False, True))), ids=lambda v: str(v)
)
@torch.no_grad()
def test_a_layer_is_torch_nn_at_every_time_and_batch(cell: str, layers: int, bidirectional: bool) -> None:
    layer, twin = twins(cell, num_layers=layers, bidirectional=bidirectional)
    running = session(export_layer(layer))
    for steps, batch in product((1, 2, 63), (1, 3)):
        x, before = torch.randn(steps, batch, 5), states(layer, batch)
        feeds = {name: value.numpy() for name, value in {"input": x, **before}.items()}
        compare([torch.from_numpy(value) for value in running.run(None, feeds)], *twin(x, torchs_form(before)))


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), list(product(CELLS, (1, 2), (False, True))))
@torch.no_grad()
def test_rows_that_end_early_are_packed_rows(cell: str, layers: int, bidirectional: bool) -> None:
    layer, twin = twins(cell, num_layers=layers, bidirectional=bidirectional)
    x, before = torch.randn(13, 4, 5), states(layer, 4)
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    output, state = twin(packed, torchs_form(before))
    feeds = {"input": x, "lengths": LENGTHS.int(), **before}
    compare(run(export_layer(layer, lengths=True), feeds), pad_packed_sequence(output)[0], state)


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_a_row_of_length_0_is_zero_and_ends_in_the_state_it_began_with(cell: str) -> None:
    layer, _ = twins(cell, num_layers=2, bidirectional=True)
    x, before, lengths = torch.randn(13, 4, 5), states(layer, 4), torch.tensor([0, 13, 0, 7])
    output, state = layer(x, torchs_form(before), lengths=lengths)
    found = run(export_layer(layer, lengths=True), {"input": x, "lengths": lengths.int(), **before})
    compare(found, output, state)
    for last, first in zip(found[1:], before.values(), strict=True):
        assert torch.equal(last[:, [0, 2]], first[:, [0, 2]])


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_batch_first_and_no_bias(cell: str) -> None:
    layer, twin = twins(cell, num_layers=2, bidirectional=True, batch_first=True, bias=False)
    x, before = torch.randn(3, 11, 5), states(layer, 3)
    compare(run(export_layer(layer), {"input": x, **before}), *twin(x, torchs_form(before)))


OPTIONED = {
    "relu": lambda: RNN(5, 7, 2, nonlinearity="relu"),
    "relu in both directions": lambda: RNN(5, 7, 2, nonlinearity="relu", bidirectional=True),
    "GRU of 2014": lambda: GRU(5, 7, 2, reset_after=False),
    "peephole": lambda: LSTM(5, 7, 2, peephole=True),
    "coupled": lambda: LSTM(5, 7, 2, coupled_gates=True),
    "coupled, peephole, both directions": lambda: LSTM(5, 7, coupled_gates=True, peephole=True, bidirectional=True),
    "dropout, off in evaluation": lambda: LSTM(5, 7, 2, dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5),
    "float64": lambda: GRU(5, 7, dtype=torch.float64),
}


@pytest.mark.parametrize("make", OPTIONED.values(), ids=OPTIONED)
@torch.no_grad()
def test_options_that_onnx_has(make: Any) -> None:
    layer = make().eval()
    for parameter in layer.parameters():  # peepholes start at zero
        parameter.uniform_(-0.6, 0.6)
    x, before = torch.randn(9, 3, 5), states(layer, 3)
    dtype = next(layer.parameters()).dtype
    with use_backend("reference"):
        expected = layer(x.to(dtype), torchs_form({name: value.to(dtype) for name, value in before.items()}))
    compare(run(export_layer(layer), {"input": x, **before}), *expected)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: LSTM(5, 7, layer_norm=True), "layer_norm=True"),
        (lambda: RNN(5, 7, zoneout=0.1), "zoneout"),
        (lambda: LSTM(5, 7, zoneout=(0.0, 0.1)), "zoneout"),
        (lambda: LSTM(5, 7, proj_size=3), "proj_size=3"),
    ],
)
def test_options_that_onnx_lacks_are_refused(layer: Any, named: str) -> None:
    with pytest.raises(InputError, match="cannot export to ONNX") as refusal:
        export_layer(layer())
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


MODELS = {
    "one-hot": {},
    "embedding": {"embedding_size": 6},
    "tied": {"embedding_size": 8, "tie_weights": True},
}


def language_model(cell: str, **options: Any) -> LanguageModel:
    return LanguageModel(LanguageModelConfig(cell=cell, vocab_size=11, hidden_size=8, num_layers=2, **options)).eval()


@pytest.mark.parametrize(("cell", "kind"), list(product(CELLS, MODELS)))
@torch.no_grad()
def test_a_language_model_is_itself(cell: str, kind: str) -> None:
    model = language_model(cell, **MODELS[kind])
    exported = export_model(model)
    ids, before = torch.randint(11, (17, 3)), states(model.layer, 3)
    with use_backend("reference"):
        compare(run(exported, {"ids": ids, **before}), *model(ids, torchs_form(before)))
    held = {tensor.name for tensor in exported.graph.initializer}
    assert ("embedding.weight" in held) == (kind == "embedding")


@torch.no_grad()
def test_states_fed_back_are_the_whole_sequence() -> None:
    model = language_model("lstm")
    running = session(export_model(model))
    ids = torch.randint(11, (9, 2)).numpy()
    h, c = (np.zeros((2, 2, 8), np.float32) for _ in range(2))
    whole, _, _ = running.run(None, {"ids": ids, "h_0": h, "c_0": c})
    for step in range(9):
        logits, h, c = running.run(None, {"ids": ids[step : step + 1], "h_0": h, "c_0": c})
        assert np.abs(logits[0] - whole[step]).max() <= TOLERANCE


@torch.no_grad()
def test_a_language_model_stops_at_each_rows_length() -> None:
    model = language_model("gru", embedding_size=6)
    ids, before = torch.randint(11, (13, 4)), states(model.layer, 4)
    feeds = {"ids": ids, "lengths": LENGTHS.int(), **before}
    logits, last = run(export_model(model, lengths=True), feeds)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, state = model(ids[:length, row : row + 1], before["h_0"][:, row : row + 1].contiguous())
        assert (logits[:length, row] - alone[:, 0]).abs().max() <= TOLERANCE
        assert (last[:, row] - state[:, 0]).abs().max() <= TOLERANCE


def test_learned_initial_states_stand_beside_the_graph() -> None:
    layer = LSTM(5, 7, 2, bidirectional=True, learn_initial_state=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    found = json.loads({entry.key: entry.value for entry in export_layer(layer).metadata_props}["initial_state"])
    for name, state in zip(("h_0", "c_0"), layer.initial_state(1), strict=True):
        assert torch.equal(torch.tensor(found[name]), state[:, 0])


def test_the_file_is_whole_and_says_what_it_is(tmp_path: Path) -> None:
    model = language_model("rnn")
    path = tmp_path / "model.onnx"
    size = save_onnx(export_model(model, {"tokenizer": '{"kind": "byte"}'}), path)
    assert path.stat().st_size == size
    read = onnx.load(path)
    assert {entry.key: entry.value for entry in read.metadata_props} == {"tokenizer": '{"kind": "byte"}'}
    assert read.opset_import[0].version == OPSET
    assert (read.producer_name, read.doc_string) == ("longhold", "")
    with pytest.raises(InputError, match="cannot save"):
        save_onnx(read, tmp_path / "no such folder" / "model.onnx")


def test_weights_beyond_a_protobuf_message_are_refused() -> None:
    with pytest.raises(InputError, match="2,146,435,072"):
        export_layer(LSTM(8192, 12288, device="meta"))
