"""Runs sections, each in a process of its own, and keeps what they find."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import machine, store
from benchmarks.section import Section

SECTIONS = ("grid", "tutorial", "generation", "others", "memory", "extras", "threads", "growth", "startup")
"""In the order in which they run."""

_DRAWN = {"tables": "benchmarks.tables", "plots": "benchmarks.plots"}
_PROGRAMS = {name: f"benchmarks.{name}" for name in ("quality", "compression", "page", "recording")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was named; without a name every section, going on where an interrupted run stands."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments and arguments[0] in _PROGRAMS:
        ended: int = import_module(_PROGRAMS[arguments[0]]).main(arguments[1:])
        return ended
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in (*SECTIONS, *_DRAWN)]
    if unknown:
        parser.error(f"no section {unknown[0]!r}: expected some of {', '.join((*SECTIONS, *_DRAWN))}")
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    try:
        if not options.sections:
            return run_all(quick=options.quick, output=options.output, threads=options.threads)
        for name in options.sections:
            if name in SECTIONS:
                run_section(name, quick=options.quick, output=options.output)
            else:
                print(import_module(_DRAWN[name]).render(options.output or default_output()))
    except store.OtherFormat as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: `python -m benchmarks` continues with the section under way", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join((*SECTIONS, *_DRAWN)))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, nothing stored without --output")
    parser.add_argument(
        "--output", type=Path, help="the JSON file; default: one for each machine under benchmarks/results"
    )
    parser.add_argument("--threads", type=int, help="threads of torch; default: torch's own choice")
    return parser


def default_output() -> Path:
    """Where this machine's figures are kept."""
    return store.RESULTS / f"{machine.name(machine.facts())}.json"


def run_all(*, quick: bool, output: Path | None, threads: int | None) -> int:
    """Every section in a process of its own. They gather in a file beside the results, which replaces them at the end.

    After an interruption the same command continues with the sections that are not in that file, unless the machine, a
    version or the source has changed.
    """
    output = output or (Path(tempfile.gettempdir()) / "longhold-quick.json" if quick else default_output())
    gathered = output.with_suffix(".partial.json")
    done = _still_true(gathered, quick=quick)
    if done:
        print(f"going on after {', '.join(done)} (remove {gathered} to begin anew)")
    elif gathered.exists():
        gathered.unlink()
    broken = []
    for index, name in enumerate(SECTIONS, start=1):
        if name in done:
            continue
        print(f"\n[{index}/{len(SECTIONS)}] ", end="", flush=True)
        command = [sys.executable, "-m", "benchmarks", name, "--output", str(gathered)]
        command += ["--quick"] * quick + ([] if threads is None else ["--threads", str(threads)])
        if subprocess.run(command, cwd=machine.ROOT, check=False).returncode != 0:
            broken.append(name)
    if broken:
        print(f"\nnot finished: {', '.join(broken)}; the same command tries them again")
        return 1
    gathered.replace(output)
    print(f"\nwritten to {output}")
    return 0


def _still_true(gathered: Path, *, quick: bool) -> list[str]:
    sections = store.read(gathered)["sections"]
    as_now = {"machine": machine.facts(), "quick": quick}
    kept = [name for name in SECTIONS if name in sections]
    return kept if all(as_now.items() <= sections[name].items() for name in kept) else []


def run_section(name: str, *, quick: bool, output: Path | None) -> None:
    """Measure one section, print it, and store it: always with `output`, else only in full."""
    target = output or (None if quick else default_output())
    if target is not None:
        store.read(target)  # refuses now rather than after an hour
    section: Section = import_module(f"benchmarks.{name}").SECTION
    facts, load, date = machine.facts(), machine.load(), machine.now()
    print(f"{name}: {section.title}")
    print(", ".join(f"{key} {value}" for key, value in facts.items()) + f", load {load:.1f}", flush=True)
    began, rows = time.perf_counter(), []
    for row in section.rows(quick):
        rows.append(row)
        print(section.line(row), flush=True)
    seconds = time.perf_counter() - began
    print("" if not quick else "\nthe quick form: its figures say that it runs, and nothing else")
    print("\n".join(section.summary(rows)))
    print(f"{name}: {seconds:.0f} s, load at the end {machine.load():.1f}", flush=True)
    found = {
        "machine": facts,
        "date": date,
        "load": [load, machine.load()],
        "seconds": seconds,
        "quick": quick,
        "rows": rows,
    }
    if target is not None:
        store.put(target, name, found)
