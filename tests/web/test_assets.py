"""The assets without a browser: words in both languages, scales, what is made visible. Run by Node."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

ROOM = Path(str(files("longhold.web"))) / "assets"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node on this machine")


def found_by_node(expression: str) -> Any:
    """The value of a JavaScript expression that may use the modules as `views` and `messages`."""
    program = (
        f"const views = await import('{ROOM / 'views.js'}'); const messages = await import('{ROOM / 'messages.js'}');"
        f"console.log(JSON.stringify({expression}));"
    )
    command = [str(NODE), "--no-warnings", "--experimental-default-type=module", "--input-type=module", "-e", program]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def words() -> dict[str, dict[str, str]]:
    told = found_by_node(
        "Object.fromEntries(Object.entries(messages.LANGUAGES).map(([tag, { words }]) => [tag, words]))"
    )
    assert isinstance(told, dict)
    return told


@needs_node
def test_both_languages_say_the_same_things_with_the_same_values(words: dict[str, dict[str, str]]) -> None:
    english, chinese = words["en"], words["zh-Hans"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key


@needs_node
def test_every_key_that_is_asked_for_is_there_and_every_one_there_is_asked_for(
    words: dict[str, dict[str, str]],
) -> None:
    package = ROOM.parent.parent  # the exported file says some of them
    own = {"writer.js", "writer-words.js", "writer.html", "strips.js"}  # the exported file's own words
    sources = [path for path in package.rglob("*") if path.suffix in (".js", ".html") and path.name not in own]
    script = "".join(path.read_text(encoding="utf-8") for path in sources)
    asked = set(re.findall(r'say\("([\w ]+)"', script)) | set(re.findall(r'data-say="(\w+)"', script))
    computed = {"i", "f", "g", "o", "r", "z", "n", "c", "h", "quotes", "brackets", "line_position", "indentation",
                "word_position", "AUC", "rank correlation"}  # fmt: skip
    either = set(re.findall(r'\? "(\w+)" : "\w+"', script)) | set(re.findall(r'\? "\w+" : "(\w+)"', script))
    assert asked <= words["en"].keys()
    assert words["en"].keys() - asked - computed <= either


@needs_node
def test_the_scales() -> None:
    bits = [0, 0.49, 0.5, 1, 1.99, 2, 4, 6.99, 7, 40]
    assert found_by_node(f"{bits}.map(views.surpriseLevel)") == [0, 0, 1, 2, 2, 3, 4, 4, 5, 5]
    assert found_by_node("[-2, -1, -0.1, 0, 0.3, 2].map((value) => views.unitLevel(value, 2))") == [-4, -2, 0, 0, 1, 4]
    assert found_by_node("views.unitLevel(0, 0)") == 0


@needs_node
def test_what_would_not_show_or_turns_the_line_is_made_visible() -> None:
    text = "a\u0000\n\t\u202e\u200d\u200f\u0085é甲"
    expected = "a␀↵⇥⟨202E⟩\u200d⟨200F⟩⟨0085⟩é甲"
    assert found_by_node(f"views.visible({json.dumps(text)})") == expected
    assert found_by_node('views.quoted(" ")') == "␣"


@needs_node
def test_characters_end_where_people_see_them_end() -> None:
    text = "e\u0301🏳️‍🌈甲\r\n"
    ends = found_by_node(f"views.graphemes({json.dumps(text)})")
    assert ends == [2, 8, 9, 11]


@needs_node
def test_numbers_as_each_language_writes_them() -> None:
    said = "[say.number(-0.001, 2), say.number(-1.5, 1), say.percent(0.0001), say.percent(0.0312), say.percent(0.5)]"
    expression = f"['en', 'zh-Hans'].map(messages.speaker).map((say) => {said})"
    assert found_by_node(expression) == [["0.00", "−1.5", "<0.1 %", "3.1 %", "50 %"]] * 2
    assert found_by_node("messages.speaker('en').short(0.00012)") == "1.2e−4"
    assert found_by_node("messages.speaker('en').number(null, 2)") == "∞"


@needs_node
@pytest.mark.parametrize(
    ("remembered", "offered", "expected"),
    [
        (None, ["en-GB"], "en"),
        (None, ["zh-CN", "en"], "zh-Hans"),
        (None, ["de", "zh-TW"], "zh-Hans"),
        (None, ["en-US", "zh-CN"], "en"),
        ("zh-Hans", ["en"], "zh-Hans"),
        ("toString", ["en"], "en"),
        (None, [], "en"),
    ],
)
def test_the_language_to_begin_in(remembered: str | None, offered: list[str], expected: str) -> None:
    assert found_by_node(f"messages.preferred({json.dumps(remembered)}, {json.dumps(offered)})") == expected
