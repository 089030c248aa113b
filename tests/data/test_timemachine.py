import collections
import re

import numpy as np
import pytest

from longhold.data.corpora import demo_corpus
from longhold.data.timemachine import time_machine_tutorial
from longhold.errors import InputError


@pytest.fixture(scope="module")
def book() -> str:
    return demo_corpus().text


def test_the_tutorial_s_text(book: str) -> None:
    tutorial = time_machine_tutorial(book)
    assert len(tutorial.vocabulary) == 28
    assert tutorial.vocabulary[:4] == ("<unk>", " ", "e", "t")
    assert len(tutorial.train) == 10_000
    assert len(tutorial.held_out) == 170_580 - 10_000
    assert tutorial.decode(tutorial.train[:60]) == "the time machine by h g wellsithe time traveller for so it w"


def test_ids_equal_a_slow_reading(book: str) -> None:
    tutorial = time_machine_tutorial(book)
    characters = [c for line in book.splitlines(True) for c in re.sub("[^A-Za-z]+", " ", line).strip().lower()]
    counter = collections.Counter(characters)
    ranked = ["<unk>"] + [c for c, _ in sorted(counter.items(), key=lambda pair: pair[1], reverse=True)]
    assert list(tutorial.vocabulary) == ranked
    ids = [ranked.index(c) for c in characters]
    assert tutorial.train.tolist() == ids[:10_000]
    assert tutorial.held_out.tolist() == ids[10_000:]


def test_a_text_worked_by_hand() -> None:
    tutorial = time_machine_tutorial("--Ab, a!\n\n  12 b'B c\n", max_tokens=4)
    assert tutorial.vocabulary == ("<unk>", "b", " ", "a", "c")
    assert tutorial.decode(np.concatenate([tutorial.train, tutorial.held_out])) == "ab ab b c"
    assert tutorial.train.tolist() == [3, 1, 2, 3]


def test_characters_that_the_text_lacks_are_unknown() -> None:
    tutorial = time_machine_tutorial("abc abc", max_tokens=3)
    assert tutorial.encode("abZ").tolist() == [tutorial.vocabulary.index("a"), tutorial.vocabulary.index("b"), 0]
    assert tutorial.decode(np.array([0])) == "<unk>"
    with pytest.raises(InputError, match=r"0\.\.4, got 5"):
        tutorial.decode(np.array([5]))


@pytest.mark.parametrize(("text", "max_tokens"), [("", 10), ("123 456", 1), ("abc", 3), ("abc", 0)])
def test_a_text_that_leaves_nothing_is_refused(text: str, max_tokens: int) -> None:
    with pytest.raises(InputError, match=rf"the tutorial's {max_tokens} letters .* need more than"):
        time_machine_tutorial(text, max_tokens)
