"""What a layer returned, written in place before the backward pass: as torch.nn trains, or better, never wrong.

The answer is the same writes on clones of everything that was returned, which nothing else can see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import longhold
from tests.helpers import assert_all_close
from tests.layers.twins import BACKENDS, CELLS, PLAIN, as_hx, fields_of, make, packed, randn, state_for, twins

T, B, H = 6, 3, 4
LENGTHS = [6, 2, 4]
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[3, 0] = RESET[1, 1] = RESET[5, 2] = True
PADDING = torch.arange(T)[:, None] >= torch.tensor(LENGTHS)

Write = Callable[[Tensor], Any]


def scale_half(value: Tensor) -> None:
    """Write through a view."""
    value.transpose(0, 1)[..., ::2].mul_(-3)


def assign(value: Tensor) -> None:
    """Write by an index."""
    value[-1] = 7
    value[value.detach() > 0.2] = 0


WRITES: dict[str, Write] = {
    "add": lambda value: value.add_(1),
    "relu": nn.ReLU(inplace=True),
    "dropout": lambda value: F.dropout(value, 0.5, inplace=True),
    "mask": lambda value: value.mul_((torch.arange(value.numel()) % 3).view_as(value)),
    "index": assign,
    "view": scale_half,
    "zero": lambda value: value.zero_(),
}


def gradients(call: Callable[[], Any], leaves: dict[str, Tensor], write: Write, *, cloned: bool) -> dict[str, Tensor]:
    """What was returned after `write` on all of it, and every gradient."""
    torch.manual_seed(2)
    returned = [value.clone() if cloned else value for value in call()]
    for value in returned:
        write(value)
    total = sum(value.pow(2).mul(0.5).sum() + value.sum() for value in returned)
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    values = {f"returned {i}": value.detach() for i, value in enumerate(returned)}
    return values | dict(zip(leaves, found, strict=True))


def plainly(result: Any) -> list[Tensor]:
    output, state = result
    return [output.data if isinstance(output, PackedSequence) else output, *fields_of(state)]


def check(layer: Any, x: Tensor, state: dict[str, Tensor], call: Callable[[], Any], write: Write) -> None:
    leaves = {"input": x} | state | dict(layer.named_parameters())
    if not x.is_floating_point():
        del leaves["input"]
    expected = gradients(call, leaves, write, cloned=True)
    assert_all_close(gradients(call, leaves, write, cloned=False), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}], ids=str)
def test_the_gradients_are_those_of_clones(backend: str, cell: str, write: str, options: dict[str, Any]) -> None:
    layer = make(cell, 3, H, **options)
    x, state = randn(T, B, 3), state_for(layer, T if layer.batch_first else B)
    with longhold.use_backend(backend):
        check(layer, x, state, lambda: plainly(layer(x, as_hx(state))), WRITES[write])


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("write", WRITES)
def test_in_float32_too(cell: str, write: str) -> None:
    layer = make(cell, 3, 33, num_layers=2, dtype=torch.float32)
    x = randn(T, B, 3, dtype=torch.float32)
    with longhold.use_backend("cpu"):
        check(layer, x, {}, lambda: plainly(layer(x)), WRITES[write])


CALLS: dict[str, dict[str, Any]] = {
    "lengths": {"lengths": LENGTHS},
    "an empty row": {"lengths": [6, 0, 4]},
    "reset": {"reset": RESET},
    "both": {"lengths": LENGTHS, "reset": RESET},
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_ragged_calls(backend: str, cell: str, call: str, bidirectional: bool) -> None:
    layer = make(cell, 3, H, num_layers=2, bidirectional=bidirectional)
    x, state = randn(T, B, 3), state_for(layer, B)
    with longhold.use_backend(backend):
        for write in (*WRITES.values(), pad):
            check(layer, x, state, lambda: plainly(layer(x, as_hx(state), **CALLS[call])), write)


def pad(value: Tensor) -> None:
    """`output[padding] = 0`, where it is the output."""
    if len(value) == T:
        value[PADDING] = 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("form", ["unbatched", "packed", "ids", "unbatched ids"])
def test_other_inputs(backend: str, cell: str, form: str) -> None:
    layer = make(cell, 3, H)
    ids = torch.randint(3, (T, B))
    x = {"unbatched": randn(T, 3), "packed": randn(T, B, 3), "ids": ids, "unbatched ids": ids[:, 0]}[form]
    with longhold.use_backend(backend):
        for write in WRITES.values():
            check(layer, x, {}, lambda: plainly(layer(packed(x, LENGTHS) if form == "packed" else x)), write)


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn, layer norm": ("rnn_tanh", {"layer_norm": True}),
    "relu rnn, zoneout": ("rnn_relu", {"zoneout": 0.3}),
    "gru, layer norm, zoneout": ("gru", {"layer_norm": True, "zoneout": 0.3, "learn_initial_state": True}),
    "gru of 2014": ("gru", {"reset_after": False}),
    "lstm, peepholes": ("lstm", {"peephole": True}),
    "lstm, coupled": ("lstm", {"coupled_gates": True}),
    "lstm, projection, layer norm": ("lstm_projected", {"layer_norm": True, "zoneout": (0.1, 0.2)}),
    "lstm, dropouts": ("lstm", {"recurrent_dropout": 0.3, "weight_dropout": 0.3}),
    "lstm, locked": ("lstm", {"dropout": 0.3, "locked_dropout": True, "num_layers": 2}),
}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("every", [None, 1, 4, 100])
def test_options_and_checkpoints(backend: str, option: str, every: int | None) -> None:
    cell, options = OPTIONS[option]
    layer = make(cell, 3, H, **options)
    x, masks = randn(T, B, 3), layer.draw_masks(T, B)
    with longhold.use_backend(backend):
        for write in WRITES.values():
            check(layer, x, {}, lambda: plainly(layer(x, masks=masks, checkpoint_every=every)), write)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_all_of_a_trace(backend: str, cell: str, bidirectional: bool) -> None:
    layer = make(cell, 3, H, bidirectional=bidirectional)
    x = randn(T, B, 3)

    def everything() -> list[Tensor]:
        trace = layer.trace(x, lengths=LENGTHS)
        stacks = [value for value in trace[2:] if isinstance(value, Tensor)]
        return [trace.output, *fields_of(trace.state), *stacks, *getattr(trace, "gates", ())]

    with longhold.use_backend(backend):
        for write in WRITES.values():
            check(layer, x, {}, everything, write)


@pytest.mark.parametrize("cell", PLAIN)
def test_the_output_of_every_layer_of_a_stack(cell: str) -> None:
    layers = nn.ModuleList([make(cell, 3, H), make(cell, H, H), make(cell, H, H)])
    x = randn(T, B, 3)

    def run(*, cloned: bool) -> dict[str, Tensor]:
        value = x
        for layer in layers:
            value = layer(value)[0]
            value = F.relu(value.clone() if cloned else value, inplace=True)
        leaves = {"input": x} | dict(layers.named_parameters())
        return dict(zip(leaves, torch.autograd.grad(value.pow(2).sum(), list(leaves.values())), strict=True))

    assert_all_close(run(cloned=False), run(cloned=True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_a_state_is_carried_by_detaching_it_in_place(backend: str, cell: str, options: dict[str, Any]) -> None:
    """Truncated backpropagation as many write it: `h.detach_()`, then a row is cleared."""
    found = []
    for layer in twins(cell, 3, H, **options):
        x, state = torch.ones(T, B, 3, dtype=torch.float64), None
        with longhold.use_backend(backend):
            for _ in range(3):
                output, state = layer(x, state)
                output.sum().backward()
                for field in fields_of(state):
                    field.detach_()
                    field[:, 0] = 0
        found.append({name: parameter.grad for name, parameter in layer.named_parameters()})
    assert_all_close(found[0], found[1])


@pytest.mark.parametrize("cell", PLAIN)
def test_two_backward_passes_and_second_derivatives(cell: str) -> None:
    layer, x = make(cell, 3, H), randn(T, B, 3)

    def run(*, cloned: bool) -> dict[str, Tensor]:
        output, state = layer(x)
        output = output.clone() if cloned else output
        output.mul_(2)[1:].sigmoid_()
        total = output.pow(2).sum() + fields_of(state)[-1].pow(3).sum()
        (once,) = torch.autograd.grad(total, x, retain_graph=True)
        (first,) = torch.autograd.grad(total, x, create_graph=True)
        second = torch.autograd.grad(first.pow(2).sum(), list(layer.parameters()), allow_unused=True)
        names = [name for name, _ in layer.named_parameters()]
        return {"once": once, "first": first.detach()} | dict(zip(names, second, strict=True))

    assert_all_close(run(cloned=False), run(cloned=True))


@pytest.mark.parametrize("cell", PLAIN)
@pytest.mark.parametrize("written", ["input", "h_0", "c_0"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_what_was_given_may_be_written_where_torch_allows(
    cell: str, written: str, frozen: bool, options: dict[str, Any]
) -> None:
    if written == "c_0" and cell != "lstm":
        pytest.skip("no such case: it has no c")
    found: list[dict[str, Tensor] | None] = []
    ours, theirs = twins(cell, 3, H, **options)
    x, state = randn(T, B, 3), state_for(ours, B)
    for layer in (ours, theirs):
        layer.requires_grad_(not frozen)
        given = {name: leaf * 1 for name, leaf in ({"input": x} | state).items()}
        output, _ = layer(given["input"], as_hx([given[name] for name in state]))
        given[written].mul_(2)
        found.append(unless_refused(output.sum(), {"input": x} | state))
    if found[1] is not None:
        assert found[0] is not None
    if found[0] is not None:
        expected = torch.autograd.grad(ours(x, as_hx(state))[0].sum(), [x, *state.values()])
        assert_all_close(found[0], dict(zip(("input", *state), expected, strict=True)))


@pytest.mark.parametrize("cell", [*PLAIN, "lstm_projected"])
def test_lengths_and_resets_are_read_before_the_call_returns(cell: str) -> None:
    """A training loop fills the same tensors for the next batch."""
    layer, x = make(cell, 3, H, bidirectional=True), randn(T, B, 3)
    expected = torch.autograd.grad(layer(x, lengths=LENGTHS, reset=RESET)[0].sum(), x)
    alone = torch.autograd.grad(layer(x, reset=RESET)[0].sum(), x)
    lengths, reset = torch.tensor(LENGTHS), RESET.clone()
    array, once_more = lengths.clone().numpy(), reset.clone()
    outputs = [
        layer(x, lengths=lengths, reset=reset)[0],
        layer(x, lengths=array, reset=once_more)[0],
        layer(x, reset=once_more)[0],
    ]
    lengths.fill_(1), reset.fill_(True), array.fill(1), once_more.fill_(True)
    found = [torch.autograd.grad(output.sum(), x) for output in outputs]
    for actual, answer in zip(found, (expected, expected, alone), strict=True):
        assert_all_close({"input": actual[0]}, {"input": answer[0]})


def unless_refused(total: Tensor, leaves: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """The gradient of each leaf, or None where autograd saw that what it kept was written to."""
    try:
        return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        return None


CELL_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn, layer norm": ("RNNCell", {"layer_norm": True}),
    "gru": ("GRUCell", {}),
    "gru, layer norm": ("GRUCell", {"layer_norm": True}),
    "gru of 2014": ("GRUCell", {"reset_after": False}),
    "lstm": ("LSTMCell", {}),
    "lstm, everything": ("LSTMCell", {"layer_norm": True, "peephole": True, "coupled_gates": True}),
}


@pytest.mark.parametrize("option", CELL_OPTIONS)
@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_the_state_of_a_single_cell(option: str, backend: str) -> None:
    """But torch.nn's RNNCell keeps what it returns, and so does ours where it is torch's."""
    name, options = CELL_OPTIONS[option]
    if options and backend == "torch":
        pytest.skip("no such case: torch's operators have no options")
    cell = getattr(longhold, name)(3, H, dtype=torch.float64, **options)
    x = randn(B, 3)
    with longhold.use_backend(backend):
        for write in WRITES.values():
            check(cell, x, {}, lambda: list(fields_of(cell(x))), write)


def test_without_a_gradient_nothing_is_copied() -> None:
    layer, x = make("gru", 3, H, layer_norm=True), torch.randn(T, B, 3, dtype=torch.float64)
    copies: list[str] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            copies.extend(["clone"] if func is torch.ops.aten.clone.default else [])
            return func(*args, **(kwargs or {}))

    with Watch(), torch.no_grad(), longhold.use_backend("cpu"):
        layer(x)
    assert not copies
    with Watch(), longhold.use_backend("cpu"):
        layer(x)
    assert len(copies) == 1
