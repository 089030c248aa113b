import gzip
import os

import numpy as np
import pytest
import torch

from longhold.errors import InputError
from longhold.tasks import IGNORE_INDEX, Digits
from tests.tasks.small_digits import write

COUNT = 43


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """All images `(N, 784)` and labels, in files of their own."""
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    return write(tmp_path / "mnist", COUNT)


@pytest.mark.parametrize("task", [Digits(), Digits("permuted"), Digits("rows", 28), Digits("permuted", 4, "tested")])
def test_a_sequence_is_an_image_and_its_answer_the_label(task, whole) -> None:
    images, labels = whole
    order = np.random.default_rng(0).permutation(784) if task.order == "permuted" else np.arange(784)
    numbers = [n for n in range(COUNT) if (n % 5 == 4) == (task.part == "tested")]
    batch = task.batches(seed=1, batch_size=17).at(2)
    assert batch.inputs.shape == (784 // task.pixels, 17, task.pixels)
    for b in range(17):
        read = [round(255 * value) for value in batch.inputs[:, b].flatten().tolist()]
        (number,) = [n for n in numbers if images[n][order].tolist() == read]
        assert batch.targets[:, b].tolist() == [IGNORE_INDEX] * (task.length - 1) + [labels[number]]


def test_every_image_is_trained_on_or_tested_on_and_the_test_has_each_once(whole) -> None:
    images, _ = whole
    task = Digits(pixels=784)
    seen = {tuple(row) for row in _rows(task.batches(0, 500).at(0).inputs)}
    tested = _rows(task.examination.batches(0, COUNT // 5).at(0).inputs)
    assert len(tested) == len({tuple(row) for row in tested}) == COUNT // 5
    assert not seen & {tuple(row) for row in tested}
    assert seen | {tuple(row) for row in tested} == {tuple(row) for row in images.tolist()}
    assert torch.equal(task.examination.batches(3, 8).at(1).inputs, task.examination.batches(4, 8).at(1).inputs)


def _rows(inputs):
    return (inputs[0] * 255).round().long().tolist()


@pytest.mark.parametrize("part", ["trained", "tested"])
def test_chance_is_the_share_of_the_commonest_digit(part, whole) -> None:
    task = Digits(part=part)
    labels = [label for n, label in enumerate(whole[1]) if (n % 5 == 4) == (part == "tested")]
    assert task.chance == max(labels.count(digit) for digit in range(10)) / len(labels)


def test_files_that_are_not_there_or_not_that_are_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    with pytest.raises(InputError, match="digits are read from mnist/ in LONGHOLD_DATA, which names no folder"):
        Digits().batches(0, 2).at(0)
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"cannot read .*t10k-images-idx3-ubyte\.gz: No such file"):
        Digits().batches(0, 2).at(0)
    for name, spoil, message in (
        ("plain", lambda path: path.write_bytes(b"no gzip"), "cannot read .*: Not a gzipped file"),
        ("cut", lambda path: path.write_bytes(path.read_bytes()[:30]), "cannot read .*: Compressed file ended"),
        ("other", lambda path: path.write_bytes(gzip.compress(b"\0\0\b\1" + bytes(40))), "is not the IDX file"),
        ("short", lambda path: path.write_bytes(gzip.compress(b"\0\0\b\3" + bytes(40))), "12 labels and 28 pixels"),
    ):
        monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path / name))
        write(tmp_path / name / "mnist", 12)
        spoil(tmp_path / name / "mnist" / "t10k-images-idx3-ubyte.gz")
        with pytest.raises(InputError, match=message) as caught:
            Digits().batches(0, 2).at(0)
        assert "\n" not in str(caught.value)


def test_pixels_of_a_step_divide_an_image() -> None:
    with pytest.raises(InputError, match="digits: pixels=5: expected a divisor of 784"):
        Digits(pixels=5)


@pytest.mark.skipif(not os.environ.get("LONGHOLD_DATA"), reason="the images lie in LONGHOLD_DATA")
def test_the_images_are_those_of_mnist() -> None:
    task = Digits()
    batch = task.examination.batches(0, 2000).at(0)
    assert batch.inputs.shape == (784, 2000, 1)
    counts = torch.bincount(batch.targets[-1], minlength=10)
    assert counts.min() > 150
    assert task.examination.chance == counts.max().item() / 2000 < 0.13
    assert 0.1 < batch.inputs.mean() < 0.2
