"""Text quality in a given time: `longhold train`, beside torch.nn on a known recipe, on the same characters.

    python -m benchmarks quality --text tinyshakespeare --minutes 10 --arm longhold
    python -m benchmarks quality --table                       what is stored, as Markdown

A run is one arm on one text: `longhold` is the command `longhold train FILE --budget TIME` with its defaults, from its
start to its end; `nn` is `benchmarks.word_language_model` as it stands; `nn-tuned` is that with Adam. All have the same
characters to learn from and keep the weights that are best on the same held-out characters. Then all are scored alike:
begun after a line break, one character after the other, with the state carried to the end. Where a text has a test
part, that is read once; where it has none, the held-out part has chosen the weights and is a little flattering, to all
arms alike. Each run is a JSON file under `benchmarks/results`.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine, store
from benchmarks.texts import TEXTS, NoData, Text

Found = dict[str, Any]
Arm = Callable[[Text, float, int, Path], Found]
"""Trains on a text for so many seconds with a seed, leaves a model in a file, and says what it came to."""


def main(arguments: Sequence[str]) -> int:
    """Run the chosen texts and store each."""
    options = _parser().parse_args(arguments)
    if options.table:
        print(table(stored(store.RESULTS)))
        return 0
    try:
        text = TEXTS[options.text]()
    except NoData as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    target = (
        options.output or store.RESULTS / f"{name_of(options.text, options.arm, options.minutes, options.seed)}.json"
    )
    found = measure(text, options.arm, 60 * options.minutes, options.seed, options.keep)
    document = {"quality": options.text, "arm": options.arm, "minutes": options.minutes, "seed": options.seed, **found}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(line(document))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", choices=tuple(TEXTS), default="timemachine")
    parser.add_argument("--arm", choices=tuple(ARMS), default="longhold")
    parser.add_argument("--minutes", type=_positive, default=10.0, help="of training")
    parser.add_argument("--seed", type=int, default=0, help="first weights, batches and dropout")
    parser.add_argument("--output", type=Path, help="the JSON file; default: one for each run, in benchmarks/results")
    parser.add_argument("--keep", type=Path, help="the file for the model; default: it is not kept")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what is stored")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(text)
    return value


def name_of(text: str, arm: str, minutes: float, seed: int) -> str:
    """What the file of a run is called."""
    return f"quality-{text}-{arm}-{minutes:g}m" + (f"-seed-{seed}" if seed else "")


def measure(text: Text, arm: str, seconds: float, seed: int, keep: Path | None = None) -> Found:
    """One run: how long it took, what it came to, and on what; the model goes to `keep`."""
    facts, load, date = machine.facts(), machine.load(), machine.now()
    with tempfile.TemporaryDirectory() as folder:
        found = ARMS[arm](text, seconds, seed, keep or Path(folder) / "model.safetensors")
    parts = {"learnt": text.train, "held_out": text.held} | ({} if text.test is None else {"test": text.test})
    return {
        "title": text.title,
        "characters": {name: len(part) for name, part in parts.items()},
        **found,
        "date": date,
        "load": [load, machine.load()],
        "machine": facts,
    }


def train(text: Text, seconds: float, seed: int, model_file: Path) -> float:
    """`longhold train` with its defaults in a process of its own; the seconds from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        source, saved = Path(folder) / "text.txt", Path(folder) / "model.safetensors"
        source.write_text(text.file, encoding="utf-8", newline="")
        command = [sys.executable, "-m", "longhold", "train", str(source), "--output", str(saved)]
        command += ["--budget", f"{seconds:g}s", "--held-out", repr(text.held_fraction), "--seed", str(seed)]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - began
        shutil.copyfile(saved, model_file)
    return wall


def longhold_arm(text: Text, seconds: float, seed: int, model_file: Path) -> Found:
    """The command line; then the file it left is read."""
    import longhold

    wall = train(text, seconds, seed, model_file)
    model = longhold.load(model_file)
    if model.facts.characters != len(text.train):
        raise RuntimeError(f"it was trained on {model.facts.characters} characters, expected {len(text.train)}")
    return {
        "wall_seconds": wall,
        "bits_per_character": _bits(text, lambda part: model.score(part).bits_per_character),
        "parameters": sum(parameter.numel() for parameter in model.model.parameters()),
        "steps": model.facts.steps,
        "characters_seen": model.facts.tokens_seen,
        "model": model.model.config.model_dump(mode="json", exclude_defaults=True),
    }


def nn_arm(name: str) -> Arm:
    """One of the recipes of `benchmarks.word_language_model`."""

    def run(text: Text, seconds: float, seed: int, model_file: Path) -> Found:
        import torch
        import torch._dynamo  # the first optimizer would import it, within its time
        from safetensors.torch import save_file

        from benchmarks.word_language_model import RECIPES, CharacterModel, evaluate, fit

        began = time.perf_counter()
        recipe = RECIPES[name]
        characters = sorted({"\n", *text.file, *(text.test or "")})
        number = {character: index for index, character in enumerate(characters)}
        train, held = (torch.tensor([number[c] for c in part]) for part in (text.train, text.held))
        torch.manual_seed(seed)
        model = CharacterModel(len(characters), recipe)
        course = fit(model, train, held, recipe, began + seconds)
        wall = time.perf_counter() - began
        save_file(model.state_dict(), model_file)

        def bits(part: str) -> float:
            return evaluate(model, torch.tensor([number[c] for c in "\n" + part]), columns=1) / math.log(2)

        return {
            "wall_seconds": wall,
            "bits_per_character": _bits(text, bits),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "steps": course.steps,
            "characters_seen": course.steps * recipe.batch * recipe.steps,
            "validations": [nats / math.log(2) for nats in course.validations],
            "learning_rates": course.rates,
        }

    return run


def _bits(text: Text, score: Callable[[str], float]) -> dict[str, float]:
    parts = {"held_out": text.held} | ({} if text.test is None else {"test": text.test})
    return {name: score(part) for name, part in parts.items()}


ARMS: dict[str, Arm] = {
    "longhold": longhold_arm,
    "nn": nn_arm("nn"),
    "nn-tuned": nn_arm("nn-tuned"),
}


def line(found: Found) -> str:
    """A run in few words."""
    bits = ", ".join(f"{name.replace('_', '-')} {value:.3f}" for name, value in found["bits_per_character"].items())
    return (
        f"{found['title']}, {found['arm']}: {bits} bits per character after {found['wall_seconds']:,.0f} s, "
        f"{found['parameters']:,} parameters, {found['characters_seen'] / found['characters']['learnt']:.1f} epochs"
    )


def stored(folder: Path) -> list[Found]:
    """The runs in a folder, in the order of texts and arms."""
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("quality-*.json"))]
    return sorted(runs, key=lambda run: (list(TEXTS).index(run["quality"]), list(ARMS).index(run["arm"])))


def table(runs: Sequence[Found]) -> str:
    """Markdown, a row for each run."""
    rows = [
        "| text | arm | seconds | parameters | epochs | held-out bits per character | test |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        bits = run["bits_per_character"]
        epochs = run["characters_seen"] / run["characters"]["learnt"]
        test = f"{bits['test']:.3f}" if "test" in bits else ""
        rows.append(
            f"| {run['title']} | {run['arm']} | {run['wall_seconds']:,.0f} | {run['parameters']:,} | {epochs:.1f} "
            f"| {bits['held_out']:.3f} | {test} |"
        )
    return "\n".join(rows)
