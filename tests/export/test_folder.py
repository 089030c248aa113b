"""A folder that is filled, and one that holds something else."""

from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.export.folder import write_folder


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    assert write_folder(tmp_path / "new", {"a": b"12", "b": b"345"}) == 5
    assert write_folder(tmp_path / "new", {"a": b"6", "b": b""}) == 1
    assert (tmp_path / "new" / "a").read_bytes() == b"6"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"it holds other files, such as 'thesis\.txt'"):
        write_folder(tmp_path, {"a": b""})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="cannot export to the folder"):
        write_folder(tmp_path / "no" / "such", {"a": b""})
