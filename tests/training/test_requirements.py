"""Models that cannot be trained are refused in one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from longhold.errors import InputError
from longhold.training.requirements import require_precision, require_trainable


def frozen() -> nn.Module:
    return nn.Linear(2, 2).requires_grad_(False)


def inferred() -> nn.Module:
    with torch.inference_mode():
        return nn.Linear(2, 2)


def on_meta() -> nn.Module:
    return nn.Linear(2, 2, device="meta")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (frozen, "Linear has no parameter to train"),
        (inferred, r"was made under torch.inference_mode\(\)"),
        (on_meta, "is on the meta device"),
    ],
)
def test_what_cannot_be_trained_is_named(make: Callable[[], nn.Module], line: str) -> None:
    with pytest.raises(InputError, match=line) as refused:
        require_trainable(make())
    assert "\n" not in str(refused.value)


def test_what_can_be_is_taken() -> None:
    partly = nn.Sequential(frozen(), nn.Linear(2, 2))
    require_trainable(partly)
    require_precision("float32", torch.device("meta"))


def test_a_device_without_autocast_is_named() -> None:
    with pytest.raises(InputError, match="no autocast for meta"):
        require_precision("bfloat16", torch.device("meta"))
