"""Tensors that are not what they look like, given to everything that C++ reads or writes; run as a program.

    python -m tests.layers.strange SEED COUNT

Each case is one subject (a layer with options, a cell, a stream, the loss, an optimizer's step), one of its tensors,
and one way to be strange. What still stands for numbers has to give what an ordinary tensor with these numbers gives,
and what torch.nn gives; what does not has to be refused in one line, by the type of error that torch.nn raises. A
case's name is printed before it runs, so that a process that ends has printed where.
"""

from __future__ import annotations

import copy
import random
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import longhold
from longhold.kernels import loss as loss_module
from longhold.kernels import use_backend
from longhold.kernels.loss import linear_cross_entropy
from longhold.layers.masks import LayerMasks, Masks
from longhold.training.optim import clip_and_step
from tests.helpers import assert_close

Tensors = dict[str, Tensor]
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)


@dataclass(frozen=True)
class Way:
    """One way to be strange: the strange tensor, and the ordinary one with its numbers, or None if it has none."""

    name: str
    make: Callable[[Tensor], Tensor]
    ordinary: Callable[[Tensor], Tensor] | None = Tensor.clone
    floats_only: bool = False
    refusable: bool = False
    """whether it may be refused although it stands for numbers"""
    torch_survives: bool = True
    """whether torch.nn can be compared with: reading what is not there ends its process too"""


def _imaginary(t: Tensor) -> Tensor:
    return torch.complex(torch.zeros_like(t), -t).conj().imag


def _strided(t: Tensor) -> Tensor:
    wide = t.new_zeros((*t.shape, 3))
    wide[..., 1] = t
    return wide[..., 1]


def _transposed(t: Tensor) -> Tensor:
    order = tuple(reversed(range(t.dim())))
    return t.permute(order).contiguous().permute(order)


def _expanded(t: Tensor) -> Tensor:
    return t[:1].expand(t.shape) if t.dim() else t.expand(())


def _shifted(t: Tensor) -> Tensor:
    flat = torch.cat([t.new_zeros(3), t.reshape(-1)])
    return flat[3:].view(t.shape)


def _released(t: Tensor) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(0)
    return t


def _shrunk(t: Tensor) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(t.nbytes - t.itemsize)
    return t


def _other_dtype(t: Tensor) -> Tensor:
    others = {torch.float32: torch.float64, torch.float64: torch.float32, torch.int64: torch.int16}
    return t.to(others.get(t.dtype, torch.uint8))


WAYS = (
    Way("negative view", lambda t: torch._neg_view(-t), floats_only=True),
    Way("imaginary part of a conjugate", _imaginary, floats_only=True),
    Way("zero tensor", lambda t: torch._efficientzerotensor(t.shape, dtype=t.dtype), torch.zeros_like),
    Way("strided", _strided),
    Way("transposed", _transposed),
    Way("expanded", _expanded, lambda t: _expanded(t).contiguous()),
    Way("shifted", _shifted),
    Way("meta", lambda t: t.to("meta"), None),
    Way("another dtype", _other_dtype, None),
    Way("conjugate", lambda t: torch.complex(t, t).conj(), None, floats_only=True),
    Way("sparse", lambda t: t.to_sparse(), refusable=True),
    Way("released", _released, None, torch_survives=False),
    Way("shrunk", _shrunk, None, torch_survives=False),
)


@dataclass(frozen=True)
class Subject:
    """Something that reads tensors: what it is given, and what it makes of them."""

    name: str
    tensors: Tensors
    run: Callable[[Tensors], Tensors]
    torchs: Callable[[Tensors], Tensors] | None = None
    """the same by torch.nn"""
    written: tuple[str, ...] = ()
    """names of tensors that are written into"""
    is_cell: bool = False
    by_torch: bool = False
    """whether torch's operators take the gradients from above, and read what is not there"""


OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "RNN": ({}, {"nonlinearity": "relu"}, {"layer_norm": True}, {"zoneout": 0.4}, {"recurrent_dropout": 0.3}),
    "GRU": ({}, {}, {"reset_after": False}, {"layer_norm": True}, {"zoneout": 0.4}, {"weight_dropout": 0.3},
            {"recurrent_dropout": 0.3}),
    "LSTM": ({}, {}, {"proj_size": 2}, {"peephole": True}, {"layer_norm": True}, {"coupled_gates": True},
             {"zoneout": 0.4}, {"recurrent_dropout": 0.3}, {"learn_initial_state": True}),
}  # fmt: skip
OF_TORCH = ("nonlinearity", "proj_size")


def layer_subject(draw: random.Random) -> Subject:
    """A layer, forward and backward."""
    kind, dtype = draw.choice(list(OPTIONS)), draw.choice([torch.float32, torch.float64])
    options = draw.choice(OPTIONS[kind])
    shape = {"num_layers": draw.choice([1, 1, 2]), "bidirectional": draw.random() < 0.3}
    shape |= {"batch_first": draw.random() < 0.3, "bias": draw.random() < 0.8}
    steps, batch, width, hidden = 4, 3, 3, 4
    layer = getattr(longhold, kind)(width, hidden, dtype=dtype, **shape, **options)
    mode = draw.choice(["grad", "grad", "grad", "no_grad", "inference"])
    backend = draw.choice([None, None, None, "reference", "torch"])
    ragged, resets, given = draw.random() < 0.3, draw.random() < 0.3, draw.random() < 0.7
    plain = not ragged and not resets and set(options) <= set(OF_TORCH)
    if backend == "torch" and not plain:
        backend = None
    size = (batch, steps) if shape["batch_first"] else (steps, batch)
    tensors = {"input": torch.randn(*size, width, dtype=dtype)}
    states = layer.initial_state(batch)
    states = (states,) if isinstance(states, Tensor) else states
    if given and not options.get("learn_initial_state"):
        tensors |= {f"hx {name}": torch.randn(s.shape, dtype=dtype) for name, s in zip("hc", states, strict=False)}
    if ragged:
        tensors["lengths"] = torch.randint(1, steps + 1, (batch,))
    if resets:
        tensors["reset"] = torch.rand(size) < 0.3
    tensors |= {f"weight {name}": p.detach().clone() for name, p in layer.named_parameters()}
    masks = layer.draw_masks(steps, batch)
    masks_of = {f"mask {i} {n}": m for i, layer_masks in enumerate(masks.layers) for n, m in vars(layer_masks).items()}
    tensors |= {name: mask for name, mask in masks_of.items() if mask is not None}
    with torch.no_grad():
        outputs = _results(layer(torch.randn(*size, width, dtype=dtype)))
    if mode == "grad":
        tensors |= {
            f"d_{name}": torch.randn(t.shape, dtype=dtype) for name, t in outputs.items() if draw.random() < 0.8
        }

    def run(module: nn.Module, t: Tensors, keywords: dict[str, Any]) -> Tensors:
        module = copy.deepcopy(module)
        for name in [n.removeprefix("weight ") for n in t if n.startswith("weight ")]:
            setattr(module, name, nn.Parameter(t[f"weight {name}"]))
        leaves = dict(module.named_parameters())
        fields = [t[n].detach() for n in ("hx h", "hx c") if n in t]
        x = t["input"].detach()
        if mode == "grad":
            moving = {"input": x, **dict(zip("hc", fields, strict=False))}
            leaves |= {n: v.requires_grad_() for n, v in moving.items() if v.is_floating_point() or v.is_complex()}
        hx = None if not fields else tuple(fields) if kind == "LSTM" else fields[0]
        context = {"grad": nullcontext, "no_grad": torch.no_grad, "inference": torch.inference_mode}[mode]
        with context():
            found = _results(module(x, hx, **keywords))
        above = {n: d for n in found if (d := t.get(f"d_{n}")) is not None}
        if mode == "grad" and above:
            pairs = torch.autograd.grad(
                [found[n] for n in above], list(leaves.values()), list(above.values()), allow_unused=True
            )
            found |= {f"d {n}": g for n, g in zip(leaves, pairs, strict=True) if g is not None}
        return {n: v.detach().to_dense() for n, v in found.items()}

    def ours(t: Tensors) -> Tensors:
        keywords: dict[str, Any] = {n: t[n] for n in ("lengths", "reset") if n in t}
        if masks_of:
            layers = [
                LayerMasks(**{n: t.get(f"mask {i} {n}") for n in vars(LayerMasks())}) for i in range(len(masks.layers))
            ]
            keywords["masks"] = Masks(tuple(layers))
        with use_backend(backend) if backend else nullcontext():
            return run(layer, t, keywords)

    twin = None
    if plain:
        twin = getattr(nn, kind)(width, hidden, dtype=dtype, **shape, **options)
    options_text = ", ".join(f"{k}={v}" for k, v in (shape | options).items())
    name = f"{kind}({options_text}) {str(dtype)[6:]} {mode} {backend}{' lengths' * ragged}{' reset' * resets}"
    torchs = None if twin is None else lambda t: run(twin, t, {})
    return Subject(name, tensors, ours, torchs, by_torch=backend is not None)


def cell_subject(draw: random.Random) -> Subject:
    """One step of a cell as a module."""
    kind = draw.choice(list(OPTIONS))
    options: dict[str, Any] = draw.choice([{}, {}, {"layer_norm": True}])
    cell, twin = getattr(longhold, f"{kind}Cell")(3, 4, **options), getattr(nn, f"{kind}Cell")(3, 4)
    tensors = {"input": torch.randn(2, 3), "hx h": torch.randn(2, 4), "hx c": torch.randn(2, 4)}
    if kind != "LSTM":
        del tensors["hx c"]
    tensors |= {f"weight {name}": p.detach().clone() for name, p in cell.named_parameters()}

    def run(module: nn.Module, t: Tensors) -> Tensors:
        module = copy.deepcopy(module)
        for name in [n.removeprefix("weight ") for n in t if n.startswith("weight ")]:
            setattr(module, name, nn.Parameter(t[f"weight {name}"]))
        fields = tuple(t[n] for n in ("hx h", "hx c") if n in t)
        new = module(t["input"], fields if kind == "LSTM" else fields[0])
        return {n: v.detach() for n, v in zip("hc", new if kind == "LSTM" else (new,), strict=False)}

    torchs = None if options else lambda t: run(twin, t)
    return Subject(f"{kind}Cell {options}", tensors, lambda t: run(cell, t), torchs, is_cell=True)


def stream_subject(draw: random.Random) -> Subject:
    """A stream: its state set, a step into memory of the caller's, and the state after it."""
    kind = draw.choice(list(OPTIONS))
    options = draw.choice([o for o in OPTIONS[kind] if "zoneout" not in o])
    layer = getattr(longhold, kind)(3, 4, **options).eval()
    into = draw.random() < 0.5
    states = layer.initial_state(2)
    states = (states,) if isinstance(states, Tensor) else states
    tensors = {"input": torch.randn(2, 3), "out": torch.zeros(2, layer.output_size)}
    tensors |= {f"state {name}": torch.randn(s.shape) for name, s in zip("hc", states, strict=False)}
    if not into:
        del tensors["out"]
    tensors |= {f"weight {name}": p.detach().clone() for name, p in layer.named_parameters()}

    def run(t: Tensors) -> Tensors:
        module = copy.deepcopy(layer)
        for name in [n.removeprefix("weight ") for n in t if n.startswith("weight ")]:
            setattr(module, name, nn.Parameter(t[f"weight {name}"]))
        stream = module.stream(batch=2)
        fields = tuple(t[n] for n in ("state h", "state c") if n in t)
        stream.state = fields if kind == "LSTM" else fields[0]
        if into:
            stream.step_into(t["input"], t["out"])
        output = t["out"].clone() if into else stream.step(t["input"])
        return {"output": output} | {f"state {n}": s for n, s in _results((output, stream.state)).items()}

    return Subject(f"{kind}({options}) stream {into=}", tensors, run, written=("out",))


def loss_subject(draw: random.Random) -> Subject:
    """The output layer with its loss, and all its gradients."""
    dtype = draw.choice([torch.float32, torch.float64])
    tensors = {"features": torch.randn(40, 3, dtype=dtype), "weight": torch.randn(9, 3, dtype=dtype)}
    tensors |= {"bias": torch.randn(9, dtype=dtype), "targets": torch.randint(0, 9, (40,))}
    tensors["d_loss"] = torch.randn((), dtype=dtype).reshape(1)[0]

    def run(function: Callable[..., Tensor], t: Tensors) -> Tensors:
        leaves = [t[n].detach().requires_grad_() for n in ("features", "weight", "bias")]
        loss = function(*leaves, t["targets"])
        return {"loss": loss.detach()} | dict(zip("fwb", torch.autograd.grad(loss, leaves, t["d_loss"]), strict=True))

    def ours(t: Tensors) -> Tensors:
        before, loss_module.BLOCK_BYTES = loss_module.BLOCK_BYTES, 64
        try:
            return run(linear_cross_entropy, t)
        finally:
            loss_module.BLOCK_BYTES = before

    def torchs(t: Tensors) -> Tensors:
        return run(lambda f, w, b, y: nn.functional.cross_entropy(nn.functional.linear(f, w, b), y), t)

    return Subject(f"loss {str(dtype)[6:]}", tensors, ours, torchs)


def optimizer_subject(draw: random.Random) -> Subject:
    """One step of an optimizer, clipped."""
    adam = draw.random() < 0.5
    tensors = {"value": torch.randn(3, 4), "gradient": torch.randn(3, 4)}
    tensors |= {"first": torch.randn(3, 4), "second": torch.rand(3, 4)} if adam else {"first": torch.randn(3, 4)}

    def run(step: Callable[[torch.optim.Optimizer], Any], t: Tensors) -> Tensors:
        parameter, other = nn.Parameter(t["value"]), nn.Parameter(torch.ones(5))
        parameter.grad, other.grad = t["gradient"], torch.ones(5)
        both = [parameter, other]
        optimizer = torch.optim.AdamW(both, lr=0.1) if adam else torch.optim.SGD(both, lr=0.1, momentum=0.5)
        state = {"step": torch.tensor(3.0), "exp_avg": t["first"], "exp_avg_sq": t.get("second")}
        optimizer.state[parameter] = state if adam else {"momentum_buffer": t["first"]}
        step(optimizer)
        return {"value": parameter.detach().clone(), "first": t["first"].clone()}

    def torchs(optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()

    name = f"{'AdamW' if adam else 'SGD'} step"
    written = ("value", "first", "second", "gradient")
    return Subject(name, tensors, lambda t: run(lambda o: clip_and_step(o, 1.0), t), lambda t: run(torchs, t), written)


SUBJECTS = (layer_subject,) * 6 + (cell_subject, stream_subject, stream_subject, loss_subject, optimizer_subject)


def _results(result: Any) -> Tensors:
    output, state = result
    states = (state,) if isinstance(state, Tensor) else state
    return {"output": output} | dict(zip(("h_n", "c_n"), states, strict=False))


def _fitting(way: Way, subject: Subject, name: str, tensor: Tensor) -> bool:
    """Whether there is such a tensor, and one answer to it."""
    converted = ("state", "d_", "weight weight_norm", "weight h_0", "weight c_0", "mask")
    if way.name == "another dtype" and (tensor.dtype == torch.int64 or name.startswith(converted)):
        return False  # by `lengths=`, a stream, autograd, or torch's own promotion
    if way.name == "sparse" and name.startswith("d_"):
        return False  # autograd's own operators take it or do not
    if subject.is_cell and way.name == "shrunk":
        return False  # a step of torch's, which only has to find whether there is memory
    if way.name == "zero tensor" and name == "lengths":
        return False  # lengths are looked at
    return tensor.is_floating_point() or not way.floats_only


def _copied(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _attempt(run: Callable[[Tensors], Tensors], tensors: Tensors) -> Tensors | BaseException:
    try:
        return run(tensors)
    except REFUSALS as error:
        return error


def _alike(actual: Tensors, expected: Tensors) -> None:
    assert actual.keys() == expected.keys(), f"{sorted(actual.keys() ^ expected.keys())} on one side only"
    for name in expected:
        if actual[name].is_meta and expected[name].is_meta:
            continue  # where torch reports nothing, as with an optimizer's state, nothing is compared here
        a, b = (torch.view_as_real(t.resolve_conj()) if t.is_complex() else t for t in (actual[name], expected[name]))
        assert_close(name, a, b)


def _check_refusal(subject: Subject, way: Way, error: BaseException, strange: Callable[[], Tensors]) -> None:
    text = str(error)
    torchs_own = text.startswith("Could not run 'aten::")
    assert torchs_own or len(text.strip().splitlines()) == 1, f"more than one line: {text!r}"
    if subject.torchs is None or not way.torch_survives:
        return
    torchs = _attempt(subject.torchs, strange())
    if isinstance(torchs, dict):
        assert way.name in ("meta", "conjugate"), f"refused ({error}), torch computes it"
        return  # its cells take tensors of several devices, or a complex state, without a word
    related = isinstance(error, type(torchs)) or isinstance(torchs, type(error))
    assert related, f"{error!r}, torch raises {torchs!r}"


def check(subject: Subject, name: str, way: Way) -> None:
    """AssertionError unless the subject treats a strange tensor as it should."""

    def strange() -> Tensors:
        return _copied(subject.tensors) | {name: way.make(subject.tensors[name].clone())}

    given = strange()
    found = _attempt(subject.run, given)
    ordinary = way.ordinary
    if isinstance(found, BaseException):
        refusable = ordinary is None or way.refusable or name in subject.written
        assert refusable, f"refused: {type(found).__name__}: {found}"
        _check_refusal(subject, way, found, strange)
        return
    if way.name == "another dtype" and subject.torchs is None and name.startswith(("weight", "hx")):
        expected = subject.run(_copied(subject.tensors))  # by torch's operators, which take the wider type
        _alike({n: v.float() for n, v in found.items()}, {n: v.float() for n, v in expected.items()})
        return
    if ordinary is None:
        torchs = None if subject.torchs is None or not way.torch_survives else _attempt(subject.torchs, strange())
        assert isinstance(torchs, dict), f"computed with a tensor that has no such numbers: {sorted(found)}"
        _alike(found, torchs)
        return
    plain = _copied(subject.tensors) | {name: ordinary(subject.tensors[name].clone())}
    _alike(found, subject.run(_copied(plain)))
    if subject.torchs is not None:
        _alike(found, subject.torchs(plain))  # its own LSTM reads the memory that a zero tensor has not


def main() -> None:
    """Print each case's name, then what went wrong, if anything did."""
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    failed = 0
    for i in range(count):
        draw = random.Random(seed * 1_000_003 + i)
        torch.manual_seed(i)
        subject = draw.choice(SUBJECTS)(draw)
        name = draw.choice(list(subject.tensors))
        ways = [way for way in WAYS if _fitting(way, subject, name, subject.tensors[name])]
        way = draw.choice([w for w in ways if w.torch_survives or not (subject.by_torch and name.startswith("d_"))])
        print(f"case {seed}/{i}: {subject.name}: {name} is {way.name}", flush=True)
        try:
            check(subject, name, way)
        except Exception as error:  # an unexpected error of any kind is what is looked for
            failed += 1
            print(f"FAILED {type(error).__name__}: {error}", flush=True)
    print(f"{count} cases, {failed} failed", flush=True)


if __name__ == "__main__":
    main()
