"""What is inside a model file, and what is not."""

from pathlib import Path
from typing import Any, final

from pydantic import Field

from longhold.config import Config
from longhold.models.file import read_envelope
from longhold.models.language_model import LanguageModel
from longhold.text.model import KIND, TextModel

ABSENT = (
    "the training text, though a model can recite parts of it (`longhold export` measures that)",
    "any path, user name or machine name",
    "the optimizer's state, so training cannot go on from here exactly as it would have",
)
"""What a model file does not hold."""


@final
class Information(Config):
    """What is inside a model file, as `longhold info --json` prints it."""

    file: str
    """the file's name, without its folder"""
    bytes: int = Field(ge=0)
    """its size"""
    format: int = Field(ge=1)
    """version of the file's format"""
    sha256: str
    """digest over the document and the tensors, as stored and as computed"""
    kind: str
    """what it holds"""
    parameters: int = Field(ge=0)
    """trainable numbers; tied weights once"""
    dtype: str
    """their type"""
    state_bytes: int = Field(ge=0)
    """bytes of the state that one text being read takes"""
    model: dict[str, Any]
    """the configuration"""
    tokenizer: dict[str, Any]
    """kind and number of ids, and how many of them are single bytes"""
    facts: dict[str, Any]
    """what is known of the training"""
    absent: tuple[str, ...] = ABSENT
    """what it does not hold"""


def inside(path: Path) -> Information:
    """Returns what is inside a model file.

    Raises:
        InputError: see `TextModel.load`.
    """
    loaded = TextModel.load(path)
    model, tokenizer = loaded.model, loaded.tokenizer
    assert isinstance(model, LanguageModel)  # a file holds no other
    version, sha256 = read_envelope(path)
    parameters = list(model.parameters())
    lone = sum(len(tokenizer.token_bytes(token)) == 1 for token in range(tokenizer.vocab_size))
    return Information(
        file=path.name,
        bytes=path.stat().st_size,
        format=version,
        sha256=sha256,
        kind=KIND,
        parameters=sum(parameter.numel() for parameter in parameters),
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        state_bytes=model.state_bytes(1),
        model=model.config.model_dump(mode="json"),
        tokenizer={"kind": tokenizer.kind, "ids": tokenizer.vocab_size, "single_bytes": lone},
        facts=loaded.facts.model_dump(mode="json"),
    )
