import io
import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.data.corpora import Corpus, known_names, load_corpus, load_known, require_length, split
from longhold.errors import InputError
from tests.helpers import as_nobody

CHINESE = "这是一个用简体中文写成的短文。我们在学习如何让电脑记住很久以前读过的东西。\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Text in two encodings, an image, an empty file and hidden things, at two depths."""
    root = tmp_path / "diary"
    (root / "b").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "z.txt").write_text("last\n")
    (root / "a.md").write_text("first")
    (root / "b" / "c.txt").write_bytes(CHINESE.encode("gb18030"))
    (root / "b" / "empty").touch()
    (root / "b" / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)))
    (root / ".hidden").write_text("secret")
    (root / ".git" / "config").write_text("secret")
    return root


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_bytes("Dear diary,\r\n„grüß”\n".encode())
    for source in (path, str(path)):
        assert load_corpus(source) == Corpus("diary.txt", "Dear diary,\n„grüß”\n", "utf-8", 1, ())


def test_files_that_are_nearly_the_same_are_told(tmp_path: Path) -> None:
    story = "".join(f"On day {day} the traveller found nothing but sand and {day * 7} stones.\n" for day in range(200))
    for name, text in {"a.txt": story, "b.txt": "Another hand wrote this.\n" * 3, "c.txt": story + "The end."}.items():
        (tmp_path / name).write_text(text)
    (note,) = load_corpus(tmp_path).notes
    assert note.startswith("1 file nearly the same as another: c.txt (as a.txt)")


def test_a_guess_is_said_aloud_and_a_given_encoding_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(CHINESE.encode("gb18030"))
    guessed = load_corpus(path)
    assert (guessed.text, guessed.encoding) == (CHINESE, "gb18030")
    assert guessed.notes == (
        f'read as gb18030 (detected); give --encoding if that is wrong; it reads "{CHINESE[:30]}"',
    )
    assert load_corpus(path, encoding="gbk").notes == ()
    with pytest.raises(InputError, match=r"a\.txt is not utf-8: byte 0xd5 at position 0$"):
        load_corpus(path, encoding="utf-8")


def test_a_folder_is_all_its_text_in_order(folder: Path) -> None:
    corpus = load_corpus(folder)
    assert corpus.text == f"first\n{CHINESE}\n\nlast\n"
    assert (corpus.name, corpus.encoding, corpus.files) == ("diary", "gb18030, utf-8", 4)
    assert corpus.notes == (
        f'1 file read as gb18030 (detected); give --encoding if that is wrong; it reads "{CHINESE[:30]}"',
        "1 file skipped, not text: image.png",
        "2 files skipped, hidden",
    )


def test_a_folder_with_a_given_encoding(folder: Path) -> None:
    corpus = load_corpus(folder, encoding="ascii")
    assert corpus.text == "first\n\nlast\n"
    assert corpus.notes == ("2 files skipped, not ascii: c.txt, image.png", "2 files skipped, hidden")


def test_a_hidden_folder_that_was_named_is_read(folder: Path) -> None:
    assert load_corpus(folder / ".git").text == "secret"


def test_here_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_corpus(".").name == "diary"


def test_a_pattern(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = load_corpus(f"{folder}/**/*.txt")
    assert (deep.text, deep.files) == (f"{CHINESE}\nlast\n", 2)
    monkeypatch.chdir(folder)
    assert load_corpus("*.txt").text == "last\n"


def test_it_says_which_files_it_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_corpus(folder / "z.txt").sources == (folder / "z.txt",)
    inside = ("a.md", "b/c.txt", "b/empty", "z.txt")
    assert load_corpus(folder).sources == tuple(folder / name for name in inside)
    assert load_corpus(str(folder / "*.txt")).sources == (folder / "z.txt",)
    with open(folder / "z.txt", "rb") as file:
        assert load_corpus("-", stdin=file).sources == (file.fileno(),)
    assert load_corpus("-", stdin=io.BytesIO(b"text")).sources == ()
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    (tmp_path / "timemachine.txt").write_text("The Time Traveller")
    assert load_corpus("timemachine").sources == (tmp_path / "timemachine.txt",)


def test_a_folder_that_is_about_to_be_written_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for leave_out in ([folder / "b"], [str(folder / "missing"), folder / "b" / ".." / "b"]):
        for source in (folder, folder / "**"):
            assert [Path(path).name for path in load_corpus(source, leave_out=leave_out).sources] == ["a.md", "z.txt"]
    monkeypatch.chdir(folder)
    assert [str(path) for path in load_corpus(".", leave_out=["b"]).sources] == ["a.md", "z.txt"]
    assert load_corpus(".", leave_out=["z.txt"]).files == 4


def test_a_known_text_is_that_text_whatever_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pydoc").write_text("secret")
    assert load_corpus("pydoc").text == "secret"
    assert load_known("pydoc").text == load_known("pydoc", encoding="utf-8").text != "secret"


def test_home_is_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert load_corpus("~/a.md").text == "first"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Corpus("standard input", "piped\n", "utf-8", 0, ())
    assert load_corpus("-", stdin=io.BytesIO(b"piped\r\n")) == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\n")))
    assert load_corpus("-") == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("through a pipe",))
    writer.start()
    assert load_corpus(tmp_path / "pipe").text == "through a pipe"
    writer.join()


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").write_text("my own")
    assert load_corpus("pydoc").text == "my own"


def test_the_help_texts_of_python_are_real_english() -> None:
    corpus = load_corpus("pydoc")
    assert len(corpus.text) > 300_000
    assert corpus.text.count(" the ") > 3000
    assert (corpus.name, corpus.files, corpus.notes) == ("pydoc", 0, ())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", r"^empty\.txt is empty, expected text$"),
        ("blank.txt", b" \n\t\r\n", r"^blank\.txt is empty, expected text$"),
        ("a.bin", bytes(300), r"a\.bin is binary data, expected text"),
    ],
)
def test_files_without_text_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_corpus(tmp_path / name)


def test_folders_and_patterns_without_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"^none has no text: no file found$"):
        load_corpus(tmp_path / "none")
    (tmp_path / "none" / "a.bin").write_bytes(bytes(300))
    (tmp_path / "none" / "b.txt").write_bytes(b"\n")
    with pytest.raises(InputError, match=r"^none has no text: of 2 files 1 not text, the others empty$"):
        load_corpus(tmp_path / "none")
    with pytest.raises(InputError, match=r"\*\.md has no text: no file found$"):
        load_corpus(f"{tmp_path}/*.md")


def test_empty_standard_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"^standard input is empty, expected text$"):
        load_corpus("-", stdin=io.BytesIO())


@pytest.mark.parametrize("source", ["", "no such file.txt", "a\0b", "x" * 5000, "/nowhere/at/all", "sonnets"])
def test_what_is_nowhere_is_refused(source: str) -> None:
    with pytest.raises(InputError, match=r"no file, folder or known text .*known texts: timemachine, ") as caught:
        load_corpus(source)
    assert len(str(caught.value)) < 400


def test_the_name_that_was_meant_is_suggested() -> None:
    with pytest.raises(InputError, match=r"did you mean timemachine\?"):
        load_corpus("TimeMachin")
    assert set(known_names()) == {"timemachine", "tinyshakespeare", "hongloumeng", "lunyu", "tangshi300", "pydoc"}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_a_device_is_refused() -> None:
    with pytest.raises(InputError, match="/dev/zero is a device"):
        load_corpus("/dev/zero")


def test_a_file_that_may_not_be_read_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a").write_text("text")
        (folder / "a").chmod(0)
        with as_nobody(), pytest.raises(InputError, match=r"cannot read .*Permission denied"):
            load_corpus(folder / "a")


def test_a_file_in_a_folder_that_may_not_be_read_is_not_called_missing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a").write_text("text")
        folder.chmod(0)
        with as_nobody(), pytest.raises(InputError, match=r"^cannot read .*/a: Permission denied$"):
            load_corpus(folder / "a")


def test_ten_characters_are_too_few() -> None:
    corpus = Corpus("a.txt", "ten chars.", "utf-8", 1, ())
    require_length(corpus, 10)
    with pytest.raises(InputError, match=r"^longhold needs at least 1000 characters to compare, got 10 from a\.txt$"):
        require_length(corpus, 1000, "compare")


@given(text=st.text(min_size=2, max_size=500), held_out=st.floats(0.001, 0.999))
def test_head_and_tail_are_the_text(text: str, held_out: float) -> None:
    head, tail = split(text, held_out)
    assert head + tail == text
    assert head
    assert tail
    assert abs(len(tail) - held_out * len(text)) <= 1


@pytest.mark.parametrize("held_out", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_outside_the_text_is_refused(held_out: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        split("some text", held_out)
    with pytest.raises(InputError, match="at least 2 characters"):
        split("a")
