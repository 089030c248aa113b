"""Layers on the `cpu` backend: what it refuses, and torch's contracts where it is the automatic choice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import longhold
from longhold.kernels import BackendRefused
from longhold.kernels.extended import kind_of as extended_kind
from longhold.kernels.native import kind_of
from tests.helpers import assert_all_close, assert_close, flat
from tests.kernels.sequences import KINDS, machine
from tests.layers.twins import as_hx, fields_of, make, packed, randn, state_for, through

T, B = 5, 3
LENGTHS = torch.tensor([5, 2, 3])
RESET = torch.zeros(T, B, dtype=torch.bool)
RESET[2, 0] = RESET[3, 0] = RESET[0, 1] = RESET[2, 2] = True
RAGGED: dict[str, Any] = {"lengths": LENGTHS, "reset": RESET}


def deep(kind: str, **options: Any) -> Any:
    return make(kind, 3, 4, num_layers=2, bidirectional=True, **options)


def data() -> Tensor:
    return torch.randn(T, B, 3, dtype=torch.float64)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "bfloat16": ("gru", {"dtype": torch.bfloat16}, "bfloat16"),
    "meta": ("gru", {"device": "meta"}, "meta"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_do_is_refused_with_the_reason(case: str) -> None:
    kind, options, reason = REFUSED[case]
    layer = make(kind, 3, 4, **options)
    weight = next(layer.parameters())
    x = data().to(weight.device, weight.dtype)
    choice = longhold.explain(layer, x)
    assert choice.backend != "cpu"
    assert reason in choice.refused["cpu"]
    assert "\n" not in choice.refused["cpu"]
    with longhold.use_backend("cpu"):
        for call in (layer, lambda x: longhold.explain(layer, x)):
            with pytest.raises(BackendRefused, match=f"cpu.*{reason}"):
                call(x)
    layer(x)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_is_refused(kind: str) -> None:
    layer = deep(kind)
    with longhold.use_backend("cpu"), pytest.raises(BackendRefused, match="empty"):
        layer(data()[:, :0])
    assert layer(data()[:, :0])[0].shape == (T, 0, 8)


class CellCalls(TorchFunctionMode):
    """Notes calls of torch's operators for one step."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "").endswith("_cell"):
            self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "operator"), [("RNNCell", "rnn_tanh_cell"), ("GRUCell", "gru_cell"), ("LSTMCell", "lstm_cell")]
)
def test_a_single_step_is_left_to_torch(name: str, operator: str) -> None:
    cell, x = getattr(longhold, name)(3, 4), torch.randn(2, 3)
    with CellCalls() as calls:
        cell(x)
    assert calls.names == [operator]
    with longhold.use_backend("cpu"), pytest.raises(BackendRefused, match="step"):
        cell(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"recurrent_dropout": 0.3, "weight_dropout": 0.3, "dropout": 0.3}], ids=str)
@pytest.mark.parametrize("learned", [False, True])
def test_with_noise_and_learned_states_it_is_the_reference(kind: str, options: dict[str, Any], learned: bool) -> None:
    layer = deep(kind, learn_initial_state=learned, **options)
    x, state = randn(T, B, 3), state_for(layer, B)
    for call in ({}, {"lengths": LENGTHS}, {"reset": RESET}, RAGGED):
        found = []
        for backend in ("cpu", "reference"):
            torch.manual_seed(1)
            with longhold.use_backend(backend):
                found.append(through(layer, x, state, alone=True, **call))
        assert_all_close(found[0], found[1], f"{kind} {sorted(call)}")


OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn layer norm": ("rnn_tanh", {"layer_norm": True}),
    "rnn zoneout": ("rnn_relu", {"zoneout": 0.5}),
    "gru layer norm": ("gru", {"layer_norm": True}),
    "gru 2014": ("gru", {"reset_after": False}),
    "gru 2014 with all": ("gru", {"reset_after": False, "layer_norm": True, "zoneout": 0.3, "recurrent_dropout": 0.3}),
    "lstm layer norm": ("lstm", {"layer_norm": True, "bias": False}),
    "lstm zoneout": ("lstm", {"zoneout": (0.2, 0.4)}),
    "lstm zoneout of c": ("lstm", {"zoneout": (0.0, 0.4)}),
    "peephole": ("lstm", {"peephole": True}),
    "coupled gates": ("lstm", {"coupled_gates": True}),
    "projection": ("lstm_projected", {}),
    "lstm with all": (
        "lstm_projected",
        {"layer_norm": True, "peephole": True, "coupled_gates": True, "zoneout": 0.3, "recurrent_dropout": 0.3},
    ),
}


def with_options(case: str, **more: Any) -> Any:
    kind, options = OPTIONS[case]
    return deep(kind, **options, **more)


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_with_every_option_it_is_the_reference(case: str, training: bool) -> None:
    layer = with_options(case, learn_initial_state=True, dropout=0.3, weight_dropout=0.3).train(training)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():  # extras start neutral, where a wrong one isn't seen
            parameter.add_(0.2 * torch.randn_like(parameter) if "weight_hh" not in name else 0.0)
    x, state = randn(T, B, 3), state_for(layer, B)
    for call in ({}, {"lengths": LENGTHS}, {"reset": RESET}, RAGGED):
        found = []
        for backend in ("cpu", "reference"):
            torch.manual_seed(1)
            with longhold.use_backend(backend):
                found.append(through(layer, x, state, alone=True, **call))
        assert_all_close(found[0], found[1], f"{case} {sorted(call)}")


@pytest.mark.parametrize("case", [*KINDS, *OPTIONS])
@pytest.mark.parametrize("call", [{}, RAGGED], ids=["whole", "ragged"])
def test_a_trace_is_the_references(case: str, call: dict[str, Any]) -> None:
    layer = deep(case) if case in KINDS else with_options(case)
    x, state = randn(T, B, 3), state_for(layer, B)
    given = call | {"masks": layer.draw_masks(T, B)}
    leaves, found = {"input": x} | state | dict(layer.named_parameters()), []
    for backend in ("cpu", "reference"):
        with longhold.use_backend(backend):
            trace = layer.trace(x, as_hx(state), **given)
        named = {"output": trace.output, "h": trace.h} | ({"c": trace.c} if hasattr(trace, "c") else {})
        named |= {f"{i}_n": value for i, value in enumerate(fields_of(trace.state))}
        named |= trace.gates._asdict() if hasattr(trace, "gates") else {}
        answer = {name: value.detach() for name, value in named.items()}
        for through_name, value in named.items():
            gradients = torch.autograd.grad(
                value.sin().sum(), list(leaves.values()), retain_graph=True, allow_unused=True, materialize_grads=True
            )
            answer |= {f"d_{n} through {through_name}": g for n, g in zip(leaves, gradients, strict=True)}
        found.append(answer)
    assert_all_close(found[0], found[1], case)


@pytest.mark.parametrize("case", ["gru 2014 with all", "lstm with all"])
def test_transforms_of_a_layer_with_options_take_the_reference(case: str) -> None:
    layer, x = with_options(case).eval(), data()
    for name in ("jvp", "vmap of grad"):
        actual = transforms(layer, x, RAGGED)[name]()
        with longhold.use_backend("reference"):
            assert_close(name, actual, transforms(layer, x, RAGGED)[name]())


def test_nothing_is_kept_without_a_gradient() -> None:
    """Gates, and what layer norm leaves for backward, are neither returned nor held."""
    layer, x = with_options("lstm with all"), data()
    with Kept() as kept, longhold.use_backend("cpu"):
        layer(x)
        assert all(kept.sizes), "with a gradient"
        kept.sizes.clear()
        with torch.no_grad():
            layer(x)
    assert len(kept.sizes) == 4
    assert not any(kept.sizes)


class Kept(TorchDispatchMode):
    """Notes how many gates each extended operator returns."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if "extended" in str(func):
            self.sizes.append(found[4].numel())
        return found


def transforms(layer: Any, x: Tensor, call: dict[str, Any]) -> dict[str, Callable[[], Tensor]]:
    parameters = {name: value.detach() for name, value in layer.named_parameters()}

    def output(x: Tensor) -> Tensor:
        return layer(x, **call)[0]

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, p, (x,), call)[0].square().sum()

    many = torch.stack([x, x.flip(0), 2 * x])
    return {
        "vmap": lambda: vmap(output)(many),
        "jvp": lambda: jvp(output, (x,), (torch.ones_like(x),))[1],
        "jacrev": lambda: jacrev(output)(x),
        "jacfwd": lambda: jacfwd(output)(x),
        "grad": lambda: grad(lambda x: output(x).square().sum())(x),
        "vmap of grad": lambda: vmap(grad(loss), in_dims=(None, 0))(parameters, many)["weight_hh_l0"],
        "hessian": lambda: hessian(lambda x: output(x).square().sum())(x),
    }


NAMES = ("vmap", "jvp", "jacrev", "jacfwd", "grad", "vmap of grad", "hessian")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ragged", [False, True])
def test_transforms_give_what_the_reference_gives(kind: str, name: str, ragged: bool) -> None:
    layer = make(kind, 3, 4, bidirectional=True)
    x, call = data(), RAGGED if ragged else {}
    assert longhold.explain(layer, x, **call).backend == "cpu"
    actual = transforms(layer, x, call)[name]()
    with longhold.use_backend("reference"):
        expected = transforms(layer, x, call)[name]()
    assert expected.abs().max() > 1e-3
    assert_close(name, actual, expected)


@pytest.mark.parametrize("name", NAMES)
def test_named_under_a_transform_it_is_refused_and_never_wrong(name: str) -> None:
    layer, x = make("gru", 3, 4), data()
    with longhold.use_backend("cpu"), pytest.raises(BackendRefused, match=r"transform"):
        transforms(layer, x, {})[name]()


def test_forward_mode_without_torch_func() -> None:
    layer, x, direction = make("lstm", 3, 4), data(), data()
    expected = jvp(lambda x: layer(x)[0], (x,), (direction,))[1]
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent
        with longhold.use_backend("cpu"), pytest.raises(BackendRefused, match="forward-mode"):
            layer(dual)
    assert_close("tangent", tangent, expected)
    assert longhold.explain(layer, x).backend == "cpu", "and afterwards it is the choice again"


@pytest.mark.parametrize("kind", KINDS)
def test_a_hessian_and_a_third_derivative_by_autograd(kind: str) -> None:
    layer, x = make(kind, 2, 3), randn(3, 2, 2)

    def third(backend: str) -> dict[str, Tensor]:
        with longhold.use_backend(backend):
            total = layer(x, lengths=[3, 2])[0].pow(3).sum()
        found = {}
        for order in ("first", "second", "third"):
            (found[order],) = torch.autograd.grad(total, x, create_graph=True)
            total = found[order].pow(2).sum()
        return {name: value.detach() for name, value in found.items()}

    assert_all_close(third("cpu"), third("reference"), kind)


class Graphs:
    """A torch.compile backend that keeps the graphs it was given and runs them by `aot_eager`."""

    def __init__(self) -> None:
        self.operators: list[list[str]] = []

    def __call__(self, module: Any, examples: Any) -> Any:
        from torch._dynamo import lookup_backend

        self.operators.append([str(node.target) for node in module.graph.nodes if "longhold" in str(node.target)])
        return lookup_backend("aot_eager")(module, examples)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ragged", [False, True])
def test_compiled_whole_it_gives_what_it_gives(kind: str, ragged: bool, fresh_compiler: None) -> None:
    layer, graphs = make(kind, 3, 4, bidirectional=True), Graphs()
    x, state, call = randn(T, B, 3), state_for(layer, B), RAGGED if ragged else {}
    compiled = torch.compile(layer, fullgraph=True, backend=graphs)
    leaves = {"input": x} | state | dict(layer.named_parameters())
    found = []
    for run in (compiled, layer):
        outputs = flat(run(x, as_hx(state), **call))
        gradients = torch.autograd.grad(sum(v.sin().sum() for v in outputs.values()), list(leaves.values()))
        found.append({n: v.detach() for n, v in outputs.items()} | dict(zip(leaves, gradients, strict=True)))
    assert_all_close(found[0], found[1], kind)
    assert graphs.operators == [[f"longhold.{kind}_forward"] * 2] or graphs.operators == [
        [f"longhold.{kind}_forward.default"] * 2
    ]


@pytest.mark.parametrize("case", ["rnn layer norm", "gru 2014 with all", "lstm with all"])
@pytest.mark.parametrize("ragged", [False, True])
def test_compiled_whole_with_options(case: str, ragged: bool, fresh_compiler: None) -> None:
    layer, graphs = with_options(case).eval(), Graphs()
    x, call = randn(T, B, 3), RAGGED if ragged else {}

    def traced(x: Tensor, **call: Any) -> dict[str, Tensor]:
        trace = layer.trace(x, **call)
        gates = trace.gates._asdict() if hasattr(trace, "gates") else {}
        return flat(layer(x, **call)) | {"h": trace.h} | gates

    compiled = torch.compile(traced, fullgraph=True, backend=graphs)
    leaves = {"input": x} | dict(layer.named_parameters())
    found = []
    for run in (compiled, traced):
        outputs = run(x, **call)
        gradients = torch.autograd.grad(sum(v.sin().sum() for v in outputs.values()), list(leaves.values()))
        found.append({n: v.detach() for n, v in outputs.items()} | dict(zip(leaves, gradients, strict=True)))
    assert_all_close(found[0], found[1], case)
    assert [len(names) for names in graphs.operators] == [8], "two layers, two directions, called and traced"
    assert all(f"longhold.extended_{extended_kind(layer.recurrence)}_forward" in n for n in graphs.operators[0])
    with torch.no_grad():
        assert_all_close(compiled(x, **call), traced(x, **call), "without gradients")


def test_compiled_with_dynamic_shapes_it_compiles_once(fresh_compiler: None) -> None:
    layer = make("gru", 3, 4)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for steps, batch in ((5, 6), (7, 4), (2, 9)):  # sizes that are equal at first are taken to be one size
            x = torch.randn(steps, batch, 3, dtype=torch.float64, requires_grad=True)
            output, (expected, _) = compiled(x)[0], layer(x)
            assert_close("output", output, expected)
            gradients = [torch.autograd.grad(v.square().sum(), x)[0] for v in (output, expected)]
            assert_close("gradient", *gradients)


class Whole(nn.Module):
    """A layer as torch.export takes it: tensors in, tensors out."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, lengths: Tensor | None = None, reset: Tensor | None = None) -> tuple[Tensor, ...]:
        output, state = self.layer(x, lengths=lengths, reset=reset)
        return output, *fields_of(state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ragged", [False, True])
def test_one_exported_program_serves_any_time_and_batch(kind: str, ragged: bool) -> None:
    module = Whole(deep(kind))
    steps, batch = torch.export.Dim("T", min=2, max=4096), torch.export.Dim("B", min=2, max=4096)
    given: tuple[Tensor, ...] = (data(), LENGTHS, RESET) if ragged else (data(),)
    dynamic = ({0: steps, 1: batch}, {0: batch}, {0: steps, 1: batch})[: len(given)]
    program = torch.export.export(module, given, dynamic_shapes=dynamic)
    names = [str(node.target) for node in program.graph.nodes if "longhold" in str(node.target)]
    assert names == [f"longhold.{kind}_forward.default"] * 4
    for other_steps, other_batch in ((5, 3), (7, 2), (2, 9)):
        x = torch.randn(other_steps, other_batch, 3, dtype=torch.float64)
        arguments: tuple[Tensor, ...] = (x,)
        if ragged:
            lengths = torch.randint(1, other_steps + 1, (other_batch,))
            cuts = (torch.rand(other_steps, other_batch) < 0.3) & (torch.arange(other_steps).unsqueeze(1) < lengths)
            arguments = (x, lengths, cuts)
        for actual, expected in zip(program.module()(*arguments), module(*arguments), strict=True):
            assert_close(f"T={other_steps} B={other_batch}", actual, expected)


@pytest.mark.parametrize("case", ["rnn layer norm", "gru layer norm", "gru 2014 with all", "peephole", "lstm with all"])
@pytest.mark.parametrize("ragged", [False, True])
def test_one_exported_program_with_options_serves_any_time_and_batch(case: str, ragged: bool) -> None:
    module = Whole(with_options(case).eval())
    steps, batch = torch.export.Dim("T", min=2, max=4096), torch.export.Dim("B", min=2, max=4096)
    given: tuple[Tensor, ...] = (data(), LENGTHS, RESET) if ragged else (data(),)
    dynamic = ({0: steps, 1: batch}, {0: batch}, {0: steps, 1: batch})[: len(given)]
    program = torch.export.export(module, given, dynamic_shapes=dynamic)
    names = [str(node.target) for node in program.graph.nodes if "longhold" in str(node.target)]
    assert names == [f"longhold.extended_{extended_kind(module.layer.recurrence)}_forward.default"] * 4
    for other_steps, other_batch in ((7, 2), (2, 9)):
        arguments: tuple[Tensor, ...] = (torch.randn(other_steps, other_batch, 3, dtype=torch.float64),)
        if ragged:
            lengths = torch.randint(1, other_steps + 1, (other_batch,))
            cuts = (torch.rand(other_steps, other_batch) < 0.3) & (torch.arange(other_steps).unsqueeze(1) < lengths)
            arguments = (*arguments, lengths, cuts)
        for actual, expected in zip(program.module()(*arguments), module(*arguments), strict=True):
            assert_close(f"T={other_steps} B={other_batch}", actual, expected)


@pytest.fixture
def one_process() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        store = torch.distributed.FileStore(f"{folder}/store", 1)
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        yield
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("kind", KINDS)
def test_distributed_data_parallel_gives_the_same_gradients(kind: str, one_process: None) -> None:
    layer, x = deep(kind), data()
    assert longhold.explain(layer, x, **RAGGED).backend == "cpu"
    wrapped = nn.parallel.DistributedDataParallel(layer)
    wrapped(x, **RAGGED)[0].square().sum().backward()
    shared = {name: parameter.grad.clone() for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    layer(x, **RAGGED)[0].square().sum().backward()
    assert_all_close(shared, {name: parameter.grad for name, parameter in layer.named_parameters()})


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_left_to_torch(kind: str) -> None:
    layer, x = make(kind, 3, 4, dtype=torch.float32), data().float()
    with torch.autocast("cpu", torch.bfloat16):
        choice = longhold.explain(layer, x)
        assert choice.backend == "torch"
        assert "autocast" in choice.refused["cpu"]
        with longhold.use_backend("cpu"), pytest.raises(BackendRefused, match="autocast"):
            layer(x)
        output, _ = layer(x)
    with longhold.use_backend("torch"), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x)[0], output)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        assert "cpu" not in longhold.explain(layer, x).refused
    assert "cpu" not in longhold.explain(layer, x).refused


@pytest.mark.parametrize("kind", KINDS)
def test_backward_under_another_thread_count_or_autocast(kind: str) -> None:
    layer, x = deep(kind), randn(T, B, 3)
    expected = torch.autograd.grad(layer(x, **RAGGED)[0].square().sum(), [x, *layer.parameters()])
    with machine(3):
        output, _ = layer(x, **RAGGED)
    with machine(2), torch.autocast("cpu", torch.bfloat16):
        actual = torch.autograd.grad(output.double().square().sum(), [x, *layer.parameters()])
    names = ["input", *(name for name, _ in layer.named_parameters())]
    assert_all_close(dict(zip(names, actual, strict=True)), dict(zip(names, expected, strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_stays_packed(kind: str) -> None:
    layer, x = deep(kind), randn(T, B, 3)
    state, found = state_for(layer, B), []
    for backend in ("cpu", "torch"):
        with longhold.use_backend(backend):
            found.append(through(layer, x, state, prepare=lambda x: packed(x, (2, 5, 3))))
    assert_all_close(found[0], found[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_changed_before_backward_is_noticed(kind: str) -> None:
    layer, x = make(kind, 3, 4), randn(T, B, 3)
    with longhold.use_backend("cpu"):
        output, _ = layer(x)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_backward_twice_needs_retain_graph(kind: str) -> None:
    layer, x = make(kind, 3, 4), randn(T, B, 3)
    with longhold.use_backend("cpu"):
        output, _ = layer(x)
    (first,) = torch.autograd.grad(output.sum(), x, retain_graph=True)
    (again,) = torch.autograd.grad(output.sum(), x)
    assert torch.equal(first, again)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(output.sum(), x)


@pytest.mark.parametrize("kind", KINDS)
def test_checkpointing_recomputes_the_same(kind: str) -> None:
    layer, x = deep(kind), randn(T, B, 3)
    expected = through(layer, x, {}, **RAGGED)
    output, state = torch.utils.checkpoint.checkpoint(lambda x: layer(x, **RAGGED), x, use_reentrant=False)
    gradients = torch.autograd.grad(output.sum(), [x, *layer.parameters()])
    plain = torch.autograd.grad(layer(x, **RAGGED)[0].sum(), [x, *layer.parameters()])
    assert torch.equal(output, expected["output"])
    assert all(torch.equal(a, b) for a, b in zip(gradients, plain, strict=True))
    assert len(fields_of(state)) == (2 if kind == "lstm" else 1)


def test_a_long_forward_streams() -> None:
    """200,000 steps in pieces: the state carried equals the whole run's, and the numbers stay finite."""
    layer = make("gru", 2, 3, dtype=torch.float32)
    x = torch.randn(200_000, 1, 2)
    with torch.inference_mode(), longhold.use_backend("cpu"):
        whole, last = layer(x)
        state = None
        for piece in x.split(30_000):
            output, state = layer(piece, state)
    assert torch.equal(state, last)
    assert torch.equal(output, whole[-len(output) :])
    assert whole.isfinite().all()


def test_every_kind_has_its_operators() -> None:
    for kind in KINDS:
        assert kind_of(make(kind, 2, 2).recurrence) == kind
        for way in ("forward", "backward"):
            assert hasattr(torch.ops.longhold, f"{kind}_{way}")
