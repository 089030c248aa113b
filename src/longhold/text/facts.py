"""What is known of a model's training."""

from typing import Annotated, Any, final

import torch
from pydantic import BeforeValidator, Field

from longhold._version import __version__
from longhold.config import Config


def _last_part(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    name = name.rstrip("/\\")
    return name[max(name.rfind("/"), name.rfind("\\")) + 1 :]


@final
class Facts(Config):
    """What is known of a model's training; None where it is not. Nothing here names a person, a machine or a folder."""

    longhold_version: str = __version__
    """version that trained it"""
    torch_version: str = str(torch.__version__)
    """version of torch that trained it"""
    corpus: Annotated[str, BeforeValidator(_last_part)] | None = None
    """name of the text; of a path only the last part is kept"""
    characters: int | None = Field(default=None, ge=0)
    """characters of the text that was trained on"""
    steps: int | None = Field(default=None, ge=0)
    """optimizer steps up to these weights"""
    tokens_seen: int | None = Field(default=None, ge=0)
    """targets trained on, repetitions counted"""
    seconds: float | None = Field(default=None, ge=0)
    """time the training took"""
    seed: int | None = None
    """seed of the initial weights, the batches and the dropout"""
    held_out_bits_per_character: float | None = Field(default=None, ge=0)
    """loss on text that was not trained on; None if nothing was held out"""
    held_out_bits_per_byte: float | None = Field(default=None, ge=0)
    """the same per byte of UTF-8"""
