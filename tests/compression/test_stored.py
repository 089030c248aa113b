"""Archives that were made once, with their model, and have to decode for ever: here, elsewhere, and in JavaScript.

`stored/` holds a model trained on this project's own pages, a text, and its archives with 8 and with 16 bits.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from longhold.compression import archive as archives
from longhold.compression import compress, decompress, read_archive
from longhold.integer import packed, quantize
from longhold.models.language_model import LanguageModel
from longhold.text import load
from tests.integer.models import ASSETS

STORED = Path(__file__).with_name("stored")
MODEL, TEXT = STORED / "model.safetensors", (STORED / "text.bin").read_bytes()
ARCHIVES = {bits: (STORED / f"text.{bits}.lhtx").read_bytes() for bits in (8, 16)}


def unpacked_by_node(bits: Any, *archives: bytes) -> list[dict[str, str]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the JavaScript twin needs node, and this machine has none")
    model = load(MODEL)
    assert isinstance(model.model, LanguageModel)
    job = {
        "packed": packed(quantize(model.model, bits), model.tokenizer),
        "archives": [base64.b64encode(archive).decode() for archive in archives],
    }
    command = [node, str(Path(__file__).with_name("unpack.mjs")), str(ASSETS / "archive.js")]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("bits", ARCHIVES)
def test_it_decodes_and_the_same_bytes_are_written_today(bits: Any) -> None:
    model = load(MODEL)
    assert decompress(model, ARCHIVES[bits]) == TEXT
    assert compress(model, TEXT, bits=bits) == ARCHIVES[bits]
    header = read_archive(ARCHIVES[bits])[0]
    assert (header.bits, header.segments) == (bits, 2)
    assert len(ARCHIVES[bits]) < len(TEXT) / 2


@pytest.mark.parametrize(
    ("threads", "environment"),
    [(4, {}), (1, {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"})],
    ids=["four threads", "no vector units"],
)
def test_it_decodes_elsewhere(threads: int, environment: dict[str, str]) -> None:
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    command = [sys.executable, "-m", "longhold", "decompress", str(STORED / "text.16.lhtx"), "--model", str(MODEL)]
    everything = {**os.environ, **counts, **environment}
    done = subprocess.run([*command, "-o", "-"], env=everything, capture_output=True, check=True)
    assert done.stdout == TEXT


@pytest.mark.parametrize("bits", ARCHIVES)
def test_it_decodes_in_javascript(bits: Any) -> None:
    model, stored, lines = load(MODEL), b"\x80\x81\xfe", b"\n" * 3000
    mixed = b"a \xff " + "中 the gate".encode()
    damaged = ARCHIVES[bits][:-5] + bytes(5)
    header, payload = read_archive(ARCHIVES[bits])
    lies = [
        dataclasses.replace(header, symbols=symbols, length=length, segments=segments)
        for symbols, length, segments in (
            (2**18, 2**18, 64),
            (2**50, 2**50, 1),
            (2**50, len(TEXT), 1),
            (100, len(TEXT), 2**50),
            (70, len(TEXT), 64),
        )
    ]
    answers = unpacked_by_node(
        bits,
        ARCHIVES[bits],
        compress(model, stored, bits=bits),
        compress(model, TEXT[:600] + mixed, bits=bits),
        compress(model, lines, bits=bits),
        damaged,
        b"nothing of the kind",
        ARCHIVES[24 - bits],
        ARCHIVES[bits][:30],
        *(archives._written(lie, payload[:50]) for lie in lies),
    )
    found = [base64.b64decode(answer["data"]) for answer in answers[:4]]
    assert found == [TEXT, stored, TEXT[:600] + mixed, lines]
    errors = [answer["error"] for answer in answers[4:]]
    assert errors[0] == "the archive is damaged"
    assert errors[1] == "not an archive of longhold compress"
    assert errors[2] == "the archive was made with another model"
    assert errors[3] == "the archive is truncated or damaged"
    assert errors[4] == "the archive is damaged"
    assert errors[5].startswith(f"the archive says that it holds {2**50} bytes, expected at most ")
    assert errors[6:] == ["the archive is truncated or damaged"] * 3
