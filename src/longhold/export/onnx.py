"""Layers and language models as ONNX graphs, their nodes written from the weights.

These need no exporter of torch's, which takes longhold's layers too (docs/export.md). Time and batch are free. The
recurrences are ONNX's operators `RNN`, `GRU` and `LSTM`, so any runtime that has them runs the file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold._version import __version__
from longhold.errors import InputError
from longhold.export.onnx_file import KIND
from longhold.files import StrPath, write_file
from longhold.kernels import DirectionParameters
from longhold.kernels.exported import ONNX_BLOCKS, ONNX_PEEPHOLES
from longhold.layers import GRU, LSTM, RNN
from longhold.models.language_model import LanguageModel

try:
    import onnx
    from onnx import helper, numpy_helper
except ImportError:
    raise InputError('export to ONNX needs the package onnx: pip install "longhold[onnx]"') from None

OPSET: Final = 17
"""The operator set of the files."""

Layer: TypeAlias = RNN | GRU | LSTM
Attributes: TypeAlias = Mapping[str, Any]
"""Attributes of a node, by ONNX's names."""

_NONE: Attributes = {}
_IR_VERSION = 8  # the newest that runtimes of the operator set's time read
_LARGEST = 2**31 - 2**20  # bytes; a protobuf message ends at 2 GiB
_FLOAT, _IDS, _LENGTH = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.INT32


def export_layer(layer: Layer, *, lengths: bool = False) -> onnx.ModelProto:
    """The layer in evaluation as an ONNX model with free T and B, in float32.

    Inputs: `input` (T, B, I), or (B, T, I) with `batch_first`; `lengths` (B,) int32 with `lengths=True`; `h_0` (L*D, B,
    H); for the LSTM `c_0` (L*D, B, H). Outputs: `output` (T, B, D*H) or (B, T, D*H), `h_n`, `c_n`, as in torch.nn.
    Learned initial states are not in the graph: they stand, as JSON, in the metadata under `initial_state`.

    Arguments:
        layer: any number of layers, one direction or both, peepholes, coupled gates, either GRU.
        lengths: whether the rows of a batch end each at their own step, as `layer(input, lengths=...)`.

    Raises:
        InputError: the layer has what ONNX's operator lacks (layer norm, zoneout, projection), or is above 2 GiB.
    """
    graph = _begin(layer)
    time, batch = ("B", "T") if layer.batch_first else ("T", "B")
    graph.take("input", _FLOAT, (time, batch, layer.input_size))
    graph.give("output", _FLOAT, (time, batch, layer.directions * layer.hidden_size))
    features = graph.add("Transpose", ["input"], {"perm": [1, 0, 2]}) if layer.batch_first else "input"
    features = _recurrence(graph, layer, features, lengths)
    if layer.batch_first:
        graph.add("Transpose", [features], {"perm": [1, 0, 2]}, name="output")
    else:
        graph.add("Identity", [features], name="output")
    return graph.model(f"longhold {type(layer).__name__}", _initial(layer))


def export_model(
    model: LanguageModel, metadata: dict[str, str] | None = None, *, lengths: bool = False
) -> onnx.ModelProto:
    """The language model in evaluation as an ONNX model with free T and B, in float32.

    Inputs: `ids` (T, B) int64; `lengths` (B,) int32 with `lengths=True`; `h_0` (L, B, H); for the LSTM `c_0` (L, B, H).
    Outputs: `logits` (T, B, V), `h_n`, `c_n`. To write text, feed one token at a time and the states back.

    Arguments:
        model: with or without an embedding; tied weights are stored once.
        metadata: what to keep beside the graph, such as the tokenizer as JSON.
        lengths: whether the rows of a batch end each at their own step; logits beyond it mean nothing.

    Raises:
        InputError: see `export_layer`.
    """
    layer = model.layer
    graph = _begin(model)
    graph.take("ids", _IDS, ("T", "B"))
    graph.give("logits", _FLOAT, ("T", "B", model.config.vocab_size))
    output = graph.hold("output.weight", _array(model.output.weight))
    features = _recurrence(graph, layer, _read_ids(graph, model, output), lengths)
    upright = graph.add("Transpose", [output], {"perm": [1, 0]})
    product = graph.add("MatMul", [features, upright])
    graph.add("Add", [product, graph.hold("output.bias", _array(model.output.bias))], name="logits")
    return graph.model(f"longhold {model.config.cell} language model", {**_initial(layer), **(metadata or {})})


def save_onnx(model: onnx.ModelProto, path: StrPath, *, overwrite: bool = False) -> int:
    """Check the model and write it, whole or not at all; returns the number of bytes.

    Args:
        model: what `export_layer` or `export_model` made.
        path: the file; an ONNX file of longhold that is there is replaced.
        overwrite: whether any other file is replaced too.

    Raises:
        InputError: the file cannot be written.
    """
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    write_file(path, data, KIND, overwrite=overwrite)
    return len(data)


@final
@dataclass
class _Graph:
    """Nodes in the order they run, and what goes in and out."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    held: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def take(self, name: str, kind: int, shape: tuple[int | str, ...]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def give(self, name: str, kind: int, shape: tuple[int | str, ...]) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def hold(self, name: str, values: NDArray[np.generic]) -> str:
        self.held.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, inputs: list[str], attributes: Attributes = _NONE, *, name: str = "") -> str:
        """A node with one output, called `name`."""
        return self.add_many(operator, inputs, [name or f"{operator}_{len(self.nodes)}"], attributes)[0]

    def add_many(self, operator: str, inputs: list[str], names: list[str], attributes: Attributes) -> list[str]:
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"node_{len(self.nodes)}", **attributes))
        return names

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.held)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="longhold",
            producer_version=__version__,
        )
        helper.set_model_props(model, metadata)
        return model


def _begin(module: Layer | LanguageModel) -> _Graph:
    layer = module.layer if isinstance(module, LanguageModel) else module
    lacking = {
        "layer_norm=True": layer.layer_norm,
        "zoneout": any(layer.zoneout_rates),
        f"proj_size={layer.proj_size}": layer.proj_size > 0,
    }
    for option, used in lacking.items():
        if used:
            raise InputError(f"cannot export to ONNX: {option}, which ONNX's {type(layer).__name__} does not have")
    size = 4 * sum(parameter.numel() for parameter in module.parameters())
    if size > _LARGEST:
        raise InputError(f"cannot export to ONNX: the weights take {size:,} bytes, expected at most {_LARGEST:,}")
    return _Graph()


def _read_ids(graph: _Graph, model: LanguageModel, output: str) -> str:
    """What the first layer sees of the ids."""
    if model.embedding is None:
        depth = graph.hold("vocab_size", np.array(model.config.vocab_size, np.int64))
        return graph.add("OneHot", ["ids", depth, graph.hold("off_and_on", np.array([0, 1], np.float32))], {"axis": -1})
    tied = model.config.tie_weights
    table = output if tied else graph.hold("embedding.weight", _array(model.embedding.weight))
    return graph.add("Gather", [table, "ids"], {"axis": 0})


def _is_empty(graph: _Graph, ends: str) -> str:
    """Which rows have length 0, (B, 1): they end in the state they began with, which ONNX leaves open."""
    zero = graph.hold("no_step", np.array(0, np.int32))
    return graph.add("Unsqueeze", [graph.add("Equal", [ends, zero]), graph.hold("last_axis", np.array([1], np.int64))])


def _recurrence(graph: _Graph, layer: Layer, features: str, lengths: bool) -> str:
    """All layers on top of each other, (T, B, I) to (T, B, D*H); the states become inputs and outputs of the graph."""
    fields = layer.recurrence.state_names
    shape = (layer.num_layers * layer.directions, "B", layer.hidden_size)
    ends = graph.take("lengths", _LENGTH, ("B",)) if lengths else ""
    before = [_per_layer(graph, layer, graph.take(f"{name}_0", _FLOAT, shape)) for name in fields]
    after: list[list[str]] = []
    for index in range(layer.num_layers):
        features, *last = _one_layer(graph, layer, index, features, ends, [states[index] for states in before])
        after.append(last)
    empty = _is_empty(graph, ends) if lengths else ""
    for name, parts in zip(fields, zip(*after, strict=True), strict=True):
        last_state = graph.add("Concat", list(parts), {"axis": 0}, name=f"{name}_last" if lengths else f"{name}_n")
        if lengths:
            graph.add("Where", [empty, f"{name}_0", last_state], name=f"{name}_n")
        graph.give(f"{name}_n", _FLOAT, shape)
    return features


def _per_layer(graph: _Graph, layer: Layer, state: str) -> list[str]:
    if layer.num_layers == 1:
        return [state]
    sizes = graph.hold(f"directions_of_{state}", np.full(layer.num_layers, layer.directions, np.int64))
    names = [f"{state}_l{index}" for index in range(layer.num_layers)]
    return graph.add_many("Split", [state, sizes], names, {"axis": 0})


def _one_layer(graph: _Graph, layer: Layer, index: int, features: str, ends: str, states: list[str]) -> tuple[str, ...]:
    """The layer's output (T, B, D*H) and its last states (D, B, H)."""
    operator = type(layer).__name__
    names = [f"{name}_l{index}" for name in ("Y", *(f"Y_{state}" for state in layer.recurrence.state_names))]
    inputs = [features, *_weights(graph, layer, index), ends, *states]
    if isinstance(layer, LSTM) and layer.peephole:
        inputs.append(graph.hold(f"P_l{index}", _rows(layer, index, "weight_peephole", ONNX_PEEPHOLES[_order(layer)])))
    output, *last = graph.add_many(operator, inputs, names, _attributes(layer))
    by_row = graph.add("Transpose", [output], {"perm": [0, 2, 1, 3]})  # (T, B, D, H)
    flat = graph.hold(f"shape_l{index}", np.array([0, 0, layer.directions * layer.hidden_size], np.int64))
    return graph.add("Reshape", [by_row, flat]), *last


def _attributes(layer: Layer) -> dict[str, Any]:
    shared: dict[str, Any] = {
        "hidden_size": layer.hidden_size,
        "direction": "bidirectional" if layer.bidirectional else "forward",
    }
    if isinstance(layer, RNN):
        return {**shared, "activations": [layer.nonlinearity.capitalize()] * layer.directions}
    if isinstance(layer, GRU):
        return {**shared, "linear_before_reset": int(layer.reset_after)}
    return {**shared, "input_forget": int(layer.coupled_gates)}


def _weights(graph: _Graph, layer: Layer, index: int) -> list[str]:
    blocks = ONNX_BLOCKS[_order(layer)]
    names = [
        graph.hold(f"W_l{index}", _rows(layer, index, "weight_ih", blocks)),
        graph.hold(f"R_l{index}", _rows(layer, index, "weight_hh", blocks)),
    ]
    if not layer.bias:
        return [*names, ""]
    biases = [_rows(layer, index, name, blocks) for name in ("bias_ih", "bias_hh")]
    return [*names, graph.hold(f"B_l{index}", np.concatenate(biases, axis=1))]


def _order(layer: Layer) -> str:
    return "coupled LSTM" if isinstance(layer, LSTM) and layer.coupled_gates else type(layer).__name__


def _rows(layer: Layer, index: int, name: str, blocks: tuple[int | None, ...]) -> NDArray[np.float32]:
    """A parameter of both directions, (D, rows, ...), its blocks of H rows put into ONNX's order."""
    first = index * layer.directions
    directions = layer._parameters_by_direction()[first : first + layer.directions]
    return np.stack([_ordered(direction, name, blocks) for direction in directions])


def _ordered(direction: DirectionParameters, name: str, blocks: tuple[int | None, ...]) -> NDArray[np.float32]:
    values = _array(getattr(direction, name))
    parts = np.split(values, sum(block is not None for block in blocks))
    return np.concatenate([np.zeros_like(parts[0]) if block is None else parts[block] for block in blocks])


def _initial(layer: Layer) -> dict[str, str]:
    """The learned initial states as metadata, each (L*D, H)."""
    if not layer.learn_initial_state:
        return {}
    states = layer._learned_fields(1, layer._flat_weights[0])
    values = {
        f"{name}_0": state[:, 0].tolist() for name, state in zip(layer.recurrence.state_names, states, strict=True)
    }
    return {"initial_state": json.dumps(values)}


def _array(tensor: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.detach().to("cpu", torch.float32).numpy()
    return values
