"""Every architecture keeps the state contract, learns, and says in one line what it cannot do."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, State, state_leaves
from longhold.models.file import read_model, write_model
from longhold.models.network import (
    Architecture,
    CellName,
    NetworkConfig,
    Sizes,
    network_for,
)
from longhold.models.scan import CHUNK
from longhold.models.stack import StackConfig, StackModel

CELLS: tuple[str, ...] = get_args(CellName)
TIMED = ("mingru", "minlstm", "lru", "mlstm", "slstm", "deltanet", "mamba2")
"""The rivals whose units keep a share of their state that an initialisation can set."""

IDS, FEATURES = Sizes(input_size=7, output_size=3), Sizes(input_size=4, output_size=2, continuous=True)


def configs() -> Iterator[tuple[str, NetworkConfig]]:
    for cell in CELLS:
        for sizes in (IDS, FEATURES):
            kind = "features" if sizes.continuous else "ids"
            yield f"{cell}-{kind}", network_for(Architecture(cell=cell), sizes, hidden_size=5)
    transformer = network_for(Architecture(cell="transformer", num_layers=3), IDS, hidden_size=6)
    for window in (1, 2, 5):
        yield f"window-{window}", transformer.model_copy(update={"window": window})
    yield "one-head", network_for(Architecture(cell="deltanet"), IDS, hidden_size=1).model_copy(update={"num_heads": 1})
    yield "leaky", network_for(Architecture(cell="echo"), IDS, hidden_size=9).model_copy(update={"leak": 0.3})
    yield (
        "no-mlp",
        network_for(Architecture(cell="mlstm"), IDS, hidden_size=7).model_copy(update={"num_heads": 3, "mlp_ratio": 0}),
    )


CONFIGS = dict(configs())


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    return CONFIGS[request.param]


@pytest.fixture
def model(config: NetworkConfig) -> SequenceModel:
    torch.manual_seed(0)
    return config.build(dtype=torch.float64).eval()


def config_of(values: dict[str, Any]) -> NetworkConfig:
    """The configuration of a document, by the class of its architecture."""
    kind = type(network_for(Architecture(cell=values["cell"]), IDS, hidden_size=5))
    return kind(**values)


def some_inputs(model: Any, steps: int, batch: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(1000 * steps + seed)
    if model.config.continuous:
        return torch.randn(steps, batch, 4, generator=generator, dtype=torch.float64)
    return torch.randint(7, (steps, batch), generator=generator)


def close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=0, atol=1e-10)


def same_state(left: State, right: State) -> None:
    for one, other in zip(state_leaves(left), state_leaves(right), strict=True):
        close(one, other)


STEPS = CHUNK + 6


@pytest.mark.parametrize("pieces", [[1, 4, STEPS - 5], [STEPS - 1, 1], [1] * STEPS])
def test_chunks_and_single_steps_give_the_whole(model: SequenceModel, pieces: list[int]) -> None:
    inputs = some_inputs(model, STEPS, 3)
    whole, last = model(inputs)
    outputs, state = [], model.initial_state(3)
    for chunk in inputs.split(pieces):
        piece, state = model(chunk, state)
        outputs.append(piece)
    close(torch.cat(outputs), whole)
    same_state(state, last)


def test_a_reset_gives_the_segments_run_alone(model: SequenceModel) -> None:
    inputs, reset = some_inputs(model, STEPS, 3), torch.zeros(STEPS, 3, dtype=torch.bool)
    cuts = {0: [0, 4, 5, STEPS - 2], 1: [STEPS - 1], 2: []}
    for row, at in cuts.items():
        reset[at, row] = True
    begun = model(some_inputs(model, 5, 3, seed=1))[1]
    outputs, _ = model(inputs, begun, reset)
    for row, at in cuts.items():
        column = inputs[:, row : row + 1]
        alone = model.select(begun, torch.tensor([row]))
        edges = [0, *(a for a in at if a), STEPS]
        pieces = []
        for first, last in itertools.pairwise(edges):
            fresh = bool(reset[first, row])
            pieces.append(model(column[first:last], None if fresh else alone)[0])
        close(outputs[:, row : row + 1], torch.cat(pieces))


@pytest.mark.parametrize("at", range(6))
def test_a_reset_anywhere_leaves_a_fresh_rows_state(model: SequenceModel, at: int) -> None:
    inputs, reset = some_inputs(model, 6, 2), torch.zeros(6, 2, dtype=torch.bool)
    reset[at] = True
    begun = model(some_inputs(model, 3, 2, seed=1))[1]
    outputs, state = model(inputs, begun, reset)
    fresh, fresh_state = model(inputs[at:])
    close(outputs[at:], fresh)
    same_state(state, fresh_state)
    more = some_inputs(model, 4, 2, seed=2)
    close(model(more, state)[0], model(more, fresh_state)[0])


def test_a_row_with_a_reset_goes_on_beside_one_without(model: SequenceModel) -> None:
    inputs, reset = some_inputs(model, 6, 2), torch.zeros(6, 2, dtype=torch.bool)
    reset[3, 0] = True
    _, state = model(inputs, None, reset)
    more = some_inputs(model, 5, 2, seed=2)
    outputs, _ = model(more, state)
    close(outputs[:, :1], model(torch.cat([inputs[3:, :1], more[:, :1]]))[0][3:])
    close(outputs[:, 1:], model(torch.cat([inputs[:, 1:], more[:, 1:]]))[0][6:])


def test_rows_are_independent_and_select_picks_them(model: SequenceModel) -> None:
    inputs, more, rows = some_inputs(model, 5, 4), some_inputs(model, 3, 3), torch.tensor([3, 1, 3])
    _, state = model(inputs)
    outputs, _ = model(more, model.select(state, rows))
    for column, row in enumerate(rows.tolist()):
        _, alone = model(inputs[:, row : row + 1])
        close(outputs[:, column : column + 1], model(more[:, column : column + 1], alone)[0])


def test_it_looks_back_and_never_ahead(model: SequenceModel) -> None:
    inputs = some_inputs(model, 9, 2)
    changed = inputs.clone()
    changed[4, 0] = changed[4, 0] + 1 if model.config.continuous else (changed[4, 0] + 1) % 7
    before, after = model(inputs)[0], model(changed)[0]
    assert torch.equal(before[:4], after[:4])
    assert torch.equal(before[:, 1], after[:, 1])
    moved = (before != after).any(-1)[:, 0]
    assert moved[4]
    window = getattr(model.config, "window", None)
    assert moved[5:].any() == (window != 1)


def test_a_state_is_not_written_to_and_follows_the_models_dtype(model: SequenceModel) -> None:
    _, state = model(some_inputs(model, 3, 2))
    before = [leaf.detach().clone() for leaf in state_leaves(state)]
    model(some_inputs(model, 4, 2), state, torch.ones(4, 2, dtype=torch.bool))
    model(some_inputs(model, 4, 2), state)
    assert all(torch.equal(leaf, kept) for leaf, kept in zip(state_leaves(state), before, strict=True))
    floating = [leaf for leaf in state_leaves(state) if leaf.is_floating_point()]
    assert {leaf.dtype for leaf in floating} == {torch.float64}
    assert all(leaf.shape[1] == 2 for leaf in state_leaves(state))


def test_state_bytes_are_those_of_the_state(config: NetworkConfig) -> None:
    model = config.build()
    for tokens in (0, 1, 7, STEPS):
        _, state = model(some_inputs(model, tokens, 3)) if tokens else (None, model.initial_state(3))
        taken = sum(leaf.numel() * leaf.element_size() for leaf in state_leaves(state))
        told = model.state_bytes(3, tokens) if isinstance(model, StackModel) else model.state_bytes(3)
        assert told == taken


def test_gradients_reach_every_parameter_and_through_the_state(model: SequenceModel) -> None:
    _, state = model.train()(some_inputs(model, 6, 3))
    reset = torch.zeros(5, 3, dtype=torch.bool)
    reset[2, 0] = True
    outputs, _ = model(some_inputs(model, 5, 3), state, reset)
    outputs.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any() or ("window" in str(model.config) and model.config.window == 1), name
    cut = model.detach(state)
    assert not any(leaf.requires_grad for leaf in state_leaves(cut))


def test_no_gradient_crosses_a_reset(model: SequenceModel) -> None:
    _, state = model(some_inputs(model, 4, 2))
    leaves = [leaf for leaf in state_leaves(state) if leaf.is_floating_point()]
    leaves = [leaf if leaf.requires_grad else leaf.requires_grad_() for leaf in leaves]
    reset = torch.tensor([[True, False], [False, False]])
    outputs, _ = model(some_inputs(model, 2, 2), state, reset)
    for row, crosses in ((0, False), (1, True)):
        found = torch.autograd.grad(outputs[:, row].sum(), leaves, retain_graph=True, allow_unused=True)
        reached = any(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in found)
        assert reached == (crosses and getattr(model.config, "window", None) != 1)
        assert all(gradient is None or gradient.isfinite().all() for gradient in found)


def test_float32_agrees_with_double(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    single = config.build().eval()
    double = config.build(dtype=torch.float64).eval()
    double.load_state_dict(single.state_dict())
    inputs = some_inputs(single, 40, 3)
    exact, rough = double(inputs)[0], single(inputs)[0]
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() <= 2e-5 * max(1.0, exact.abs().max())


def test_a_seed_gives_the_same_model_and_meta_takes_no_number(config: NetworkConfig) -> None:
    torch.manual_seed(5)
    one = config.build().state_dict()
    torch.manual_seed(5)
    config.build(device="meta")
    other = config.build().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert all(tensor.isfinite().all() for tensor in one.values())


def test_json_both_ways(config: NetworkConfig) -> None:
    values = json.loads(json.dumps(config.model_dump(mode="json")))
    assert config_of(values) == config
    assert config.with_hidden_size(11).hidden_size == 11
    assert config.with_hidden_size(11).with_hidden_size(config.hidden_size) == config


@pytest.mark.parametrize("cell", CELLS)
def test_it_learns_to_name_the_first_of_four_symbols(cell: str) -> None:
    torch.manual_seed(1)
    config = network_for(
        Architecture(cell=cell), Sizes(input_size=5, output_size=3), hidden_size=60 if cell == "echo" else 16
    )
    model = config.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    first = torch.arange(48) % 3
    rest = torch.randint(3, 5, (3, 48))
    inputs = torch.cat([first.unsqueeze(0), rest])
    for _ in range(120):
        loss = F.cross_entropy(model(inputs)[0][-1], first)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh = torch.cat([first.unsqueeze(0), torch.randint(3, 5, (3, 48))])
    assert (model(fresh)[0][-1].argmax(-1) == first).double().mean() > 0.9


@pytest.mark.parametrize("cell", CELLS)
def test_a_task_may_hand_over_float32_features_to_a_double_model(cell: str) -> None:
    model = network_for(Architecture(cell=cell), FEATURES, hidden_size=5).build(dtype=torch.float64)
    outputs, _ = model(torch.randn(3, 2, 4))
    assert outputs.shape == (3, 2, 2)
    assert outputs.dtype == torch.float64


@pytest.mark.parametrize("cell", CELLS)
def test_ids_and_features_are_not_taken_for_one_another(cell: str) -> None:
    ids = network_for(Architecture(cell=cell), IDS, hidden_size=5).build()
    features = network_for(Architecture(cell=cell), FEATURES, hidden_size=5).build()
    with pytest.raises(InputError, match=r"expected token ids \(T, B\)"):
        ids(torch.randn(3, 2, 7))
    for wrong in (torch.zeros(3, 2, dtype=torch.long), torch.randn(4, 4), torch.randn(3, 2, 5)):
        with pytest.raises(InputError, match=r"expected features \(T, B, 4\)"):
            features(wrong)


def kept_shares(model: StackModel) -> list[Tensor]:
    """The share of its state that each unit of the first block keeps where the input says nothing."""
    mixer: Any = model.mixers[0]
    cell, units = model.config.cell, mixer.time_scales
    if cell == "mingru":
        return [1 - torch.sigmoid(mixer.input.bias[:units])]
    if cell == "minlstm":
        f, i = torch.sigmoid(mixer.input.bias[:units]), torch.sigmoid(mixer.input.bias[units : 2 * units])
        return [f / (f + i)]
    if cell == "lru":
        return [torch.exp(-torch.exp(mixer.nu_log))]
    if cell == "mlstm":
        return [torch.sigmoid(mixer.gates.bias[units:]), 1 - torch.sigmoid(mixer.gates.bias[:units])]
    if cell == "slstm":
        bias = mixer.input.bias.view(4, units)
        return [torch.sigmoid(bias[2]), 1 - torch.sigmoid(bias[1])]
    return [mixer.decay(torch.zeros(1, 1, mixer.decay.step.in_features, dtype=torch.float64))[1].exp().flatten()]


@pytest.mark.parametrize("cell", TIMED)
def test_chrono_spreads_time_scales_up_to_the_longest_lag(cell: str) -> None:
    torch.manual_seed(0)
    config = network_for(Architecture(cell=cell, init="chrono:200"), IDS, hidden_size=128)
    if cell in ("mlstm", "deltanet", "mamba2"):
        config = config.model_copy(update={"num_heads": 128})
    model = config.build(dtype=torch.float64)
    for share in kept_shares(model):
        u = share / (1 - share)
        assert u.min() >= 1 - 1e-6
        assert u.max() <= 199 + 1e-6
        assert u.mean().item() == pytest.approx(100, abs=15)
        assert u.std().item() == pytest.approx(198 / 12**0.5, rel=0.15)


@pytest.mark.parametrize("cell", TIMED)
def test_a_forget_bias_is_set(cell: str) -> None:
    model = network_for(Architecture(cell=cell, init="forget:3"), IDS, hidden_size=8).build(dtype=torch.float64)
    kept = torch.sigmoid(torch.tensor(3.0, dtype=torch.float64))
    if cell == "minlstm":  # its input gate stays as drawn
        assert torch.equal(model.mixers[0].input.bias[:8], torch.full((8,), 3.0, dtype=torch.float64))
    else:
        close(kept_shares(model)[0], kept.expand_as(kept_shares(model)[0]))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in ("rnn", "irnn", "gru", "lstm", "echo")])
def test_the_tutorials_initialisation_covers_all_linear_maps(cell: str) -> None:
    torch.manual_seed(0)
    model = network_for(Architecture(cell=cell, init="tutorial:0.02"), IDS, hidden_size=40).build()
    for name, parameter in model.named_parameters():
        if name in ("encoder.weight", "output.weight") or name.endswith("mixer.output.weight"):
            assert parameter.std().item() == pytest.approx(0.02, rel=0.25), name
    assert not model.output.bias.any()


def test_the_irnn_is_the_relu_rnn_that_starts_from_the_identity() -> None:
    model = network_for(Architecture(cell="irnn"), IDS, hidden_size=5).build()
    assert model.layer.nonlinearity == "relu"
    assert torch.equal(model.layer.weight_hh_l0, torch.eye(5))
    assert not model.layer.bias_hh_l0.any()
    assert Architecture(cell="irnn").init == "identity"
    scaled = network_for(Architecture(cell="irnn", init="identity:0.5"), IDS, hidden_size=5).build()
    assert torch.equal(scaled.layer.weight_hh_l0, 0.5 * torch.eye(5))


def test_an_architecture_says_its_depth_and_embedding() -> None:
    deep = network_for(Architecture(cell="gru", num_layers=3, embedding_size=4), IDS, hidden_size=5)
    assert (deep.num_layers, deep.embedding_size) == (3, 4)
    assert network_for(Architecture(cell="gru", embedding_size=4), FEATURES, hidden_size=5).embedding_size is None
    stack = network_for(Architecture(cell="mingru", num_layers=3), IDS)
    assert isinstance(stack, StackConfig)
    assert stack.num_layers == 3
    assert len(stack.build().mixers) == 3


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"cell": "elman"}, "cell='elman': expected one of rnn, irnn"),
        (
            {"cell": "transformer", "init": "chrono:9"},
            "sets how long a state is kept, and transformer has no such unit",
        ),
        ({"cell": "transformer", "init": "orthogonal"}, "is for a recurrent matrix, and transformer does not take it"),
        ({"cell": "mingru", "init": "identity"}, "is for a recurrent matrix, and mingru does not take it"),
        ({"cell": "rnn", "init": "chrono:9"}, "an RNN has no gates"),
        ({"cell": "gru", "init": "chrono:1"}, "cannot read initialization 'chrono:1'"),
        ({"cell": "lru", "init": "magic"}, "unknown initialization 'magic'"),
        ({"cell": "irnn", "init": "uniform"}, "init='uniform': irnn starts from the identity"),
        ({"cell": "echo", "init": "forget:1"}, "init='forget:1': should be 'uniform'"),
        ({"cell": "echo", "num_layers": 2}, "unknown option 'num_layers'"),
        ({"cell": "mlstm", "embedding_size": 3}, "embedding_size=3: mlstm has embeddings of its own width"),
        ({"cell": "lstm", "depth": 3}, "unknown option 'depth'"),
    ],
)
def test_what_cannot_be_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Architecture(**values)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"cell": "lru", "input_size": 2, "output_size": 2, "hidden_size": 2, "r_min": 0.9, "r_max": 0.5}, "r_min=0.9"),
        ({"cell": "echo", "input_size": 2, "output_size": 2, "hidden_size": 2, "leak": 0}, "leak=0"),
        ({"cell": "mingru", "input_size": 2, "output_size": 2, "hidden_size": 0}, "hidden_size=0"),
        (
            {
                "cell": "lstm",
                "vocab_size": 2,
                "num_classes": 2,
                "hidden_size": 2,
                "continuous": True,
                "embedding_size": 3,
            },
            "embedding_size=3 is for token ids",
        ),
    ],
)
def test_a_wrong_document_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        config_of(values)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", CELLS)
def test_a_file_brings_it_back(cell: str, tmp_path: Path) -> None:
    config = network_for(Architecture(cell=cell), IDS, hidden_size=5)
    model = config.build()
    write_model(tmp_path / "model", model.state_dict(), {"kind": "network", "config": config.model_dump(mode="json")})
    tensors, document = read_model(tmp_path / "model")
    again = config_of(document["config"]).build(device="meta")
    again.load_state_dict(tensors, assign=True)
    inputs = some_inputs(model, 6, 2)
    assert torch.equal(again(inputs)[0], model(inputs)[0])
