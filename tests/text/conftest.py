"""A text on disk."""

from pathlib import Path

import pytest

from tests.text.stories import STORY


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary.txt"
    path.write_text(STORY, encoding="utf-8")
    return path
