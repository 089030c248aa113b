"""A language model as plain torch.nn: a folder that needs torch and safetensors, and no longhold."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, BinaryIO

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from longhold.data.tokenizers import Tokenizer
from longhold.errors import InputError
from longhold.export.facts import shareable
from longhold.export.folder import write_folder
from longhold.files import Kind, StrPath, beginning
from longhold.layers import GRU, LSTM, RNN
from longhold.layers.to_torch import options_beyond_torch
from longhold.models.header import read_metadata
from longhold.models.language_model import LanguageModel

SCRIPT = "write.py"
"""The file in the folder that loads the others."""


def _is_weights(file: BinaryIO) -> bool:
    metadata, names = read_metadata(file)
    ours = ("embedding.", "layer.", "output.", "h_0", "c_0")
    return metadata == {"format": "pt"} and "output.weight" in names and all(name.startswith(ours) for name in names)


KINDS = {
    "config.json": beginning("a configuration of longhold export", b'{\n "cell": "', b'"output_features"'),
    "model.safetensors": Kind("weights of longhold export", _is_weights),
    "tokenizer.json": beginning("a tokenizer of longhold export", b'{\n "kind": "'),
    SCRIPT: beginning("the script of longhold export", b'"""Write text with the recurrent network that lies beside'),
}
"""The files in the folder, and how each is recognized."""


def export_torch(
    model: LanguageModel,
    tokenizer: Tokenizer,
    folder: StrPath,
    facts: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> int:
    """Write a folder from which torch.nn writes text; returns the number of bytes in it.

    It holds `model.safetensors` (torch.nn's parameter names, float32; tied weights once; learned initial states as
    `h_0` and `c_0`, (L, H)), `config.json`, `tokenizer.json` and `write.py`, a script and module that reads them.

    Arguments:
        model: what to export.
        tokenizer: its tokenizer.
        folder: made if it is not there; if it is, it may hold an earlier export, which is replaced.
        facts: of the training; see `longhold.export.facts`.
        overwrite: whether files by these names that longhold did not write are replaced too.

    Raises:
        InputError: the cell has an option that torch.nn lacks, or the folder holds other files or cannot be written.
    """
    _refuse_what_torch_lacks(model.layer)
    script = resources.files("longhold.export").joinpath("standalone.py").read_bytes()
    files = {
        "model.safetensors": save_safetensors(_weights(model), {"format": "pt"}),
        "config.json": _json({**_config(model), "facts": shareable(facts or {})}),
        "tokenizer.json": _json(tokenizer.to_dict()),
        SCRIPT: script,
    }
    return write_folder(folder, files, KINDS, overwrite=overwrite)


def _refuse_what_torch_lacks(layer: RNN | GRU | LSTM) -> None:
    for option in options_beyond_torch(layer):
        raise InputError(f"cannot export to torch: {option}, which torch.nn.{type(layer).__name__} does not have")


def _weights(model: LanguageModel) -> dict[str, Tensor]:
    tied = {"embedding.weight"} if model.config.tie_weights else set()
    found = {name: value for name, value in model.state_dict().items() if name not in tied and "_0_l" not in name}
    layer = model.layer
    if layer.learn_initial_state:
        states = layer._learned_fields(1, layer._flat_weights[0])
        found |= {f"{name}_0": state[:, 0] for name, state in zip(layer.recurrence.state_names, states, strict=True)}
    return {name: value.detach().to("cpu", torch.float32).contiguous() for name, value in found.items()}


def _config(model: LanguageModel) -> dict[str, Any]:
    config = model.config
    options = {
        "rnn": {"nonlinearity": config.nonlinearity},
        "gru": {},
        "lstm": {"proj_size": config.proj_size},
    }
    sizes = dict(zip(model.layer.recurrence.state_names, model.layer._state_sizes(), strict=True))
    learned = sizes if config.learn_initial_state else {}
    return {
        "cell": config.cell,
        "vocab_size": config.vocab_size,
        "embedding_size": config.embedding_size,
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "output_features": config.output_features,
        "tie_weights": config.tie_weights,
        "options": options[config.cell],
        "initial_state": {f"{name}_0": [config.num_layers, size] for name, size in learned.items()},
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
