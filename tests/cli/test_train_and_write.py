"""`longhold train` and `longhold write` as a person uses them, and what they answer to bad input."""

import json
import os
import shlex
import struct
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app

TEXT = "The cat, which already ate a bunch of food, was full. The cats, which already ate it, were full.\n" * 30
SMALL = ["--hidden-size", "8", "--set", "steps=6", "--set", "batch_size=2", "--set", "sequence_length=8"]


def longhold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def text(here: Path) -> Path:
    path = here / "cats.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def model(text: Path) -> Path:
    assert longhold("train", text, *SMALL).exit_code == 0
    return text.with_suffix(".safetensors")


def refused(result: Result, *words: str) -> None:
    """One line on standard error, exit code 2, no traceback."""
    assert result.exit_code == 2, result.output
    complaint = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaint) == 1, result.stderr
    assert "Traceback" not in result.output
    for word in words:
        assert word in complaint[0]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_train_leaves_a_model_that_writes(text: Path, cell: str) -> None:
    result = longhold("train", text, "--cell", cell, *SMALL)
    assert result.exit_code == 0, result.output
    assert "bits per character on held-out text" in result.stderr
    written = longhold("write", "cats.safetensors", "--prime", "The cat", "--length", "40", "--seed", "1")
    assert written.exit_code == 0
    assert written.stdout.startswith("The cat")
    again = longhold("write", "cats.safetensors", "--prime", "The cat", "--length", "40", "--seed", "1")
    assert again.stdout == written.stdout
    assert longhold("write", "cats.safetensors", "--prime", "The cat", "--seed", "2").stdout != written.stdout


def test_the_same_command_again_goes_on_and_ends_with_the_same_file(text: Path) -> None:
    assert longhold("train", text, *SMALL).exit_code == 0
    first = (text.parent / "cats.safetensors").read_bytes()
    assert longhold("train", text, *SMALL).exit_code == 0
    assert (text.parent / "cats.safetensors").read_bytes() == first


def test_the_end_is_told_in_words_and_figures(text: Path) -> None:
    said = longhold("train", text, *SMALL).stderr
    assert "expect imitation of style, not sense" in said
    assert "repeats, word for word" in said
    assert "it writes: " in said
    assert "words that it wrote occur in the training text" in said
    assert "bits per byte" in said
    assert "saved in cats.safetensors" in said


def test_more_goes_on_from_text_or_model_file(model: Path, text: Path) -> None:
    small = ["--set", "batch_size=2", "--set", "sequence_length=8"]
    for source in (text, model):
        before = model.read_bytes()
        result = longhold("train", source, "--more", "1s", *small)
        assert result.exit_code == 0, result.output
        assert "continues with the LSTM, 1 x 8 units" in result.stderr
        assert model.read_bytes() != before
    refused(longhold("train", text, *SMALL), "--more")
    refused(longhold("train", text, "--more", "1s", "--cell", "gru"), "cell cannot be chosen")
    refused(longhold("train", model), "is a model")


def test_more_without_a_model(text: Path) -> None:
    refused(longhold("train", text, "--more", "1s"), "no model 'cats.safetensors'")


def test_settings_of_the_model_and_the_awd_recipe(text: Path) -> None:
    result = longhold("train", text, *SMALL, "--recipe", "awd", "--set", "weight_dropout=0.5")
    assert result.exit_code == 0, result.output
    refused(longhold("train", text, *SMALL, "--recipe", "adw"), "recipe", "awd")
    refused(longhold("train", text, *SMALL, "--set", "weight_dropout=2"), "model settings", "weight_dropout=2")


def test_a_sample_cannot_speak_to_the_terminal(here: Path) -> None:
    path = here / "escape.txt"
    path.write_text("[bold]\x1b[31m]red[/] " * 60, encoding="utf-8")
    result = longhold("train", path, *SMALL, "--tokenizer", "byte")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stderr


def test_ctrl_c_leaves_a_model_that_writes(text: Path) -> None:
    import subprocess
    import sys
    import time

    small = ["--hidden-size", "8", "--set", "steps=100000", "--set", "evaluate_every=5", "--set", "patience=off"]
    command = [sys.executable, "-m", "longhold", "train", str(text), *small]
    process = subprocess.Popen(command, cwd=text.parent, stderr=subprocess.PIPE, text=True)
    metrics = text.parent / "cats.run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and "held_out" in metrics.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(2)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at step" in said
    assert "longhold write cats.safetensors" in said
    assert longhold("write", "cats.safetensors", "--length", "5").exit_code == 0


def test_another_plan_in_the_run_folder_is_refused(model: Path, text: Path) -> None:
    said = longhold("train", text, *SMALL, "--cell", "gru")
    refused(said, "cats.run holds a run with another plan (cell: 'lstm' there, 'gru' here): give", "-o NAME")
    assert longhold("train", text, *SMALL, "--cell", "gru", "-o", "gru.safetensors").exit_code == 0


def test_a_training_that_diverges_saves_nothing_over_a_model(model: Path, text: Path) -> None:
    before = model.read_bytes()
    bad = [*SMALL, "--set", "lr=1000", "--set", "steps=40"]
    refused(
        longhold("train", text, "--more", "2s", "--set", "lr=1000"),
        "diverged",
        "learning rate 1000",
        "the model stays as it was",
    )
    assert model.read_bytes() == before
    refused(
        longhold("train", text, *bad, "-o", "bad.safetensors"),
        "diverged",
        "learning rate 1000",
        "lower lr such as 0.003",
    )
    assert not Path("bad.safetensors").exists()
    good = longhold("train", text, *SMALL, "-o", "bad.safetensors")  # the folder is free for other settings
    assert good.exit_code == 0, good.output


@pytest.mark.parametrize(("line", "prime"), [("The cat", "The"), ("今天下雨，明天不下。", "今天"), ("-- 12 --", "")])
def test_the_prompt_that_is_suggested_is_of_the_text(here: Path, line: str, prime: str) -> None:
    (here / "own.txt").write_text((line + "\n") * 80, encoding="utf-8")
    said = longhold("train", "own.txt", *SMALL).stderr.splitlines()[-1]
    command = said.partition("write with it: longhold ")[2]
    assert shlex.split(command) == ["write", "own.safetensors", *(["--prime", prime] if prime else [])]
    assert longhold(*shlex.split(command), "--length", "5").stdout.startswith(prime)


def test_characters_never_seen_are_reported(model: Path) -> None:
    result = longhold("write", model, "--prime", "Zürich", "--length", "3")
    assert result.exit_code == 0
    assert "'Z'" in result.stderr
    assert "'ü'" in result.stderr


def test_standard_input_is_a_source(here: Path) -> None:
    result = CliRunner().invoke(app, ["train", "-", "-o", "piped.safetensors", *SMALL], input=TEXT)
    assert result.exit_code == 0, result.output
    assert (here / "piped.safetensors").is_file()


def test_a_text_in_another_encoding_is_read_and_said(here: Path) -> None:
    path = here / "old.txt"
    path.write_bytes(("子曰：「學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？」" * 30).encode("big5"))
    result = longhold("train", path, *SMALL)
    assert result.exit_code == 0, result.output
    assert "big5" in result.stderr.lower()
    refused(longhold("train", path, "--encoding", "utf-8"), "utf-8")


def test_texts_that_are_none(here: Path) -> None:
    (here / "empty.txt").write_bytes(b"")
    (here / "short.txt").write_bytes(b"ten bytes.")
    (here / "binary.bin").write_bytes(bytes(range(256)) * 40)
    (here / "folder").mkdir()
    refused(longhold("train", "empty.txt"), "empty.txt")
    refused(longhold("train", "short.txt"), "10", "200")
    refused(longhold("train", "binary.bin"), "binary.bin")
    refused(longhold("train", "missing.txt"), "missing.txt")
    refused(longhold("train", "folder"), "folder")
    assert not list(here.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cell", "transformer"], ["transformer", "lstm"]),
        (["--budget", "soon"], ["soon"]),
        (["--budget", "-3"], ["-3"]),
        (["--hidden-size", "-4"], ["hidden_size", "-4"]),
        (["--num-layers", "0"], ["num_layers"]),
        (["--dropout", "1.5"], ["dropout", "1.5"]),
        (["--held-out", "1"], ["held_out"]),
        (["--init", "xavier"], ["xavier"]),
        (["--cell", "rnn", "--init", "chrono:9"], ["Chrono"]),
        (["--set", "lr"], ["name=value"]),
        (["--set", "lr=fast"], ["lr", "fast"]),
        (["--set", "learning_rate=1"], ["learning_rate"]),
        (["--set", "lr=1e30"], ["lower lr"]),
        (["--config", "none.toml"], ["none.toml"]),
        (["--device", "abacus"], ["abacus"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--output", "nowhere/model.safetensors"], ["nowhere"]),
    ],
)
def test_options_that_cannot_be_used(text: Path, arguments: list[str], words: list[str]) -> None:
    refused(longhold("train", text, *SMALL, *arguments), *words)
    assert not list(text.parent.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "-1"], ["temperature"]),
        (["--top-k", "0"], ["top_k"]),
        (["--top-p", "2"], ["top_p"]),
        (["--length", "-5"], ["-5"]),
    ],
)
def test_sampling_options_that_cannot_be_used(model: Path, arguments: list[str], words: list[str]) -> None:
    refused(longhold("write", model, *arguments), *words)


def test_damaged_models_are_refused(model: Path) -> None:
    whole = model.read_bytes()
    refused(longhold("write", "missing.safetensors"), "missing.safetensors")
    for damaged in (b"", whole[:7], whole[: len(whole) // 2], whole[:-1], b"not a model at all"):
        model.write_bytes(damaged)
        refused(longhold("write", model))
    flipped = bytearray(whole)
    flipped[-5] ^= 1
    model.write_bytes(bytes(flipped))
    refused(longhold("write", model))


def test_a_model_from_a_newer_longhold_is_refused(model: Path) -> None:
    whole = model.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + size])
    document = json.loads(header["__metadata__"]["longhold"])
    document["format_version"] = 99
    header["__metadata__"]["longhold"] = json.dumps(document)
    encoded = json.dumps(header).encode()
    model.write_bytes(struct.pack("<Q", len(encoded)) + encoded + whole[8 + size :])
    refused(longhold("write", model), "99")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_while_writing_text_is_one_line(model: Path) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m longhold write {model} --length 5 > /dev/full"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
