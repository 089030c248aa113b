"""Repetition found by fingerprints, against slow sets of every stretch."""

import random

import pytest

from longhold.data import held_text, overlap
from longhold.data.held_text import HeldText
from longhold.data.overlap import STRETCH, cautions, near_twins, repeated_fraction, repetition, shared_fraction

LETTERS = "abcdefghij \n其眼閃爍\U0001f600"


def noise(count: int, seed: int = 0, letters: str = LETTERS) -> str:
    return "".join(random.Random(seed).choices(letters, k=count))


def stretches(text: str) -> list[str]:
    return [text[start : start + STRETCH] for start in range(len(text) - STRETCH + 1)]


@pytest.mark.parametrize(
    "text",
    [
        noise(500),
        noise(200) * 2 + noise(100, 1),
        "a" * 100,
        noise(STRETCH),
        noise(STRETCH) + "x",
        noise(5, letters="ab"),
    ],
    ids=range(6),
)
def test_the_share_of_stretches_that_stood_before(text: str) -> None:
    every = stretches(text)
    expected = 1 - len(set(every)) / len(every) if every else 0
    assert repeated_fraction(text) == pytest.approx(expected)


def test_the_share_that_stands_elsewhere() -> None:
    text, other = noise(300) + noise(200, 1), noise(150, 2) + noise(200, 1)[20:170]
    there = set(stretches(other))
    expected = sum(stretch in there for stretch in stretches(text)) / len(stretches(text))
    assert 0.2 < expected < 0.3
    assert shared_fraction(text, other) == pytest.approx(expected)
    assert shared_fraction(text[:10], other) == shared_fraction(text, other[:10]) == 0


def test_long_texts_are_sampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = noise(60_000) + noise(20_000)
    assert repeated_fraction(text) == pytest.approx(0.25, abs=0.02)
    whole = sorted(overlap._fingerprints(text, 16).tolist())
    monkeypatch.setattr(overlap, "_BLOCK", 1000)
    assert sorted(overlap._fingerprints(text, 16).tolist()) == whole
    monkeypatch.setattr(held_text, "_PIECE", 5000)
    assert sorted(overlap._fingerprints(HeldText.of(text), 16).tolist()) == whole


def test_of_very_long_texts_fewer_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_SOME_BELOW", 70_000)
    text = noise(200_000) + noise(60_000)
    assert repeated_fraction(text) == pytest.approx(60 / 260, abs=0.05)
    assert len(overlap._fingerprints(text, overlap._every(len(text)))) < 1500


def test_too_few_stretches_of_a_sample_say_nothing() -> None:
    head = noise(100_000)
    assert repetition(head, head[:200]).shared is None
    assert repetition(head, head[:2000]).shared == 1.0


def test_nearly_equal_texts_are_twins() -> None:
    first, second = noise(2000), noise(2000, 1)
    edited = first[:900] + "X" + first[901:1500] + first[1520:]
    half = first[:1000] + noise(1000, 3)
    assert near_twins([first, second, edited, half]) == [(0, 2)]
    assert near_twins([edited, second, first, first, second]) == [(0, 2), (2, 3), (1, 4)]
    assert near_twins([first, first * 3]) == [(0, 1)]  # the longer one holds hardly anything else
    assert near_twins(["short", "", "short", "", " "]) == [(0, 2)]
    assert near_twins([]) == []


def test_a_part_of_a_longer_text_is_no_twin() -> None:
    first = noise(2000)
    assert near_twins([first, first[:800]]) == []


def test_cautions_are_sentences_with_their_figures() -> None:
    line = noise(400)
    assert cautions(noise(2000), noise(200, 1)) == ()
    assert cautions(line * 5, noise(200, 1)) == (
        f"{repeated_fraction(line * 5):.0%} of the text repeats, word for word, what stood before: "
        "the model memorizes it",
    )
    (found,) = cautions(noise(2000), noise(2000)[:300])
    assert found.startswith("100% of the held-out text also stands in the training text")
    assert cautions("a" * 30, "a" * 30) == ()  # too little to speak of shares


def test_lone_surrogates_do_not_matter() -> None:
    assert repeated_fraction("\ud800" * 100) > 0.9


def test_only_shares_of_a_tenth_or_more_are_told() -> None:
    text = noise(2000)
    assert repetition(text, noise(200, 1)) == (None, None)
    assert repetition(text * 2, text[:300]) == (repeated_fraction(text * 2), 1.0)
    assert repetition(text + text[:100], noise(200, 1)) == (None, None)
