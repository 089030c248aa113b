"""The compression table: what is measured, and that the page says what is stored."""

import bz2
import json
import lzma
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmarks.texts import TEXTS, Text

import longhold
from benchmarks import compression, machine, main, store
from longhold.compression import compress

PANGRAM = "the quick brown fox jumps over the lazy dog\n"
TEXT = Text("A made up text", PANGRAM * 9, "the lazy fox jumps over the quick brown dog\n" * 3)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    source = folder / "text.txt"
    source.write_text(TEXT.file, encoding="utf-8")
    longhold.train(
        source,
        held_out=TEXT.held_fraction,
        hidden_size=5,
        training={"steps": 2},
        output=folder / "timemachine.safetensors",
    )
    return folder


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "facts", lambda: {"processor": "Made Up", "threads": 1})
    monkeypatch.setitem(TEXTS, "timemachine", lambda: TEXT)


@pytest.mark.usefixtures("made_up")
def test_rows_hold_the_sizes(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    output.write_text('{"zh": 1}')
    words = ["compression", "--texts", "timemachine", "--models", str(models), "--output", str(output)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compression, "table", lambda found: "the table")
        assert main.main(words) == 0
    assert capsys.readouterr().out.endswith("the table\n")
    stored = json.loads(output.read_text())
    assert stored["zh"] == 1  # of another text, left alone
    found = stored["timemachine"]
    model = longhold.load(models / "timemachine.safetensors")
    assert found["model"]["file_bytes"] == (models / "timemachine.safetensors").stat().st_size
    whole, held = found["rows"]
    for row, text in ((whole, TEXT.file), (held, TEXT.held)):
        assert row["bytes"] == row["characters"] == len(text)
        assert row["longhold"] == len(compress(model, text.encode()))
        # Python's own libraries; xz the program checks by CRC64 as lzma does
        assert row["xz"] in (None, len(lzma.compress(text.encode(), preset=9)))
        assert row["bzip2"] in (None, len(bz2.compress(text.encode(), 9)))
    assert whole["xz_after_what_the_model_read"] is None
    if shutil.which("xz"):
        assert 0 < held["xz_after_what_the_model_read"] < held["xz"]


@pytest.mark.usefixtures("made_up")
def test_a_model_of_another_text_is_no_measure(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TEXTS, "timemachine", lambda: Text("Another", PANGRAM * 8, PANGRAM))
    with pytest.raises(RuntimeError, match="was trained on 396 characters, not 352"):
        main.main(["compression", "--texts", "timemachine", "--models", str(models)])


def test_an_archive_that_comes_back_otherwise_is_no_row() -> None:
    class Forgetful:
        def compress(self, data: bytes) -> bytes:
            return data[:3]

        def decompress(self, archive: bytes) -> bytes:
            return archive

    with pytest.raises(RuntimeError, match="is not what went in"):
        compression._row(Forgetful(), compression.Piece("abcd", "nothing", True), TEXT)


def test_a_program_that_is_missing_is_said() -> None:
    assert compression.compressed_size(("no-such-program", "-9"), b"x") is None
    assert compression.version("no-such-program") is None
    assert compression._bytes(None) == "not installed"


def test_every_text_has_its_pieces_and_says_what_was_read() -> None:
    assert compression.PIECES.keys() == TEXTS.keys()
    text = Text("T", "abcdefgh", "ij", "klm")
    for name, pieces in compression.PIECES.items():
        for piece in pieces(text):
            assert piece.fresh == (piece.text not in text.train and not piece.text.startswith(text.train)), name
            assert piece.read.startswith("nothing") == piece.fresh


def found() -> dict[str, Any]:
    row = {"read": "nothing", "characters": 100, "bytes": 1000, "longhold": 25, "xz": 60, "zstd": None, "bzip2": 50}
    row |= {"xz_after_what_the_model_read": 40}
    row |= {"compress_characters_per_second": 1234.5, "decompress_characters_per_second": 99.0}
    model = {"file_bytes": 1000, "cell": "gru", "hidden_size": 3, "vocab_size": 300, "seconds": 9.6}
    model |= {"held_out_bits_per_character": 1.5}
    where = {"tools": {"xz": "5.4", "zstd": None, "bzip2": "1.0"}, "date": "2026-01-02 03:04 UTC", "load": [0.1, 2.0]}
    facts = {"processor": "Made Up", "threads": 2}
    return {"zh": {"title": "T", "model": model, "rows": [row], **where, "machine": facts}}


def test_the_table_is_of_the_rows() -> None:
    lines = compression.table(found()).splitlines()
    assert lines[2] == "| T | nothing | 1,000 | 60 | not installed | 50 | 40 | **25** | 1,025 | 2.000 | 1,234, 99 |"
    assert lines[4] == (
        "- T: GRU of 3 units, V 300, trained for 10 s, held-out 1.500 bits per character. Made Up, 2 threads, "
        "load 2.0; xz 5.4, zstd not installed, bzip2 1.0; 2026-01-02."
    )


def test_the_page_takes_the_table_between_its_marks() -> None:
    page = "before\n<!-- python -m benchmarks compression --docs -->\nold\n<!-- end -->\nafter\n"
    changed = compression.documented(page, found())
    assert changed.startswith("before\n<!--")
    assert changed.endswith("-->\nafter\n")
    assert compression.table(found()) in changed
    assert "\nold\n" not in changed
    assert compression.documented(changed, found()) == changed


def test_the_page_has_the_figures_that_are_stored() -> None:
    stored = compression.read(store.RESULTS / "compression.json")
    page = compression.PAGE.read_text(encoding="utf-8")
    assert stored
    assert set(stored) <= set(TEXTS)
    assert compression.documented(page, stored) == page
    assert compression.table(stored) in page


def test_the_programs_do_what_their_names_say() -> None:
    for tool, command in compression.TOOLS.items():
        if shutil.which(tool):
            data = PANGRAM.encode() * 20
            packed = subprocess.run([*command, "-c"], input=data, capture_output=True, check=True).stdout
            assert subprocess.run([tool, "-dc"], input=packed, capture_output=True, check=True).stdout == data
            assert compression.compressed_size(command, data) == len(packed)
            assert compression.version(tool)
