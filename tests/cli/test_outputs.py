"""Every command that writes, and every place that it must not write to: nothing is lost, one line, exit code 2."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import torch
import typer
from click.testing import Result
from tests.cli.plans import PLAN
from tests.study.tiny import row, spec
from typer.testing import CliRunner

from longhold import TextModel
from longhold.cli.main import app
from longhold.compression import compress
from longhold.data.tokenizers import CharTokenizer
from longhold.models import LanguageModelConfig
from longhold.study.rows.store import Store, to_jsonl

TEXT = "The cat, which already ate a bunch of food, was full. The cats, which already ate it, were full.\n" * 30
SMALL = ("--hidden-size", "8", "--set", "steps=6", "--set", "batch_size=2", "--set", "sequence_length=8")
MODEL = "model.safetensors"
OUT = "OUT"


@dataclass(frozen=True)
class Form:
    """A command that writes to OUT, as a person gives it."""

    arguments: tuple[str, ...]
    """all of it; OUT stands for the place"""
    reads: tuple[str, ...] = ()
    """the files that it reads"""
    fills: tuple[str, ...] | None = None
    """the files that it writes in a folder; None: OUT is a file"""
    forced: bool = True
    """whether it has --force"""


REPORT = ("report.md", "rows.csv", "rows.jsonl")
EXPORT = ("export", MODEL, "--yes", "--text", "text.txt", "-o", OUT)
FORMS = {
    "train": Form(("train", "text.txt", *SMALL, "-o", OUT), ("text.txt",)),
    "train (settings)": Form(("train", "text.txt", *SMALL, "--config", "settings.toml", "-o", OUT), ("settings.toml",)),
    "train (more)": Form(("train", "text.txt", "--more", "1s", "-o", OUT), ("text.txt",)),
    "compress": Form(("compress", "text.txt", "--model", MODEL, "-o", OUT), ("text.txt", MODEL)),
    "decompress": Form(("decompress", "text.txt.lhtx", "--model", MODEL, "-o", OUT), ("text.txt.lhtx", MODEL)),
    "export (html)": Form(EXPORT, (MODEL, "text.txt")),
    "export (onnx)": Form((*EXPORT, "--to", "onnx"), (MODEL, "text.txt")),
    "export (torch)": Form(
        (*EXPORT, "--to", "torch"), (MODEL,), ("config.json", "model.safetensors", "tokenizer.json", "write.py")
    ),
    "export (hub)": Form((*EXPORT, "--to", "hub"), (MODEL,), ("config.json", "model.safetensors", "README.md")),
    "compare": Form(
        ("compare", "text.txt", "--budget", "1s", "--workers", "1", "-o", OUT),
        ("text.txt",),
        ("index.html", "study.sqlite", *REPORT),
    ),
    "demo": Form(("demo", "--budget", "1s", "-o", OUT), (), ("index.html", "study.sqlite", *REPORT)),
    "study run": Form(("study", "run", "tiny.toml", "--workers", "1", "--store", OUT), ("tiny.toml",), forced=False),
    "study import": Form(("study", "import", "some.jsonl", "--store", OUT), ("some.jsonl",), forced=False),
    "study report": Form(
        ("study", "report", "tiny.toml", "--store", "s.sqlite", "-o", OUT),
        ("tiny.toml", "s.sqlite"),
        ("report.html", *REPORT),
    ),
    "ui": Form(("ui", "--no-browser", "--port", "0", "--folder", OUT), (), (), forced=False),
}
"""By the command, and in brackets what tells its forms apart."""

WRITE_NOTHING = {
    "info": (),
    "inspect": (),
    "tutorial": (),
    "write": (),
    "study cost": ("store",),
    "study list": (),
    "study plan": (),
    "study rows": ("store",),
    "study status": ("store",),
}
"""Commands that write no file, with their options that name one that is read."""


def commands(group: Any, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


LEAVES = dict(commands(typer.main.get_command(app)))


def test_every_command_stands_in_one_of_the_tables() -> None:
    writing = {name.partition(" (")[0] for name in FORMS}
    assert writing | set(WRITE_NOTHING) == set(LEAVES)
    assert not writing & set(WRITE_NOTHING)


def test_every_option_that_could_name_an_output_is_swept() -> None:
    """An option is known by its name, or by what its help says."""
    for name, command in LEAVES.items():
        places = {
            option
            for parameter in command.params
            for option in parameter.opts
            if (parameter.name in {"output", "store", "folder", "file"} and option.startswith("-"))
            or any(word in (getattr(parameter, "help", "") or "").lower() for word in ("where to", "write to", "save"))
        }
        swept = {word for form, made in FORMS.items() if form.partition(" (")[0] == name for word in made.arguments}
        read = {f"--{option}" for option in WRITE_NOTHING.get(name, ())}
        long = {place for place in places if place.startswith("--")}
        assert not long or swept & places or long <= read, (name, places)
        has_force = any("--force" in parameter.opts for parameter in command.params)
        forced = {made.forced for form, made in FORMS.items() if form.partition(" (")[0] == name}
        assert forced <= {has_force}, name


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    torch.manual_seed(0)
    tokenizer = CharTokenizer.train(TEXT)
    network = LanguageModelConfig(cell="gru", vocab_size=tokenizer.vocab_size, hidden_size=8).build().eval()
    made = TextModel(network, tokenizer)
    made.save(folder / MODEL)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    (folder / "timemachine.txt").write_text(TEXT, encoding="utf-8")
    (folder / "settings.toml").write_text("lr = 0.01\n")
    (folder / "text.txt.lhtx").write_bytes(compress(made, TEXT.encode()))
    (folder / "tiny.toml").write_text(PLAN)
    rows = (row(spec()), row(spec(seed=1)))
    (folder / "some.jsonl").write_text("".join(to_jsonl(rows)), encoding="utf-8")
    with Store(folder / "s.sqlite") as store:
        store.write_all(rows)
    return folder


@pytest.fixture
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    shutil.copytree(prepared, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("LONGHOLD_DATA", str(prepared))
    return place


def longhold(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def seen(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that is in a folder: what it is, which it is, and what is in it."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        there = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(there.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (there.st_ino, there.st_mode, there.st_rdev, target, content)
    return found


def refused(form: Form, out: str, here: Path, *, force: bool = False) -> str:
    """The one line that a command says; no work was begun and everything is as it was."""
    before = seen(here)
    given = [out if word == OUT else word for word in form.arguments]
    result = longhold(*given, *(["--force"] if force else []))
    assert seen(here) == before
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr


def device(path: Path) -> None:
    """A copy of the null device that nobody misses, or a terminal where none may be made."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        path.symlink_to(os.ttyname(os.openpty()[1]))


def occupied(path: Path) -> None:
    path.mkdir()
    (path / "thesis.docx").write_bytes(b"forty years")


STANDING: dict[str, Callable[[Path], object]] = {
    "device": device,
    "FIFO": os.mkfifo,
    "link to nothing": lambda path: path.symlink_to("gone"),
    "link to no folder": lambda path: path.symlink_to("no/such/place"),
}
"""What stands at the place."""

PLACES = {
    "below a file": "text.txt/out",
    "in /proc": "/proc/longhold-out",
    "300 bytes": "x" * 300,
    "300 bytes of Chinese": "字" * 100,
}
"""Places that take no file and no folder."""


def forms(which: Callable[[Form], bool] = lambda form: True) -> list[str]:
    return [name for name, form in FORMS.items() if which(form)]


def named(name: str) -> Form:
    if "onnx" in name:
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
    return FORMS[name]


@pytest.mark.parametrize("name", forms())
@pytest.mark.parametrize("standing", STANDING)
def test_what_is_no_file_is_not_written(name: str, standing: str, here: Path) -> None:
    form = named(name)
    STANDING[standing](here / "out")
    assert "'out'" in refused(form, "out", here)
    if form.forced:
        refused(form, "out", here, force=True)


@pytest.mark.parametrize("name", forms())
@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_takes_nothing(name: str, place: str, here: Path) -> None:
    form = named(name)
    refused(form, PLACES[place], here)
    if form.forced:
        refused(form, PLACES[place], here, force=True)


@pytest.mark.parametrize("name", forms(lambda form: form.fills is None))
def test_a_folder_is_no_file(name: str, here: Path) -> None:
    occupied(here / "out")
    for out in ("out", ".", "..", "out/"):
        assert "that is a folder" in refused(named(name), out, here)
    assert "no folder" in refused(named(name), "no/such/out", here)


@pytest.mark.parametrize("name", forms(lambda form: form.fills is not None))
def test_a_file_is_no_folder(name: str, here: Path) -> None:
    (here / "out").write_bytes(b"forty years")
    assert "'out'" in refused(named(name), "out", here)


@pytest.mark.parametrize("name", forms(lambda form: form.fills is None))
def test_a_file_of_somebody_elses_is_kept(name: str, here: Path) -> None:
    for content in (b"forty years", b"\x10" + bytes(7) + b'{"__metadata__":{}}', b"\0", TEXT.encode()):
        (here / "out").write_bytes(content)
        told = refused(named(name), "out", here)
        assert "'out' is there already" in told or "--more" in name
    (here / "link").symlink_to("out")
    refused(named(name), "link", here)


@pytest.mark.parametrize("name", forms(lambda form: bool(form.fills)))
def test_files_of_somebody_elses_in_a_folder_are_kept(name: str, here: Path) -> None:
    form = named(name)
    assert form.fills is not None
    (here / "out").mkdir()
    for part in form.fills:
        (here / "out" / part).write_bytes(b"forty years")
        assert part in refused(form, "out", here)
        (here / "out" / part).unlink()
    for part in form.fills:
        for stand in STANDING.values():
            stand(here / "out" / part)
            assert part in refused(form, "out", here, force=form.forced)
            (here / "out" / part).unlink()


@pytest.mark.parametrize("name", forms(lambda form: bool(form.reads)))
def test_what_is_read_is_not_written(name: str, here: Path) -> None:
    form = named(name)
    for read in form.reads:
        (here / "hard").hardlink_to(here / read)
        (here / "soft").symlink_to(read)
        for out in (read, f"./{read}", f"../here/{read}", "hard", "soft"):
            refused(form, out, here)
            if form.forced:
                refused(form, out, here, force=True)
        (here / "hard").unlink()
        (here / "soft").unlink()


@pytest.mark.parametrize("name", forms(lambda form: bool(form.reads) and bool(form.fills)))
def test_what_is_read_from_the_folder_is_not_written(name: str, here: Path) -> None:
    form = named(name)
    assert form.fills is not None
    (here / "out").mkdir()
    for read in form.reads:
        for part in form.fills:
            (here / "out" / part).hardlink_to(here / read)
            refused(form, "out", here, force=form.forced)
            (here / "out" / part).unlink()


def test_standard_input_is_read_too(here: Path) -> None:
    """Of a process of its own, since its standard input is a file."""
    import subprocess
    import sys

    commands = (
        ("train", "-", *SMALL, "--force", "-o", "text.txt"),
        ("compress", "-", "--model", MODEL, "--force", "-o", "text.txt"),
    )
    for command in commands:
        before = seen(here)
        with open("text.txt", "rb") as text:
            done = subprocess.run(
                [sys.executable, "-m", "longhold", *command], stdin=text, capture_output=True, text=True, check=False
            )
        assert (done.returncode, done.stdout) == (2, "")
        assert "it is what is read" in done.stderr
        assert seen(here) == before


def test_a_folder_or_a_pattern_that_holds_the_output(here: Path) -> None:
    (here / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (here / "texts" / name).write_text(TEXT, encoding="utf-8")
    for source in ("texts", "texts/*.txt", "texts/**"):
        form = Form(("train", source, *SMALL, "-o", OUT))
        refused(form, "texts/b.txt", here)
        told = longhold("train", source, *SMALL, "--force", "-o", "texts/b.txt")
        assert told.exit_code == 2
        assert "it is what is read" in told.stderr
        assert (here / "texts" / "b.txt").read_text(encoding="utf-8") == TEXT


def test_a_model_in_the_folder_that_it_learns_from_is_not_learned(here: Path) -> None:
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text(TEXT, encoding="utf-8")
    command = ("train", "texts", *SMALL, "-o", "texts/m.safetensors")
    assert longhold(*command).exit_code == 0
    first = (here / "texts" / "m.safetensors").read_bytes()
    assert (here / "texts" / "m.run" / "plan.json").is_file()
    again = longhold(*command)
    assert again.exit_code == 0, again.stderr
    assert (here / "texts" / "m.safetensors").read_bytes() == first


FOREIGN_RUNS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_bytes(b"forty years"),
    "plan": lambda path: (path / "plan.json").write_text('{"steps": 3}'),
    "metrics": lambda path: (path / "metrics.jsonl").write_text('{"heart rate": 61}\n'),
    "checkpoint": lambda path: (path / "checkpoint.safetensors").write_bytes(b"forty years"),
    "lock": lambda path: (path / "lock").write_text("of my bicycle: 7359"),
    "FIFO": lambda path: os.mkfifo(path / "metrics.jsonl"),
    "lock FIFO": lambda path: os.mkfifo(path / "lock"),
    "plan FIFO": lambda path: os.mkfifo(path / "plan.json"),
    "link": lambda path: (path / "lock").symlink_to("gone"),
}


@pytest.mark.parametrize("foreign", FOREIGN_RUNS)
@pytest.mark.parametrize("force", [False, True])
def test_a_run_folder_of_somebody_elses_is_kept(here: Path, foreign: str, force: bool) -> None:
    if foreign != "file":
        (here / "m.run").mkdir()
    FOREIGN_RUNS[foreign](here / "m.run")
    assert "m.run" in refused(FORMS["train"], "m.safetensors", here, force=force)


def test_no_two_outputs_have_one_run_folder(here: Path) -> None:
    found = set()
    for count, name in enumerate(("m.safetensors", "m.bin", "m", "m.run", "m.run.safetensors", ".safetensors"), 1):
        before = {path.name for path in here.iterdir()}
        result = longhold("train", "text.txt", *SMALL, "--cell", ("rnn", "gru")[count % 2], "-o", name)
        if name == "m.run":
            assert result.exit_code == 2
            assert "that is a folder" in result.stderr
            continue
        assert result.exit_code == 0, result.stderr
        found |= {path.name for path in here.iterdir()} - before - {name}
    assert found == {"m.run", "m.bin-run", "m-run", "m.run.run", ".safetensors-run"}


def test_an_output_that_ends_in_run(here: Path) -> None:
    assert longhold("train", "text.txt", *SMALL, "-o", "m.run").exit_code == 0
    assert (here / "m.run").is_file()
    assert "what is there is no folder" in refused(FORMS["train"], "m.safetensors", here)


@pytest.mark.parametrize("characters", [240, 243, 244, 251, 255])
def test_a_long_name_works_to_the_end_or_not_at_all(here: Path, characters: int) -> None:
    name = "n" * (characters - len(".safetensors")) + ".safetensors"
    assert longhold("train", "text.txt", *SMALL, "-o", name).exit_code == 0
    other = "n" * characters
    if characters + len("-run") <= 255:
        assert longhold("train", "text.txt", *SMALL, "-o", other).exit_code == 0
    else:
        assert "too long" in refused(FORMS["train"], other, here)


def test_a_private_model_stays_private(here: Path) -> None:
    command = ("train", "text.txt", "--more", "1s", "--set", "batch_size=2", "--set", "sequence_length=8", "-o", MODEL)
    (here / MODEL).chmod(0o600)
    result = longhold(*command)
    assert result.exit_code == 0, result.stderr
    assert stat.S_IMODE((here / MODEL).stat().st_mode) == 0o600
    assert stat.S_IMODE((here / "model.run").stat().st_mode) & 0o077 == 0
