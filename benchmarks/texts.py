"""The texts that quality and compression are measured on, cut into a training part and parts held out."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from longhold.data.corpora import split


@final
@dataclass(frozen=True)
class Text:
    """A text in its parts, in their order."""

    title: str
    """What it is called in a table."""
    train: str
    """What is trained on."""
    held: str
    """What follows it: never trained on, but the weights that are best here are kept."""
    test: str | None = None
    """What is looked at once, at the end; None where the text has no such part of its own."""

    @property
    def file(self) -> str:
        """What a program is given that holds out the end by itself."""
        return self.train + self.held

    @property
    def held_fraction(self) -> float:
        """The fraction that it holds out."""
        return len(self.held) / len(self.file)


class NoData(ValueError):
    """A text is not there; the message names where it was looked for."""


def _whole(title: str, path: str) -> Text:
    return Text(title, *split(_read(path)))


def penn_treebank() -> Text:
    """Penn Treebank by characters in its own three parts (Mikolov et al. 2012).

    The files have a space between characters and `_` for a space; both are undone, so that there are 50 characters. The
    line break counts as one of them.
    """
    train, held, test = (penn_treebank_part(part) for part in ("train", "valid", "test"))
    return Text("Penn Treebank, characters", train, held, test)


def penn_treebank_part(name: str) -> str:
    """`train`, `valid` or `test`, as text."""
    lines = _read(f"ptb/ptb.char.{name}.txt").split("\n")
    return "\n".join("".join(line.split()).replace("_", " ") for line in lines)


def _read(name: str) -> str:
    folder = os.environ.get("LONGHOLD_DATA")
    if not folder:
        raise NoData("LONGHOLD_DATA is not set, expected the folder of the texts")
    try:
        return (Path(folder) / name).read_text(encoding="utf-8")
    except OSError as error:
        raise NoData(f"cannot read {name} in the folder LONGHOLD_DATA: {error.strerror}") from None


TEXTS: dict[str, Callable[[], Text]] = {
    "timemachine": lambda: _whole("The Time Machine", "timemachine.txt"),
    "tinyshakespeare": lambda: _whole("tiny Shakespeare", "tinyshakespeare.txt"),
    "zh": lambda: _whole("Dream of the Red Chamber (Chinese)", "zh/hongloumeng.txt"),
    "ptb": penn_treebank,
}
"""By the names of the command line; of the first three the last tenth is held out."""
