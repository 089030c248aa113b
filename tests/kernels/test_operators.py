"""The extension's operators against the cells and the reference loop, and what torch asks of an operator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.library import opcheck

from longhold.kernels.extension import loaded
from tests.helpers import assert_all_close, assert_close, assert_no_worse
from tests.kernels.sequences import (
    GATES,
    KINDS,
    Case,
    Sequence,
    by_operator,
    by_reference,
    draw,
    machine,
    random_cases,
    to,
    with_gradients,
)

SETS = loaded().instruction_sets()
RICH: dict[str, Any] = {"lengths": True, "reset": True, "mask": True}
SIZES: list[dict[str, Any]] = [
    # each value of T, B and H at least twice, in company that varies
    {"T": 1, "B": 1, "H": 1},
    {"T": 1, "B": 33, "H": 5, "reset": True, "mask": True},
    {"T": 1, "B": 3, "H": 257, "reverse": True},
    {"T": 2, "B": 1, "H": 64, "reset": True, "reverse": True},
    {"T": 2, "B": 3, "H": 257, "lengths": True, "mask": True, "strided": True},
    {"T": 2, "B": 33, "H": 1, **RICH, "reverse": True},
    {"T": 63, "B": 1, "H": 5, "reset": True, "mask": True, "reverse": True},
    {"T": 63, "B": 3, "H": 64, **RICH},
    {"T": 63, "B": 33, "H": 5, **RICH, "reverse": True, "bias": False},
    {"T": 63, "B": 33, "H": 64, "lengths": True, "reset": True, "reverse": True, "strided": True},
    {"T": 63, "B": 1, "H": 257},
    {"T": 63, "B": 3, "H": 257, **RICH, "reverse": True},
]


def label(size: dict[str, Any]) -> str:
    return " ".join(f"{name}{'' if value is True else value}" for name, value in size.items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_every_output_and_gradient_is_the_references(kind: str, size: dict[str, Any], nan_memory: None) -> None:
    case = Case(kind, **size)
    sequence = draw(case)
    expected = with_gradients(by_reference, kind, sequence)
    for instruction_set in SETS:
        for threads in (1, 2, 3):
            with machine(threads, instruction_set):
                actual = with_gradients(by_operator, kind, sequence, alone=threads == 1 and instruction_set == SETS[0])
            answer = {name: expected[name] for name in actual}
            assert_all_close(actual, answer, f"{case} {instruction_set} {threads} threads")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=label)
def test_float32_is_at_most_twice_torchs_error(kind: str, size: dict[str, Any], nan_memory: None) -> None:
    single = draw(Case(kind, **size, dtype=torch.float32))
    exact = with_gradients(by_reference, kind, to(single, torch.float64), alone=False)
    torchs = with_gradients(by_reference, kind, single, alone=False)
    for instruction_set in SETS:
        for threads in (1, 2):
            with machine(threads, instruction_set):
                actual = with_gradients(by_operator, kind, single, alone=False)
            for name, value in actual.items():
                assert_no_worse(f"{name} {instruction_set} {threads} threads", value, torchs[name], exact[name])


@st.composite
def cases(draw_from: st.DrawFn) -> tuple[Case, int, int, str]:
    flag = st.booleans()
    size = st.one_of(st.integers(1, 9), st.integers(1, 40), st.sampled_from([15, 16, 17, 31, 32, 33, 63, 64, 65]))
    case = Case(
        kind=draw_from(st.sampled_from(KINDS)),
        T=draw_from(st.integers(1, 12)),
        B=draw_from(st.one_of(st.integers(1, 9), st.integers(1, 40))),
        H=draw_from(st.one_of(size, st.integers(1, 200))),
        I=draw_from(size),
        lengths=draw_from(flag),
        reset=draw_from(flag),
        mask=draw_from(flag),
        reverse=draw_from(flag),
        bias=draw_from(flag),
        strided=draw_from(flag),
        dtype=draw_from(st.sampled_from([torch.float64, torch.float32])),
    )
    seed, threads = draw_from(st.integers(0, 2**31)), draw_from(st.integers(1, 3))
    return case, seed, threads, draw_from(st.sampled_from(SETS))


ROUNDING = 3e-6
"""What float32 may leave of a sum of hundreds of terms near 1 whose exact value happens to be small."""


@settings(max_examples=random_cases(200), suppress_health_check=[HealthCheck.too_slow])
@given(drawn=cases())
@pytest.mark.timeout(3600)
def test_any_case_is_the_references(drawn: tuple[Case, int, int, str]) -> None:
    """200 random cases; LONGHOLD_RANDOM_CASES=10000 runs that many."""
    case, seed, threads, instruction_set = drawn
    torch.manual_seed(seed)
    sequence = draw(case)
    exact = with_gradients(by_reference, case.kind, to(sequence, torch.float64), alone=False)
    with machine(threads, instruction_set):
        actual = with_gradients(by_operator, case.kind, sequence, alone=False)
    assert all(value.dtype == case.dtype for value in actual.values())
    if case.dtype == torch.float64:
        assert_all_close(actual, exact, case)
        return
    torchs = with_gradients(by_reference, case.kind, sequence, alone=False)
    for name, value in actual.items():
        ours, theirs = ((v.double() - exact[name]).abs().max().item() for v in (value, torchs[name]))
        limit = max(1e-5 * exact[name].abs().max().item(), 2 * theirs, ROUNDING)
        assert ours <= limit, f"{case} {name}: error {ours:.3g}, torch's own {theirs:.3g}, allowed {limit:.3g}"


def backward_arguments(kind: str, sequence: Sequence, needs_input: bool) -> tuple[Any, ...]:
    h, c, h_n, c_n, gates, extra, _ = forward(kind)(*sequence, 1)
    upstream = [torch.randn_like(v).requires_grad_() if v.numel() else None for v in (h, c, h_n, c_n)]
    return (*upstream, *(v.detach() for v in (h, c, gates, extra)), needs_input, *sequence, 1)


def forward(kind: str) -> Any:
    return getattr(torch.ops.longhold, f"{kind}_forward").default


def backward(kind: str) -> Any:
    return getattr(torch.ops.longhold, f"{kind}_backward").default


CHEAP_CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


@pytest.mark.parametrize("kind", KINDS)
def test_opcheck(kind: str) -> None:
    opcheck(forward(kind), (*draw(Case(kind, **RICH)), 1))
    arguments = backward_arguments(kind, draw(Case(kind, **RICH)), needs_input=True)
    opcheck(backward(kind), arguments, test_utils=CHEAP_CHECKS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strided", [False, True])
def test_opcheck_without_options_and_with_strides(kind: str, strided: bool) -> None:
    case = Case(kind, bias=False, reverse=True, reset=strided, strided=strided)
    for every in (0, 1, 3):
        opcheck(forward(kind), (*draw(case), every), test_utils=CHEAP_CHECKS)
    for needs_input in (False, True):
        opcheck(backward(kind), backward_arguments(kind, draw(case), needs_input), test_utils=CHEAP_CHECKS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [0, 1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_h_apart_is_h_twice_where_the_backward_pass_reads_it(kind: str, every: int, dtype: torch.dtype) -> None:
    sequence = draw(Case(kind, T=9, B=13, H=33, **RICH, dtype=dtype))
    opcheck(forward(kind), (*sequence, every, True), test_utils=CHEAP_CHECKS)
    for threads in (1, 3):
        with machine(threads), torch.no_grad():
            together, apart = (forward(kind)(*sequence, every, wanted) for wanted in (False, True))
        assert all(torch.equal(a, b) for a, b in zip(together[:-1], apart[:-1], strict=True))
        assert not together[-1].numel()
        again = kind == "lstm" and every == 1 and dtype == torch.float32
        if every == 0 or again:
            assert not apart[-1].numel()
        else:
            assert torch.equal(apart[-1], apart[0])
            assert apart[-1].data_ptr() != apart[0].data_ptr()


@pytest.mark.parametrize("size", [(1, 1, 5), (40, 3, 257), (61, 33, 64), (300, 2, 17)], ids=str)
@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("options", [{}, RICH, {**RICH, "reverse": True}], ids=str)
def test_an_lstm_works_h_out_again_with_the_same_bits(
    size: tuple[int, int, int], instruction_set: str, options: dict[str, Any]
) -> None:
    sequence = draw(Case("lstm", *size, **options, dtype=torch.float32))
    for threads in (1, 3):
        with machine(threads, instruction_set):
            given = [v.detach() if isinstance(v, Tensor) else v for v in backward_arguments("lstm", sequence, True)]
            assert given[4].numel()
            kept = backward("lstm")(*given)
            again = backward("lstm")(*given[:4], given[4].new_empty(0), *given[5:])
        assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_h_is_missed_where_it_is_read(kind: str) -> None:
    given = [v.detach() if isinstance(v, Tensor) else v for v in backward_arguments(kind, draw(Case(kind)), True)]
    for wrong in (given[4].new_empty(0), given[4][1:], given[4].float()):
        with pytest.raises(RuntimeError, match=r"^h should have"):
            backward(kind)(*given[:4], wrong, *given[5:])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_derivatives_match_finite_differences(kind: str, reverse: bool) -> None:
    sequence = draw(Case(kind, T=4, B=2, H=3, I=2, reverse=reverse, **RICH))
    names, leaves = zip(*sequence.leaves.items(), strict=True)

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        return tuple(by_operator(kind, sequence._replace(**dict(zip(names, values, strict=True)))).values())

    assert gradcheck(call, leaves)
    assert gradgradcheck(call, leaves, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_third_derivatives_are_the_references(kind: str) -> None:
    sequence = draw(Case(kind, T=3, B=2, H=3, I=2, **RICH))

    def third(run: Any) -> dict[str, Tensor]:
        total = sum(v.pow(3).sum() for v in run(kind, sequence).values())
        for _ in range(2):
            gradients = torch.autograd.grad(total, list(sequence.leaves.values()), create_graph=True)
            total = sum(g.pow(2).sum() for g in gradients)
        gradients = torch.autograd.grad(total, list(sequence.leaves.values()))
        return dict(zip(sequence.leaves, gradients, strict=True))

    assert_all_close(third(by_operator), third(by_reference), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_penalty_through_some_outputs_and_some_leaves(kind: str) -> None:
    sequence = draw(Case(kind, **RICH))

    def penalty(run: Any, output: str, inner: str) -> dict[str, Tensor]:
        first = torch.autograd.grad(
            run(kind, sequence)[output].square().sum(), sequence.leaves[inner], create_graph=True
        )
        leaves = sequence.leaves
        second = torch.autograd.grad(first[0].square().sum(), list(leaves.values()), materialize_grads=True)
        return dict(zip(leaves, second, strict=True))

    for output in by_reference(kind, sequence):
        for inner in ("input", "weight_hh", "h0", "h_initial"):
            assert_all_close(
                penalty(by_operator, output, inner), penalty(by_reference, output, inner), f"{output} {inner}"
            )


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_gradients_that_are_needed(kind: str) -> None:
    sequence = draw(Case(kind, **RICH))
    expected = with_gradients(by_reference, kind, sequence, alone=False)
    for name, leaf in sequence.leaves.items():
        only = Sequence(*(v.detach() if isinstance(v, Tensor) else v for v in sequence))._replace(**{name: leaf})
        outputs = by_operator(kind, only)
        frozen = {n: v for n, v in outputs.items() if not v.requires_grad}
        assert not frozen, f"{name}: {sorted(frozen)} have no gradient"
        alone = with_gradients(by_operator, kind, sequence, alone=False)[f"d_{name} through all"]
        assert_close(name, alone, expected[f"d_{name} through all"])
    frozen_all = Sequence(*(v.detach() if isinstance(v, Tensor) else v for v in sequence))
    assert not any(v.requires_grad for v in by_operator(kind, frozen_all).values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(40, 3, 257), (40, 33, 64), (40, 5, 100)], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_every_time(kind: str, size: tuple[int, int, int], threads: int) -> None:
    steps, batch, hidden = size
    sequence = draw(Case(kind, steps, batch, hidden, **RICH, dtype=torch.float32))
    with machine(threads):
        first = with_gradients(by_operator, kind, sequence, alone=False)
        for _ in range(4):
            again = with_gradients(by_operator, kind, sequence, alone=False)
            assert all(torch.equal(again[name], first[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(40, 1, 128), (70, 2, 257), (30, 5, 300)], ids=str)
def test_sharing_units_changes_no_bit(kind: str, size: tuple[int, int, int]) -> None:
    """So a call may run on fewer threads than it could, where another program has a core."""
    sequence = draw(Case(kind, *size, **RICH, dtype=torch.float32))
    found = []
    for threads in (1, 2, 3):
        with machine(threads):
            found.append(with_gradients(by_operator, kind, sequence, alone=False))
    assert all(torch.equal(other[name], value) for other in found[1:] for name, value in found[0].items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1, 5), (40, 3, 257), (61, 33, 64), (5, 100, 17)], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_keeping_nothing_changes_no_bit(kind: str, size: tuple[int, int, int], threads: int) -> None:
    for options in ({"mask": True}, RICH, {**RICH, "reverse": True}):
        sequence = draw(Case(kind, *size, **options, dtype=torch.float32))
        with machine(threads), torch.no_grad():
            kept, not_kept = (forward(kind)(*sequence, every) for every in (1, 0))
        for place in (0, 2, 3):  # h, h_n, c_n
            assert torch.equal(kept[place], not_kept[place]), f"{options} {place}"
        assert not any(not_kept[place].numel() for place in (1, 4, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_state_that_is_not_given_is_zero(kind: str, reverse: bool) -> None:
    sequence = draw(Case(kind, T=7, B=5, H=19, **RICH | {"reverse": reverse}))
    states = ("h0", "c0", "h_initial", "c_initial")
    zeros = {n: None if (v := getattr(sequence, n)) is None else torch.zeros_like(v).requires_grad_() for n in states}
    expected = with_gradients(by_operator, kind, sequence._replace(**zeros))
    found = with_gradients(by_operator, kind, sequence._replace(**dict.fromkeys(states)))
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_run_in_chunks_is_the_whole_run(kind: str, cut: int) -> None:
    sequence = draw(Case(kind, T=9, B=5, H=33, reset=True, mask=True))

    def chunks(kind: str, s: Sequence) -> dict[str, Tensor]:
        assert s.reset is not None
        first = by_operator(kind, s._replace(input=s.input[:cut], reset=s.reset[:cut]))
        carried = {"h0": first["h_n"]} | ({"c0": first["c_n"]} if kind == "lstm" else {})
        second = by_operator(kind, s._replace(input=s.input[cut:], reset=s.reset[cut:], **carried))
        joined = {name: torch.cat([first[name], second[name]]) for name in ("h", "c") if name in second}
        return joined | {name: value for name, value in second.items() if name.endswith("_n")}

    whole = with_gradients(by_operator, kind, sequence)
    assert_all_close(with_gradients(chunks, kind, sequence), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_each_other(kind: str) -> None:
    sequence = draw(Case(kind, T=9, B=13, H=33, **RICH))
    sequence.lengths[4] = 9  # it has steps
    whole = by_operator(kind, sequence)
    dirty = sequence.input.detach().clone()
    dirty[:, 4] = float("nan")
    others = torch.arange(13) != 4
    found = by_operator(kind, sequence._replace(input=dirty))
    for name, value in found.items():
        dim = value.dim() - 2
        kept = others.nonzero()[:, 0]
        assert torch.equal(value.index_select(dim, kept), whole[name].index_select(dim, kept)), name
        assert value.select(dim, 4).isnan().any(), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf")])
def test_a_state_that_a_reset_hides_reaches_nothing(kind: str, reverse: bool, rubbish: float) -> None:
    sequence = draw(Case(kind, T=6, B=4, H=17, reset=True, mask=True, reverse=reverse))
    assert sequence.reset is not None
    reset = torch.zeros(6, 4, dtype=torch.bool)
    reset[0, 1] = reset[3, 1] = reset[3, 2] = True
    dirty = sequence.input.detach().clone()
    dirty[3:, 2] = rubbish  # behind the cut when walking forward
    if reverse:
        dirty[3:, 2], dirty[:3, 2] = sequence.input[3:, 2].detach(), rubbish
    sequence = sequence._replace(reset=reset)
    clean, found = (by_operator(kind, s)["h"] for s in (sequence, sequence._replace(input=dirty)))
    before_the_cut = slice(3, None) if reverse else slice(None, 3)
    assert torch.equal(found[before_the_cut, 2], clean[before_the_cut, 2])
    if not reverse:
        with torch.no_grad():
            sequence.h0[1] = rubbish
        answer = with_gradients(by_operator, kind, sequence)
        assert all(value[1].isfinite().all() for name, value in answer.items() if name == "h_n")
        assert all(value.isfinite().all() for name, value in answer.items() if name.startswith("d_weight"))
        assert not answer["d_h0 through all"][1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_beyond_a_length_are_zero_and_pass_nothing_back(kind: str) -> None:
    sequence = draw(Case(kind, T=7, B=9, H=17, lengths=True, reset=True))
    assert sequence.lengths is not None
    padding = torch.arange(7).unsqueeze(1) >= sequence.lengths
    found = with_gradients(by_operator, kind, sequence, alone=False)
    assert padding.any()
    assert not found["h"][padding].any()
    assert not found["d_input through all"][padding].any()


SATURATED = [0.0, -0.0, 1e-30, -1e-8, 0.1, -0.6249, 0.625, -5.0, 20.0, -80.0, 88.5, -104.0, 1e4, -1e30, 3e38, -3e38]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("instruction_set", SETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_activations_far_out_and_near_zero(kind: str, instruction_set: str, dtype: torch.dtype) -> None:
    values = torch.tensor([*SATURATED, float("inf"), -float("inf"), float("nan")], dtype=dtype)
    hidden, rows = len(values), GATES[kind] * len(values)
    sequence = draw(Case(kind, T=1, B=1, H=hidden, I=1, bias=False, dtype=dtype))._replace(
        input=torch.ones(1, 1, 1, dtype=dtype),
        weight_ih=values.repeat(GATES[kind]).unsqueeze(1),
        weight_hh=torch.zeros(rows, hidden, dtype=dtype),
    )
    with machine(1, instruction_set):
        actual = by_operator(kind, sequence)
    for name, value in by_reference(kind, sequence).items():
        tolerance = 4 * torch.finfo(dtype).eps
        torch.testing.assert_close(actual[name], value, rtol=tolerance, atol=tolerance, equal_nan=True, msg=name)


WRONG: dict[str, Any] = {
    "h0 of another type": lambda s: s._replace(h0=s.h0.detach().float()),
    "h_initial of another type": lambda s: s._replace(h_initial=s.h_initial.detach().float()),
    "mask of another type": lambda s: s._replace(mask=s.mask.float()),
    "mask of bool": lambda s: s._replace(mask=s.mask.bool()),
    "lengths of int32": lambda s: s._replace(lengths=s.lengths.int()),
    "reset of int64": lambda s: s._replace(reset=s.reset.long()),
    "h0 of one row": lambda s: s._replace(h0=s.h0[:1].detach()),
    "h0 of other units": lambda s: s._replace(h0=s.h0[:, :2].detach()),
    "h_initial of one row": lambda s: s._replace(h_initial=s.h_initial[:1].detach()),
    "mask of one row": lambda s: s._replace(mask=s.mask[:1]),
    "lengths of one row": lambda s: s._replace(lengths=s.lengths[:1]),
    "reset of one step": lambda s: s._replace(reset=s.reset[:1]),
    "weight_hh of fewer rows": lambda s: s._replace(weight_hh=s.weight_hh[:-1].detach()),
    "weight_hh of another type": lambda s: s._replace(weight_hh=s.weight_hh.detach().float()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", WRONG)
def test_nothing_is_read_by_a_wrong_address(kind: str, what: str) -> None:
    sequence = draw(Case(kind, **RICH))
    with torch.no_grad(), pytest.raises((RuntimeError, ValueError, TypeError)):
        by_operator(kind, WRONG[what](sequence))


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_is_not_written_to(kind: str) -> None:
    sequence = draw(Case(kind, **RICH))
    before = [v.detach().clone() if isinstance(v, Tensor) else v for v in sequence]
    with_gradients(by_operator, kind, sequence)
    for name, old, new in zip(Sequence._fields, before, sequence, strict=True):
        assert not isinstance(new, Tensor) or torch.equal(old, new), name


@pytest.mark.parametrize("kind", KINDS)
def test_upstream_gradients_of_any_stride(kind: str) -> None:
    sequence = draw(Case(kind, **RICH))
    found = []
    for run in (by_operator, by_reference):
        outputs = run(kind, sequence)
        total = (
            outputs["h"].sum() + outputs["h_n"].T.contiguous().T.square().sum() + outputs["h"].mT.flip(0).exp().sum()
        )
        found.append(
            torch.autograd.grad(total, list(sequence.leaves.values()), materialize_grads=True, allow_unused=True)
        )
    named = [dict(zip(sequence.leaves, gradients, strict=True)) for gradients in found]
    assert_all_close(named[0], named[1])


def test_a_case_can_be_wrong() -> None:
    """The comparison sees a difference in a single weight."""
    sequence = draw(Case("gru"))
    weight = sequence.weight_hh.detach().clone()
    weight[-1, -1] += 1e-6
    changed = sequence._replace(weight_hh=weight.requires_grad_())
    with pytest.raises(AssertionError):
        assert_all_close(
            with_gradients(by_operator, "gru", changed),
            with_gradients(by_reference, "gru", sequence),
            Case("gru"),
        )
