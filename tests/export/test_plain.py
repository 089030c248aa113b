"""A model with torch.nn's layers in place of longhold's."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import longhold
from longhold.errors import InputError
from longhold.models import LanguageModelConfig

pytestmark = [  # torch's tools warn of themselves
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


class Deep(nn.Module):
    """Layers in containers, one of them twice, tied weights and a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.encoder = nn.ModuleDict({"one": nn.Sequential(longhold.GRU(6, 6))})
        self.again = self.encoder["one"]
        self.cell = longhold.LSTMCell(6, 6)
        self.output = nn.Linear(6, 7)
        self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.encoder["one"](self.embedding(ids))
        y, _ = self.again(y)
        h, _ = self.cell(y[-1])
        return self.output(h)


def test_a_copy_gives_the_same_and_the_model_stays() -> None:
    model = Deep()
    plain = longhold.export.to_torch(model)
    kinds = {type(part) for part in plain.modules()}
    assert {nn.GRU, nn.LSTMCell} <= kinds
    assert not any(kind.__module__.startswith("longhold") for kind in kinds)
    assert type(model.cell) is longhold.LSTMCell
    assert plain.encoder["one"] is plain.again
    assert plain.output.weight is plain.embedding.weight
    ids = torch.randint(7, (5, 3))
    torch.testing.assert_close(plain(ids), model(ids))
    assert list(plain.state_dict()) == list(model.state_dict())
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    assert model.cell.weight_hh.abs().min() > 0, "the weights of a copy are its own"


def test_a_layer_alone_a_model_without_any_and_what_is_no_model() -> None:
    assert type(longhold.export.to_torch(longhold.RNN(4, 6))) is nn.RNN
    linear = nn.Linear(3, 2)
    assert torch.equal(longhold.export.to_torch(linear).weight, linear.weight)
    wrong: Any = "model.safetensors"
    with pytest.raises(InputError, match=r"to_torch takes a torch\.nn\.Module, got str"):
        longhold.export.to_torch(wrong)


def test_the_layer_that_cannot_go_is_named() -> None:
    model = Deep()
    model.encoder["two"] = nn.Sequential(longhold.GRU(6, 6, layer_norm=True))
    with pytest.raises(InputError, match=r"^encoder\.two\.0: longhold\.GRU cannot become torch\.nn\.GRU.*layer_norm"):
        longhold.export.to_torch(model)


def test_everything_that_takes_torch_nn_takes_it() -> None:
    model, ids = Deep().eval(), torch.randint(7, (5, 3))
    plain, expected = longhold.export.to_torch(model), model(ids)
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(plain), file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(ids), expected)
    layer = nn.Sequential(longhold.GRUCell(4, 6)).eval()
    frozen = torch.jit.freeze(
        torch.jit.script(longhold.export.to_torch(layer))
    )  # it refuses a module that stands twice
    torch.testing.assert_close(frozen(x := torch.randn(3, 4)), layer(x))
    torch.testing.assert_close(torch.export.export(plain, (ids,)).module()(ids), expected)
    quantized = torch.ao.quantization.quantize_dynamic(plain)
    assert type(quantized.encoder["one"][0]) is torch.ao.nn.quantized.dynamic.GRU
    assert type(quantized.cell) is torch.ao.nn.quantized.dynamic.LSTMCell
    assert (quantized(ids) - expected).abs().max() < 0.1


@pytest.mark.parametrize("embedding", [None, 5])
def test_a_language_model(embedding: int | None) -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=6, num_layers=2, embedding_size=embedding)
    model, ids = config.build().eval(), torch.randint(7, (5, 3))
    plain = longhold.export.to_torch(model)
    assert type(plain.layer) is nn.LSTM
    torch.testing.assert_close(plain(ids)[0], model(ids)[0])
    assert plain(ids, plain(ids)[1])[0].shape == (5, 3, 7)
    assert torch.ao.quantization.quantize_dynamic(plain)(ids)[0].shape == (5, 3, 7)


def test_the_older_onnx_exporter_leaves_steps_and_rows_free() -> None:
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    layer, file = longhold.LSTM(4, 6, 2, bidirectional=True).eval(), io.BytesIO()
    plain = longhold.export.to_torch(layer)
    torch.onnx.export(
        plain, (torch.randn(5, 3, 4),), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "T", 1: "B"}}
    )
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for sizes in ((1, 1), (9, 2)):
        x = torch.randn(*sizes, 4)
        found = session.run(None, {"x": x.numpy()})[0]
        torch.testing.assert_close(torch.from_numpy(found), layer(x)[0], atol=1e-5, rtol=0)
