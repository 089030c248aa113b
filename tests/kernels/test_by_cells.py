"""The operators without the extension: the same shapes and numbers, and exported programs that run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import longhold
from longhold.kernels import extension
from longhold.kernels.operators import RECURRENCES
from tests.helpers import assert_all_close
from tests.kernels import optioned, sequences


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "_found", "it was not built")
    with pytest.raises(RuntimeError, match="it was not built"):
        extension.loaded()


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("kind", RECURRENCES)
@pytest.mark.parametrize("given", [{}, {"lengths": True, "reset": True, "mask": True, "reverse": True}], ids=str)
def test_plain_operators(kind: str, given: dict[str, Any]) -> None:
    case = sequences.Case(kind, T=6, B=3, H=5, **given)
    sequence = sequences.draw(case)
    expected = sequences.with_gradients(sequences.by_reference, kind, sequence)
    assert_all_close(sequences.with_gradients(sequences.by_operator, kind, sequence), expected, case)


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("kind", optioned.KINDS)
@pytest.mark.parametrize("given", [{}, {"lengths": True, "reset": True, "mask": True, "reverse": True}], ids=str)
def test_operators_with_options(kind: str, given: dict[str, Any]) -> None:
    lstm = optioned.is_lstm(kind)
    case = optioned.Case(
        kind, layer_norm=True, zone_masks=True, zone_rates=(0.2, 0.1), peephole=lstm, projection=3 * lstm, **given
    )
    arguments = optioned.draw(case)
    expected = optioned.with_gradients(optioned.by_reference, kind, arguments)
    assert_all_close(optioned.with_gradients(optioned.by_operator, kind, arguments), expected, case)


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("kind", RECURRENCES)
@pytest.mark.parametrize("every", [0, 1, 4])
def test_shapes_are_those_of_tracing(kind: str, every: int) -> None:
    operator = getattr(torch.ops.longhold, f"{kind}_forward")
    gates = len(RECURRENCES[kind].gate_names)
    given = (torch.randn(600, 2, 3), torch.randn(4 * gates, 3), torch.randn(4 * gates, 4), *[None] * 9, False, every)
    with torch.device("meta"):
        traced = operator(*(t.to("meta") if isinstance(t, torch.Tensor) else t for t in given))
    assert [t.shape for t in operator(*given)] == [t.shape for t in traced]


RUN = """
import sys
sys.modules["longhold.kernels._cpu"] = None
import torch, longhold.kernels.native
from longhold.kernels.extension import why_missing

assert why_missing() is not None
program = torch.export.load(sys.argv[1]).module()
for x, expected in torch.load(sys.argv[2]):
    torch.testing.assert_close(program(x), expected)
print("ran")
"""


class Whole(torch.nn.Module):
    """Two layers, one of them with options."""

    def __init__(self) -> None:
        super().__init__()
        self.plain, self.normed = longhold.GRU(3, 5), longhold.LSTM(5, 4, layer_norm=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.normed(self.plain(x)[0])[0]


def test_an_exported_program_runs_without_the_extension(tmp_path: Path) -> None:
    module = Whole().eval()
    dims = {0: torch.export.Dim("T", min=2, max=4096), 1: torch.export.Dim("B", min=2, max=4096)}
    program = torch.export.export(module, (torch.randn(4, 3, 3),), dynamic_shapes=(dims,))
    torch.export.save(program, tmp_path / "program.pt2")
    assert any("longhold" in str(node.target) for node in program.graph.nodes)
    inputs = [torch.randn(7, 2, 3), torch.randn(2, 9, 3)]
    torch.save([(x, module(x).detach()) for x in inputs], tmp_path / "expected.pt")
    found = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "program.pt2"), str(tmp_path / "expected.pt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == "ran\n", found.stderr
