"""Flags that become values."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from longhold.documents import parse_toml_value, read_toml
from longhold.errors import InputError
from longhold.files import UNKNOWN, require_output
from longhold.models import LanguageModelConfig


class Settings(NamedTuple):
    """Settings by what they are of."""

    model: dict[str, object]
    """Fields of `LanguageModelConfig`."""
    training: dict[str, object]
    """The rest, to be checked as fields of `TrainConfig`."""


def split_settings(settings: Mapping[str, object]) -> Settings:
    """Tell the settings of the model from those of its training."""
    model = {name: value for name, value in settings.items() if name in LanguageModelConfig.model_fields}
    return Settings(model, {name: value for name, value in settings.items() if name not in model})


def read_settings(path: Path | None, given: list[str]) -> dict[str, object]:
    """Settings from a TOML file and from `name=value` flags, which win.

    Raises:
        InputError: the file cannot be read, or a flag has no `=`.
    """
    settings = {} if path is None else read_toml(path)
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text!r}: expected name=value, such as lr=0.01")
        settings[name.strip()] = parse_toml_value(value.strip())
    return settings


def require_apart(output: Path, config: Path | None) -> None:
    """Refuse the settings' file as the place of the model."""
    if config is not None:
        require_output(output, UNKNOWN, inputs=[config], overwrite=True)


def model_path(source: str, output: Path | None) -> Path:
    """Where the model goes: as told, else the source's name in the current folder; a model file stays where it is."""
    if output is None and source.endswith(".safetensors"):
        output = Path(source)
    stem = re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.") or "model"
    return Path(f"{stem}.safetensors") if output is None else output
