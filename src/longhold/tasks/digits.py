"""Handwritten digits read pixel by pixel, from the 10,000 test images of MNIST alone."""

import gzip
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from longhold.errors import InputError
from longhold.tasks.task import Task, TaskBatch, at_steps

SIDE = 28
"""Pixels of an image's side."""

_CLASSES = 10
_FOLDS = 5  # every fifth image is tested on
_FILES = {"images": ("t10k-images-idx3-ubyte.gz", 0x803, 16), "labels": ("t10k-labels-idx1-ubyte.gz", 0x801, 8)}
_MOST = 100_000  # images that a file may have


class _Images(NamedTuple):
    pixels: NDArray[np.uint8]
    """`(N, 784)`, the rows of an image one after the other."""
    labels: NDArray[np.int64]
    """`(N,)`."""


@final
@dataclass(frozen=True)
class Digits(Task):
    """Which digit an image shows, after its pixels have been read in turn.

    Sequential and permuted MNIST (Le, Jaitly and Hinton 2015) as to form: pixels from 0 to 1, row after row or in an
    order that was drawn once, and one answer at the end. As to data it is neither: only the 10,000 test images
    (`mnist/t10k-*.gz` in `LONGHOLD_DATA`) are used, four of five for training and every fifth for testing, so that its
    figures never stand beside published ones. The permutation is numpy's PCG64 with seed 0; other codes draw others.

    Chance is the fraction of the commonest digit among the images of the part.

    Raises:
        InputError: when sequences are drawn or chance is read: the files are not there, or are no such files.
    """

    name: ClassVar[str] = "digits"
    continuous: ClassVar[bool] = True

    order: Literal["rows", "permuted"] = "rows"
    """In which order the pixels are read."""
    pixels: Annotated[int, Field(ge=1, le=SIDE * SIDE)] = 1
    """Pixels of a step, a divisor of 784: 1 for 784 steps, 28 for a row a step."""
    part: Literal["trained", "tested"] = "trained"
    """Which images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if SIDE * SIDE % self.pixels:
            raise InputError(f"digits: pixels={self.pixels}: expected a divisor of {SIDE * SIDE}")

    @property
    def length(self) -> int:
        return SIDE * SIDE // self.pixels

    @property
    def input_size(self) -> int:
        return self.pixels

    @property
    def output_size(self) -> int:
        return _CLASSES

    @property
    def chance(self) -> float:
        labels = self._images().labels
        return float(np.bincount(labels).max() / len(labels))

    @property
    def examination(self) -> "Digits":
        """The images that are not trained on, each in its turn."""
        return Digits(self.order, self.pixels, "tested")

    @property
    def tested_sequences(self) -> int:
        return max(1000, len(self._images().labels)) if self.part == "tested" else 1000

    def sample_batch(self, generator: torch.Generator, batch_size: int) -> TaskBatch:
        return self._numbered(torch.randint(len(self._images().labels), (batch_size,), generator=generator))

    def batch_at(self, seed: int, step: int, batch_size: int) -> TaskBatch:
        if self.part == "trained":
            return super().batch_at(seed, step, batch_size)
        return self._numbered((torch.arange(batch_size) + step * batch_size) % len(self._images().labels))

    def _numbered(self, number: Tensor) -> TaskBatch:
        images = self._images()
        chosen = torch.from_numpy(images.pixels[number.numpy()]).float() / 255  # (B, 784)
        if self.order == "permuted":
            chosen = chosen[:, torch.from_numpy(np.random.default_rng(0).permutation(SIDE * SIDE))]
        inputs = chosen.reshape(len(number), self.length, self.pixels).transpose(0, 1).contiguous()
        last = torch.full((len(number),), self.length - 1)
        targets = at_steps(last, torch.from_numpy(images.labels[number.numpy()]), self.length)
        return TaskBatch(inputs, targets, targets >= 0)

    def _images(self) -> _Images:
        whole = _read(_folder())
        tested = np.arange(len(whole.labels)) % _FOLDS == _FOLDS - 1
        chosen = tested if self.part == "tested" else ~tested
        return _Images(whole.pixels[chosen], whole.labels[chosen])


def _folder() -> Path:
    data = os.environ.get("LONGHOLD_DATA")
    if not data:
        raise InputError("digits are read from mnist/ in LONGHOLD_DATA, which names no folder")
    return Path(data) / "mnist"


@cache
def _read(folder: Path) -> _Images:
    """All images and their labels; read once in a process."""
    pixels, labels = (_values(folder / name, magic, head) for name, magic, head in _FILES.values())
    if not len(labels) or len(pixels) != len(labels) * SIDE * SIDE or labels.max() >= _CLASSES:
        raise InputError(
            f"{folder} has {len(labels)} labels and {len(pixels)} pixels: expected 784 to a label of 0 to 9"
        )
    return _Images(pixels.reshape(-1, SIDE * SIDE), labels.astype(np.int64))


def _values(path: Path, magic: int, head: int) -> NDArray[np.uint8]:
    """The bytes of an IDX file beyond its head."""
    try:
        with gzip.open(path) as file:
            raw = file.read(head + _MOST * SIDE * SIDE)
    except (OSError, EOFError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) < head or int.from_bytes(raw[:4], "big") != magic:
        raise InputError(f"{path} is not the IDX file of MNIST that it is called")
    return np.frombuffer(raw, np.uint8, offset=head)
