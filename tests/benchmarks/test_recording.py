"""The recorded session: how it is drawn, and what is in the one that is shown."""

import getpass
import json
import re
import shlex
import socket
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from benchmarks.main import main
from benchmarks.recording import (
    COLUMNS,
    FOLDER,
    PAGE,
    ROWS,
    SESSION,
    Screen,
    cast,
    documented,
    record,
    spoken,
    svg,
    thinned,
    transcript,
)

SVG = "{http://www.w3.org/2000/svg}"


def screen(*lines: str) -> Screen:
    shown = tuple(((line, "default", False),) if line else () for line in lines)
    return (*shown, *(((),) * (ROWS - len(shown))))


FRAMES = [
    (0.1, screen("$ a")),
    (0.5, ((("<b> & ", "red", True), ("co", "ff8800", False)), *screen("second")[:-1])),
    (2.0, screen("", "second")),
]


def test_the_cast_holds_what_changes_and_colours() -> None:
    header, *events = map(json.loads, cast(FRAMES).splitlines())
    assert (header["version"], header["width"], header["height"]) == (2, COLUMNS, ROWS)
    assert "timestamp" not in header
    assert events == [
        [0.1, "o", "\x1b[1;1H\x1b[2K$ a"],
        [0.5, "o", "\x1b[1;1H\x1b[2K\x1b[1;31m<b> & \x1b[0m\x1b[38;2;255;136;0mco\x1b[0m\x1b[2;1H\x1b[2Ksecond"],
        [2.0, "o", "\x1b[1;1H\x1b[2K"],
    ]


def test_the_picture_has_every_line_once_and_nothing_to_load() -> None:
    root = ElementTree.fromstring(svg(FRAMES))
    texts = {text.get("id"): "".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert sorted(texts.values()) == ["$ a", "<b> & co", "second"]
    groups = [group for group in root.iter(f"{SVG}g") if group.get("transform")]
    shown = [[texts[use.get("href", "")[1:]] for use in group] for group in groups]
    assert shown == [["$ a"], ["<b> & co", "second"], ["second"]]
    assert {name for element in root.iter() for name in element.attrib if "href" in name} == {"href"}
    assert all(use.get("href", "").startswith("#") for use in root.iter(f"{SVG}use"))
    assert "prefers-reduced-motion" in svg(FRAMES)
    assert "url(" not in svg(FRAMES)


def test_of_screens_that_hurry_the_last_is_kept() -> None:
    frames = [(0.01, screen("a")), (0.02, screen("b")), (0.3, screen("b")), (0.6, screen("c")), (0.61, screen("d"))]
    assert [(at, shown[0][0][0]) for at, shown in thinned(frames)] == [(0.02, "b"), (0.61, "d")]


def test_the_text_has_the_seconds_of_each_command() -> None:
    assert transcript(["$ one", "said", "$ two", ""], [("$ one", 1.4), ("$ two", 61.0)]) == (
        "$ one    # 1 s\nsaid\n\n$ two    # 61 s\n"
    )


def test_a_command_is_heard_in_a_terminal_and_interrupted(tmp_path: Path) -> None:
    (tmp_path / "speaks.py").write_text(
        "import os, sys, time\n"
        "print(sys.stdout.isatty(), os.get_terminal_size().columns, os.getcwd(), 'é', flush=True)\n"
        "try:\n    time.sleep(10_000)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    heard = "".join(text for _, text in spoken(shlex.split("speaks"), tmp_path, stop=0.1))
    assert heard.split() == ["True", str(COLUMNS), str(tmp_path), "é", "interrupted"]


def test_a_session_is_watched_and_the_folder_has_no_name(tmp_path: Path) -> None:
    pytest.importorskip("pyte", reason="pyte, which only the recording needs, is not installed")
    (tmp_path / "speaks.py").write_text("import os\nprint('\\x1b[31mred\\x1b[0m', os.getcwd())\n")
    found = record([("speaks", None)], tmp_path)
    assert re.fullmatch(r"\$ speaks    # \d+ s\nred ~\n", found.text)
    assert found.frames[-1][1][1] == (("red", "red", False), (" ~", "default", False))
    assert str(tmp_path) not in cast(found.frames)


def test_the_page_shows_the_recording_and_its_text() -> None:
    page = PAGE.read_text(encoding="utf-8")
    text = page.partition("````text\n")[2].partition("````")[0]
    assert documented(page, text) == page
    for command, _ in SESSION:
        assert f"$ {command.partition('{')[0]}" in text
    last = (FOLDER / "five-minutes.cast").read_text(encoding="utf-8").splitlines()[-1]
    said = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "\n", json.loads(last)[2]).split("\n")
    assert all(line.rstrip() in text for line in said)


@pytest.mark.parametrize("name", ["recording/five-minutes.svg", "recording/five-minutes.cast", "five-minutes.md"])
def test_nothing_of_the_machine_is_in_it(name: str) -> None:
    text = (PAGE.parent / name).read_text(encoding="utf-8")
    private = {"/root", "/home", "/work", "/tmp", "/usr", sys.prefix}
    private |= {word for word in (getpass.getuser(), socket.gethostname()) if len(word) > 4}
    assert not [word for word in private if word in text]
    assert len(text) < 600_000


def test_without_the_emulator_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.recording.find_spec", lambda name: None)
    assert main(["recording"]) == 2
    assert capsys.readouterr().err == "error: the recording needs pyte: pip install pyte\n"
