"""The network around the mixers, written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.inputs import read_inputs
from longhold.models.minimal import MinimalConfig
from longhold.models.stack import StackModel


def model(**values: object) -> StackModel:
    torch.manual_seed(0)
    sizes = {"cell": "mingru", "input_size": 4, "output_size": 3, "hidden_size": 5}
    made = MinimalConfig(**{**sizes, **values}).build(dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name or ".mlp.0." in name:
                parameter.normal_()
    return made


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("mlp_ratio", [0, 3])
def test_it_is_the_equations_of_the_configuration(continuous: bool, mlp_ratio: int) -> None:
    made = model(continuous=continuous, mlp_ratio=mlp_ratio, num_layers=2)
    p = dict(made.named_parameters())
    inputs = torch.randn(6, 2, 4).double() if continuous else torch.randint(4, (6, 2))
    x = inputs @ p["encoder.weight"].T + p["encoder.bias"] if continuous else p["encoder.weight"][inputs]
    for i, mixer in enumerate(made.mixers):
        x = x + mixer(rms_norm(x, p[f"blocks.{i}.norm.weight"]), mixer.initial_state(2), None)[0]
        if mlp_ratio:
            y = rms_norm(x, p[f"blocks.{i}.mlp.0.weight"]) @ p[f"blocks.{i}.mlp.1.weight"].T
            y = F.gelu(y + p[f"blocks.{i}.mlp.1.bias"]) @ p[f"blocks.{i}.mlp.3.weight"].T
            x = x + y + p[f"blocks.{i}.mlp.3.bias"]
    expected = rms_norm(x, p["norm.weight"]) @ p["output.weight"].T + p["output.bias"]
    torch.testing.assert_close(made(inputs)[0], expected, rtol=0, atol=1e-12)
    assert ("blocks.0.mlp.1.weight" in p) == bool(mlp_ratio)


def test_dropout_acts_on_the_encoding_and_every_branch_and_only_in_training() -> None:
    made = model(hidden_size=400, dropout=0.25, num_layers=1)
    inputs = torch.randint(4, (5, 20))
    seen: list[Tensor] = []
    made.blocks[0].norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made.eval()
    assert torch.equal(made(inputs)[0], made(inputs)[0])
    assert not (seen[0] == 0).any()
    made.train()
    torch.manual_seed(1)
    outputs, _ = made(inputs)
    assert (seen[2] == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    torch.manual_seed(1)
    block = made.blocks[0]
    x = F.dropout(made.encoder(inputs), 0.25)
    x = x + F.dropout(block.mixer(block.norm(x), block.mixer.initial_state(20), None)[0], 0.25)
    x = x + F.dropout(block.mlp(x), 0.25)
    torch.testing.assert_close(outputs, made.output(made.norm(x)))


def test_inputs_are_read_or_refused_in_one_line() -> None:
    ids, features = torch.zeros(3, 2, dtype=torch.int32), torch.zeros(3, 2, 4)
    assert read_inputs(ids, 4, False, torch.float64) is ids
    assert read_inputs(features, 4, True, torch.float64).dtype == torch.float64
    for wrong, continuous, line in (
        (features, False, r"shape \(3, 2, 4\) and type torch.float32: expected token ids"),
        (ids[0], False, r"shape \(2,\)"),
        (ids, True, r"expected features \(T, B, 4\)"),
        (features[..., :3], True, r"shape \(3, 2, 3\)"),
    ):
        with pytest.raises(InputError, match=line):
            read_inputs(wrong, 4, continuous, torch.float64)
