"""What a report says first where nothing is claimed: sentences made from the rows."""

import pytest

from longhold.study.report import study_document
from longhold.study.report.document import Paragraph
from tests.study.columns import row_of
from tests.study.report.test_writing import rows, writing

Row = dict[str, object]


def first(found: list[Row], language: str = "en") -> list[str]:
    """The first two paragraphs of the report."""
    section = study_document(map(row_of, found), None, "command").sections[0]
    blocks = section.blocks[:2]
    assert all(isinstance(block, Paragraph) and not block.quiet for block in blocks)
    return [getattr(block.text, language) for block in blocks]  # type: ignore[union-attr]


def with_bits(**bits: float) -> list[Row]:
    return [{**row, "writing": writing(bits[str(row["cell"])])} for row in rows()]


def test_the_best_predictor_comes_first_beside_counting() -> None:
    seen, why = first(with_bits(rnn=2.25, lstm=2.1))
    assert seen == (
        "book.txt: lstm uniform predicts text that it has not seen best, with 2.10 bits per character "
        "(then rnn uniform 2.25); counting sequences of six characters gives 2.14."
    )
    assert why.startswith("This is indicative: some arms have only 1 seed, a claim needs 10, and another seed may")


def test_counting_is_said_to_win_where_it_does() -> None:
    assert first(rows(3))[0] == (
        "book.txt: rnn uniform predicts text that it has not seen best, with 2.26 bits per character "
        "(then lstm uniform 2.51); in this time no network beats counting sequences of six characters (2.14)."
    )


def test_networks_that_have_learned_nothing_are_said_to() -> None:
    seen = first(with_bits(rnn=7.7, lstm=8.2))[0]
    assert "the time was too short, no network has learned more than how frequent each character is" in seen
    assert "the best, rnn uniform: 7.70 bits per character; the frequencies alone: 4.44" in seen


def test_chinese_says_the_same() -> None:
    seen, why = first(with_bits(rnn=2.25, lstm=2.1), "zh")
    assert seen == (
        "book.txt：lstm uniform 对没见过的文本预测得最好，每字符 2.10 比特（其次 rnn uniform 2.25）"
        "；统计六个字符的序列为 2.14。"
    )
    assert why.startswith("以上仅供参考：有的对象只有 1 个种子，而断言需要 10 个")


@pytest.mark.parametrize("solved", [True, False])
def test_runs_that_solve_are_counted(few_rows, solved: bool) -> None:
    values = [{**row.to_json(), "solved": solved} for row in few_rows if row.spec.seed == 0]
    seen = first(values)[0]
    arms = {str(row["arm"]) for row in values}
    assert all(arm in seen for arm in arms)
    assert seen.startswith(f"{values[0]['experiment']}: ")


def test_many_seeds_without_a_comparison_test_nothing() -> None:
    assert first(rows(10))[1] == "This is indicative: the plan declares no comparison, so no difference was tested."
