"""How surprised a model is by each token of a sequence when it learns from what it reads."""

import copy
from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from longhold.config import Config
from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, able_to_learn, device_of, evaluation_mode


@final
class DynamicConfig(Config):
    """How a model learns as it reads (Krause, Kahembwe, Murray and Renals 2018, *Dynamic evaluation of neural sequence
    models*, ICML; here with plain gradient steps and the decay towards the trained weights).

    A text is cut into segments s_1, s_2 ... of n tokens. Segment s_i is scored with the weights theta_(i-1), of which
    none has seen it; then they take one step

        theta_i = theta_(i-1) - rate * grad L(s_i) + decay * (theta_0 - theta_(i-1))

    with L the mean nats per token of s_i, back through s_i alone, and theta_0 the weights as they were trained.
    """

    rate: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """size of a step; 0 is the model as it is"""
    decay: float = Field(default=0.001, ge=0, le=1)
    """fraction of the way back to the trained weights that each step goes"""
    segment: int = Field(default=20, ge=1)
    """tokens between two steps"""


def dynamic_surprise(model: SequenceModel, ids: NDArray[np.int64], config: DynamicConfig) -> NDArray[np.float64]:
    """-ln p of each of `ids` `(N,)` but the first, given all before it, by a model that learns on the way: `(N - 1,)`.

    A copy learns; `model` stays as it is. No token is scored with weights that have seen it, so the figure is one that
    a compressor could reach which learns alike on both sides.

    Raises:
        InputError: the output is no longer finite; the rate is too large.
    """
    with able_to_learn():
        reader = copy.deepcopy(model)
    with evaluation_mode(reader), able_to_learn():
        nats = np.concatenate([np.empty(0), *_segments(reader, torch.from_numpy(ids).to(device_of(model)), config)])
    if np.isnan(nats).any():
        raise InputError(f"cannot score: the model's output is not finite; try a rate below {config.rate:g}")
    return nats


def _segments(reader: SequenceModel, ids: Tensor, config: DynamicConfig) -> Iterator[NDArray[np.float64]]:
    weights = [parameter.requires_grad_() for parameter in reader.parameters()]
    trained = [weight.detach().clone() for weight in weights]
    exact = torch.float32 if ids.device.type == "mps" else torch.float64
    state: State | None = None
    for start in range(0, len(ids) - 1, config.segment):
        inputs, targets = ids[:-1][start : start + config.segment], ids[1:][start : start + config.segment]
        outputs, state = reader(inputs.unsqueeze(1), state)
        nats = -outputs[:, 0].to(exact).log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        yield nats.detach().double().cpu().numpy()
        gradients = torch.autograd.grad(nats.mean(), weights, allow_unused=True)
        state = reader.detach(state)
        with torch.no_grad():
            for weight, gradient, before in zip(weights, gradients, trained, strict=True):
                if gradient is not None:
                    weight.add_(gradient * -config.rate + (before - weight) * config.decay)
