import csv
import json
import sqlite3
import threading
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.study.rows.row import COLUMNS, Row
from longhold.study.rows.store import FORMAT, Store, from_jsonl, to_csv, to_jsonl, written
from tests.study.tiny import row, spec

ROWS = (row(spec(seed=2)), row(spec(seed=0)), row(spec(seed=1), solved=False), row(spec(seed=5, stage="tuning")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.sqlite"


def test_rows_come_back_in_a_fixed_order_and_tuning_only_when_asked(path: Path) -> None:
    other = row(spec(plan="other"))
    with Store(path) as store:
        for made in (*ROWS, other):
            store.write(made)
        assert [made.spec.seed for made in store.rows("tiny")] == [0, 1, 2]
        assert len(store.rows("tiny", stage=None)) == 4
        assert [made.spec.seed for made in store.rows("tiny", stage="tuning")] == [5]
        assert store.plans() == ("other", "tiny")
    with Store(path) as again:
        assert {made.digest for made in again.rows()} == {made.digest for made in (*ROWS[:3], other)}
        assert again.rows("other") == (other,)


def test_a_file_that_is_not_there_has_no_rows_and_is_not_made(path: Path) -> None:
    with Store(path) as store:
        assert store.rows() == ()
        assert store.plans() == ()
    assert not path.exists()


def test_the_first_row_of_a_specification_stays(path: Path) -> None:
    with Store(path) as store:
        store.write(row(spec(), seconds=1.0))
        store.write(row(spec(), seconds=2.0))
        assert [made.seconds for made in store.rows()] == [1.0]
        assert store.write_all(ROWS) == 3


def test_a_row_is_in_the_file_when_write_returns(path: Path) -> None:
    with Store(path) as store:
        store.write(ROWS[0])
        reader = sqlite3.connect(path)
        assert reader.execute("SELECT count(*) FROM rows").fetchone() == (1,)
        reader.close()


def test_anyone_can_ask_it_in_sql(path: Path) -> None:
    with Store(path) as store:
        store.write_all(ROWS)
    reader = sqlite3.connect(path)
    found = reader.execute(
        "SELECT arm, level, sum(solved), avg(recall) FROM results WHERE stage = 'result' GROUP BY arm, level"
    ).fetchall()
    reader.close()
    assert found == [("lstm uniform", 3, 2, pytest.approx((0.95 * 2 + 0.1) / 3))]


def test_two_writers_share_a_file(path: Path) -> None:
    def work(first: int) -> None:
        with Store(path) as store:
            for seed in range(first, first + 15):
                store.write(row(spec(seed=seed)))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(path) as store:
        assert [made.spec.seed for made in store.rows()] == list(range(25))


def refused(path: Path, *words: str) -> None:
    for use in (lambda store: store.rows(), lambda store: store.write(ROWS[0]), lambda store: store.plans()):
        with pytest.raises(InputError) as found, Store(path) as store:
            use(store)
        assert "\n" not in str(found.value)
        for word in (str(path), *words):
            assert word in str(found.value)


def test_a_damaged_file_is_refused_in_a_line(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says\n" * 50)
    refused(path, "not a database")
    with Store(path.with_name("b.sqlite")) as store:
        store.write_all(ROWS)
    whole = path.with_name("b.sqlite").read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 4000 + whole[4100:])
    refused(path)


def test_a_newer_and_a_strange_file_are_refused_in_a_line(path: Path) -> None:
    with Store(path) as store:
        store.write_all(ROWS)
    writer = sqlite3.connect(path)
    writer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    writer.close()
    refused(path, "newer", str(FORMAT + 1))
    strange = path.with_name("strange.sqlite")
    writer = sqlite3.connect(strange)
    writer.execute("CREATE TABLE cats (name TEXT)")
    writer.close()
    refused(strange, "not a study")


def test_a_row_that_was_changed_by_hand_is_told(path: Path) -> None:
    with Store(path) as store:
        store.write_all(ROWS)
    writer = sqlite3.connect(path)
    writer.execute("UPDATE rows SET row = json_set(row, '$.spec.seed', 77)")
    writer.commit()
    writer.close()
    with Store(path) as store, pytest.raises(InputError, match="digest"):
        store.rows()


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "[]",
        "[1, 2]",
        "3",
        '"text"',
        "{}",
        "NaN",
        "1e999",
        '{"a": 1, "a": 2}',
        "[" * 5000,
        b"\xff\x00",
        5,
        None,
        2.5,
    ],
)
def test_a_row_that_is_none_is_told_in_a_line(path: Path, value: object) -> None:
    with Store(path) as store:
        store.write_all(ROWS)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA ignore_check_constraints = ON")
    writer.execute("PRAGMA writable_schema = ON")
    writer.execute("UPDATE sqlite_schema SET sql = replace(sql, 'row TEXT NOT NULL', 'row TEXT') WHERE name = 'rows'")
    writer.commit()
    writer.close()
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA ignore_check_constraints = ON")
    writer.execute("UPDATE rows SET row = ? WHERE plan = 'tiny'", (value,))
    writer.commit()
    writer.close()
    with Store(path) as store, pytest.raises(InputError, match="a row cannot be read") as found:
        store.rows()
    assert "\n" not in str(found.value)


def test_names_that_cannot_be_are_told_in_a_line(path: Path) -> None:
    with Store(path) as store:
        store.write_all(ROWS)
        with pytest.raises(InputError, match="UTF-8"):
            store.rows("caf\udce9")
    with Store(path.with_name("n" * 300)) as store, pytest.raises(InputError, match="name too long"):
        store.plans()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "none" / "study.sqlite") as store, pytest.raises(InputError, match="unable to open"):
        store.write(ROWS[0])


def test_json_lines_there_and_back(tmp_path: Path, path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(to_jsonl(ROWS)), encoding="utf-8")
    assert from_jsonl(file) == ROWS
    assert all(Row.from_json(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines())
    with Store(path) as store:
        assert store.write_all(from_jsonl(file)) == 4


@pytest.mark.parametrize(
    "line", ["{", "[1]", "null", "3", '{"digest": "0"}', "\x00", "[" * 5000, '{"a": 1e999}', '{"plan": "\\ud800"}']
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(to_jsonl(ROWS[:1])) + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2") as found:
        from_jsonl(file)
    assert "\n" not in str(found.value)
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        from_jsonl(tmp_path / "missing.jsonl")


def test_csv_has_every_field_and_nested_ones_as_json() -> None:
    lines = list(csv.DictReader("".join(to_csv(ROWS)).splitlines()))
    assert [line["seed"] for line in lines] == ["2", "0", "1", "5"]
    assert set(lines[0]) == set(COLUMNS)
    assert json.loads(lines[0]["task"]) == ROWS[0].spec.task
    assert json.loads(lines[2]["solved"]) is False
    assert lines[2]["solved_step"] == ""
    assert float(lines[0]["recall"]) == 0.95
    assert "".join(to_csv(())).startswith("digest,plan,")


def test_a_form_that_there_is_not_is_refused() -> None:
    assert "".join(written("jsonl", ROWS)) == "".join(to_jsonl(ROWS))
    with pytest.raises(InputError, match="yaml"):
        written("yaml", ROWS)
