"""Both models keep the state contract, and their parts are what the configuration says."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longhold.errors import InputError
from longhold.models.classifier import Classifier, ClassifierConfig
from longhold.models.contract import state_leaves
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.recurrent import RecurrentModel

CELLS = ["rnn", "gru", "lstm"]
OPTIONS: list[dict[str, Any]] = [
    {"cell": "rnn"},
    {"cell": "rnn", "nonlinearity": "relu", "embedding_size": 3},
    {"cell": "gru", "num_layers": 2},
    {"cell": "gru", "reset_after": False, "learn_initial_state": True},
    {"cell": "lstm", "num_layers": 2, "embedding_size": 4, "dropout": 0.3},
    {"cell": "lstm", "peephole": True, "coupled_gates": True, "layer_norm": True, "num_layers": 2},
    {"cell": "lstm", "proj_size": 3, "learn_initial_state": True, "num_layers": 2, "zoneout": (0.1, 0.2)},
    {"cell": "lstm", "embedding_size": 5, "tie_weights": True, "recurrent_dropout": 0.2, "weight_dropout": 0.1},
]


def language_model(**values: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModelConfig(**{"vocab_size": 7, "hidden_size": 5, **values}).build(dtype=torch.float64).eval()


def classifier(**values: Any) -> Classifier:
    torch.manual_seed(0)
    values = {name: value for name, value in values.items() if name != "tie_weights"}
    config = ClassifierConfig(**{"vocab_size": 7, "hidden_size": 5, "num_classes": 3, **values})
    return config.build(dtype=torch.float64).eval()


@pytest.fixture(params=range(2 * len(OPTIONS)), ids=lambda index: f"{index % 2}-{OPTIONS[index // 2]}")
def model(request: pytest.FixtureRequest) -> RecurrentModel:
    made = [language_model, classifier][request.param % 2](**OPTIONS[request.param // 2])
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "_0_l" in name:
                parameter.normal_()  # a learned initial state that is not zero
    return made


def ids(steps: int, batch: int) -> Tensor:
    return torch.randint(7, (steps, batch), generator=torch.Generator().manual_seed(steps))


def assert_same_state(left: Any, right: Any) -> None:
    for one, other in zip(state_leaves(left), state_leaves(right), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_chunks_give_the_whole(model: RecurrentModel) -> None:
    inputs = ids(11, 3)
    whole, last = model(inputs)
    outputs, state = [], model.initial_state(3)
    for chunk in inputs.split([1, 4, 6]):
        piece, state = model(chunk, state)
        outputs.append(piece)
    torch.testing.assert_close(torch.cat(outputs), whole, rtol=0, atol=1e-12)
    assert_same_state(state, last)


def test_a_state_is_not_written_to(model: RecurrentModel) -> None:
    _, state = model(ids(3, 2))
    before = [leaf.detach().clone() for leaf in state_leaves(state)]
    model(ids(4, 2), state, torch.ones(4, 2, dtype=torch.bool))
    assert all(torch.equal(leaf, kept) for leaf, kept in zip(state_leaves(state), before, strict=True))


def test_a_reset_gives_the_segments_run_alone(model: RecurrentModel) -> None:
    inputs, reset = ids(9, 2), torch.zeros(9, 2, dtype=torch.bool)
    reset[0, 0] = reset[4, 0] = reset[5, 0] = reset[7, 1] = True
    _, begun = model(ids(3, 2))
    outputs, state = model(inputs, begun, reset)
    first = [model(inputs[a:b, :1])[0] for a, b in [(0, 4), (4, 5), (5, 9)]]
    second = [
        model(inputs[:7, 1:], model.select(begun, torch.tensor([1])))[0],
        model(inputs[7:, 1:])[0],
    ]
    torch.testing.assert_close(outputs, torch.cat([torch.cat(first), torch.cat(second)], 1), rtol=0, atol=1e-12)
    assert_same_state(model.select(state, torch.tensor([1])), model(inputs[7:, 1:])[1])


def test_select_gives_the_rows_run_alone(model: RecurrentModel) -> None:
    inputs, more, rows = ids(5, 4), ids(3, 3), torch.tensor([3, 1, 3])
    _, state = model(inputs)
    outputs, _ = model(more, model.select(state, rows))
    for column, row in enumerate(rows.tolist()):
        _, alone = model(inputs[:, row : row + 1])
        torch.testing.assert_close(
            outputs[:, column : column + 1], model(more[:, column : column + 1], alone)[0], rtol=0, atol=1e-12
        )


def test_detach_cuts_the_graph(model: RecurrentModel) -> None:
    first = model(ids(4, 2))[1]
    assert all(leaf.requires_grad for leaf in state_leaves(first))
    assert not any(leaf.requires_grad for leaf in state_leaves(model.detach(first)))


def test_initial_state_and_none_are_the_same(model: RecurrentModel) -> None:
    inputs = ids(2, 3)
    assert torch.equal(model(inputs)[0], model(inputs, model.initial_state(3))[0])
    assert all(leaf.dtype == torch.float64 and leaf.shape[1] == 3 for leaf in state_leaves(model.initial_state(3)))


def test_every_parameter_takes_part_in_the_loss(model: RecurrentModel) -> None:
    nats, _ = model.train().loss(ids(6, 2), ids(6, 2) % 3)
    nats.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(("cell", "fields", "gates"), [("rnn", 1, 1), ("gru", 1, 3), ("lstm", 2, 4)])
def test_state_bytes_and_shapes(cell: str, fields: int, gates: int) -> None:
    model = language_model(cell=cell, num_layers=2)
    assert model.state_bytes(batch=3) == fields * 2 * 3 * 5 * 8
    assert model.layer.weight_ih_l0.shape == (gates * 5, 7)
    assert model(ids(4, 3))[0].shape == (4, 3, 7)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("embedding_size", [None, 4])
def test_logits_are_those_of_torch_nn(cell: str, embedding_size: int | None) -> None:
    model = language_model(cell=cell, num_layers=2, embedding_size=embedding_size)
    theirs = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](embedding_size or 7, 5, 2, dtype=torch.float64)
    theirs.load_state_dict(model.layer.state_dict())
    inputs = ids(6, 3)
    features = torch.eye(7, dtype=torch.float64)[inputs] if model.embedding is None else model.embedding.weight[inputs]
    expected = theirs(features)[0] @ model.output.weight.t() + model.output.bias
    torch.testing.assert_close(model(inputs)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_seed_gives_the_weights_of_torch_nn(cell: str) -> None:
    torch.manual_seed(3)
    model = LanguageModelConfig(cell=cell, vocab_size=7, hidden_size=5).build()
    torch.manual_seed(3)
    layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](7, 5)
    output = nn.Linear(5, 7)
    assert torch.equal(model.layer.weight_hh_l0, layer.weight_hh_l0)
    assert torch.equal(model.output.weight, output.weight)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_dropout_acts_after_every_layer_and_only_in_training(num_layers: int) -> None:
    model = language_model(cell="rnn", hidden_size=400, num_layers=num_layers, dropout=0.25)
    inputs = ids(5, 20)
    before = model(inputs)[0]
    assert torch.equal(before, model(inputs)[0])
    seen: list[Tensor] = []
    model.output.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.train()
    torch.manual_seed(1)
    model(inputs)
    assert (seen[0] == 0).double().mean().item() == pytest.approx(0.25, abs=0.02)
    torch.manual_seed(1)
    features, _ = model.layer(F.one_hot(inputs, 7).double())
    assert not (features == 0).any()
    torch.testing.assert_close(seen[0], F.dropout(features, 0.25))
    assert model.layer.dropout == (0.25 if num_layers > 1 else 0.0)


class Seen:
    """What the recurrent layers and the output layer of a model in training are given, `(T, B, .)`."""

    def __init__(self, inputs: Tensor, **values: Any) -> None:
        made = language_model(cell="rnn", hidden_size=200, embedding_size=200, **values).train()
        given: list[Tensor] = []
        for part in (made.layer, made.output):
            part.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        made(inputs)
        self.vectors, self.model = made.embedding(inputs), made
        self.read, self.features = given


def test_embedding_dropout_drops_whole_ids_wherever_they_stand() -> None:
    inputs = torch.randint(7, (9, 40))
    share = Seen(inputs, embedding_dropout=0.5)
    factor = share.read / share.vectors
    of_each = [factor[inputs == token].unique() for token in range(7)]
    assert all(len(values) == 1 and values.item() in (0.0, 2.0) for values in of_each)
    many = Seen(torch.arange(4000)[None], embedding_dropout=0.25, vocab_size=4000)
    assert many.read[0].any(-1).double().mean().item() == pytest.approx(0.75, abs=0.04)


def test_locked_dropout_draws_one_mask_for_all_steps() -> None:
    inputs = ids(6, 20)
    found = Seen(inputs, input_dropout=0.4, output_dropout=0.1, dropout=0.3, num_layers=2, locked_dropout=True)
    for given, rate, whole in ((found.read, 0.4, found.vectors), (found.features, 0.1, None)):
        dropped = given == 0
        assert torch.equal(dropped, dropped[:1].expand_as(dropped))
        assert dropped[0].double().mean().item() == pytest.approx(rate, abs=0.03)
        assert not torch.equal(dropped[0, 0], dropped[0, 1])
        if whole is not None:
            torch.testing.assert_close(given[~dropped], whole[~dropped] / (1 - rate))
    assert found.model.layer.draw_masks(6, 20).between[0].shape == (20, 200)


def test_unlocked_dropout_draws_at_every_step() -> None:
    found = Seen(ids(6, 20), input_dropout=0.4)
    dropped = found.read == 0
    assert not torch.equal(dropped[0], dropped[1])
    assert dropped.double().mean().item() == pytest.approx(0.4, abs=0.02)


def test_the_dropouts_of_awd_lstm_are_off_in_evaluation() -> None:
    rates = {"input_dropout": 0.4, "embedding_dropout": 0.2, "output_dropout": 0.5, "weight_dropout": 0.3}
    values = {"cell": "lstm", "embedding_size": 5, "num_layers": 2, "tie_weights": True}
    plain = language_model(**values)
    dropped = language_model(**values, **rates, dropout=0.3, locked_dropout=True)
    inputs = ids(5, 4)
    assert torch.equal(plain(inputs)[0], dropped(inputs)[0])
    assert not torch.equal(plain.train()(inputs)[0], dropped.train()(inputs)[0])


def test_the_tutorials_initialisation_covers_the_whole_model() -> None:
    model = language_model(cell="lstm", hidden_size=64, vocab_size=50, embedding_size=32, init="tutorial")
    assert model.output.bias.abs().max() == 0
    for weight in (model.output.weight, model.embedding.weight, model.layer.weight_hh_l0):
        assert weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert language_model(cell="lstm", init="uniform").output.bias.abs().max() > 0


def test_init_reaches_the_layer() -> None:
    model = language_model(cell="lstm", init="forget:2.5")
    assert (model.layer.bias_ih_l0 + model.layer.bias_hh_l0)[5:10].tolist() == [2.5] * 5


@pytest.mark.parametrize("cell", CELLS)
def test_dtype_and_device_of_the_state_follow_the_model(cell: str) -> None:
    model = language_model(cell=cell).to(torch.bfloat16)
    assert all(leaf.dtype == torch.bfloat16 for leaf in state_leaves(model.initial_state(2)))
    assert model(ids(3, 2))[0].dtype == torch.bfloat16
    meta = LanguageModelConfig(cell=cell, vocab_size=7, hidden_size=5).build(device="meta")
    assert all(leaf.is_meta for leaf in state_leaves(meta.initial_state(2)))


def test_tied_weights_are_one_parameter_and_learn_as_one() -> None:
    model = language_model(cell="gru", embedding_size=5, tie_weights=True)
    assert model.embedding.weight is model.output.weight
    model.loss(ids(4, 2), ids(4, 2))[0].backward()
    assert len(list(model.parameters())) == 4 + 2
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert torch.equal(model.embedding.weight, model.output.weight)


@pytest.mark.parametrize("tied", [False, True])
def test_take_weights_from_meta(tied: bool) -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=5, embedding_size=5, tie_weights=tied)
    model, again = config.build(), config.build(device="meta")
    again.take_weights(model.state_dict())
    assert torch.equal(model(ids(4, 2))[0], again(ids(4, 2))[0])
    assert (again.embedding.weight is again.output.weight) == tied
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_model_from_meta_keeps_its_initialisation() -> None:
    config = LanguageModelConfig(cell="lstm", vocab_size=7, hidden_size=5, init="forget:2.5")
    again = config.build(device="meta")
    again.take_weights(config.build().state_dict())
    again.layer.reset_parameters()
    assert (again.layer.bias_ih_l0 + again.layer.bias_hh_l0)[5:10].tolist() == [2.5] * 5


def test_a_configuration_is_checked_without_torchs_compiler() -> None:
    """Arithmetic and normal numbers on the meta device would import it, for seconds, at the first use."""
    code = (
        "import sys\n"
        "from longhold.models.budget import solve_hidden_size\n"
        "from longhold.models.language_model import LanguageModelConfig\n"
        "config = LanguageModelConfig(cell='lstm', vocab_size=9, hidden_size=4, init='chrono:50')\n"
        "solve_hidden_size(config, 10_000)\n"
        "sizes = {'vocab_size': 9, 'hidden_size': 4, 'embedding_size': 3}\n"
        "for init in ('uniform', 'tutorial'):\n"
        "    LanguageModelConfig(cell='rnn', init=init, **sizes).build(device='meta')\n"
        "print('torch._inductor' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda weights: weights.pop("output.bias"), "output.bias"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "extra"),
        (lambda weights: weights.update({"output.bias": torch.zeros(8)}), r"expected floating point \(7,\)"),
        (lambda weights: weights.update({"output.bias": torch.zeros(7, dtype=torch.long)}), "int64"),
        (lambda weights: weights.update({"output.bias": torch.zeros(7).to(torch.float8_e5m2)}), "float8"),
        (lambda weights: weights.update({"output.bias": torch.zeros(7).half()}), "several types"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: Any, line: str) -> None:
    model = language_model(cell="lstm")
    weights = model.state_dict()
    change(weights)
    with pytest.raises(InputError, match=line):
        model.take_weights(weights)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"cell": "transformer"}, "cell='transformer': should be 'rnn', 'gru' or 'lstm'"),
        ({"cell": "gru", "peephole": True}, "peephole=True is an option of cell 'lstm', not of 'gru'"),
        ({"cell": "lstm", "reset_after": False}, "reset_after=False is an option of cell 'gru', not of 'lstm'"),
        ({"cell": "lstm", "nonlinearity": "relu"}, "option of cell 'rnn'"),
        ({"cell": "rnn", "init": "chrono:9"}, "no gates"),
        ({"cell": "rnn", "init": "magic"}, "magic"),
        ({"cell": "lstm", "proj_size": 5}, "proj_size"),
        ({"cell": "gru", "zoneout": (0.1, 0.1)}, "zoneout"),
        ({"cell": "lstm", "dropout": 1.0}, "dropout=1.0: should be less than 1"),
        ({"cell": "lstm", "hidden_size": -4}, "hidden_size=-4"),
        ({"cell": "lstm", "hidden_size": 10**12}, "hidden_size=1000000000000"),
        ({"cell": "lstm", "tie_weights": True, "embedding_size": 4}, "embedding_size=5"),
        ({"cell": "lstm", "hidden": 4}, "unknown option 'hidden'"),
        ({"cell": "lstm", "input_dropout": 0.1}, "input_dropout=0.1 needs embedding_size"),
        ({"cell": "lstm", "embedding_dropout": 0.1}, "embedding_dropout=0.1 needs embedding_size"),
        ({"cell": "lstm", "output_dropout": 1.0}, "output_dropout=1.0"),
    ],
)
def test_what_cannot_be_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        language_model(**values)
    assert "\n" not in str(caught.value)


def test_an_untrained_model_loses_about_ln_v() -> None:
    model = language_model(cell="lstm", vocab_size=50, hidden_size=20)
    tokens = torch.randint(50, (100, 20), generator=torch.Generator().manual_seed(0))
    nats, _ = model.loss(tokens[:-1], tokens[1:])
    assert nats.item() == pytest.approx(math.log(50), abs=0.05)
