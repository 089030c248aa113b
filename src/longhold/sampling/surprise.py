"""How surprised a model is by each token of a sequence."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, device_of, evaluation_mode

_READ_AT_ONCE = 256  # tokens; the logits of every one of them are made


def surprise(model: SequenceModel, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """-ln p of each of `ids` `(N,)` but the first, given all before it: `(N - 1,)` nats.

    In evaluation mode, with the state carried from the first to the last; inf for a token that the model holds for
    impossible.

    Raises:
        InputError: the model's output is not a distribution (NaN).
    """
    with evaluation_mode(model), torch.inference_mode():
        parts = [np.empty(0), *_parts(model, torch.from_numpy(ids).to(device_of(model)))]
    nats = np.concatenate(parts)
    if np.isnan(nats).any():
        raise InputError("cannot score: the model's output is not finite (did its training diverge?)")
    return nats


def _parts(model: SequenceModel, ids: Tensor) -> Iterator[NDArray[np.float64]]:
    state: State | None = None
    exact = torch.float32 if ids.device.type == "mps" else torch.float64
    for start in range(0, len(ids) - 1, _READ_AT_ONCE):
        inputs, targets = ids[:-1][start : start + _READ_AT_ONCE], ids[1:][start : start + _READ_AT_ONCE]
        outputs, state = model(inputs.unsqueeze(1), state)
        log_p = outputs[:, 0].to(exact).log_softmax(-1)
        yield -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1).double().cpu().numpy()
