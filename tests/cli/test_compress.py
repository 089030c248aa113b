"""`longhold compress` and `longhold decompress` as a person uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from longhold.cli.main import app

STORED = Path(__file__).parents[1] / "compression" / "stored"
MODEL = STORED / "model.safetensors"
DATA = (STORED / "text.bin").read_bytes()[:3000]


def longhold(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.txt").write_bytes(DATA)
    return tmp_path


def test_there_and_back(here: Path) -> None:
    done = longhold("compress", "page.txt", "--model", MODEL)
    assert done.exit_code == 0
    size = (here / "page.txt.lhtx").stat().st_size
    assert f"{len(DATA):,} bytes became {size:,}, {size / len(DATA):.1%}" in done.stderr
    assert f"{8 * size / len(DATA):.3f} bits per byte" in done.stderr
    assert f"{8 * size / len(DATA.decode()):.3f} bits per character" in done.stderr
    (here / "page.txt").unlink()
    done = longhold("decompress", "page.txt.lhtx", "--model", MODEL)
    assert done.exit_code == 0
    assert (here / "page.txt").read_bytes() == DATA


def test_through_pipes(here: Path) -> None:
    command = [sys.executable, "-m", "longhold"]
    packed = subprocess.run(
        [*command, "compress", "-", "--model", str(MODEL)], input=DATA, capture_output=True, check=True
    )
    back = subprocess.run(
        [*command, "decompress", "-", "--model", str(MODEL)], input=packed.stdout, capture_output=True, check=True
    )
    assert back.stdout == DATA


def test_what_does_not_get_smaller_is_told(here: Path) -> None:
    (here / "noise").write_bytes(os.urandom(500))
    done = longhold("compress", "noise", "--model", MODEL)
    assert "the model knows nothing of the kind, so it is stored as it is" in done.stderr
    assert "bits per character" not in done.stderr
    (here / "empty").write_bytes(b"")
    assert "0 bytes became" in longhold("compress", "empty", "--model", MODEL).stderr
    assert longhold("decompress", "empty.lhtx", "--model", MODEL, "--force").exit_code == 0
    assert (here / "empty").read_bytes() == b""


def refused(done: Result, told: str) -> None:
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_whatever_is_wrong_is_one_line_and_no_file(here: Path) -> None:
    archive = (STORED / "text.8.lhtx").read_bytes()
    (here / "wrong.lhtx").write_bytes(archive[:22] + bytes((archive[22] ^ 1,)) + archive[23:])
    (here / "cut.lhtx").write_bytes(archive[:-9])
    (here / "else.lhtx").write_bytes(b"\x1f\x8b gzip")
    (here / "other.lhtx").write_bytes(sealed_for_another_model(archive))
    before = sorted(path.name for path in here.iterdir())
    for name, told in {
        "wrong": "truncated or damaged",
        "cut": "truncated or damaged",
        "else": "not an archive",
        "other": "made with another model",
    }.items():
        refused(longhold("decompress", f"{name}.lhtx", "--model", MODEL), told)
    refused(longhold("decompress", "missing.lhtx", "--model", MODEL), "cannot read 'missing.lhtx'")
    refused(longhold("compress", "missing", "--model", MODEL), "cannot read 'missing'")
    refused(longhold("compress", "page.txt", "--model", "page.txt"), "page.txt")
    refused(
        longhold("decompress", "page.txt", "--model", MODEL),
        "does not end in .lhtx: name what comes out with -o",
    )
    assert sorted(path.name for path in here.iterdir()) == before


def sealed_for_another_model(archive: bytes) -> bytes:
    import dataclasses

    from longhold.compression import archive as archives
    from longhold.compression import read_archive

    header, payload = read_archive(archive)
    return archives._written(dataclasses.replace(header, model=bytes(16)), payload)


def test_a_file_that_is_there_is_kept_unless_forced(here: Path) -> None:
    (here / "page.txt.lhtx").write_bytes(b"mine")
    refused(longhold("compress", "page.txt", "--model", MODEL), "'page.txt.lhtx' is there already")
    assert (here / "page.txt.lhtx").read_bytes() == b"mine"
    assert longhold("compress", "page.txt", "--model", MODEL, "--force").exit_code == 0
    refused(longhold("decompress", "page.txt.lhtx", "--model", MODEL), "'page.txt' is there already")
    assert longhold("decompress", "page.txt.lhtx", "--model", MODEL, "-o", "again").exit_code == 0
    assert (here / "again").read_bytes() == DATA
