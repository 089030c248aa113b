"""What `train` says at the end."""

import shlex
from pathlib import Path

from longhold.cli.output import say
from longhold.training.recipe import TrainedText

_SHOWN = 400
_WANT_TIME = ("improving", "annealed", "short")


def tell(trained: TrainedText, source: str, path: Path) -> None:
    """A sample, the figures, and what can be done next."""
    if trained.sample is not None:
        say(f"it writes: {trained.sample[:_SHOWN].rstrip()}")
    if trained.words is not None and trained.words.total:
        words = trained.words
        say(f"{words.share:.0%} of the {words.total:,} {words.unit} that it wrote occur in the training text")
    if trained.held_out_bits is not None:
        per_byte = f"{trained.held_out_bits_per_byte:.3f} bits per byte"
        say(f"{trained.held_out_bits:.3f} bits per character on held-out text, {per_byte}")
    if trained.diagnosis is not None and trained.diagnosis.kind in _WANT_TIME:
        same = [] if path.name == f"{Path(source).stem}.safetensors" else ["-o", str(path)]
        say(f"go on: {shlex.join(['longhold', 'train', source, '--more', '10m', *same])}")
    prime = f" --prime {shlex.quote(trained.opening)}" if trained.opening else ""
    say(f"saved in {path}; write with it: longhold write {shlex.quote(str(path))}{prime}")
