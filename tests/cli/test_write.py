"""`longhold write` as a person uses it: streaming, stopping, choosing, scoring, and what a terminal may be shown."""

import json
import os
import pty
import subprocess
import sys
import termios
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app
from longhold.data.tokenizers import ByteTokenizer, CharTokenizer, Tokenizer
from longhold.models.language_model import LanguageModelConfig
from longhold.text import TextModel, load

LETTERS = "abcdef"


def speller(letters: Tokenizer, after: dict[str, str]) -> TextModel:
    """An RNN that has learned by heart which letter comes after which; the second likeliest is the letter itself."""
    size = letters.vocab_size
    model = LanguageModelConfig(cell="rnn", vocab_size=size, hidden_size=size).build()
    ids = {letter: int(letters.encode(letter)[0]) for letter in {*after, *after.values()}}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.layer.weight_ih_l0.copy_(torch.eye(size) * 20)
        model.output.weight.copy_(torch.eye(size) * 5)
        for letter, following in after.items():
            model.output.weight[ids[following], ids[letter]] = 20
    return TextModel(model, letters)


@pytest.fixture
def alphabet(tmp_path: Path) -> Path:
    """After each letter of abcdef comes the next one, after f again a."""
    path = tmp_path / "alphabet.safetensors"
    speller(CharTokenizer(LETTERS, fallback=False), dict(zip(LETTERS, LETTERS[1:] + "a", strict=True))).save(path)
    return path


@pytest.fixture
def painter(tmp_path: Path) -> Path:
    """A byte model that writes the escape sequence for red, and a bell, over and over."""
    path = tmp_path / "painter.safetensors"
    text = "\x1b[31m\a"
    speller(ByteTokenizer(), dict(zip(text, text[1:] + text[0], strict=True))).save(path)
    return path


def write(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["write", *map(str, arguments)], input=typed)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    complaint = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(complaint) == 1, result.stderr
    for word in words:
        assert word in complaint[0]


def test_writing_ends_before_a_stop_text(alphabet: Path) -> None:
    assert write(alphabet, "--prime", "ab", "--stop", "fab").stdout == "abcde\n"
    assert write(alphabet, "--prime", "ab", "--stop", "fab", "--stop", "de").stdout == "abc\n"
    refused(write(alphabet, "--stop", ""), "stop")


def test_the_length_is_in_tokens_and_500_unless_said(alphabet: Path) -> None:
    assert write(alphabet, "--prime", "a", "--length", 4).stdout == "abcde\n"
    assert len(write(alphabet, "--prime", "a").stdout) == 1 + 500 + 1


def test_a_repetition_penalty_is_obeyed(alphabet: Path) -> None:
    arguments = (alphabet, "--prime", "a", "--length", 12, "--seed", 3, "--repetition-penalty", 100)
    expected = "".join(load(alphabet).write("a", length=12, seed=3, repetition_penalty=100))
    assert write(*arguments).stdout == f"a{expected}\n"
    assert expected != "bcdefabcdefa"
    assert write(*arguments, "--repetition-window", 1).stdout == "abcdefabcdefa\n"
    refused(write(alphabet, "--repetition-penalty", "0.5"), "repetition_penalty=0.5")


def test_a_prompt_from_a_file_is_obeyed_to_its_end(alphabet: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("fa" * 3000 + "c")
    assert write(alphabet, "--prime-file", prompt, "--length", 3).stdout == "fa" * 3000 + "cdef\n"
    assert write(alphabet, "--prime-file", "-", "--length", 3, typed="cab").stdout == "cabcde\n"
    refused(write(alphabet, "--prime-file", prompt, "--prime", "a"), "--prime", "one of them")
    refused(write(alphabet, "--prime-file", tmp_path / "none"), "none")
    refused(write(alphabet, "--prime-file", "-", "-i", typed="q\n"), "standard input")


def test_control_characters_go_into_a_pipe_as_they_are_and_escaped_when_asked(painter: Path) -> None:
    arguments = (painter, "--prime", "\x1b", "--length", 5)
    assert write(*arguments).stdout == "\x1b[31m\a\n"
    assert write(*arguments, "--raw").stdout == "\x1b[31m\a\n"
    assert write(*arguments, "--escape").stdout == "\\x1b[31m\\x07\n"


def on_a_terminal(*arguments: object) -> bytes:
    """What the command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    attributes = termios.tcgetattr(follower)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(follower, termios.TCSANOW, attributes)
    command = [sys.executable, "-m", "longhold", "write", *map(str, arguments)]
    done = subprocess.run(command, stdout=follower, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True)
    assert done.stderr == b""
    os.close(follower)
    return os.read(leader, 10_000)


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_a_terminal_is_shown_escapes_and_no_markup(painter: Path, tmp_path: Path) -> None:
    assert on_a_terminal(painter, "--prime", "\x1b", "--length", 5) == b"\\x1b[31m\\x07\n"
    assert on_a_terminal(painter, "--prime", "\x1b", "--length", 5, "--raw") == b"\x1b[31m\x07\n"
    path = tmp_path / "markup.safetensors"
    text = "[bold red]x\n"
    speller(ByteTokenizer(), {"!": "[", **dict(pairwise(text))}).save(path)
    assert on_a_terminal(path, "--prime", "![/]!", "--length", 2) == b"![/]![b\n"


def test_standard_output_in_a_narrow_encoding_shows_escapes(painter: Path) -> None:
    command = [sys.executable, "-m", "longhold", "write", painter, "--prime", "é其", "--length", "0"]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert done.stdout == b"\xe9\\u5176\n"


def choose(model: Path, typed: str, *arguments: object) -> Result:
    result = write(model, "-i", *arguments, typed=typed)
    assert "Traceback" not in result.output
    return result


def test_a_person_chooses_by_number_by_enter_and_by_typing(alphabet: Path) -> None:
    result = choose(alphabet, "\n2\ncafe\n\nq\n\n\n", "--prime", "a")
    assert result.exit_code == 0
    assert result.stdout == "a" + "b" + "b" + "cafe" + "f" + "\n"
    assert "1 'b' 100.0%" in result.stderr
    assert "abbcafe|" in result.stderr


def test_choices_are_taken_back_one_by_one(alphabet: Path) -> None:
    result = choose(alphabet, "\nfed\nu\nu\nu\n\n", "--prime", "a")
    assert result.stdout == "ab\n"
    assert "nothing to undo" in result.stderr


def test_what_looks_like_a_command_is_written_after_a_plus(painter: Path) -> None:
    assert choose(painter, "+3\n+u\n+q\n++\n+\n u\n").stdout == "3uq+\n u\n"


def test_chance_chooses_by_the_rules_and_the_seed(alphabet: Path) -> None:
    flat = ("--prime", "a", "--temperature", 50)
    runs = [choose(alphabet, "r\n" * 20, *flat, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert choose(alphabet, "r\n" * 20, *flat, "--top-k", 1).stdout == "abcdefabcdefabcdefabc\n"


def test_what_cannot_be_chosen_is_said_and_nothing_is_lost(alphabet: Path) -> None:
    result = choose(alphabet, "\n99\n0\nxyz\n４\n\n", "--prime", "a", "--choices", 4)
    assert result.exit_code == 0
    assert "expected a number from 1 to 4; to write 99 type +99" in result.stderr
    assert "not in the vocabulary" in result.stderr
    assert result.stdout.startswith("ab")
    assert len(result.stdout) == len("ab??\n")
    assert "5 '" not in result.stderr


def test_the_dialogue_ends_at_the_length_the_stop_text_and_the_end_of_input(alphabet: Path) -> None:
    assert choose(alphabet, "\n" * 9, "--prime", "a", "--length", 3).stdout == "abcd\n"
    assert choose(alphabet, "\n" * 9, "--prime", "a", "--stop", "de").stdout == "abc\n"
    assert choose(alphabet, "\n", "--prime", "a").stdout == "ab\n"
    assert choose(alphabet, "", "--prime", "a").stdout == "a\n"
    assert choose(alphabet, "\n", "--prime", "a", "--length", 0).stdout == "a\n"
    refused(choose(alphabet, "\n", "--length", -1), "length=-1")
    refused(choose(alphabet, "\n", "--seed", -1), "seed=-1")


def test_amid_a_character_only_what_completes_it_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "bytes.safetensors"
    text = speller(ByteTokenizer(), {"a": "b"})
    with torch.no_grad():
        text.model.output.weight[0xF4, ord("a")] = 30
        text.model.output.weight[ord("x"), 0xF4] = 40
        text.model.output.weight[0x8A, 0xF4] = 30
    text.save(path)
    result = choose(path, "\nno\n99\n\nr\nr\nok\n", "--prime", "a", "--choices", 20, "--temperature", 0)
    assert result.exit_code == 0
    assert result.stdout == "a" + b"\xf4\x8a\x8a\x8a".decode() + "ok\n"
    assert "a character is not complete yet" in result.stderr
    assert "expected a number from 1 to 16" in result.stderr
    assert "1 '\\x8a' 100.0%" in result.stderr
    assert "'x'" not in result.stderr
    assert "\ufffd" not in result.output


def test_a_character_spelled_in_bytes_appears_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "bytes.safetensors"
    text = speller(ByteTokenizer(), {"a": "b"})
    raw = "é".encode()
    with torch.no_grad():
        text.model.output.weight[raw[0], ord("a")] = 30
        text.model.output.weight[raw[1], raw[0]] = 30
    text.save(path)
    assert choose(path, "\n", "--prime", "a").stdout == "a\n"
    result = choose(path, "\n\n", "--prime", "a")
    assert result.stdout == "aé\n"
    assert "1 '\\xc3'" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="the signal is sent as POSIX does")
def test_ctrl_c_keeps_what_was_chosen(alphabet: Path) -> None:
    command = [sys.executable, "-m", "longhold", "write", str(alphabet), "-i", "--prime", "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(b"\n")
        running.stdin.flush()
        while b"ab|" not in running.stderr.readline():
            pass
        running.send_signal(2)
        out, errors = running.communicate(timeout=60)
    assert out == b"ab\n"
    assert errors.endswith(b"stopped\n")
    assert b"Traceback" not in errors
    assert running.returncode == 130


@pytest.mark.skipif(os.name != "posix", reason="the signal is sent as POSIX does")
def test_ctrl_c_while_it_writes_ends_the_line(alphabet: Path) -> None:
    command = [sys.executable, "-m", "longhold", "write", str(alphabet), "--length", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.read(100)
        running.send_signal(2)
        out, errors = running.communicate(timeout=60)
    assert out.endswith(b"\n")
    assert errors == b"stopped\n"
    assert running.returncode == 130


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("abcdef\nabc" + "\x1b" + "xdef\n" * 3, encoding="utf-8")
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "trained.safetensors"
    torch.manual_seed(1)
    tokenizer = CharTokenizer(LETTERS + "\n")
    model = LanguageModelConfig(cell="gru", vocab_size=tokenizer.vocab_size, hidden_size=6).build()
    TextModel(model, tokenizer).save(path)
    return path


def test_a_score_says_how_well_and_where_not(trained: Path, text: Path) -> None:
    result = write(trained, "--score", text, "--places", 3)
    assert result.exit_code == 0, result.output
    score = load(trained).score(text.read_text())
    assert f"bits per character  {score.bits_per_character:.3f}" in result.stdout
    assert f"bits per byte       {score.bits_per_byte:.3f}" in result.stdout
    assert f"perplexity          {score.perplexity:,.3f}" in result.stdout
    lines = result.stdout.splitlines()
    assert "\x1b" not in result.stdout
    assert len(lines) == 4 + 1 + 1  # every place is near the first
    assert "»" in lines[-1]
    assert write(trained, "--score", "-", "--places", 0, typed=text.read_text()).stdout.splitlines() == lines[:4]


def test_a_score_as_json_says_the_same(trained: Path, text: Path) -> None:
    found = json.loads(write(trained, "--score", text, "--json", "--places", 2).stdout)
    surprises = load(trained).surprises(text.read_text())
    assert found["bits_per_character"] == pytest.approx(surprises.score.bits_per_character)
    assert found["bits_per_byte"] == pytest.approx(surprises.score.bits_per_byte)
    assert found["perplexity"] == pytest.approx(surprises.score.perplexity)
    assert (found["characters"], found["bytes"]) == (len(text.read_text()), len(text.read_bytes()))
    (first,) = surprises.largest(2)
    assert found["surprising"] == [
        {
            "position": first.position,
            "line": first.line,
            "text": first.text,
            "bits": pytest.approx(first.bits),
            "before": first.before,
            "after": first.after,
        }
    ]


def test_a_dynamic_score_learns_as_it_reads(trained: Path, text: Path) -> None:
    plain = json.loads(write(trained, "--score", text, "--json").stdout)
    learns = json.loads(write(trained, "--score", text, "--json", "--dynamic").stdout)
    still = json.loads(write(trained, "--score", text, "--json", "--dynamic", "--dynamic-rate", 0).stdout)
    assert learns["bits_per_character"] < plain["bits_per_character"]
    assert still["bits_per_character"] == pytest.approx(plain["bits_per_character"], rel=1e-6)
    refused(write(trained, "--dynamic"), "--dynamic", "--score only")
    refused(write(trained, "--score", text, "--dynamic-rate", 1), "--dynamic-rate", "--dynamic only")
    refused(write(trained, "--score", text, "--dynamic", "--dynamic-rate", -1), "rate")


def test_a_score_in_another_encoding(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes("子曰：學而時習之，不亦說乎？".encode("gb18030"))
    result = write(trained, "--score", path, "--encoding", "gb18030", "--json")
    assert json.loads(result.stdout)["bytes"] == 3 * len("子曰：學而時習之，不亦說乎？")
    refused(write(trained, "--score", path, "--encoding", "utf-8"), "utf-8")
    refused(write(trained, "--score", tmp_path / "none.txt"), "none.txt")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--score", "LICENSE", "--prime", "x"], ["--prime", "--score"]),
        (["--score", "LICENSE", "-i"], ["--interactive", "--score"]),
        (["--score", "LICENSE", "--temperature", "1"], ["--temperature"]),
        (["--json"], ["--json", "--score only"]),
        (["--places", "3"], ["--places"]),
        (["--choices", "3"], ["--choices", "--interactive only"]),
        (["--encoding", "utf-8"], ["--encoding"]),
    ],
)
def test_an_option_that_would_not_be_read_is_refused(alphabet: Path, arguments: list[str], words: list[str]) -> None:
    refused(write(alphabet, *arguments), *words)
