"""The parameters of a recurrent module: their names, shapes and first values."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from longhold.cells import Recurrence
from longhold.kernels import DirectionParameters
from longhold.layers.init import Initialization, Uniform
from longhold.layers.to_torch import TorchTwin

HiddenT = TypeVar("HiddenT")
"""what `hx` and the final state are: a tensor, or (h, c)"""


@dataclass(frozen=True)
class Shape:
    """The sizes and switches of torch.nn's constructors."""

    input_size: int
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    batch_first: bool = False
    dropout: float = 0.0
    bidirectional: bool = False
    proj_size: int = 0


@dataclass(frozen=True)
class Extras:
    """What longhold adds for every cell; all off by default."""

    layer_norm: bool = False
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, ...] = ()
    """one rate per state field"""
    weight_dropout: float = 0.0
    learn_initial_state: bool = False
    peephole: bool = False
    init: Initialization | None = None
    locked_dropout: bool = False


class RecurrentModule(TorchTwin, Generic[HiddenT]):
    """The abstract module behind layers and cells: sizes, parameters, initialization."""

    def __init__(
        self,
        recurrence: Recurrence,
        shape: Shape,
        extras: Extras,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        check_shape(shape)
        check_extras(extras, recurrence)
        self.recurrence = recurrence
        self.input_size, self.hidden_size, self.num_layers = shape.input_size, shape.hidden_size, shape.num_layers
        self.bias, self.batch_first, self.dropout = shape.bias, shape.batch_first, float(shape.dropout)
        self.bidirectional, self.proj_size = shape.bidirectional, shape.proj_size
        self.layer_norm, self.peephole = extras.layer_norm, extras.peephole
        self.recurrent_dropout, self.weight_dropout = extras.recurrent_dropout, extras.weight_dropout
        self.zoneout_rates, self.learn_initial_state = extras.zoneout, extras.learn_initial_state
        self.locked_dropout = extras.locked_dropout
        self.init = extras.init if extras.init is not None else Uniform()
        if not isinstance(self.init, Initialization):
            raise TypeError(f"init should be an Initialization such as longhold.init.Chrono(512), got {self.init!r}")
        self.init.check(recurrence, shape.bias)
        for name, size in self._parameter_shapes():
            self.register_parameter(name, nn.Parameter(torch.empty(size, device=device, dtype=dtype)))
        names = [name for name, _ in self._torch_shapes(self.input_size) + self._extra_shapes()]
        names = [name for name in names if not name.endswith("_0")]
        self._direction_names = [[(name, name + suffix) for name in names] for suffix in self._suffixes()]
        self.reset_parameters()

    @property
    def directions(self) -> int:
        """1, or 2 when bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Width of h: the projection's, else `hidden_size`."""
        return self.proj_size if self.proj_size > 0 else self.hidden_size

    @abstractmethod
    def _suffixes(self) -> list[str]:
        """What follows a parameter's name, one for each layer and direction, in torch's order."""

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.hidden_size)[: len(self.recurrence.state_names)]

    def _parameter_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for index, suffix in enumerate(self._suffixes()):
            width = self.input_size if index < self.directions else self.output_size * self.directions
            for name, size in self._torch_shapes(width):
                yield name + suffix, size
        for suffix in self._suffixes():
            for name, size in self._extra_shapes():
                yield name + suffix, size

    def _torch_shapes(self, width: int) -> list[tuple[str, tuple[int, ...]]]:
        rows = len(self.recurrence.gate_names) * self.hidden_size
        shapes: list[tuple[str, tuple[int, ...]]] = [
            ("weight_ih", (rows, width)),
            ("weight_hh", (rows, self.output_size)),
        ]
        if self.bias:
            shapes += [("bias_ih", (rows,)), ("bias_hh", (rows,))]
        if self.proj_size > 0:
            shapes.append(("weight_hr", (self.proj_size, self.hidden_size)))
        return shapes

    def _extra_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        rows = len(self.recurrence.gate_names) * self.hidden_size
        has_cell_state = "c" in self.recurrence.state_names
        shapes: list[tuple[str, tuple[int, ...]]] = []
        if self.layer_norm:
            shapes += [("weight_norm_ih", (rows,)), ("weight_norm_hh", (rows,))]
        if self.layer_norm and has_cell_state:
            shapes.append(("weight_norm_c", (self.hidden_size,)))
        if self.layer_norm and has_cell_state and self.bias:
            shapes.append(("bias_norm_c", (self.hidden_size,)))
        if self.peephole:
            shapes.append(("weight_peephole", (rows - self.hidden_size,)))
        if self.learn_initial_state:
            names = (f"{name}_0" for name in self.recurrence.state_names)
            shapes += [(name, (size,)) for name, size in zip(names, self._state_sizes(), strict=True)]
        return shapes

    def reset_parameters(self) -> None:
        """Draw all parameters anew: torch's uniform in torch's order, then `init`; extras start neutral."""
        bound = self.hidden_size**-0.5
        torch_names = {name + end for name, _ in self._torch_shapes(self.input_size) for end in self._suffixes()}
        with torch.no_grad():
            for name, parameter in self.named_parameters(recurse=False):
                if name in torch_names:
                    parameter.uniform_(-bound, bound)
                else:
                    parameter.fill_(1.0 if name.startswith("weight_norm") else 0.0)
            for parameters in self._parameters_by_direction():
                self.init.apply(self.recurrence, parameters)

    def _parameters_by_direction(self) -> list[DirectionParameters]:
        return [
            DirectionParameters(**{name: getattr(self, attribute) for name, attribute in names})
            for names in self._direction_names
        ]

    @abstractmethod
    def _hidden(self, fields: tuple[Tensor, ...]) -> HiddenT:
        """torch.nn's form of a state."""

    @abstractmethod
    def _hidden_fields(self, hx: HiddenT) -> tuple[Tensor, ...]:
        """The fields of torch.nn's form; the type is checked here."""

    def extra_repr(self) -> str:
        """The sizes, and whatever differs from the default."""
        options = {
            "proj_size": (self.proj_size, 0),
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
            "layer_norm": (self.layer_norm, False),
            "peephole": (self.peephole, False),
            "recurrent_dropout": (self.recurrent_dropout, 0.0),
            "zoneout": (self.zoneout_rates, (0.0,) * len(self.zoneout_rates)),
            "weight_dropout": (self.weight_dropout, 0.0),
            "learn_initial_state": (self.learn_initial_state, False),
            "locked_dropout": (self.locked_dropout, False),
            "init": (self.init, Uniform()),
        }
        parts = [f"{self.input_size}, {self.hidden_size}"]
        parts += [f"{name}={value}" for name, (value, default) in options.items() if value != default]
        return ", ".join(parts)


def check_shape(shape: Shape) -> None:
    """Raise what torch.nn raises for sizes and rates it does not take."""
    for name in ("input_size", "hidden_size", "num_layers"):
        size = getattr(shape, name)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero, got {size}")
    if not isinstance(shape.bias, bool):
        raise TypeError(f"bias should be of type bool, got: {type(shape.bias).__name__}")
    if not isinstance(shape.batch_first, bool):
        raise TypeError(f"batch_first should be of type bool, got: {type(shape.batch_first).__name__}")
    check_rate("dropout", shape.dropout)
    if shape.dropout > 0 and shape.num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={shape.dropout} and num_layers=1",
            stacklevel=5,
        )
    if shape.proj_size < 0:
        raise ValueError(
            f"proj_size should be a positive integer or zero to disable projections, got {shape.proj_size}"
        )
    if shape.proj_size >= shape.hidden_size:
        raise ValueError(f"proj_size has to be smaller than hidden_size, got {shape.proj_size} >= {shape.hidden_size}")


def check_extras(extras: Extras, recurrence: Recurrence) -> None:
    """Raise ValueError for rates that are none."""
    check_rate("recurrent_dropout", extras.recurrent_dropout, below_one=True)
    check_rate("weight_dropout", extras.weight_dropout, below_one=True)
    for name, rate in zip(recurrence.state_names, extras.zoneout, strict=False):
        check_rate(f"zoneout of {name}", rate)


def refuse_projection(proj_size: int) -> None:
    """Raise torch's ValueError for a projection where only an LSTM has one."""
    if proj_size != 0:
        raise ValueError(f"proj_size argument is only supported for LSTM, not RNN or GRU, got {proj_size}")


def check_rate(name: str, rate: object, *, below_one: bool = False) -> None:
    """Raise ValueError unless `rate` is a probability."""
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate <= 1:
        raise ValueError(f"{name} should be a number in range [0, 1] representing a probability, got {rate!r}")
    if below_one and rate == 1:
        raise ValueError(f"{name} should be below 1, which would drop everything, got {rate!r}")
