"""The texts of the benchmarks, from a folder made up here."""

from pathlib import Path

import pytest
from benchmarks.texts import TEXTS, NoData

from longhold.data.corpora import split


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb/ptb.char.train.txt").write_text("a _ b \n N _ < u n k > \n", encoding="utf-8")
    (tmp_path / "ptb/ptb.char.valid.txt").write_text("c \n", encoding="utf-8")
    (tmp_path / "ptb/ptb.char.test.txt").write_text("d ' s \n", encoding="utf-8")
    (tmp_path / "timemachine.txt").write_text("0123456789" * 3, encoding="utf-8")
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_penn_treebank_is_put_together_from_its_characters() -> None:
    text = TEXTS["ptb"]()
    assert (text.train, text.held, text.test) == ("a b\nN <unk>\n", "c\n", "d's\n")
    assert split(text.file, text.held_fraction) == (text.train, text.held)


@pytest.mark.usefixtures("folder")
def test_of_other_texts_the_last_tenth_is_held_out() -> None:
    text = TEXTS["timemachine"]()
    assert (text.train + text.held, text.held, text.test) == ("0123456789" * 3, "789", None)
    assert split(text.file, text.held_fraction) == (text.train, text.held)


def test_a_text_that_is_not_there_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoData, match=r"^cannot read tinyshakespeare.txt in the folder LONGHOLD_DATA: No such file"):
        TEXTS["tinyshakespeare"]()
    monkeypatch.delenv("LONGHOLD_DATA")
    with pytest.raises(NoData, match=r"^LONGHOLD_DATA is not set"):
        TEXTS["zh"]()


def test_the_texts_themselves_are_cut_where_longhold_cuts_them() -> None:
    for make in TEXTS.values():
        try:
            text = make()
        except NoData as missing:
            pytest.skip(str(missing))
        assert split(text.file, text.held_fraction) == (text.train, text.held)
