"""The choice of backend: obeyed or refused, explained, and really the one that runs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import longhold
from longhold.kernels import BackendRefused
from longhold.kernels.extended_call import EXTENDED
from tests.layers.twins import BACKENDS, CELLS, make, on_each_backend, packed

T, B = 5, 3
FUSED = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
OWN = {f"longhold.{name}_forward" for name in (*FUSED, *(f"extended_{kind}" for kind in EXTENDED))}

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "rnn layer norm": ("rnn_tanh", {"layer_norm": True}, "layer norm"),
    "gru layer norm": ("gru", {"layer_norm": True}, "layer norm"),
    "lstm layer norm": ("lstm", {"layer_norm": True}, "layer norm"),
    "peephole": ("lstm", {"peephole": True}, "peephole"),
    "coupled gates": ("lstm", {"coupled_gates": True}, "coupled"),
    "recurrent dropout": ("gru", {"recurrent_dropout": 0.5}, "recurrent dropout"),
    "zoneout": ("rnn_relu", {"zoneout": 0.5}, "zoneout"),
    "zoneout of c": ("lstm", {"zoneout": (0.0, 0.5)}, "zoneout"),
    "gru 2014": ("gru", {"reset_after": False}, "reset gate"),
}
CAN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    **{cell: (cell, {}, {}) for cell in CELLS},
    "stack": ("lstm_projected", {"num_layers": 3, "bidirectional": True, "dropout": 0.5, "bias": False}, {}),
    "lengths": ("gru", {}, {"lengths": [5, 2, 3]}),
    "resets": ("gru", {}, {"reset": torch.ones(T, B, dtype=torch.bool)}),
    "weight dropout": ("lstm", {"weight_dropout": 0.5}, {}),
    "learned state": ("lstm", {"learn_initial_state": True}, {}),
    "initialization": ("lstm", {"init": longhold.init.Chrono(20)}, {}),
}


class OwnCalls(TorchDispatchMode):
    """Counts calls of the operators behind the `cpu` backend."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += str(func).rpartition(".")[0] in OWN
        return func(*args, **(kwargs or {}))


class FusedCalls(TorchFunctionMode):
    """Counts calls of torch's fused recurrent operators."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += getattr(func, "__name__", "") in FUSED
        return func(*args, **(kwargs or {}))


def ran(call: Any) -> str:
    """The backend that a call really ran on."""
    with FusedCalls() as fused, OwnCalls() as own:
        call()
    assert not (fused.count and own.count)
    return "torch" if fused.count else "cpu" if own.count else "reference"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_plain_calls_run_on_our_own_loop(cell: str, dtype: torch.dtype) -> None:
    layer, x = make(cell, 3, 4, dtype=dtype), data().to(dtype)
    assert longhold.explain(layer, x).backend == "cpu"
    assert ran(lambda: layer(x)) == "cpu"
    for ragged in ({"lengths": [5, 2, 3]}, {"reset": torch.ones(T, B, dtype=torch.bool)}):
        assert longhold.explain(layer, x, **ragged).backend == "cpu"
        assert ran(lambda ragged=ragged: layer(x, **ragged)) == "cpu"
    with longhold.use_backend("torch"):
        assert ran(lambda: layer(x)) == "torch"


def data() -> torch.Tensor:
    return torch.randn(T, B, 3, dtype=torch.float64)


@pytest.mark.parametrize("case", CAN)
def test_automatic_choice_takes_the_fastest_and_says_so(case: str) -> None:
    cell, options, call = CAN[case]
    layer, x = make(cell, 3, 4, **options), data()
    choice = longhold.explain(layer, x, **call)
    assert choice.backend == "cpu"
    assert ran(lambda: layer(x, **call)) == "cpu"


@pytest.mark.parametrize(
    ("case", "backend"), [(case, backend) for case in CAN for backend, _ in on_each_backend([CAN[case][0]])]
)
def test_a_named_backend_is_the_one_that_runs(case: str, backend: str) -> None:
    cell, options, call = CAN[case]
    layer, x = make(cell, 3, 4, **options), data()
    with longhold.use_backend(backend):
        assert longhold.explain(layer, x, **call).backend == backend
        assert ran(lambda: layer(x, **call)) == backend


@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_cannot_do_is_refused_with_the_reason(case: str) -> None:
    cell, options, reason = REFUSED[case]
    layer, x = make(cell, 3, 4, **options), data()
    choice = longhold.explain(layer, x)
    assert choice.backend == "cpu"
    assert set(choice.refused) == {"torch"}
    assert reason in choice.refused["torch"]
    assert ran(lambda: layer(x)) == "cpu"
    with longhold.use_backend("torch"):
        with pytest.raises(BackendRefused, match=f"torch.*{reason}"):
            layer(x)
        with pytest.raises(BackendRefused, match=reason):
            longhold.explain(layer, x)
    with longhold.use_backend("reference"):
        assert longhold.explain(layer, x).backend == "reference"
        layer(x)


@pytest.mark.parametrize("case", REFUSED)
def test_eval_mode_drops_nothing(case: str) -> None:
    cell, options, _ = REFUSED[case]
    layer, x = make(cell, 3, 4, **options).eval(), data()
    assert longhold.explain(layer, x).backend == "cpu"
    assert ran(lambda: layer(x)) == "cpu"


@pytest.mark.parametrize("cell", CELLS)
def test_a_trace_runs_on_our_own_loop(cell: str) -> None:
    layer, x = make(cell, 3, 4), data()
    assert ran(lambda: layer.trace(x)) == "cpu"
    with longhold.use_backend("torch"), pytest.raises(BackendRefused, match="every step"):
        layer.trace(x)
    with longhold.use_backend("reference"):
        assert ran(lambda: layer.trace(x)) == "reference"


def test_rates_of_zero_refuse_nothing() -> None:
    layer = make("lstm", 3, 4, recurrent_dropout=0.0, zoneout=(0.0, 0.0), weight_dropout=0.0)
    for backend in BACKENDS:
        with longhold.use_backend(backend):
            layer(data())


@pytest.mark.parametrize("name", ["cuda", "Torch", "CPU", "", "onednn"])
def test_an_unknown_backend_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"reference.*torch.*cpu"), longhold.use_backend(name):
        raise AssertionError("the block must not be entered")


def test_refused_is_a_runtime_error() -> None:
    assert issubclass(BackendRefused, RuntimeError)


def test_blocks_nest_and_end_even_by_an_error() -> None:
    layer, x = make("gru", 3, 4), data()

    def backend() -> str:
        return longhold.explain(layer, x).backend

    with longhold.use_backend("reference"):
        assert backend() == "reference"
        with longhold.use_backend("torch"):
            assert backend() == "torch"
            with longhold.use_backend("cpu"):
                assert backend() == "cpu"
            assert backend() == "torch"
        assert backend() == "reference"
        with pytest.raises(KeyError), longhold.use_backend("torch"):
            raise KeyError
        assert backend() == "reference"
    assert backend() == "cpu"


def test_a_block_ends_with_its_thread() -> None:
    layer, x, seen = make("gru", 3, 4), data(), []
    with longhold.use_backend("reference"):
        thread = threading.Thread(target=lambda: seen.append(longhold.explain(layer, x).backend))
        thread.start()
        thread.join()
    assert seen == ["cpu"]


def test_an_explanation_can_be_read() -> None:
    assert str(longhold.explain(make("lstm", 3, 4), data())).startswith("cpu: ")
    normed = longhold.explain(make("lstm", 3, 4, layer_norm=True), data())
    assert str(normed).startswith("cpu: ")
    assert normed.reason in str(normed)
    assert "\nnot torch: it has no layer norm" in str(normed)
    half = str(longhold.explain(make("lstm", 3, 4, layer_norm=True, dtype=torch.bfloat16), data().bfloat16()))
    assert half.startswith("reference: ")
    assert "\nnot cpu: " in half
    assert "bfloat16" in half
    with longhold.use_backend("reference"):
        assert "use_backend" in str(longhold.explain(make("lstm", 3, 4), data()))


def test_explaining_takes_what_the_call_takes_and_runs_nothing() -> None:
    layer = make("lstm", 3, 4, recurrent_dropout=0.5, weight_dropout=0.5)
    zeros = torch.zeros(1, B, 4, dtype=torch.float64)
    before = torch.get_rng_state()
    longhold.explain(layer, data().zero_(), (zeros, zeros), lengths=[5, 2, 3], reset=torch.ones(T, B).bool())
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    data()
    assert torch.equal(after, torch.get_rng_state()), "explain drew from torch's generator"
    assert ran(lambda: longhold.explain(make("lstm", 3, 4), packed(data(), (5, 2, 3)))) == "reference"
    with pytest.raises(RuntimeError, match="input_size"):
        longhold.explain(layer, torch.zeros(T, B, 7, dtype=torch.float64))


@pytest.mark.parametrize(("backend", "cell"), on_each_backend(CELLS))
@pytest.mark.parametrize("call", ["plain", "ragged", "cut"])
def test_every_backend_writes_all_of_its_memory(cell: str, backend: str, call: str, nan_memory: None) -> None:
    layer = make(cell, 3, 4, num_layers=2, bidirectional=True)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 1] = True
    given: dict[str, Any] = {
        "plain": {},
        "ragged": {"lengths": [5, 1, 3]},
        "cut": {"lengths": [5, 3, 4], "reset": reset},
    }[call]
    x = data().requires_grad_()
    with longhold.use_backend(backend):
        output, state = layer(x, **given)
    gradients = torch.autograd.grad(output.sum(), [x, *layer.parameters()])
    states = state if isinstance(state, tuple) else (state,)
    assert all(value.isfinite().all() for value in (output, *states, *gradients))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_answer_does_not_depend_on_the_number_of_threads(cell: str, threads: int, backend: str) -> None:
    layer, x = make(cell, 3, 64, dtype=torch.float64), torch.randn(7, 33, 3, dtype=torch.float64)
    before = torch.get_num_threads()
    with longhold.use_backend(backend):
        torch.set_num_threads(1)
        one, _ = layer(x)
        torch.set_num_threads(threads)
        many, _ = layer(x)
    torch.set_num_threads(before)
    torch.testing.assert_close(many, one, rtol=1e-12, atol=1e-14)
