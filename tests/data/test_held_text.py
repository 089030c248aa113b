"""A held text against the `str` that it stands for."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data import held_text
from longhold.data.held_text import HeldText, pieces, seamed

ANY = st.text(st.sampled_from("ab \n\t.'é中、。\U0001f600\ud800"), max_size=60)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and pieces so small that a short text has many."""
    monkeypatch.setattr(held_text, "_BLOCK", 7)
    monkeypatch.setattr(held_text, "_PIECE", 5)


@given(text=ANY)
def test_it_is_the_text(text: str) -> None:
    held = HeldText.of(text)
    assert str(held) == text
    assert len(held) == len(text)
    assert held.size == len(text.encode("utf-8", "surrogatepass"))
    assert held.beyond_ascii() == sum(character > "\x7f" for character in text)
    assert held.is_blank() == (not text.strip())
    assert HeldText.of(held) is held


@given(text=ANY, start=st.integers(-70, 70), stop=st.integers(-70, 70))
def test_slices(text: str, start: int, stop: int) -> None:
    held = HeldText.of(text)
    assert str(held[start:stop]) == text[start:stop]
    assert str(held[start:][:stop]) == text[start:][:stop]
    assert str(held[:stop]) == text[:stop]


def test_a_slice_holds_nothing_of_its_own() -> None:
    held = HeldText.of("甲乙丙丁" * 100)
    assert held[10:20].utf8.obj is held.utf8.obj
    with pytest.raises(ValueError, match="step 1 only, got 2"):
        held[::2]


@given(text=ANY, other=ANY)
def test_equality_is_that_of_the_texts(text: str, other: str) -> None:
    assert (HeldText.of(text) == HeldText.of(other)) == (text == other)
    assert HeldText.of(text) == HeldText.of(text)
    assert len({HeldText.of(text), HeldText.of(text)}) == 1
    assert HeldText.of(text) != text


def test_it_is_shown_shortly() -> None:
    assert repr(HeldText.of("a b")) == "HeldText('a b')"
    assert repr(HeldText.of("a" * 99)) == f"HeldText({'a' * 30!r}, ...)"


@given(text=ANY)
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(HeldText.of(text).pieces()) == text
    assert "".join(pieces(text)) == text
    assert all(len(piece) <= 5 for piece in pieces(HeldText.of(text)))


@given(text=ANY, least=st.integers(1, 9))
def test_pieces_with_seams_join_to_the_text(text: str, least: int) -> None:
    for source in (text, HeldText.of(text)):
        found = list(seamed(source, least))
        assert "".join(found) == text
        assert all(len(piece) >= least for piece in found[:-1])


def test_seams_are_found_across_pieces() -> None:
    text = "".join(random.Random(0).choices(["word", " ", "\n", "it"], k=2000))
    assert max(map(len, seamed(HeldText.of(text), 10))) < 100
    assert len(list(seamed("中文，" * 500, 10))) > 50
    assert list(seamed("x" * 100, 10)) == ["x" * 100]
