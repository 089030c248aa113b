"""Small models of every kind, with weights large enough that the numbers move."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from longhold.models.language_model import LanguageModel, LanguageModelConfig

ASSETS = Path(__file__).resolve().parents[2] / "src" / "longhold" / "web" / "assets"

KINDS: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn", "vocab_size": 7, "hidden_size": 5},
    "gru": {"cell": "gru", "vocab_size": 7, "hidden_size": 5},
    "lstm": {"cell": "lstm", "vocab_size": 7, "hidden_size": 5},
    "gru of 2014, two layers": {
        "cell": "gru",
        "vocab_size": 11,
        "hidden_size": 9,
        "num_layers": 2,
        "reset_after": False,
        "embedding_size": 3,
    },
    "lstm, three layers, embedded": {
        "cell": "lstm",
        "vocab_size": 13,
        "hidden_size": 6,
        "num_layers": 3,
        "embedding_size": 4,
    },
    "lstm, tied": {
        "cell": "lstm",
        "vocab_size": 13,
        "hidden_size": 8,
        "embedding_size": 8,
        "tie_weights": True,
        "num_layers": 2,
    },
    "lstm, coupled, zoneout, learned start": {
        "cell": "lstm",
        "vocab_size": 5,
        "hidden_size": 7,
        "coupled_gates": True,
        "zoneout": (0.1, 0.4),
        "learn_initial_state": True,
    },
    "gru, zoneout": {"cell": "gru", "vocab_size": 5, "hidden_size": 7, "zoneout": 0.25, "learn_initial_state": True},
    "rnn, two layers, learned start": {
        "cell": "rnn",
        "vocab_size": 5,
        "hidden_size": 3,
        "num_layers": 2,
        "learn_initial_state": True,
    },
    "rnn of one unit": {"cell": "rnn", "vocab_size": 2, "hidden_size": 1},
}
"""Fields of a configuration, by what is special about it."""


def model_of(fields: dict[str, Any], *, scale: float = 3.0) -> LanguageModel:
    """A model in evaluation mode whose weights are `scale` times torch's, from torch's own generator."""
    model = LanguageModel(LanguageModelConfig(**fields)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("layer") and "_0_" in name:
                parameter.uniform_(-0.9, 0.9)
            elif name != "embedding.weight" or not model.config.tie_weights:
                parameter.mul_(scale)
    return model


def ask_node(packed: dict[str, Any] | None, **ask: Any) -> dict[str, Any]:
    """The twin's answers; the test is skipped where there is no Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the JavaScript twin needs node, and this machine has none")
    job = json.dumps({"packed": packed, "ask": ask})
    command = [node, str(Path(__file__).with_name("twin.mjs")), str(ASSETS / "stepper.js")]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, input=job, capture_output=True, encoding="utf-8", env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
