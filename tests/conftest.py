"""What every test shares: seeds, the data folder, memory that starts as NaN, and a count of what was skipped."""

from __future__ import annotations

import os
import random
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from longhold.kernels import stream
from tests import skips

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
if SHARED_DATA.is_dir():
    os.environ.setdefault("LONGHOLD_DATA", str(SHARED_DATA))

with warnings.catch_warnings():
    # torch 2.13 calls its own deprecated `torch.jit.script` when forward-mode differentiation is first used.
    warnings.simplefilter("ignore", DeprecationWarning)
    import torch._decomp.decompositions_for_jvp

# Small products on many threads wait for each other more than they compute, and other tests may run beside this one.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C, what runs under nohup a closed terminal, and their children inherit that; a
# handler here gives the children the default again. Closing the terminal still does not end these tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)

# The same examples on every run: a red suite can be repeated, and nothing is written beside the code.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same generators, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; `LONGHOLD_CHROMIUM` names one that is not on the path."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("LONGHOLD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium)
        yield started
        started.close()


@pytest.fixture
def nan_memory() -> Iterator[None]:
    """`torch.empty` and its like hand out NaN, so that a value that is never written cannot pass for one that was."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    yield
    torch.utils.deterministic.fill_uninitialized_memory = fill
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture
def all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams use torch's number of threads at every size, without asking whether that is faster."""
    monkeypatch.setattr(stream._Pace, "threads", lambda pace, steps: nullcontext(torch.get_num_threads()))


def pytest_configure(config: pytest.Config) -> None:
    skips.pytest_configure(config)
    # torch.nn says this once a process, at whichever float32 test with a projection comes first.
    config.addinivalue_line("filterwarnings", "ignore:LSTM with projections is not supported with oneDNN")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=skips.NO_GPU))
