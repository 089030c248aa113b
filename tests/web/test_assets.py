"""The assets without a browser: words in both languages, scales, what is made visible. Run by Node."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest

from longhold.errors import InputError
from longhold.training.diagnosis import Kind
from longhold.web.texts import Texts

ROOM = Path(str(files("longhold.web"))) / "assets"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node on this machine")


def found_by_node(expression: str) -> Any:
    """The value of a JavaScript expression that may use the modules `views`, `messages` and `server`, and `Course`."""
    program = (
        f"const views = await import('{ROOM / 'views.js'}'); const messages = await import('{ROOM / 'messages.js'}');"
        f"const server = await import('{ROOM / 'server.js'}'); const {'{ Course, stateWords, lineWords }'} ="
        f"await import('{ROOM / 'course.js'}'); const refusals = await import('{ROOM / 'refusals.js'}');"
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


def _refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@needs_node
def test_what_the_server_refuses_is_said_in_the_language_of_the_page() -> None:
    texts = Texts("cpu")
    lines = [
        _refused(lambda: texts.take(b"  ", None)),
        _refused(lambda: texts.take(b"a\xffb", "utf-8")),
        _refused(lambda: texts.take(bytes(range(256)) * 4, None)),
        _refused(lambda: texts.named("no such")),
    ]
    chinese = found_by_node(f"{json.dumps(lines)}.map((line) => refusals.spoken(line, 'zh-Hans'))")
    assert chinese == [
        "里面是空的，应当有文本",
        "不是 utf-8：第 1 个字节 0xff 不合",
        "是二进制数据，不是文本；如果是文本，请在“编码”中指明",
        "这个文本已不在了：请重新发送",
    ]
    assert found_by_node(f"{json.dumps(lines)}.map((line) => refusals.spoken(line, 'en'))") == lines
    assert found_by_node("refusals.spoken('no such line', 'zh-Hans')") == "no such line"


def test_every_refusal_that_has_chinese_words_is_one_that_the_server_says() -> None:
    package = ROOM.parent.parent
    script = (ROOM / "refusals.js").read_text(encoding="utf-8")
    told = re.findall(r'^  \["([^"]+)", "([^"]+)"\],$', script, re.M)
    assert len(told) > 20
    sources = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    said = re.sub(r"\{[^{}]*\}", "{}", re.sub(r'"\n\s*f?"', "", sources))
    for english, chinese in told:
        assert re.sub(r"\{\w+\}", "{}", english).removeprefix("it ") in said, english
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese)), english


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


@needs_node
def test_times_as_each_language_writes_them() -> None:
    expression = "['en', 'zh-Hans'].map(messages.speaker).map((say) => [0.2, 89, 90, 5399, 5400].map(say.time))"
    assert found_by_node(expression) == [
        ["1 s", "89 s", "2 min", "90 min", "1.5 h"],
        ["1 秒", "89 秒", "2 分钟", "90 分钟", "1.5 小时"],
    ]


BEGUN = {"state": "running", "name": "t", "cell": "gru", "error": "", "model": None, "step": 20, "steps": 40,
         "left": 9.6, "rate": 1234.5, "diagnosis": None, "training": [[10, 4.0], [20, 3.0]], "held_out": [[20, 3.5]],
         "samples": []}  # fmt: skip
GONE_ON = {**BEGUN, "step": 40, "seconds": 61, "training": [[30, 2.5], [40, 2]], "held_out": [[30, 3.25], [40, 3.75]]}


def told(last: dict[str, Any], language: str = "en") -> Any:
    """What is said after the two events, and the line of numbers after the first."""
    events = (
        f"const say = messages.speaker('{language}'); const course = new Course(); course.take({json.dumps(BEGUN)});"
    )
    later = f"const line = lineWords(course, say); course.take({json.dumps({**GONE_ON, **last})});"
    found = "return [line, stateWords(course, say), course.lowest, course.trainingAt(35), course.training.length];"
    return found_by_node(f"(() => {{ {events} {later} {found} }})()")


@needs_node
def test_events_add_up_and_are_said_in_words() -> None:
    line, words, best, training, count = told({"diagnosis": "overfitting"})
    assert line == (
        "Step 20 of 40 · 10 s left · 1,235 characters a second · training 3.00, held-out 3.50 bits per character"
    )
    assert words == (
        "Training. Overfitting: held-out bits have risen since step 30 (3.25 to 3.75) while training bits fall (2.00). "
        "The best is kept."
    )
    assert (best, training, count) == ([30, 3.25], 2.5, 4)


DONE = {"state": "done", "model": 1, "best": 3.25, "words": 0.5, "early": False}


@needs_node
@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_every_diagnosis_has_its_own_words(language: str) -> None:
    done = {"state": "done", "model": 1, "best": 3.25, "words": 0.5, "early": False}
    plain = told({**done, "diagnosis": None}, language)[1]
    said = {told({**done, "diagnosis": kind}, language)[1] for kind in get_args(Kind)}
    assert len(said) == len(get_args(Kind))
    assert all(len(words) > len(plain) + 8 for words in said)


@needs_node
@pytest.mark.parametrize(
    ("last", "language", "expected"),
    [
        ({"state": "stopped", "model": 1}, "en", "kept: 3.25 bits"),
        ({"state": "stopped"}, "zh-Hans", "还没有可保留的模型"),
        ({"state": "failed", "error": "no disk"}, "en", "It failed: no disk"),
        (
            {**DONE, "words_unit": "words", "early": True, "diagnosis": "learned little"},
            "en",
            "Done in 61 s: 3.25 bits per character on text it never saw. 50 % of the words it writes occur in the "
            "text. It ended early, since held-out bits no longer fell. It has learned little",
        ),
        ({**DONE, "words_unit": "pairs of characters"}, "en", "50 % of the pairs of characters it writes occur"),
        ({**DONE, "words_unit": "pairs of characters"}, "zh-Hans", "它生成的相邻两字有 50 % 在文本中出现过。"),
    ],
)
def test_the_end_is_said_in_words(last: dict[str, Any], language: str, expected: str) -> None:
    assert expected in told(last, language)[1]


@needs_node
def test_events_are_read_however_the_network_cuts_them() -> None:
    stream = 'data: {"a":1}\n\n:\n\ndata: {"b":"\u7532"}\n\n'.encode()
    for width in (1, 7, 1000):
        parts = [list(stream[at : at + width]) for at in range(0, len(stream), width)]
        expression = (
            f"await (async () => {{ const parts = {parts};"
            " globalThis.fetch = async () => new Response(new ReadableStream({"
            " pull(to) { parts.length ? to.enqueue(Uint8Array.from(parts.shift())) : to.close(); } }));"
            " const found = []; for await (const event of server.events('watch')) found.push(event); return found; })()"
        )
        assert found_by_node(expression) == [{"a": 1}, {"b": "甲"}]
