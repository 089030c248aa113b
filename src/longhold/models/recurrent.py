"""What the language model and the classifier have in common: ids in, recurrent layers, one linear map out."""

from collections.abc import Mapping
from typing import Any, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.layers import GRU, LSTM, RNN
from longhold.layers.init import Tutorial, by_name
from longhold.layers.masks import keep_mask
from longhold.models.contract import SequenceModel, State
from longhold.models.model_config import LARGEST, ModelConfig

LAYERS: dict[str, type[RNN] | type[GRU] | type[LSTM]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
"""The layer of each cell."""

CELL_OPTIONS: dict[str, tuple[str, ...]] = {
    "rnn": ("nonlinearity",),
    "gru": ("reset_after",),
    "lstm": ("peephole", "coupled_gates", "proj_size"),
}
"""The fields of a configuration that only one cell has."""


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class RecurrentConfig(ModelConfig):
    """Shape and options of a recurrent network over token ids."""

    cell: Literal["rnn", "gru", "lstm"]
    """which recurrence"""
    vocab_size: int = Field(ge=1, le=LARGEST)
    """V, number of token ids that may come in"""
    num_layers: int = Field(default=1, ge=1, le=1000)
    """L, recurrent layers on top of each other"""
    embedding_size: int | None = Field(default=None, ge=1, le=LARGEST)
    """width of the learned vector that stands for an id; None: the id goes in as a one-hot vector of width V"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate at which the output of every recurrent layer is dropped, so between layers and before the output layer;
    never on the input and never on the state carried from step to step"""
    output_dropout: float | None = Field(default=None, ge=0, lt=1)
    """that rate before the output layer, where it differs from the one between layers; None: the same"""
    input_dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate at which features of the embedded input are dropped"""
    embedding_dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate at which whole ids are dropped from the input: their vectors are zero wherever they stand in a call, the
    others scaled up (Gal and Ghahramani 2016)"""
    locked_dropout: bool = False
    """whether the dropouts on input, between layers and before the output draw one mask per row for all steps of a call
    (variational dropout), not one for each step; with the two above and `weight_dropout` the regularization of AWD-LSTM
    (Merity et al. 2018)"""
    init: str = "uniform"
    """initialization of the recurrent layers, as `longhold.layers.init.by_name` reads it; `tutorial` draws every
    weight of the model so, the embedding's and the output layer's too"""
    layer_norm: bool = False
    """layer normalization inside the cell"""
    recurrent_dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate of the dropout on h where it enters the recurrent product, one mask per call"""
    zoneout: float | tuple[float, float] = 0.0
    """rate at which a unit keeps its old value; the LSTM takes two, for h and for c"""
    weight_dropout: float = Field(default=0.0, ge=0, lt=1)
    """rate at which recurrent weights are dropped, one mask per call"""
    learn_initial_state: bool = False
    """whether the state before the first step is a parameter instead of zeros"""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """RNN only: what is applied to the pre-activation"""
    reset_after: bool = True
    """GRU only: the reset gate acts after the recurrent product (torch, cuDNN) or before it (Cho et al. 2014)"""
    peephole: bool = False
    """LSTM only: the gates see the cell state (Gers et al. 2002)"""
    coupled_gates: bool = False
    """LSTM only: the forget gate is 1 - the input gate"""
    proj_size: int = Field(default=0, ge=0, le=LARGEST)
    """LSTM only: width to which h is projected; 0: no projection"""

    @property
    def output_features(self) -> int:
        """Width of what the recurrent layers hand to the output layer."""
        return self.proj_size or self.hidden_size

    @property
    def smallest_hidden_size(self) -> int:
        return self.proj_size + 1

    @model_validator(mode="after")
    def _dropped_input_is_embedded(self) -> Self:
        for name in ("input_dropout", "embedding_dropout"):
            if getattr(self, name) and self.embedding_size is None:
                raise ValueError(f"{name}={getattr(self, name)} needs embedding_size: a one-hot input has no vectors")
        return self

    @model_validator(mode="after")
    def _options_fit_the_cell(self) -> Self:
        for cell, names in CELL_OPTIONS.items():
            for name in names:
                if cell != self.cell and getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name}={getattr(self, name)!r} is an option of cell {cell!r}, not of {self.cell!r}"
                    )
        make_layer(self, device="meta")  # the layer checks the rest: rates, initialization, projection
        return self


def make_layer(
    config: RecurrentConfig, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> RNN | GRU | LSTM:
    """The recurrent layers of a configuration; raises ValueError for what the cell cannot do.

    On the meta device the initialization is checked and kept, but not run.
    """
    initialization = by_name(config.init)
    # A logarithm on meta imports sympy and inductor, which takes seconds
    only_shapes = device is not None and torch.device(device).type == "meta"
    shared: dict[str, Any] = {
        "input_size": config.embedding_size or config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "dropout": config.dropout if config.num_layers > 1 else 0.0,  # torch warns about dropout after the last layer
        "layer_norm": config.layer_norm,
        "recurrent_dropout": config.recurrent_dropout,
        "zoneout": config.zoneout,
        "weight_dropout": config.weight_dropout,
        "learn_initial_state": config.learn_initial_state,
        "locked_dropout": config.locked_dropout,
        "init": None if only_shapes else initialization,
        "device": device,
        "dtype": dtype,
    }
    options = {name: getattr(config, name) for name in CELL_OPTIONS[config.cell]}
    layer = LAYERS[config.cell](**shared, **options)
    if only_shapes:
        initialization.check(layer.recurrence, layer.bias)
        layer.init = initialization
    return layer


class RecurrentModel(SequenceModel):
    """Ids `(T, B)`, as they are or embedded `(T, B, I)` -> recurrent layers `(T, B, H)` -> linear `(T, B, outputs)`.

    The state is the layer's, in torch's form: `h_n` `(L, B, H)`, for the LSTM `(h_n, c_n)`.

    Attributes:
        embedding: `nn.Embedding`, or None: the layer takes ids as one-hot vectors.
        layer: `longhold.RNN`, `GRU` or `LSTM`.
        output: `nn.Linear` with bias.
    """

    def __init__(
        self, config: RecurrentConfig, outputs: int, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        width = config.embedding_size
        self.embedding = None if width is None else _embedding(config.vocab_size, width, device, dtype)
        self.layer = make_layer(config, device=device, dtype=dtype)
        self.output = nn.Linear(config.output_features, outputs, device=device, dtype=dtype)
        self._locked, self._embedding_dropout = config.locked_dropout, config.embedding_dropout
        self._input_dropout = config.input_dropout
        self._output_dropout = config.dropout if config.output_dropout is None else config.output_dropout
        initialization = by_name(config.init)
        if isinstance(initialization, Tutorial):
            self._draw_as_the_tutorial(initialization.std)

    def _draw_as_the_tutorial(self, std: float) -> None:
        if self.output.weight.is_meta:
            return
        nn.init.normal_(self.output.weight, std=std)
        nn.init.zeros_(self.output.bias)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=std)

    def forward(self, inputs: Tensor, state: State | None = None, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Logits `(T, B, outputs)` after each of the ids `(T, B)`, and the state after the last."""
        features, state = self._features(inputs, state, reset)
        return self.output(features), state

    def _features(self, ids: Tensor, state: State | None, reset: Tensor | None) -> tuple[Tensor, State]:
        """What the output layer sees, `(T, B, H)`, dropped out in training."""
        read = self._one_hot(ids) if self.embedding is None else self._embedded(ids, self.embedding)
        keywords = {} if reset is None else {"reset": reset}  # torch.nn's layers, which may stand here, have none
        features, state = self.layer(read, cast(Any, state), **keywords)
        return self._dropped(features, self._output_dropout), cast(State, state)

    def _one_hot(self, ids: Tensor) -> Tensor:
        """Ids as they are where the layer takes them, and features as they are; else the vectors ids stand for."""
        layer: Any = self.layer
        if isinstance(layer, RNN | GRU | LSTM) or ids.is_floating_point():
            return ids
        weight = getattr(layer, "weight_ih_l0", None)  # a quantized layer has none
        return F.one_hot(ids, layer.input_size).to(torch.float32 if weight is None else weight.dtype)

    def _embedded(self, ids: Tensor, embedding: nn.Embedding) -> Tensor:
        vectors: Tensor = embedding(ids)
        kept = keep_mask((embedding.num_embeddings, 1), self._embedding_dropout, vectors) if self.training else None
        return self._dropped(vectors if kept is None else vectors * kept[ids], self._input_dropout)

    def _dropped(self, x: Tensor, rate: float) -> Tensor:
        """`x` `(T, B, .)` with dropout, in training."""
        if not self._locked:
            return F.dropout(x, rate, self.training)
        mask = keep_mask(tuple(x.shape[1:]), rate, x) if self.training else None
        return x if mask is None else x * mask

    def initial_state(self, batch: int) -> State:
        """Zeros, or the learned initial state, for `batch` rows."""
        state: State = self.layer.initial_state(batch)
        return state

    def take_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Make `tensors` (not copies) the model's parameters, with their device and dtype; used after building on meta.

        Raises:
            InputError: names or shapes are not those of `state_dict`, or the tensors are not all of one type that torch
                computes in.
        """
        own = self.state_dict()
        if own.keys() != tensors.keys():
            raise InputError(f"the weights do not fit the model: {_some(own.keys() ^ tensors.keys())} on one side only")
        for name, tensor in tensors.items():
            if tensor.shape != own[name].shape or tensor.dtype not in _FLOATS:
                raise InputError(
                    f"the weights do not fit the model: {name} is {tensor.dtype} {tuple(tensor.shape)}, "
                    f"expected floating point {tuple(own[name].shape)}"
                )
        if len({tensor.dtype for tensor in tensors.values()}) > 1:
            raise InputError("the weights do not fit the model: they are of several types, expected one")
        self.load_state_dict(dict(tensors), assign=True)
        self._tie()
        self.layer.flatten_parameters()

    def _tie(self) -> None:
        """Make one parameter of those that the configuration ties; a model without ties has nothing to do."""


def _embedding(
    vocab_size: int, width: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Embedding:
    if device is None or torch.device(device).type != "meta":
        return nn.Embedding(vocab_size, width, device=device, dtype=dtype)
    # Drawing normal numbers on meta imports sympy and inductor, which takes seconds
    weight = torch.empty(vocab_size, width, device=device, dtype=dtype)
    return nn.Embedding(vocab_size, width, _weight=weight)


def _some(names: set[str]) -> str:
    shown = [f"{name!r:.80}" for name in sorted(names)[:3]]
    return ", ".join(shown) + (" ..." if len(names) > 3 else "")
