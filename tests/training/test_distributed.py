"""Two workers against one process, with and without the loss of a worker on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longhold.models.file import read_model
from longhold.training import text_batches, train
from tests.training.kill_and_resume import ROOT
from tests.training.program import HELD_OUT, config, model, standing, tokens


def torchrun(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", "-m", "tests.training.program", str(folder), "--dropout", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("lose", [False, True])
def test_two_workers_train_what_one_process_trains(lose: bool, tmp_path: Path) -> None:
    options = ["--checkpoint-every", "4", "--optimizer", "sgd"]
    done = torchrun(tmp_path, *options, *(["--lose-worker-at", "17"] if lose else []))
    assert done.returncode == 0, done.stderr
    assert ("exitcode: -9" in done.stderr) == lose, done.stderr

    alone = model(dropout=0)
    settings = config(optimizer="sgd")
    result = train(alone, text_batches(tokens(), settings), settings, held_out=HELD_OUT)
    tensors, document = read_model(tmp_path / "checkpoint.safetensors")
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(tensors[f"best/{name}"], tensor, rtol=1e-5, atol=1e-5)
    counters = document["counters"]
    assert counters["best_held_out"] == pytest.approx(result.held_out, rel=1e-5)
    assert counters["smoothed"] == pytest.approx(result.loss, rel=1e-5)
    assert counters["tokens"] == result.tokens
    assert tensors["state/0"].shape == (2, 6, 12)  # the rows of both workers
    assert [line["step"] for line in standing(tmp_path).metrics] == [4, 7, 8, 12, 14, 16, 20, 21, 24, 28, 30]


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_workers(tmp_path: Path) -> None:
    assert torchrun(tmp_path, "--checkpoint-every", "4").returncode == 0
