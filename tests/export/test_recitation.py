"""The longest shared run against the quadratic table, and against runs that were planted."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.export.recitation import SHOWN, longest_shared, recitation


def by_table(sample: str, text: str) -> int:
    """Length of the longest common substring, by the table of all pairs of ends."""
    best, above = 0, [0] * (len(text) + 1)
    for character in sample:
        row = [0]
        for place, other in enumerate(text):
            row.append(above[place] + 1 if character == other else 0)
        best, above = max(best, *row), row
    return best


@given(sample=st.text("abc", max_size=30), text=st.text("abc", max_size=30))
def test_it_is_the_longest(sample: str, text: str) -> None:
    run = longest_shared(sample, text)
    assert run in sample
    assert run in text
    assert len(run) == by_table(sample, text)


@pytest.mark.parametrize(
    ("sample", "text", "run"),
    [("", "abc", ""), ("abc", "", ""), ("abc", "xyz", ""), ("abcab", "zzabz", "ab"), ("一二三四", "〇二三五", "二三")],
)
def test_small_cases(sample: str, text: str, run: str) -> None:
    assert longest_shared(sample, text) == run


def test_of_several_the_first_in_the_training_text() -> None:
    assert longest_shared("cd-ab", "ab-cd") == "ab"


@pytest.mark.timeout(120)  # the table of all pairs has 3e9 entries
def test_a_planted_run_is_found_without_the_table_of_all_pairs() -> None:
    letters = random.Random(5)
    training = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz ", k=300_000))
    sample = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz ", k=9_700)) + "#" + training[123_456:123_755]
    assert longest_shared(sample, training) == training[123_456:123_755]


def test_a_text_of_one_letter_is_no_worse() -> None:
    assert longest_shared("a" * 5_000 + "b", "a" * 20_000) == "a" * 5_000


def test_no_more_is_written_than_is_needed() -> None:
    drawn = []

    def pieces() -> Iterator[str]:
        while True:
            drawn.append(None)
            yield "tick tock "

    found = recitation(pieces(), "the clock says tick tock tick, no more", 104)
    assert (found.sampled, found.training, len(drawn)) == (104, 38, 11)
    assert found.run == " tick tock tick"


def test_a_model_that_stops_early_is_taken_as_it_is() -> None:
    assert recitation(["ab", "c"], "xabcx", 10).sampled == 3


def test_the_line_is_one_line_and_bounded() -> None:
    text = "a\nb\x1b[31m" * 100
    line = str(recitation([text], text, len(text)))
    assert f"has {len(text)} characters (the first {SHOWN} of them)" in line
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 6 * SHOWN
