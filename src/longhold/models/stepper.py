"""Tokens out of a recurrent language model without Python between one and the next."""

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from longhold.kernels.backends import BackendRefused
from longhold.kernels.stream import NativeStream, StreamWeights, fold_embedding, stream_refusal
from longhold.models.contract import SequenceModel, State, state_leaves
from longhold.models.language_model import LanguageModel
from longhold.models.recurrent import LAYERS

_FOLDED = 2**20  # entries of W_ih E^T up to which it is made: beyond, making it takes longer than it saves


@final
class Stepper:
    """Embedding, recurrent layers, output layer and draw in one loop in C++, from a snapshot of a model's weights."""

    def __init__(self, model: LanguageModel, batch: int) -> None:
        self._native = NativeStream(_weights(model), batch)

    def begin(self, state: State) -> None:
        """Continue from a state of the model; it is copied."""
        self._native.set_state(tuple(state_leaves(state)))

    def follow(self, table: Tensor, places: Tensor) -> None:
        """Draw only ids that a table allows: see `longhold.kernels.stream.NativeStream.follow`."""
        self._native.follow(table, places)

    def draw(
        self, ids: Tensor, uniforms: Tensor, *, temperature: float, top_k: int | None, top_p: float, min_p: float
    ) -> Tensor:
        """See `longhold.kernels.stream.NativeStream.draw`: (M, B) ids, M < N where the model's output is not finite."""
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
        return self._native.draw(ids, uniforms, **options)


def stepper_of(model: SequenceModel, batch: int) -> Stepper | None:
    """A stepper for `batch` rows that does what calls of the model in evaluation do, or None where there is no such.

    There is one for a `LanguageModel` in float32 or float64 on the CPU, if the extension is there, neither autocast nor
    `use_backend` selects another way, and nothing was put into the model that a loop in C++ would pass over: hooks,
    parametrizations, other modules.
    """
    if not isinstance(model, LanguageModel) or not _is_plain(model):
        return None
    try:
        refusal = stream_refusal(model.layer.stream_weights().layers)
    except BackendRefused:
        return None
    return None if refusal is not None else Stepper(model, batch)


def _is_plain(model: LanguageModel) -> bool:
    parts = [model, model.layer, model.output, *([] if model.embedding is None else [model.embedding])]
    expected = {LanguageModel, nn.Linear, nn.Embedding, *LAYERS.values()}
    same = {parameter.dtype for parameter in model.parameters()}
    return (
        {type(part) for part in parts} <= expected
        and len(list(model.modules())) == len(parts)
        and not any(part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part) for part in parts)
        and not torch_modules._has_any_global_hook()  # type: ignore[no-untyped-call]
        and len(same) == 1
        and {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    )


@torch.no_grad()
def _weights(model: LanguageModel) -> StreamWeights:
    layer = model.layer.stream_weights()
    embedding = None if model.embedding is None else model.embedding.weight
    output = (model.output.weight, model.output.bias)
    whole = StreamWeights(layer.recurrence, layer.layers, layer.initial, layer.zoneout, embedding, output)
    small = embedding is not None and embedding.shape[0] * whole.layers[0].weight_ih.shape[0] <= _FOLDED
    return fold_embedding(whole) if small else whole
