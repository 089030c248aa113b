"""Times longhold's layers against torch.nn's, interleaved in one run; prints a table and writes JSON.

    python benchmarks/run.py [--grid] [--rounds 9] [--output benchmarks/results/NAME.json]

Forward alone (no_grad) and forward + backward; medians. The ceiling is a 1024^3 sgemm timed between the others. FLOPs
count products over valid steps only. For ragged batches torch.nn gets the faster of packed and padded (which computes
on padding).
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cases import GATES, GRID, QUICK, Case
from torch.nn.utils.rnn import pack_padded_sequence

import longhold
from longhold.kernels.extension import loaded, why_missing


def lengths_of(case: Case) -> torch.Tensor:
    """Uniform in [T/3, T], the same for the same case."""
    generator = torch.Generator().manual_seed(case.steps * case.batch)
    return torch.randint(max(1, case.steps // 3), case.steps + 1, (case.batch,), generator=generator)


def layers(case: Case) -> tuple[Any, Any]:
    """torch's layer and ours with the same weights."""
    theirs = getattr(torch.nn, case.cell)(case.inputs, case.hidden)
    ours = getattr(longhold, case.cell)(case.inputs, case.hidden)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def seconds(function: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def with_backward(forward: Callable[[], torch.Tensor], layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Forward, then backward from a random gradient."""

    def run() -> None:
        layer.zero_grad()
        x.grad = None
        output = forward()
        output.backward(torch.ones_like(output))

    return run


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """All timings of a case."""
    torch.manual_seed(0)
    theirs, ours = layers(case)
    x = torch.randn(case.steps, case.batch, case.inputs, requires_grad=case.inputs == case.hidden)
    lengths = lengths_of(case) if case.ragged else None
    forwards: dict[str, tuple[Any, Callable[[], torch.Tensor]]] = {
        "torch": (theirs, lambda: theirs(x)[0]),
        "longhold": (ours, lambda: ours(x, lengths=lengths)[0]),
    }
    if lengths is not None:
        packed = pack_padded_sequence
        forwards["torch packed"] = (theirs, lambda: theirs(packed(x, lengths, enforce_sorted=False))[0].data)
    square = torch.randn(1024, 1024)
    calls: dict[str, Callable[[], object]] = {"sgemm": lambda: square @ square}
    for name, (layer, forward) in forwards.items():
        calls[f"{name} training"] = with_backward(forward, layer, x)
        calls[f"{name} forward"] = torch.no_grad()(forward)
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    return summary(case, {name: statistics.median(found) for name, found in times.items()}, lengths)


def summary(case: Case, median: dict[str, float], lengths: torch.Tensor | None) -> dict[str, Any]:
    """Ratios and the fraction of the ceiling."""
    valid = case.steps * case.batch if lengths is None else int(lengths.sum())
    rows = GATES[case.cell] * case.hidden
    products = 3 * case.hidden + (3 if case.inputs == case.hidden else 2) * case.inputs
    flops = 2 * valid * rows * products
    ceiling = 2 * 1024**3 / median["sgemm"]
    found: dict[str, Any] = {"case": case.name, **case.__dict__, "seconds": median}
    for way in ("training", "forward"):
        best = min(median[name] for name in median if name.startswith("torch") and name.endswith(way))
        found[f"{way}_ratio"] = best / median[f"longhold {way}"]
    found["gflops"] = flops / median["longhold training"] / 1e9
    found["of_ceiling"] = flops / median["longhold training"] / ceiling
    return found


def machine() -> dict[str, Any]:
    """What the figures belong to; no host name."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    processor = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return {
        "processor": processor or platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "longhold": longhold.__version__,
        "python": platform.python_version(),
        "instruction_set": why_missing() or loaded().instruction_set(),
    }


def main() -> None:
    """Run the cases and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", action="store_true", help="the whole grid instead of thirty cases")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"{'case':38} {'training':>9} {'forward':>9} {'GFLOP/s':>9} {'ceiling':>9}")
    rows = []
    for case in GRID if options.grid else QUICK:
        row = measure(case, options.rounds)
        rows.append(row)
        ratios = f"{row['training_ratio']:8.2f}x {row['forward_ratio']:8.2f}x"
        print(f"{row['case']:38} {ratios} {row['gflops']:9.0f} {row['of_ceiling']:8.0%}", flush=True)
    for cell in GATES:
        for ragged in (False, True):
            chosen = [row["training_ratio"] for row in rows if row["cell"] == cell and row["ragged"] == ragged]
            mean = statistics.geometric_mean(chosen)
            print(f"{cell} {'ragged' if ragged else 'padded'}: geometric mean {mean:.2f}x, least {min(chosen):.2f}x")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
