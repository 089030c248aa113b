"""What `train` reads, and what it continues."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longhold.data.tokenizers import ByteTokenizer
from longhold.errors import InputError
from longhold.models.file import read_model, write_model
from longhold.options import TextOptions
from longhold.text import TextModel, load, train
from longhold.text.source import corpus_of, starting_model
from tests.helpers import as_nobody
from tests.text.small import Parrot, text_model
from tests.text.stories import QUICK, STORY


def test_more_finds_the_text_of_a_model_file(diary: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    train(diary, hidden_size=8, training=QUICK, output=path)
    second = train(path, more="1s", output=path, training={"batch_size": 2, "sequence_length": 8})
    assert second.facts.corpus == "diary.txt"
    assert load(path).facts == second.facts
    diary.unlink()
    with pytest.raises(InputError, match=r"its text 'diary.txt' is not beside .*m.safetensors'"):
        train(path, more="1s")


def stranger(folder: Path, corpus: str) -> Path:
    """A sound model file that says it was trained on a corpus of that name."""
    made = text_model()
    path = folder / "m.safetensors"
    made.save(path)
    tensors, document = read_model(path)
    write_model(path, tensors, {**document, "facts": {**document["facts"], "corpus": corpus}})
    return path


SECRET = "my secret, which nobody may learn. " * 40


PLAIN_NOWHERE = (
    "",
    ".",
    "..",
    "/",
    "~",
    "~root",
    "-",
    "*",
    "*.txt",
    "?",
    "a/../..",
    "..\\..",
    "a\\..",
    "C:",
    "C:x",
    "sub",
)
STRANGE_NAMES = ("nul\0", "two\nlines", "\x1b[31mred", "\u202etxt", "x" * 300)
STRANGE_FILES = ("sub", "sub/s.txt", "link", "link to a folder", "FIFO", ".hidden", "gone")


@pytest.mark.parametrize("name", [*PLAIN_NOWHERE, *STRANGE_NAMES, *STRANGE_FILES])
def test_a_strangers_model_leads_to_no_text_but_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    for place in ("../above.txt", "other.txt", "sub/s.txt", ".hidden", "\x1b[31mred"):
        (here / place).write_text(SECRET)
    (here / "link").symlink_to("../above.txt")
    (here / "link to a folder").symlink_to("..")
    (here / "gone").symlink_to("nowhere")
    for shipped in ("~", "-", "*", "?"):
        (here / shipped).mkdir()
    os.mkfifo(here / "FIFO")
    path = stranger(here, name)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))
    read = []
    monkeypatch.setattr("longhold.data.corpora._read", read.append)
    notes: list[str] = []
    for source in (path, "m.safetensors"):
        with pytest.raises(InputError, match="is not beside") as caught:
            train(source, more="1s", on_note=notes.append)
        assert str(caught.value).isprintable()
    assert read == notes == []


@pytest.mark.parametrize("name", ["diary.txt", "日记 1.txt", "~tilde-is-refused-below"])
def test_the_text_beside_a_model_is_named_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text(STORY)
    path = stranger(tmp_path, name)
    happened: list[str] = []
    monkeypatch.setattr("longhold.text.source.load_corpus", lambda place, **options: happened.append(f"read {place}"))
    with pytest.raises((AttributeError, InputError)):
        train(path, more="1s", on_note=happened.append)
    if name.startswith("~"):
        assert happened == []
    else:
        assert happened == [
            f"reads the text {name!r}, which lies beside {str(path)!r} and which the model names",
            f"read {tmp_path / name}",
        ]


def test_a_known_text_that_a_model_names_is_that_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pydoc").mkdir()
    (tmp_path / "pydoc" / "secret.txt").write_text(SECRET)
    notes: list[str] = []
    corpus = corpus_of("m.safetensors", load(stranger(tmp_path, "pydoc")), None, (), notes.append)
    assert notes == ["reads the text pydoc, which the model names"]
    assert "secret" not in corpus.text[:10_000]
    assert corpus.sources == ()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"more": "1s", "budget": "1s"}, "expected one of them"),
        ({"more": "1s"}, "expected begin= or output="),
        ({"more": "1s", "begin": "none.safetensors"}, "no model 'none.safetensors' to continue"),
        ({"more": "soon", "begin": "none.safetensors"}, "soon"),
    ],
)
def test_more_that_cannot_be(diary: Path, values: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        train(diary, **values)


def test_a_model_in_a_folder_that_may_not_be_read_is_not_called_missing() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        (folder / "m.safetensors").touch()
        folder.chmod(0)
        with as_nobody(), pytest.raises(InputError, match=r"cannot read .*m\.safetensors': permission denied$"):
            starting_model("diary.txt", folder / "m.safetensors", None, TextOptions())


def test_a_model_that_goes_on_takes_no_shape(diary: Path, tmp_path: Path) -> None:
    made = train(diary, hidden_size=8, training=QUICK, output=tmp_path / "m.safetensors")
    for given in ({"cell": "gru"}, {"hidden_size": 9}, {"recipe": "awd"}, {"model": {"layer_norm": True}}):
        with pytest.raises(InputError, match=rf"{next(iter(given))} cannot be chosen"):
            train(diary, more="1s", begin=made, **given)
    with pytest.raises(InputError, match="is a model, expected a text"):
        train(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="not a Parrot"):
        train(diary, more="1s", begin=TextModel(Parrot(256), ByteTokenizer()))


WRONG_SOURCES: list[Any] = [
    np.zeros(3),
    torch.zeros(3),
    ["a.txt"],
    ("a",),
    None,
    {},
    b"a.txt",
    5,
    1.5,
    True,
    set(),
    open,
]


@pytest.mark.parametrize("wrong", WRONG_SOURCES, ids=lambda value: type(value).__name__)
def test_what_is_no_text_to_train_on_is_refused_with_what_is(wrong: Any) -> None:
    with pytest.raises(InputError, match=rf"Corpus\(name, text\), got {type(wrong).__name__}$") as refusal:
        train(wrong)
    assert "a path, a pattern, a known name or '-'" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_path_that_is_none_and_a_text_in_the_place_of_a_path() -> None:
    with pytest.raises(InputError, match=r"^no file, folder or known text '/nowhere/at all\.txt'"):
        train(Path("/nowhere/at all.txt"))
    with pytest.raises(
        InputError, match=r"^no file 'Once upon\\n.*a text itself goes as longhold.data.Corpus\(name, te"
    ):
        train("Once upon\n" * 300)
