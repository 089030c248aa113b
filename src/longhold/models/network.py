"""Every architecture by name, at the sizes of a task."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Literal, Self, TypeAlias, final, get_args

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.errors import InputError
from longhold.models.classifier import ClassifierConfig
from longhold.models.deltanet import DeltaNetConfig
from longhold.models.echo import EchoConfig
from longhold.models.lru import LRUConfig
from longhold.models.mamba import MambaConfig
from longhold.models.minimal import MinimalConfig
from longhold.models.model_config import LARGEST, ModelConfig
from longhold.models.transformer import TransformerConfig
from longhold.models.xlstm import XLSTMConfig

NetworkConfig: TypeAlias = (
    ClassifierConfig
    | TransformerConfig
    | MinimalConfig
    | LRUConfig
    | XLSTMConfig
    | DeltaNetConfig
    | MambaConfig
    | EchoConfig
    | ModelConfig
)
"""The configuration of any network that a task can be given to; each builds a `SequenceModel`. `ModelConfig` stands for
those of other packages."""

CellName = Literal[
    "rnn",
    "irnn",
    "gru",
    "lstm",
    "transformer",
    "mingru",
    "minlstm",
    "lru",
    "mlstm",
    "slstm",
    "deltanet",
    "mamba2",
    "echo",
]
"""The architectures. `irnn` is the RNN with relu that starts from the identity (Le, Jaitly and Hinton 2015)."""

_CONFIGS: dict[str, type[NetworkConfig]] = {
    **dict.fromkeys(("rnn", "gru", "lstm"), ClassifierConfig),
    **dict.fromkeys(("mingru", "minlstm"), MinimalConfig),
    **dict.fromkeys(("mlstm", "slstm"), XLSTMConfig),
    "transformer": TransformerConfig,
    "lru": LRUConfig,
    "deltanet": DeltaNetConfig,
    "mamba2": MambaConfig,
    "echo": EchoConfig,
}

_LAYERED: dict[str, Literal["rnn", "gru", "lstm"]] = {"rnn": "rnn", "irnn": "rnn", "gru": "gru", "lstm": "lstm"}

GROUP = "longhold.networks"
"""The entry points by which other packages add architectures: the name of each is a cell, its object a subclass of
`ModelConfig` with the fields `cell`, `init`, `input_size`, `output_size`, `continuous` and, where it has layers,
`num_layers`."""


@final
class Sizes(Config):
    """What comes in and what goes out."""

    input_size: int = Field(ge=1, le=LARGEST)
    """number of token ids that may come in, or width of the features"""
    output_size: int = Field(ge=1, le=LARGEST)
    """number of answers, or of values for a regression"""
    continuous: bool = False
    """whether features `(T, B, input_size)` come in instead of token ids `(T, B)`"""


@final
class Architecture(Config):
    """A cell and how it is initialized, without any size but its depth.

    Example:
        >>> lstm = Architecture(cell="lstm", init="chrono:130")
        >>> config = network_for(lstm, Sizes(input_size=18, output_size=8))
        >>> from longhold.models.budget import solve_hidden_size
        >>> solve_hidden_size(config, 7000)
        32
    """

    cell: str
    """which architecture: one of `CellName`, or one that another package adds (`GROUP`)"""
    init: str = ""
    """initialization, as the architecture's configuration reads it; left out: `uniform`, for `irnn` `identity`"""
    num_layers: int | None = Field(default=None, ge=1, le=1000)
    """layers on top of each other; None: 1 for `rnn`, `irnn`, `gru`, `lstm`, else what the architecture's configuration
    says"""
    embedding_size: int | None = Field(default=None, ge=1, le=LARGEST)
    """width of the learned vector that stands for an id, for `rnn`, `irnn`, `gru`, `lstm`; None: one-hot
    vectors. Features are never embedded"""

    @model_validator(mode="before")
    @classmethod
    def _own_initialization(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("init"):
            return values
        return {**values, "init": "identity" if values.get("cell") == "irnn" else "uniform"}

    @model_validator(mode="after")
    def _fits_the_cell(self) -> Self:
        if self.cell == "irnn" and self.init.partition(":")[0] != "identity":
            raise ValueError(f"init={self.init!r}: irnn starts from the identity, expected identity[:scale]")
        network_for(self, Sizes(input_size=2, output_size=2))
        return self


def network_for(architecture: Architecture, sizes: Sizes, hidden_size: int = 64) -> NetworkConfig:
    """The configuration of an architecture for inputs and outputs of these sizes.

    Args:
        architecture: cell, initialization, depth.
        sizes: what comes in and out.
        hidden_size: H; a budget replaces it (`solve_hidden_size`).

    Raises:
        InputError: the architecture does not support an option, such as an initialization that it does not have.
    """
    depth: dict[str, Any] = {} if architecture.num_layers is None else {"num_layers": architecture.num_layers}
    if architecture.cell in _LAYERED:
        return ClassifierConfig(
            cell=_LAYERED[architecture.cell],
            nonlinearity="relu" if architecture.cell == "irnn" else "tanh",
            init=architecture.init,
            vocab_size=sizes.input_size,
            num_classes=sizes.output_size,
            continuous=sizes.continuous,
            embedding_size=None if sizes.continuous else architecture.embedding_size,
            hidden_size=hidden_size,
            **depth,
        )
    if architecture.embedding_size is not None:
        raise InputError(
            f"embedding_size={architecture.embedding_size}: {architecture.cell} has embeddings of its own width"
        )
    values: dict[str, Any] = {"cell": architecture.cell, "init": architecture.init, "hidden_size": hidden_size}
    return _config_class(architecture.cell)(**values, **sizes.model_dump(), **depth)


def _config_class(cell: str) -> type[NetworkConfig]:
    if cell in _CONFIGS:
        return _CONFIGS[cell]
    outside = entry_points(group=GROUP)
    if cell not in outside.names:
        known = ", ".join([*get_args(CellName), *sorted(outside.names)])
        raise InputError(f"cell={cell!r:.60}: expected one of {known}")
    found = outside[cell].load()
    if not (isinstance(found, type) and issubclass(found, ModelConfig)):
        raise InputError(f"entry point {cell} of {GROUP} is {found!r:.60}: expected a subclass of ModelConfig")
    return found
