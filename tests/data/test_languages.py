from string import ascii_lowercase

import pytest

from longhold.data.languages import LANGUAGES, Language


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_tables_are_sound(language: Language) -> None:
    assert sum(language.letters.values()) == pytest.approx(1)
    assert all(len(letter) == 1 and letter > "\x7f" for letter in language.letters)
    assert not any(letter.lower() != letter for letter in language.letters if letter != "İ")
    assert all(word == word.lower() for word in language.words)
    if language.latin:
        assert "".join(language.plain) == ascii_lowercase
        assert sum(language.plain.values()) == pytest.approx(1)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_usual_encoding_holds_nearly_all_letters(language: Language) -> None:
    held = sum(share for letter, share in language.letters.items() if letter.encode(language.usual, "ignore"))
    assert held > 0.8


def test_names_are_distinct() -> None:
    assert len({language.name for language in LANGUAGES}) == len(LANGUAGES)
