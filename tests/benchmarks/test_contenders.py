"""The same work by torch and by longhold."""

from typing import Any

import pytest
import torch
from benchmarks.cases import QUICK, Case
from torch import nn

import longhold
from benchmarks import contenders
from tests.helpers import assert_close


@pytest.mark.parametrize("case", [case for case in QUICK if not case.ids], ids=lambda case: case.name)
def test_everyone_has_the_gradients_of_everyone(case: Case) -> None:
    found = contenders.contenders(case)
    assert found.keys() == ({"torch", "longhold", "torch packed"} if case.ragged else {"torch", "longhold"})
    gradients = {}
    for name in ("torch", "longhold"):
        one = found[name]
        shared = contenders.Work(one.forward, found["torch"].upstream, one.leaves)
        shared.training()
        shared.training()  # does not add up
        gradients[name] = [leaf.grad for leaf in one.leaves]
    for index, (ours, theirs) in enumerate(zip(gradients["longhold"], gradients["torch"], strict=True)):
        assert ours is not None
        assert theirs is not None
        assert_close(f"gradient {index}", ours, theirs)


def test_the_gradients_from_behind_are_random_and_zero_on_padding() -> None:
    case = Case("GRU", batch=4, hidden=3, steps=12, ragged=True)
    found = contenders.contenders(case)
    valid = torch.arange(12).unsqueeze(1) < case.lengths()
    for name in ("torch", "longhold"):
        outputs, state = found[name].upstream
        assert outputs[~valid].abs().max() == 0
        assert (outputs[valid] != 0).all()
        assert state.shape == (4, 3)
        assert outputs[valid].unique().numel() > 10
    assert found["torch packed"].upstream[0].shape == (int(case.lengths().sum()), 3)


def test_the_padded_call_gathers_the_state_of_the_last_valid_step() -> None:
    case = Case("LSTM", batch=5, hidden=3, steps=9, ragged=True)
    found = contenders.contenders(case)
    padded, packed, ours = (found[name].inference() for name in ("torch", "torch packed", "longhold"))
    assert_close("packed", packed[1], padded[1])
    assert_close("longhold", ours[1], padded[1])


def test_inference_leaves_no_graph() -> None:
    found = contenders.contenders(Case("RNN", 2, 3, 4))
    assert not any(result.requires_grad for one in found.values() for result in one.inference())


def test_another_result_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(case: Case) -> tuple[Any, Any]:
        return nn.GRU(case.inputs, case.hidden), longhold.GRU(case.inputs, case.hidden)  # other weights

    monkeypatch.setattr(contenders, "pair", wrong)
    with pytest.raises(RuntimeError, match="differ from torch's by"):
        contenders.contenders(Case("GRU", 2, 3, 4))


def test_ids_are_one_hot_for_torch() -> None:
    reason = contenders.takes_ids()
    if reason is not None:
        assert "token ids" in reason
        return
    case = Case("LSTM", batch=3, hidden=4, steps=6, ragged=True, ids=True)
    found = contenders.contenders(case)
    assert len(found["longhold"].leaves) == 4  # the ids need no gradient
