"""What `train` says at the end."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from longhold.cli.output import say
from longhold.cli.settings import model_path
from longhold.files import argument
from longhold.training.recipe import TrainedText

_SHOWN = 400
DEFAULTS = {"--encoding": None, "--held-out": 0.1, "--device": "cpu"}
"""Flags that going on needs again where they were given otherwise."""
_WANT_TIME = ("improving", "annealed", "short")


def tell(trained: TrainedText, source: str, path: Path, flags: Mapping[str, object]) -> None:
    """A sample, the figures, and what can be done next; `flags` are those that going on needs again."""
    if trained.sample is not None:
        say(f"it writes: {trained.sample[:_SHOWN].rstrip()}")
    if trained.words is not None and trained.words.total:
        words = trained.words
        say(f"{words.fraction:.0%} of the {words.total:,} {words.unit} that it wrote occur in the training text")
    if trained.held_out_bits is not None:
        per_byte = f"{trained.held_out_bits_per_byte:.3f} bits per byte"
        say(f"{trained.held_out_bits:.3f} bits per character on held-out text, {per_byte}")
    if trained.diagnosis is not None and trained.diagnosis.kind in _WANT_TIME:
        piped = ", with the same text on standard input" if source == "-" else ""
        say(f"go on{piped}: {going_on(source, path, flags)}")
    prime = f" --prime {shlex.quote(trained.opening)}" if trained.opening else ""
    say(f"saved in {argument(path)}; write with it: longhold write {argument(path)}{prime}")


def going_on(source: str, path: Path, flags: Mapping[str, object]) -> str:
    """The command that goes on with a model."""
    words = ["longhold", "train", argument(source), "--more", "10m"]
    words += [] if path == model_path(source, None) else ["-o", argument(path)]
    for name, value in flags.items():
        words += [] if value == DEFAULTS[name] else [name, shlex.quote(str(value))]
    return " ".join(words)
