import pytest

from longhold.data.ideographs import SCRIPTS, Script


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.usual)
def test_frequencies_are_those_of_one_script(script: Script) -> None:
    frequencies = script.frequencies()
    assert 0.9 < sum(frequencies.values()) < 1.01
    assert all(len(character) == 1 and character > "\x7f" for character in frequencies)
    assert {character for character in frequencies if not character.encode(script.usual, "ignore")} <= set("—·～裏")


@pytest.mark.parametrize(
    ("usual", "common", "rare"),
    [("gb18030", "的", "灞"), ("big5", "的", "灞"), ("cp932", "の", "鷺"), ("cp949", "이", "伽")],
)
def test_the_common_is_likelier_than_the_rare(usual: str, common: str, rare: str) -> None:
    frequencies = next(script for script in SCRIPTS if script.usual == usual).frequencies()
    assert frequencies[common] > 20 * frequencies.get(rare, 0.0)
