"""What a person may decide about training on a text: declared here once, without torch.

`longhold.train`, `longhold train` and the form of the local page take names, types, defaults and help from here.
"""

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from longhold.config import Config

Cell: TypeAlias = Literal["rnn", "gru", "lstm"]
Tokens: TypeAlias = Literal["char", "byte", "word", "bpe"]
Recipe: TypeAlias = Literal["standard", "awd"]


class TextOptions(Config):
    """What decides a model and its training; what is None is chosen from the text and the machine."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    cell: Cell = "lstm"
    """recurrence: rnn, gru or lstm"""
    tokenizer: Tokens = "char"
    """what the model reads and writes: char, byte, word or bpe (byte pairs)"""
    recipe: Recipe | None = None
    """regularization: standard, or awd (AWD-LSTM's dropouts, tied and averaged weights); None: by text and budget"""
    vocab_size: int | None = Field(default=None, ge=1)
    """largest vocabulary, for char, word and bpe; None: for char the characters that are not rare"""
    hidden_size: int | None = Field(default=None, ge=1)
    """units in a layer"""
    num_layers: int | None = Field(default=None, ge=1)
    """layers"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """dropout rate after each layer"""
    init: str | None = None
    """initialization: uniform, tutorial, forget:1, chrono:512, orthogonal ..."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """fraction of the text, at its end, that is never trained on"""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """decides the first weights, the batches and the dropout: the same seed trains the same model"""
    budget_seconds: float | None = Field(default=None, gt=0)
    """time for the training; None: a number of epochs that suits the text"""
    model: dict[str, Any] = Field(default_factory=dict)
    """fields of `LanguageModelConfig` that override the preset, such as `weight_dropout`"""
    training: dict[str, Any] = Field(default_factory=dict)
    """fields of `TrainConfig` that override the preset"""

    def chosen(self) -> set[str]:
        """Returns the names of the settings that were chosen, those of model and training too."""
        fields = type(self).model_fields
        names = {name for name in fields if getattr(self, name) != fields[name].get_default(call_default_factory=True)}
        return names | self.model.keys() | self.training.keys()

    def of_a_new_model(self) -> list[str]:
        """Returns the chosen options that only decide how a model is made, so that a trained one cannot take them."""
        names = ("cell", "tokenizer", "recipe", "vocab_size", "hidden_size", "num_layers", "dropout", "init", "model")
        chosen = self.chosen()
        return [name for name in names if name in chosen]


class RunOptions(Config):
    """How long, from what and where a training runs."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    budget: str | float | None = None
    """time to train, such as 90s or 10m; None: a number of epochs that suits the text"""
    more: str | float | None = None
    """continue training the model that is there, for 10m or so, at half the learning rate"""
    encoding: str | None = None
    """encoding of the text; None: UTF-8, else detected"""
    device: str = "cpu"
    """where to train: cpu, cuda, mps ..."""
    tensorboard: bool = False
    """also write event files into the folder of the run"""


INDIRECT = ("budget_seconds", "model", "training")
"""Options of `TextOptions` that a person gives in another form: `budget` or `more`, and `--set`."""


def help_of(name: str) -> str:
    """Returns the help of an option, as it is declared."""
    field = {**RunOptions.model_fields, **TextOptions.model_fields}[name]
    return field.description or ""
