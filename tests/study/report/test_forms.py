"""The same numbers in HTML, Markdown and CSV."""

import csv
import json
import re

import pytest

from longhold.errors import InputError
from longhold.study.report import render_markdown, render_page, report_of, rows_digest, write_study_report
from longhold.study.rows.store import Store, from_jsonl
from tests.study.columns import row_of
from tests.study.report.pages import Page, markdown_page
from tests.study.report.rows_made_up import rows_of


@pytest.fixture(scope="module")
def files(plan, rows, tmp_path_factory):
    return write_study_report(rows, plan, tmp_path_factory.mktemp("report") / "new")


@pytest.fixture(scope="module")
def page(files) -> Page:
    return Page(files.page.read_text(encoding="utf-8"))


def tidy(table):
    return [[" ".join(cell.split()) for cell in row] for row in table]


def test_every_table_of_the_page_is_in_the_markdown(page, files):
    written = [tidy(table) for table in markdown_page(files.markdown.read_text(encoding="utf-8")).tables]
    shown = [tidy(table) for table in page.numbers()]
    assert len(written) == 2 * len(shown) > 30
    assert written[: len(shown)] == shown


def test_statements_are_the_same(page, files):
    words = markdown_page(files.markdown.read_text(encoding="utf-8")).words()
    for sentence in re.findall(
        r'<span class="claim"><span lang="en">(.*?)</span>', files.page.read_text(encoding="utf-8")
    ):
        plain = " ".join(Page(sentence).words().split())
        assert plain in words


def test_the_rows_lie_beside_it_as_they_are(files, rows):
    assert list(from_jsonl(files.lines)) == list(rows)


def test_the_recalls_of_the_csv_are_those_of_the_tables(page, files):
    with files.rows.open(newline="") as lines:
        known = [row for row in csv.DictReader(lines) if row["experiment"] == "hold" and row["stage"] == "result"]
    assert len(known) > 200
    table = next(table for table in page.numbers() if table[0][-1] == "how they lie" and table[0][1] == "lag, steps")
    for arm, lag, solved, _, recalls, _ in tidy(table[1:]):
        mine = sorted(
            (row for row in known if (row["arm"], row["level"]) == (arm, lag)), key=lambda row: int(row["seed"])
        )
        told = ["failed" if row["error"] else f"{round(float(row['recall']), 2) + 0.0:.2f}" for row in mine]
        shown = [text for text in recalls.split(", ") if not text.endswith("not run") and text != "–"]
        assert shown == told
        assert solved.startswith(f"{sum(json.loads(row['solved'].lower()) for row in mine)} of ")


def test_the_digest_is_that_of_the_rows_and_not_of_the_machine(rows):
    values = [row.to_json() for row in rows[:20]]
    moved = [{**row, "seconds": 1e6, "machine": "another", "versions": {}} for row in reversed(values)]
    changed = [{**values[0], "seed": 99}, *values[1:]]
    assert rows_digest(map(row_of, values)) == rows_digest(map(row_of, moved)) != rows_digest(map(row_of, changed))
    assert re.fullmatch("[0-9a-f]{64}", rows_digest([]))


def test_the_page_tells_the_digest_the_machine_and_the_commands(page, rows):
    words = page.words()
    for told in (rows_digest(rows), "Made-up Processor 9000", "torch 2.13.0+cpu",
                 "longhold study run large"):  # fmt: skip
        assert told in words


def test_a_store_of_one_plan_is_enough(few, few_rows, tmp_path):
    with Store(tmp_path / "study.sqlite") as store:
        store.write_all(few_rows)
    files = report_of(str(tmp_path / "study.sqlite"), tmp_path / "nothing.sqlite", tmp_path / "out")
    text = files.page.read_text(encoding="utf-8")
    assert "lstm chrono (told the lag)" in text
    assert "plan&#39;s file was not given" in text
    assert "--store study.sqlite" in text
    assert str(tmp_path) not in text


def test_several_plans_in_a_store_have_to_be_told_apart(few, few_rows, tmp_path):
    other = few.model_copy(update={"name": "other"})
    with Store(tmp_path / "study.sqlite") as store:
        store.write_all([*few_rows, *rows_of(other)])
    with pytest.raises(InputError, match="holds the plans other, small: expected one"):
        report_of(str(tmp_path / "study.sqlite"), tmp_path / "x", tmp_path / "out")


def test_without_rows_there_is_no_report(tmp_path):
    with pytest.raises(InputError, match=r"no rows of plan 'mine' in .*: expected a study that was run"):
        report_of("mine", tmp_path / "study.sqlite", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told(few, few_rows, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        write_study_report(few_rows, few, tmp_path / "file" / "out")


def test_page_and_markdown_are_what_was_rendered(document, files):
    assert files.page.read_text(encoding="utf-8").count("<section") == render_page(document).count("<section")
    assert render_markdown(document).count("\n## ") == 2 * len(document.sections)
