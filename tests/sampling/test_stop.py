"""Stop texts against a definition that sees the whole text, whatever the pieces are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.errors import InputError
from longhold.sampling import stop_texts, until_stop


def by_definition(text: str, stops: list[str]) -> str:
    """Read letter by letter; end before the longest stop text that has just become complete."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


@given(
    st.lists(st.text("ab", max_size=3), max_size=12),
    st.lists(st.text("ab", min_size=1, max_size=5), max_size=3),
)
def test_the_pieces_make_the_text_before_the_stop(pieces: list[str], stops: list[str]) -> None:
    assert "".join(until_stop(pieces, stops)) == by_definition("".join(pieces), stops)


def test_a_stop_text_may_lie_across_pieces_and_nothing_is_asked_for_after_it() -> None:
    asked = iter(["one E", "N", "D two", "never"])
    assert list(until_stop(asked, ["END"])) == ["one "]
    assert list(asked) == ["never"]


def test_only_what_may_become_a_stop_text_is_held_back() -> None:
    came: list[str] = []
    stream = until_stop((came.append(piece) or piece for piece in ["a", "<", "b", "<", "/", "p"]), ["</s>"])
    shown = [(next(stream), "".join(came)) for _ in range(2)]
    assert shown == [("a", "a"), ("<b", "a<b")]
    assert list(stream) == ["</p"]


def test_an_unfinished_stop_text_comes_out_at_the_end() -> None:
    assert list(until_stop(["x", "EN"], ["END"])) == ["x", "EN"]
    assert list(until_stop([], ["END"])) == []
    assert list(until_stop(["x", "y"], [])) == ["x", "y"]


def test_one_or_several_stop_texts() -> None:
    assert stop_texts("\n") == ("\n",)
    assert stop_texts(["a", "bc"]) == ("a", "bc")
    assert stop_texts(()) == ()
    for wrong in ("", ["a", ""], [3]):
        with pytest.raises(InputError, match="stop="):
            stop_texts(wrong)  # type: ignore[arg-type]
