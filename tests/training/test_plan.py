"""What a long text costs in memory, measured in a process of its own."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

BOUND = 6.0
"""Bytes of memory for each byte of text."""

MEGABYTES = 24

PROGRAM = """
import resource, sys
import longhold

def train(path):
    training = {"steps": 1, "batch_size": 4, "sequence_length": 16, "warmup_steps": 0}
    longhold.train(path, hidden_size=8, num_layers=1, held_out=0.0005, training=training)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

small = train(sys.argv[1])
print(train(sys.argv[2]) - small)
"""


def written(folder: Path, words: list[str], gap: str) -> tuple[Path, Path]:
    """A text of so many megabytes in which hardly anything repeats, and one of as many characters of few."""
    generator = random.Random(0)
    part = gap.join(generator.choices(words, k=200_000))
    large, small = folder / "large.txt", folder / "small.txt"
    small.write_text(part[:20_000], encoding="utf-8")
    with large.open("w", encoding="utf-8") as file:
        while file.tell() < MEGABYTES * 1_000_000:
            start = generator.randrange(100)
            file.write(part[start:])
    return large, small


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "gap"),
    [(["the", "time", "traveller", "said", "\U0001f600", "and\n"], " "), (list("时间旅行者说道，中文。\n"), "")],
    ids=["four bytes a character as str", "Chinese"],
)
def test_a_long_text_takes_few_bytes_a_byte(tmp_path: Path, words: list[str], gap: str) -> None:
    large, small = written(tmp_path, words, gap)
    command = [sys.executable, "-c", PROGRAM, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    assert int(done.stdout) / large.stat().st_size < BOUND
