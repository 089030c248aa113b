"""The tutorial's job: three loops that learn, and the limit that they are held to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import tutorial
from longhold.data.batching import ContiguousBatches
from longhold.training import TrainResult


def test_flops_of_a_token_are_the_products_of_a_step() -> None:
    # 78,000 tokens/s was the arithmetic limit at 126 GFLOP/s when issue 3 was written.
    assert 126e9 / tutorial.flops_per_token(256) == pytest.approx(78_000, rel=0.01)


@pytest.fixture
def certain() -> ContiguousBatches:
    """Batches in which what follows is certain."""
    return ContiguousBatches(np.tile(np.arange(8), 400), tutorial.BATCH, tutorial.STEPS, 0)


@pytest.mark.parametrize("make", [tutorial.torch_job, tutorial.scratch_job])
def test_torchs_loops_take_their_steps_and_learn(
    make: Callable[[ContiguousBatches, int], tutorial.Job], certain: ContiguousBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    plain = F.cross_entropy

    def noted(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = plain(outputs, targets)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(F, "cross_entropy", noted)
    make(certain, 16)(12)
    assert len(losses) == 12
    assert losses[-1] < losses[0] - 0.5


def test_longholds_loop_takes_its_steps_and_learns(certain: ContiguousBatches) -> None:
    run = tutorial.longhold_job(certain, 16)
    first, later = run(1), run(80)
    assert isinstance(first, TrainResult)
    assert isinstance(later, TrainResult)
    assert later.steps == 80
    assert later.loss < first.loss - 0.5


def test_the_text_is_the_book_or_chance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    letters, name = tutorial.text()
    assert name == "random letters"
    assert len(set(letters)) == 27
    (tmp_path / "timemachine.txt").write_text("a book", encoding="utf-8")
    assert tutorial.text() == ("a book", "The Time Machine")


def test_a_row_and_its_bars() -> None:
    (row,) = tutorial.SECTION.rows(True)
    assert row["tokens_per_second"].keys() == {"longhold", "torch", "scratch"}
    assert min(row["tokens_per_second"].values()) > 0
    assert row["limit_tokens_per_second"] == pytest.approx(1e9 * row["ceiling_gflops"] / tutorial.flops_per_token(8))
    made_up = {**row, "tokens_per_second": {"longhold": 70.0, "torch": 50.0, "scratch": 20.0}}
    bars = tutorial.bars({**made_up, "limit_tokens_per_second": 80.0})
    assert [bar.reached for bar in bars] == [True, False, True]
    assert tutorial.line(row).startswith("tokens/s on ")
