"""Two workers, one of them lost on the way, against one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longhold.errors import InputError
from longhold.models.file import read_model
from longhold.training import is_main, join, local_device, text_batches, train
from longhold.training.distributed import Workers
from tests.training.kill_and_resume import ROOT
from tests.training.program import HELD_OUT, config, model, standing, tokens


def torchrun(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", "-m", "tests.training.program", str(folder), "--dropout", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_two_workers_one_lost_on_the_way_train_what_one_process_trains(tmp_path: Path) -> None:
    done = torchrun(tmp_path, "--checkpoint-every", "4", "--optimizer", "sgd", "--lose-worker-at", "17")
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr, done.stderr

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


def test_without_torchrun_there_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    workers = join()
    assert workers == Workers(0, 1)
    assert workers.main
    assert is_main()
    assert workers.from_main(lambda: 5) == 5
    assert workers.mean([1.5, 2.0]) == workers.largest([1.5, 2.0]) == [1.5, 2.0]
    assert workers.gather("x") == ["x"]
    linear = torch.nn.Linear(1, 1)
    assert workers.wrap(linear, some_unused=False) is linear


def test_the_environment_says_which_worker_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not is_main()


def test_devices() -> None:
    assert local_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="'gpu'"):
        local_device("gpu")
    with pytest.raises(InputError, match="CUDA device"):
        local_device("cuda:99")
