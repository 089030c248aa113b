"""The plugin that counts skips: what it prints, and when it fails a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import NO_GPU

ROOT = Path(__file__).resolve().parents[1]
PASSES = "def test_passes(): pass\n"
NO_BROWSER = f"import pytest\n{PASSES}def test_skips(): pytest.skip('no Chromium')\n"
NO_MODULE = "import pytest\npytest.importorskip('no_such_module', reason='no such module')\n"
NO_CARD = f"import pytest\n{PASSES}@pytest.mark.skip(reason={NO_GPU!r})\ndef test_skips(): pass\n"


def run(folder: Path, *, strict: bool) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").touch()
    (folder / "test_more.py").write_text(PASSES)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LONGHOLD_NO_SKIPS": "1" if strict else ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", "-p", "no:cacheprovider", "-n", "1"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "reason", "fails"),
    [(NO_BROWSER, "no Chromium", True), (NO_MODULE, "no such module", True), (NO_CARD, NO_GPU, False)],
)
def test_only_what_could_be_installed_fails_the_run(tmp_path: Path, text: str, reason: str, fails: bool) -> None:
    (tmp_path / "test_it.py").write_text(text)
    lenient, strict = (run(tmp_path, strict=strict) for strict in (False, True))
    assert lenient.returncode == 0
    assert strict.returncode == (1 if fails else 0)
    for done in (lenient, strict):
        assert f"skipped 1: {reason}\n" in done.stdout
    assert (f"FAILED for what was missing: {reason}\n" in strict.stdout) == fails
