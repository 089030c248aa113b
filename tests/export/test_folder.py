"""A folder that is filled, and one that holds something else."""

from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.export.folder import require_export_folder, write_folder
from longhold.files import beginning

KINDS = {"a": beginning("an a", b"<a>"), "b": beginning("a b", b"<b>")}
FILES = {"a": b"<a>12", "b": b"<b>345"}


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    require_export_folder(tmp_path / "new", KINDS)
    assert not (tmp_path / "new").exists()
    assert write_folder(tmp_path / "new", FILES, KINDS) == 11
    assert write_folder(tmp_path / "new", {**FILES, "a": b"<a>6"}, KINDS) == 10
    assert (tmp_path / "new" / "a").read_bytes() == b"<a>6"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for use in (require_export_folder, lambda place, kinds: write_folder(place, FILES, kinds)):
        with pytest.raises(InputError, match=r"it holds other files, such as 'thesis\.txt'"):
            use(tmp_path, KINDS)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
        with pytest.raises(InputError, match="cannot make the folder"):
            use(tmp_path / "no" / "such", KINDS)
        assert not (tmp_path / "no").exists()


def test_a_file_of_such_a_name_that_is_somebody_elses_is_kept(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already and is not a b"):
        write_folder(tmp_path, FILES, KINDS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b": b"mine"}
    assert write_folder(tmp_path, FILES, KINDS, overwrite=True) == 11
    assert (tmp_path / "b").read_bytes() == FILES["b"]
    with pytest.raises(InputError, match="it is what is read"):
        require_export_folder(tmp_path, KINDS, inputs=[tmp_path / "a"], overwrite=True)
