"""An integer model as plain JSON, for a file, a web page or another language.

    format      "longhold-integer"
    version     1
    cell        "rnn", "gru" or "lstm"; with bits, reset_after, coupled_gates
    vocab_size  V; hidden_size H
    embedding   matrix (V, I), "output" where it is the output's, or null for one-hot vectors
    layers      of each layer weight_ih, weight_hh (matrices), bias_ih, bias_hh (arrays), initial (an array for each
                field of the state), zoneout (a number for each)
    output      matrix (V, H); output_bias: array (V,)
    tables      arrays sigmoid, tanh, exp
    tokenizer   kind of the tokenizer; byte_fallback: whether the last 256 tokens of a `char` tokenizer are bytes
    tokens      the bytes of each token, base64
    start       id after which a text begins
    sha256      of the canonical JSON (sorted keys, no spaces) of everything but facts and itself
    facts       facts of the training

A matrix is `{"values": array, "multiplier": array, "shift": array}`, an array `{"type", "shape", "data"}` with base64
of little-endian int8, int16 or int32 in row-major order.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from longhold.data.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer, start_token
from longhold.documents import DEEPEST, deeper_than
from longhold.errors import InputError
from longhold.integer.bounds import check_bounds
from longhold.integer.fixed import REACH, STEP, TOTAL, UNIT, Tables
from longhold.integer.model import FIELDS, IntegerModel, Layer, Matrix

FORMAT: Final = "longhold-integer"
VERSION: Final = 1
"""The newest version that `unpacked` reads, and the one `packed` writes."""

_TYPES = {"int8": "<i1", "int16": "<i2", "int32": "<i4"}


@final
@dataclass(frozen=True)
class Unpacked:
    """What a packed model holds."""

    model: IntegerModel
    """the model"""
    tokens: tuple[bytes, ...]
    """what each id stands for"""
    start: int
    """the id after which a text begins"""
    facts: dict[str, Any]
    """facts of the training"""
    sha256: str
    """which model it is"""


def packed(model: IntegerModel, tokenizer: Tokenizer, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The model, its tokens and the facts of its training, as JSON can hold it (see the module).

    Raises:
        InputError: the tokenizer has another number of tokens than the model.
    """
    if tokenizer.vocab_size != model.vocab_size:
        raise InputError(f"the model knows {model.vocab_size} token ids and its tokenizer has {tokenizer.vocab_size}")
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "cell": model.cell,
        "bits": model.bits,
        "reset_after": model.reset_after,
        "coupled_gates": model.coupled_gates,
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "embedding": "output" if model.tied else None if model.embedding is None else _of_matrix(model.embedding),
        "layers": [_of_layer(layer) for layer in model.layers],
        "output": _of_matrix(model.output),
        "output_bias": _of_array(model.output_bias),
        "tables": {name: _of_array(table) for name, table in vars(model.tables).items()},
        "tokenizer": tokenizer.kind,
        "byte_fallback": isinstance(tokenizer, ByteTokenizer)
        or (isinstance(tokenizer, CharTokenizer) and tokenizer.fallback),
        "tokens": [_base64(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)],
        "start": start_token(tokenizer),
    }
    return {**document, "sha256": _digest(document), "facts": dict(facts or {})}


def unpacked(data: Mapping[str, Any]) -> Unpacked:
    """The inverse of `packed`.

    Raises:
        InputError: it is no packed model, from a newer version, damaged, or its numbers could not be computed exactly.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"not a packed model: expected an object with format {FORMAT!r}")
    version = data.get("version")
    if version != VERSION:
        raise InputError(f"a packed model of version {version!r:.20}: this longhold reads version {VERSION}")
    body = {name: value for name, value in data.items() if name not in ("sha256", "facts")}
    if deeper_than(body, DEEPEST):
        raise InputError(f"the packed model is damaged (more than {DEEPEST} levels)")
    try:
        if data["sha256"] != _digest(body):
            raise InputError("the packed model was changed after it was written (the SHA-256 does not match)")
        model = _model(body)
        tokens = tuple(base64.b64decode(token, validate=True) for token in body["tokens"])
        start, facts = int(body["start"]), dict(data["facts"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, binascii.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the packed model is damaged ({type(error).__name__}: {str(error)[:60]})") from None
    _check_shapes(model, tokens, start)
    check_bounds(model)
    return Unpacked(model, tokens, start, facts, data["sha256"])


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _of_array(array: NDArray[Any]) -> dict[str, Any]:
    name = array.dtype.name
    return {"type": name, "shape": list(array.shape), "data": _base64(array.astype(_TYPES[name]).tobytes())}


def _of_matrix(matrix: Matrix) -> dict[str, Any]:
    return {name: _of_array(array) for name, array in vars(matrix).items()}


def _of_layer(layer: Layer) -> dict[str, Any]:
    return {
        "weight_ih": _of_matrix(layer.weight_ih),
        "weight_hh": _of_matrix(layer.weight_hh),
        "bias_ih": _of_array(layer.bias_ih),
        "bias_hh": _of_array(layer.bias_hh),
        "initial": [_of_array(field) for field in layer.initial],
        "zoneout": list(layer.zoneout),
    }


def _array(data: Mapping[str, Any]) -> NDArray[Any]:
    raw, shape = base64.b64decode(data["data"], validate=True), [int(size) for size in data["shape"]]
    stored = np.dtype(_TYPES[data["type"]])
    if min(shape, default=0) < 1 or len(raw) != math.prod(shape) * stored.itemsize:
        raise ValueError(f"{len(raw)} bytes for an array of {shape}")
    return np.frombuffer(raw, dtype=stored).astype(stored.newbyteorder("=")).reshape(shape)


def _matrix(data: Mapping[str, Any]) -> Matrix:
    matrix = Matrix(*(_array(data[name]) for name in ("values", "multiplier", "shift")))
    rows = matrix.values.shape[0]
    limit = 2 ** (8 * matrix.values.itemsize - 1) - 1
    if matrix.values.ndim != 2 or matrix.multiplier.shape != (rows,) or matrix.shift.shape != (rows,):
        raise ValueError("a matrix without one scale for each row")
    if matrix.multiplier.min() < 1 or matrix.multiplier.max() > 256 or matrix.values.min() < -limit:
        raise ValueError("a matrix with numbers out of range")
    if matrix.shift.min() < 1 or matrix.shift.max() > 40:
        raise ValueError("a matrix with a shift out of range")
    return matrix


def _layer(data: Mapping[str, Any]) -> Layer:
    return Layer(
        weight_ih=_matrix(data["weight_ih"]),
        weight_hh=_matrix(data["weight_hh"]),
        bias_ih=_array(data["bias_ih"]),
        bias_hh=_array(data["bias_hh"]),
        initial=tuple(_array(field) for field in data["initial"]),
        zoneout=tuple(int(rate) for rate in data["zoneout"]),
    )


def _model(data: Mapping[str, Any]) -> IntegerModel:
    output, embedding = _matrix(data["output"]), data["embedding"]
    if data["cell"] not in FIELDS or data["bits"] not in (8, 16):
        raise ValueError(f"cell {data['cell']!r:.20} with {data['bits']!r:.20} bits")
    return IntegerModel(
        cell=data["cell"],
        bits=data["bits"],
        reset_after=bool(data["reset_after"]),
        coupled_gates=bool(data["coupled_gates"]),
        embedding=output if embedding == "output" else None if embedding is None else _matrix(embedding),
        layers=tuple(_layer(layer) for layer in data["layers"]),
        output=output,
        output_bias=_array(data["output_bias"]),
        tables=Tables(**{name: _array(data["tables"][name]) for name in ("sigmoid", "tanh", "exp")}),
    )


def _check_shapes(model: IntegerModel, tokens: tuple[bytes, ...], start: int) -> None:
    """`InputError` unless all parts fit together, so that a step cannot go wrong."""
    V, H, width = model.vocab_size, model.hidden_size, model.vocab_size
    G = len(model.gate_names) * H
    expected: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        (model.output.values.shape, (V, H)),
        (model.output_bias.shape, (V,)),
    ]
    if model.embedding is not None:
        width = model.embedding.values.shape[1]
        expected.append((model.embedding.values.shape, (V, width)))
    for layer in model.layers:
        fields = len(FIELDS[model.cell])
        expected += [
            (layer.weight_ih.values.shape, (G, width)),
            (layer.weight_hh.values.shape, (G, H)),
            (layer.bias_ih.shape, (G,)),
            (layer.bias_hh.shape, (G,)),
            (tuple(size for field in layer.initial for size in field.shape), (H,) * fields),
            ((len(layer.zoneout),), (fields,)),
        ]
        width = H
    for name, table in vars(model.tables).items():
        expected.append((table.shape, (REACH[name] * int(UNIT / STEP) + 2,)))
    in_range = all(0 <= rate <= UNIT for layer in model.layers for rate in layer.zoneout)
    tables = all(table.min() >= 0 and table.max() <= TOTAL for table in vars(model.tables).values())
    if any(found != right for found, right in expected) or len(tokens) != V or not model.layers:
        raise InputError("the packed model is damaged (its parts do not fit together)")
    if not (in_range and tables and 0 <= start < V and all(tokens)):
        raise InputError("the packed model is damaged (a number is out of range)")
