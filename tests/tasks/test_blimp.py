import json
import os
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.tasks.blimp import PARADIGMS, MinimalPair, paradigm_path, read_pairs

PAIR = {"sentence_good": "The cat sleeps.", "sentence_bad": "The cat sleep.", "UID": "made_up", "pairID": "0"}


def written(tmp_path, *lines):
    path = tmp_path / "made_up.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_pairs_are_read_in_their_order(tmp_path):
    path = written(
        tmp_path, {**PAIR, "field": "morphology"}, "", {**PAIR, "sentence_good": "Ç’est ça.", "pairID": "12"}
    )
    assert read_pairs(path) == (
        MinimalPair("The cat sleeps.", "The cat sleep.", "made_up", 0),
        MinimalPair("Ç’est ça.", "The cat sleep.", "made_up", 12),
    )
    assert read_pairs(str(path)) == read_pairs(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 2: not JSON \(Expecting property name"),
        ("[1, 2]", r"line 2: \[1, 2\]: expected a JSON object"),
        ({**PAIR, "sentence_good": ""}, "line 2: sentence_good='': expected text"),
        ({**PAIR, "sentence_bad": 3}, "line 2: sentence_bad=3: expected text"),
        ({key: value for key, value in PAIR.items() if key != "UID"}, "line 2: UID=None: expected text"),
        ({**PAIR, "pairID": "-1"}, "line 2: pairID='-1': expected an integer"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, message):
    path = written(tmp_path, PAIR, line)
    with pytest.raises(InputError, match=message) as caught:
        read_pairs(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nowhere.jsonl: No such file"):
        read_pairs(tmp_path / "nowhere.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")
    with pytest.raises(InputError, match=r"latin.jsonl, line 1: expected text in UTF-8"):
        read_pairs(tmp_path / "latin.jsonl")
    with pytest.raises(InputError, match="has no pairs"):
        read_pairs(written(tmp_path, "", " "))


def test_missing_data_are_one_clear_line(tmp_path, monkeypatch):
    name = PARADIGMS[0]
    monkeypatch.delenv("LONGHOLD_DATA", raising=False)
    with pytest.raises(InputError, match=rf"^{name} is read from blimp/{name}.jsonl in LONGHOLD_DATA, which names no"):
        paradigm_path(name)
    monkeypatch.setenv("LONGHOLD_DATA", str(tmp_path))
    with pytest.raises(InputError, match=rf"{tmp_path}/blimp/{name}.jsonl is missing: expected BLiMP's {name}.jsonl"):
        paradigm_path(name)
    with pytest.raises(InputError, match=r"'../secret' is no agreement set of BLiMP: expected one of anaphor"):
        paradigm_path("../secret")
    (tmp_path / "blimp").mkdir()
    (tmp_path / "blimp" / f"{name}.jsonl").write_text("")
    assert paradigm_path(name) == tmp_path / "blimp" / f"{name}.jsonl"
    assert paradigm_path(name, tmp_path / "blimp") == paradigm_path(name)


@pytest.mark.parametrize("name", PARADIGMS)
def test_the_published_sets_are_read_in_full(name):
    folder = Path(os.environ.get("LONGHOLD_DATA", "")) / "blimp"
    if not folder.is_dir():
        pytest.skip("LONGHOLD_DATA has no blimp")
    pairs = read_pairs(paradigm_path(name))
    assert [pair.number for pair in pairs] == list(range(1000))
    assert {pair.paradigm for pair in pairs} == {name}
    assert all(pair.good != pair.bad and pair.good.endswith(".") for pair in pairs)
